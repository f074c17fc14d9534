"""What a file is, by its content: its name may say something else."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import Literal

from fer_jax.vocabulary.counted import counted
from repro.evaluation.errors import EvaluationError, words_of

Form = Literal[
    "csv", "npz", "onnx", "keras", "keras-hdf5", "hdf5", "tflite", "torchscript", "torch-export", "pickle", "zip"
]
NAMES: dict[Form, str] = {
    "csv": "text",
    "npz": "arrays of NumPy (.npz)",
    "onnx": "ONNX",
    "keras": "Keras (.keras)",
    "keras-hdf5": "Keras (HDF5)",
    "hdf5": "HDF5 without a network",
    "tflite": "TensorFlow Lite",
    "torchscript": "TorchScript",
    "torch-export": "PyTorch (torch.export)",
    "pickle": "a pickle of Python or PyTorch",
    "zip": "a zip archive",
}
SUFFIXES: dict[str, tuple[Form, ...]] = {
    ".csv": ("csv",),
    ".npz": ("npz",),
    ".onnx": ("onnx",),
    ".keras": ("keras", "keras-hdf5"),
    ".h5": ("keras-hdf5",),
    ".hdf5": ("keras-hdf5",),
    ".tflite": ("tflite",),
    ".pt2": ("torch-export",),
    ".pt": ("torchscript", "torch-export"),
    ".pth": ("torchscript", "torch-export"),
}
ACCEPTED = "CSV, NPZ, ONNX, Keras (.keras, .h5, .hdf5), TFLite, torch.export (.pt2), TorchScript (.pt)"
LARGEST = 4_000_000_000  # bytes
_HDF5, _LFS = b"\x89HDF\r\n\x1a\n", b"version https://git-lfs"
_PICKLE = (
    "{path}: a pickle, which can run any program when it is opened, so it is not opened. If it holds the parameters of "
    "a PyTorch network, build the network in Python and name it as module:function, or save it with torch.export"
)


def recognise(path: Path) -> Form:
    """Raises EvaluationError for a file that cannot be evaluated, and for one that is not what its name says."""
    form = _by_content(path)
    if form == "pickle":
        raise EvaluationError(_PICKLE.format(path=path))
    if form == "hdf5":
        raise EvaluationError(
            f"{path}: HDF5 without `model_config`: weights without a network. Save it with `model.save`"
        )
    if form == "zip":
        raise EvaluationError(f"{path}: a zip archive, not a network; unpack it. Accepted are {ACCEPTED}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise EvaluationError(f"{path}: the name ends in {suffix or 'nothing'!r}; accepted are {ACCEPTED}")
    if form not in SUFFIXES[suffix]:
        raise EvaluationError(f"{path}: its name ends in {suffix}, but its content is {NAMES[form]}; rename it")
    return form


def _by_content(path: Path) -> Form:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise EvaluationError(f"{path}: a folder; name a file. A SavedModel can be converted to ONNX (tf2onnx)")
        if not stat.S_ISREG(found.st_mode):
            raise EvaluationError(f"{path}: not a regular file")
        if not 0 < found.st_size <= LARGEST:
            raise EvaluationError(f"{path}: {counted(found.st_size, 'byte')}; 1 to {LARGEST:,} are read")
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise EvaluationError(f"{path}: {error.strerror or error}") from None
    if start.startswith(_LFS):
        raise EvaluationError(f"{path}: a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`")
    if start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise EvaluationError(f"{path}: a web page, not the file itself; download it again")
    if start.startswith(b"PK\x03\x04"):
        return _zip(path)
    if start.startswith(_HDF5):
        return _hdf5(path)
    if start[4:8] == b"TFL3":
        return "tflite"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    if _is_text(start):
        return "csv"
    if start[:1] == b"\x08":  # field 1 of ModelProto, a number: ir_version
        return "onnx"
    raise EvaluationError(f"{path}: not recognised; accepted are {ACCEPTED}")


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8-sig", errors="strict" if len(start) < 512 else "ignore")
    except UnicodeDecodeError:
        return False
    return bool(text) and all(c.isprintable() or c in "\r\n\t" for c in text)


def _zip(path: Path) -> Form:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise EvaluationError(f"{path}: a damaged zip archive ({words_of(error)})") from None
    tails = {name.partition("/")[2] for name in names} | set(names)
    if {"config.json", "model.weights.h5"} <= set(names):
        return "keras"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if "archive_format" in tails or "serialized_exported_program.json" in tails:
        return "torch-export"
    if any(name.startswith("code/") for name in tails):
        return "torchscript"
    return "pickle" if "data.pkl" in tails else "zip"


def _hdf5(path: Path) -> Form:
    """Without h5py, which may not be there: the attribute's name is somewhere in the file."""
    import mmap

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return "keras-hdf5" if content.find(b"model_config") >= 0 else "hdf5"

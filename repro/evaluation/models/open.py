"""Open any network: by the content of its file, with the library that this kind of file needs and no other."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from repro.evaluation.errors import EvaluationError
from repro.evaluation.models.function import NAMED, open_function
from repro.evaluation.models.keras_model import open_keras
from repro.evaluation.models.onnx_model import open_onnx
from repro.evaluation.models.opened import OpenedModel
from repro.evaluation.models.recognise import NAMES, Form, recognise
from repro.evaluation.models.tflite_model import open_tflite
from repro.evaluation.models.torch_model import open_torch_export, open_torchscript

PREDICTIONS: tuple[Form, ...] = ("csv", "npz")
# The extra of each kind of file, and its packages: each entry needs one of its names.
EXTRAS: dict[Form, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "onnx": ("evaluate-onnx", (("onnx",), ("onnxruntime",))),
    "keras": ("evaluate-keras", (("keras",), ("h5py",))),
    "keras-hdf5": ("evaluate-keras", (("keras",), ("h5py",))),
    "tflite": ("evaluate-tflite", (("ai_edge_litert", "tensorflow"),)),
    "torchscript": ("evaluate-torch", (("torch",),)),
    "torch-export": ("evaluate-torch", (("torch",),)),
}


def is_function(model: str) -> bool:
    """Whether the words name a function rather than a file."""
    return NAMED.fullmatch(model) is not None and not Path(model).exists()


def open_model(model: str, form: Form | None = None) -> OpenedModel:
    """model: a path, or module:function. form: of the file, if it is known. Raises EvaluationError."""
    if form is None and is_function(model):
        return open_function(model)
    path = Path(model)
    form = form or recognise(path)
    if form in EXTRAS:
        extra, packages = EXTRAS[form]
        for names in packages:
            if not any(importlib.util.find_spec(name) is not None for name in names):
                raise EvaluationError(
                    f"{path}: a network of {NAMES[form]} needs {names[0].replace('_', '-')}, which is not installed: "
                    f"pip install 'fer-repro[{extra}]'"
                )
    match form:
        case "onnx":
            return open_onnx(path)
        case "keras" | "keras-hdf5":
            return open_keras(path, hdf5=form == "keras-hdf5")
        case "tflite":
            return open_tflite(path)
        case "torchscript":
            return open_torchscript(path)
        case "torch-export":
            return open_torch_export(path)
    raise EvaluationError(f"{path}: {NAMES[form]}, not a network")

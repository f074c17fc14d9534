"""A network in a file of Keras 2 or 3, computed by Keras (extra `evaluate-keras`).

Keras can be made to run a program by a file: a Lambda layer holds one, a class is imported by the name of its module,
and an HDF5 file may lead to other files. Keras' safe mode does not hold for HDF5 in all versions (CVE-2025-9905). So
the description of the network is read first, and a file with any of these is not opened.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from repro.evaluation.errors import EvaluationError, words_of
from repro.evaluation.models.opened import OpenedModel

LARGEST_CONFIG = 20_000_000  # bytes
FORBIDDEN = ("Lambda", "TFOpLambda", "SlicingOpLambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


def open_keras(path: Path, hdf5: bool) -> OpenedModel:
    """Raises EvaluationError for a file that is none of a network, or that would run a program."""
    config = _hdf5_config(path) if hdf5 else _zip_config(path)
    check_config(path, config)
    if not hdf5:
        _check_weights(path)
    os.environ.setdefault("KERAS_BACKEND", "jax")  # JAX is there in any case; TensorFlow need not be
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # pyright: ignore[reportMissingImports]

    try:
        model: Any = keras.models.load_model(path, compile=False, safe_mode=True)
        taken, given = model.input_shape, model.output_shape
    except Exception as error:
        raise EvaluationError(f"{path}: Keras {keras.__version__} cannot open it: {words_of(error)}") from None
    if isinstance(taken, list) or not isinstance(given, tuple):
        raise EvaluationError(
            f"{path}: takes or gives several arrays; expected one face in and one row of emotions out"
        )

    def predict(faces: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(model.predict_on_batch(faces))
        except Exception as error:
            raise EvaluationError(f"{path}: Keras cannot compute it: {words_of(error)}") from None

    return OpenedModel(
        form="Keras (HDF5)" if hdf5 else "Keras",
        runtime=f"keras {keras.__version__} with {keras.backend.backend()}",
        predict=predict,
        dims=tuple(taken[1:]),
        batch=taken[0],
        usual="nchw" if "channels_first" in json.dumps(config) else "nhwc",
        parameters=int(model.count_params()),
    )


def _zip_config(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > LARGEST_CONFIG:
                raise EvaluationError(f"{path}: a description of more than {LARGEST_CONFIG:,} bytes")
            return json.loads(archive.read("config.json"))
    except EvaluationError:
        raise
    except Exception as error:
        raise EvaluationError(f"{path}: not a Keras file ({words_of(error)})") from None


def _check_weights(path: Path) -> None:
    """Raises EvaluationError if the weights within the archive lead to other files."""
    import h5py  # pyright: ignore[reportMissingImports]

    try:
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as weights:
            content = io.BytesIO(weights.read())
        with h5py.File(content, "r") as file:
            for name in _leads_out(file, h5py):
                raise EvaluationError(f"{path}: its {name!r} is in another file; such a file is not read")
    except EvaluationError:
        raise
    except Exception as error:
        raise EvaluationError(f"{path}: not Keras weights ({words_of(error)})") from None


def _hdf5_config(path: Path) -> Any:
    """The description of the network. Raises EvaluationError if the file leads to other files."""
    import h5py  # pyright: ignore[reportMissingImports]

    try:
        with h5py.File(path, "r") as file:
            for name in _leads_out(file, h5py):
                raise EvaluationError(f"{path}: its {name!r} is in another file; such a file is not read")
            text: Any = file.attrs["model_config"]
            return json.loads(text if isinstance(text, str) else bytes(text).decode())
    except EvaluationError:
        raise
    except Exception as error:
        raise EvaluationError(f"{path}: not a Keras network ({words_of(error)})") from None


def _leads_out(group: Any, h5py: Any, above: str = "") -> Iterator[str]:
    """Names of links and arrays whose content is outside the file."""
    for name in group:
        full = f"{above}/{name}"
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink | h5py.SoftLink):
            yield full
            continue
        found = group.get(name)
        if isinstance(found, h5py.Dataset):
            if found.external or found.is_virtual:
                yield full
        elif isinstance(found, h5py.Group):
            yield from _leads_out(found, h5py, full)


def check_config(path: Path, config: Any) -> None:
    """Raises EvaluationError for a layer that holds a program, or a class from outside Keras."""
    waiting, seen = [config], 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if seen > 1_000_000:
            raise EvaluationError(f"{path}: a description of more than a million values")
        if isinstance(node, list):
            waiting += node
        if not isinstance(node, dict):
            continue
        kind, module = node.get("class_name"), node.get("module")
        if kind in FORBIDDEN or kind in ("__lambda__", "function"):
            raise EvaluationError(
                f"{path}: holds a layer {kind!r}, which runs a program from the file. It is not opened. Replace "
                "it by layers of Keras, or build the network in Python and name it as module:function"
            )
        if isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins", "tf_keras", "tensorflow"):
            raise EvaluationError(
                f"{path}: its {kind!r} comes from the module {module!r}, which would be imported; such a file is not "
                "opened. Build the network in Python and name it as module:function"
            )
        waiting += node.values()

"""A network in a file of TensorFlow Lite, computed by LiteRT or TensorFlow (extra `evaluate-tflite`)."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.vocabulary.counted import counted
from repro.evaluation.errors import EvaluationError, words_of
from repro.evaluation.models.opened import OpenedModel


def open_tflite(path: Path) -> OpenedModel:
    """Raises EvaluationError for a file that is not such a network, or needs operators that are not built in."""
    make, runtime = _interpreter()
    try:
        interpreter = make(model_path=str(path))
        interpreter.allocate_tensors()
        taken, given = interpreter.get_input_details(), interpreter.get_output_details()
    except Exception as error:
        raise EvaluationError(f"{path}: LiteRT cannot open it: {words_of(error)}") from None
    if len(taken) != 1 or len(given) != 1:
        raise EvaluationError(
            f"{path}: {counted(len(taken), 'input')} and {counted(len(given), 'output')}; one of each is needed"
        )
    source, target = taken[0], given[0]
    shape = [int(one) for one in source["shape"]]

    def predict(faces: np.ndarray) -> np.ndarray:
        try:
            interpreter.set_tensor(source["index"], _quantised(faces, source))
            interpreter.invoke()
            return _real(interpreter.get_tensor(target["index"]), target)
        except Exception as error:
            raise EvaluationError(f"{path}: LiteRT cannot compute it: {words_of(error)}") from None

    kind = np.dtype(source["dtype"]).name
    return OpenedModel(
        form="TensorFlow Lite",
        runtime=runtime,
        predict=predict,
        dims=tuple(shape[1:]),
        # A quantised input represents real numbers, which the settings are about.
        dtype="float32" if source["quantization"][0] else kind,
        batch=shape[0],
        notes=() if kind == "float32" else (f"takes {kind}, quantised",),
    )


def _interpreter() -> tuple[Any, str]:
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

        return Interpreter, f"ai-edge-litert {version('ai-edge-litert')}"
    import tensorflow  # pyright: ignore[reportMissingImports, reportMissingModuleSource]

    return tensorflow.lite.Interpreter, f"tensorflow {tensorflow.__version__}"


def _quantised(values: np.ndarray, about: dict[str, Any]) -> np.ndarray:
    scale, zero = about["quantization"]
    kind = np.dtype(about["dtype"])
    if not scale:
        return values.astype(kind, copy=False)
    limits = np.iinfo(kind)
    return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(kind)


def _real(values: np.ndarray, about: dict[str, Any]) -> np.ndarray:
    scale, zero = about["quantization"]
    return (values.astype(np.float32) - zero) * scale if scale else values

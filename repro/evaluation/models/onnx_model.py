"""A network in an ONNX file, computed by ONNX Runtime on the CPU (extra `evaluate-onnx`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_jax.vocabulary.counted import counted
from repro.evaluation.errors import EvaluationError, words_of
from repro.evaluation.models.opened import OpenedModel

if TYPE_CHECKING:
    import onnx

# Domains whose operators come with ONNX Runtime; any other is a program in another library.
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")
_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}


def open_onnx(path: Path) -> OpenedModel:
    """Raises EvaluationError if it cannot be computed, needs operators of another library, or names files elsewhere."""
    import onnx
    import onnxruntime

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf raises other kinds for a damaged file
        raise EvaluationError(f"{path}: not an ONNX file ({words_of(error)})") from None
    if not model.graph.output:
        raise EvaluationError(f"{path}: not an ONNX file: it holds no graph with an output")
    _check_operators(path, model)
    _check_external(path, model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EvaluationError(f"{path}: ONNX Runtime cannot open it: {_reason(error)}") from None
    taken = session.get_inputs()
    if len(taken) != 1:
        raise EvaluationError(
            f"{path}: takes {counted(len(taken), 'input')}, not one: {', '.join(one.name for one in taken)}"
        )
    name, dtype = taken[0].name, _TYPES.get(taken[0].type)
    if dtype is None:
        raise EvaluationError(f"{path}: takes {taken[0].type}; faces are numbers of {', '.join(_TYPES.values())}")
    first, *dims = (one if isinstance(one, int) and one > 0 else None for one in taken[0].shape or [None])
    output = _wanted_output(path, session)

    def predict(faces: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(session.run([output], {name: faces})[0])
        except Exception as error:
            raise EvaluationError(f"{path}: ONNX Runtime cannot compute it: {_reason(error)}") from None

    return OpenedModel(
        form="ONNX",
        runtime=f"onnxruntime {onnxruntime.__version__}",
        predict=predict,
        dims=tuple(dims) if taken[0].shape else None,
        dtype=dtype,
        usual="nchw",
        batch=first,
        labels=_labels(session.get_modelmeta().custom_metadata_map),
        parameters=_parameters(model),
    )


def _wanted_output(path: Path, session: Any) -> str:
    """The output with the probabilities. Of several, the one with that name, else the only one with two axes."""
    given = session.get_outputs()
    named = [one.name for one in given if "prob" in one.name.lower()]
    flat: list[str] = [one.name for one in given if len(one.shape or ()) == 2 and one.type in _TYPES]
    found = [one.name for one in given] if len(given) == 1 else named if len(named) == 1 else flat
    if len(found) != 1:
        raise EvaluationError(
            f"{path}: gives {counted(len(given), 'output')} "
            f"({', '.join(one.name for one in given)}), and none is plainly that "
            "of the emotions; keep one when you export it"
        )
    return found[0]


def _labels(properties: dict[str, str]) -> tuple[str, ...] | None:
    """The names of the outputs in the metadata, as `repro export` writes them; None if they are not names."""
    try:
        found = json.loads(properties.get("labels", ""))
    except ValueError:
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    local = {function.domain for function in model.functions}
    for node in _nodes(model):
        if node.domain not in DOMAINS and node.domain not in local:
            raise EvaluationError(
                f"{path}: needs the operator {node.op_type} of {node.domain!r}, another library, which is not "
                "loaded; export it with ONNX's own operators"
            )


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those within branches, loops and functions too."""
    waiting: list[onnx.NodeProto] = list(model.graph.node)
    for function in model.functions:
        waiting += function.node
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            waiting += attribute.g.node
            for graph in attribute.graphs:
                waiting += graph.node


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            yield from attribute.g.initializer


def _check_external(path: Path, model: onnx.ModelProto) -> None:
    """Numbers may lie in files beside the model, and nowhere else."""
    for tensor in _tensors(model):
        for entry in tensor.external_data:
            if entry.key != "location":
                continue
            place = PurePosixPath(entry.value)
            beside = path.parent / place
            inside = not place.is_absolute() and ".." not in place.parts and "\\" not in entry.value
            if not inside or beside.is_symlink() or not beside.resolve().is_relative_to(path.parent.resolve()):
                raise EvaluationError(
                    f"{path}: its tensor {tensor.name!r} is in {entry.value!r}, outside its folder. It is not read"
                )
            if not beside.is_file():
                raise EvaluationError(
                    f"{path}: its numbers are in {entry.value!r}, which is not beside it; copy it too"
                )


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold its numbers."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    places = {entry.value for tensor in _tensors(model) for entry in tensor.external_data if entry.key == "location"}
    return [path.parent / place for place in sorted(places)]


def _parameters(model: onnx.ModelProto) -> int:
    """Numbers of float type in the initializers; shapes and indices are whole numbers."""
    import onnx

    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
    small = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)  # quantised weights
    kinds = (*floats, *small)
    return int(sum(np.prod(tensor.dims) for tensor in model.graph.initializer if tensor.data_type in kinds))


def _reason(error: Exception) -> str:
    """The last part of an error of ONNX Runtime: what comes before repeats the path, which may be long."""
    text = words_of(error, longest=5_000)
    return (text.rpartition(" : ")[2] if "[ONNXRuntimeError]" in text else text)[-300:]

"""A network that PyTorch saved as a program: torch.export (.pt2) or TorchScript (.pt), extra `evaluate-torch`.

Neither needs a pickle of Python objects, and none is opened. What is in a file of torch.export is checked first,
because PyTorch would unpickle some of its parts, and would evaluate the expressions of its sizes. TorchScript is a
program in a small language; it can open files by one operator, which is looked for.
"""

from __future__ import annotations

import json
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.vocabulary.counted import counted
from repro.evaluation.errors import EvaluationError, words_of
from repro.evaluation.models.opened import OpenedModel
from repro.evaluation.preprocessing import Dims

TORCHSCRIPT = "TorchScript is a program; it was run, within PyTorch's interpreter"
_FILES = ("aten::from_file", "aten::save", "torch.from_file", "torch.save")
_LARGEST_JSON = 50_000_000  # bytes
_CALLS = frozenset(
    {"Max", "Min", "Mod", "FloorDiv", "ModularIndexing", "Where", "PythonMod", "CleanDiv", "CeilDiv", "IntTrueDiv"}
    | {"FloatTrueDiv", "ToFloat", "TruncToInt", "RoundToInt", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not"}
    | {"Integer", "Symbol", "True", "False", "int_oo", "oo", "floor", "ceiling", "evaluate", "integer", "positive"}
)


def open_torch_export(path: Path) -> OpenedModel:
    """Raises EvaluationError for a file with pickled objects, unusual expressions, or that PyTorch cannot open."""
    _check_export(path)
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    import torch  # pyright: ignore[reportMissingImports]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(path)
            module = program.module()
    except Exception as error:
        raise EvaluationError(f"{path}: PyTorch {torch.__version__} cannot open it: {words_of(error)}") from None
    batch, dims, dtype = _export_input(path, program, torch)
    return _opened(path, "PyTorch (torch.export)", module, torch, dims=dims, batch=batch, dtype=dtype)


def open_torchscript(path: Path) -> OpenedModel:
    """Raises EvaluationError for a program that opens files, or that PyTorch cannot open."""
    _check_script(path)
    import torch  # pyright: ignore[reportMissingImports]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:
        raise EvaluationError(f"{path}: PyTorch {torch.__version__} cannot open it: {words_of(error)}") from None
    return _opened(path, "TorchScript", module, torch, dims=None, batch=None, dtype="float32", notes=(TORCHSCRIPT,))


def _opened(
    path: Path,
    form: str,
    module: Any,
    torch: Any,
    *,
    dims: Dims | None,
    batch: int | None,
    dtype: str,
    notes: tuple[str, ...] = (),
) -> OpenedModel:
    def predict(faces: np.ndarray) -> np.ndarray:
        try:
            with torch.inference_mode():
                given = module(torch.from_numpy(faces))
                given = given[0] if isinstance(given, tuple | list) else given
                return given.float().numpy()
        except Exception as error:
            raise EvaluationError(f"{path}: PyTorch cannot compute it: {words_of(error)}") from None

    return OpenedModel(
        form=form,
        runtime=f"torch {torch.__version__}",
        predict=predict,
        dims=dims,
        dtype=dtype,
        usual="nchw",
        batch=batch,
        parameters=sum(one.numel() for one in module.parameters()),
        notes=notes,
    )


def _export_input(path: Path, program: Any, torch: Any) -> tuple[int | None, Dims, str]:
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise EvaluationError(f"{path}: takes {counted(len(names), 'input')}, not one face")
    (value,) = [node.meta["val"] for node in program.graph.nodes if node.name == names[0]]
    batch, *dims = (one if isinstance(one, int) else None for one in value.shape)
    return batch, tuple(dims), str(value.dtype).removeprefix("torch.")


def _check_export(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for found in archive.infolist():
                if re.search(r"custom_obj|opaque_obj|aotinductor|\.so$|\.py$", found.filename, re.IGNORECASE):
                    raise EvaluationError(
                        f"{path}: holds {found.filename!r}, which PyTorch would run; it is not opened"
                    )
                if found.filename.endswith(".json"):
                    if found.file_size > _LARGEST_JSON:
                        raise EvaluationError(
                            f"{path}: {found.filename} has {counted(found.file_size, 'byte')}; too many"
                        )
                    _check_json(path, json.loads(archive.read(found)))
    except EvaluationError:
        raise
    except Exception as error:
        raise EvaluationError(f"{path}: not a torch.export file ({words_of(error)})") from None


def _check_json(path: Path, document: Any) -> None:
    for key, value in _values(document):
        if key == "use_pickle" and value:
            raise EvaluationError(f"{path}: holds a pickle, which can run any program; it is not opened")
        if key == "expr_str" and isinstance(value, str) and not is_plain_expression(value):
            raise EvaluationError(
                f"{path}: an expression of its sizes, {value[:60]!r}, is not plain arithmetic; PyTorch would "
                "evaluate it"
            )


def _values(document: Any) -> Iterator[tuple[str, Any]]:
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [("", one) for one in value]


def is_plain_expression(text: str) -> bool:
    """Whether a size is arithmetic on symbols (s0, u1) with known functions; SymPy would evaluate anything else."""
    words = re.findall(r"[^\W\d]\w*", text)
    known = all(word in _CALLS or re.fullmatch(r"[suz]\d+", word) for word in words)
    return known and re.fullmatch(r"[\w\s+\-*/%(),<>=!&|~'.]*", text) is not None and "__" not in text


def _check_script(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            code = [found for found in archive.infolist() if found.filename.endswith((".py", ".pkl"))]
            for found in code:
                if found.filename.endswith(".py"):
                    text = archive.read(found).decode()
                    for name in _FILES:
                        if name.replace("aten::", "torch.") in text or name in text:
                            raise EvaluationError(
                                f"{path}: its program calls {name}, which opens a file; it is not run"
                            )
    except EvaluationError:
        raise
    except Exception as error:
        raise EvaluationError(f"{path}: not a TorchScript file ({words_of(error)})") from None

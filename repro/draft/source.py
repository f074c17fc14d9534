"""Where a model comes from: a file of a known form, or a function of the user's that makes it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from repro.draft.drafted import DraftedModel, DraftError
from repro.draft.flax_layers import draft_flax
from repro.draft.keras_layers import draft_keras, read_keras
from repro.draft.onnx_layers import read_onnx
from repro.draft.torch_layers import draft_torch

ACCEPTED = "model.onnx, model.keras, or FILE.py:function, which returns a Keras, PyTorch or Flax model"


def read_model(source: str, say: Callable[[str], None] = lambda text: None) -> DraftedModel:
    """The layers of a model. A file is read, never executed; a function is the user's own code and is run, which `say`
    announces.

    Raises DraftError.
    """
    file, colon, function = source.rpartition(":")
    if colon and file.endswith(".py"):
        say(f"running {source}, which is your own code")
        return draft_model(_call(Path(file), function), source)
    path = Path(source)
    if not path.is_file():
        raise DraftError(f"{source}: no such file; accepted: {ACCEPTED}")
    if path.suffix == ".onnx":
        return read_onnx(path)
    if path.suffix == ".keras":
        return read_keras(path)
    if path.suffix in (".pt", ".pth", ".pkl", ".h5", ".hdf5"):
        raise DraftError(
            f"{source}: a file of weights is not opened here: it may run code, or holds no layers. Write a function "
            "that makes the model: FILE.py:function"
        )
    raise DraftError(f"{source}: not a form that is known here; accepted: {ACCEPTED}")


def draft_model(model: Any, about: str) -> DraftedModel:
    """Raises DraftError for what is none of the three frameworks' models."""
    homes = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    if homes & {"keras", "tf_keras", "tensorflow"}:
        return draft_keras(model.get_config(), about)
    if "torch" in homes:
        return draft_torch(model, about)
    if "flax" in homes or callable(model):
        return draft_flax(model, about)
    raise DraftError(f"{about}: a {type(model).__name__}, not a model; accepted: {ACCEPTED}")


def _call(path: Path, name: str) -> Any:
    """What a function of a file returns; a model with this name is taken as it is."""
    if not path.is_file():
        raise DraftError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise DraftError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
        found = getattr(module, name, None)
        if found is None:
            raise DraftError(f"{path}: it has no {name!r}")
        is_maker = isinstance(found, type) or type(found).__name__ == "function"
        return found() if is_maker else found
    except DraftError:
        raise
    except Exception as error:  # the user's own code
        raise DraftError(f"{path}:{name}: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]}") from None
    finally:
        sys.path.pop(0)

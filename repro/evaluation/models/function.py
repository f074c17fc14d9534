"""A network as a function of the user's own Python code: `module:function`."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from repro.evaluation.errors import EvaluationError, words_of
from repro.evaluation.models.opened import OpenedModel

NAMED = re.compile(r"(?P<module>[^\W\d][\w.]*):(?P<function>[^\W\d][\w.]*)")


def open_function(text: str, folder: Path | None = None) -> OpenedModel:
    """The function gets uint8 faces (N, 48, 48), unless options say otherwise, and gives (N, 7).

    text: "module:function"; the module is looked for in `folder`, the current one if None, and where Python finds its
    own. It is the user's code, and is run. Raises EvaluationError if it is not found or fails.
    """
    found = NAMED.fullmatch(text)
    if found is None:
        raise EvaluationError(f"{text}: no module:function, such as my_network:predict")
    sys.path.insert(0, str(folder or Path.cwd()))
    try:
        function: Any = importlib.import_module(found["module"])
        for name in found["function"].split("."):
            function = getattr(function, name)
    except Exception as error:
        raise EvaluationError(f"{text}: {_said(error)}") from None
    finally:
        sys.path.pop(0)
    if not callable(function):
        raise EvaluationError(
            f"{text}: {type(function).__name__} is not a function; it must take faces and give outputs"
        )

    def predict(faces: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(function(faces))
        except Exception as error:
            raise EvaluationError(f"{text}: {_said(error)}") from None

    return OpenedModel(
        form="Python function",
        runtime=f"Python {sys.version.split()[0]}",
        predict=predict,
        dims=(None, None),
        dtype="uint8",
        notes=(f"{text} is code of the user and was run",),
    )


def _said(error: Exception) -> str:
    """The error, and the last place of the user's code that it passed."""
    places = traceback.extract_tb(error.__traceback__)
    own = [place for place in places if place.filename != __file__ and "importlib" not in place.filename]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {words_of(error)}{where}"

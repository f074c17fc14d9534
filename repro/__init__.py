"""Reproduce the numbers of facial-expression-recognition papers: specs, runs, records, tables, command line.

The names of `__all__` are the Python interface. They are imported at their first use, because JAX takes seconds;
`__init__.pyi` has their types.
"""

import importlib
import time
from typing import Any

__version__ = "0.1.0"

STARTED_AT = time.perf_counter()  # the first line of the suite that a process runs

_WHERE = {
    "audit_arrays": "data",
    "audit_split": "data",
    "evaluate": "evaluation",
    "load_data": "data",
    "load_model": "models",
    "paper": "papers",
    "run": "runs",
    "verdict": "verdict",
}
__all__ = ["audit_arrays", "audit_split", "evaluate", "load_data", "load_model", "paper", "run", "verdict"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'repro' has no attribute {name!r}")
    return getattr(importlib.import_module(f"repro.api.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""A network that was opened: what is known of it, and a function from prepared faces to outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from repro.evaluation.preprocessing import Dims, Layout

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class OpenedModel:
    """form: kind of file, in words. runtime: the library that computes, with its version.

    dims: shape of an input without its first axis, None for any size; None as a whole if the file does not say.
    dtype: of the input. usual: the layout of this kind of file. batch: faces per call, if fixed. labels: names of the
    outputs, if the file says them. parameters: numbers that were learned, if they can be counted. notes: what a reader
    of the result should know.
    """

    form: str
    runtime: str
    predict: Predict
    dims: Dims | None
    dtype: str = "float32"
    usual: Layout = "nhwc"
    batch: int | None = None
    labels: tuple[str, ...] | None = None
    parameters: int | None = None
    notes: tuple[str, ...] = field(default=())

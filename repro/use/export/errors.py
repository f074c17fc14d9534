"""Errors for the user. Imports nothing slow, so that the command line can load it at once."""

import importlib.util

from fer_jax.vocabulary.errors import UserError


class ExportError(UserError):
    """A network cannot be written; the message names the file or the package, and the remedy."""


def need_onnx() -> None:
    """Raises ExportError if the package onnx is not installed."""
    if importlib.util.find_spec("onnx") is None:
        raise ExportError("`repro export` needs onnx, which is not installed: pip install 'fer-repro[onnx]'")

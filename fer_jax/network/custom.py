"""Flax modules of the user's own: imported when a network is built, never before."""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from pathlib import Path
from typing import Any

import flax.linen as nn
from jax import Array

from fer_jax.vocabulary.custom_layer import Custom, source_file, source_trouble
from fer_jax.vocabulary.errors import UserError

_log = logging.getLogger(__name__)


class CustomLayerError(UserError):
    """A module of the user's own cannot be used. The message names it and what is wrong."""


def module_class(layer: Custom) -> type[nn.Module]:
    """The class that a layer names. This executes the user's own code.

    Raises CustomLayerError if its source is not the one whose hash the layer has, or holds no such Flax module.
    """
    if trouble := source_trouble(layer.module, layer.sha256):
        raise CustomLayerError(f'layer "python:{layer.module}": {trouble}')
    name, _, attribute = layer.module.partition(":")
    _log.info("running your own code: %s of %s", layer.module, source_file(layer.module))
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(name), attribute, None)
    except Exception as error:  # whatever the user's module raises
        raise CustomLayerError(f'layer "python:{layer.module}": {type(error).__name__}: {error}') from error
    finally:
        sys.path.remove(here)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise CustomLayerError(f'layer "python:{layer.module}": {attribute} is not a subclass of flax.linen.Module')
    return found


def apply_custom(layer: Custom, name: str, x: Array, *, train: bool) -> Array:
    """The module under its name, applied to a map (batch, height, width, channels) or to features (batch, features).

    Raises CustomLayerError for settings that it does not take, and for an output of another shape than the spec says.
    """
    kind: Any = module_class(layer)
    try:
        module = kind(**layer.settings, name=name)
    except TypeError as error:
        raise CustomLayerError(f'layer "python:{layer.module}": {error}') from None
    takes_train = "train" in inspect.signature(kind.__call__).parameters
    y = module(x, train=train) if takes_train else module(x)
    expected = layer.output_shape(x.shape[1:])
    if y.shape != (x.shape[0], *expected):
        made = " x ".join(map(str, y.shape[1:]))
        raise CustomLayerError(
            f'layer "python:{layer.module}": it makes {made} of {" x ".join(map(str, x.shape[1:]))}, but the spec says '
            f"{' x '.join(map(str, expected))}; write output = {list(y.shape[1:])}"
        )
    return y

"""What is read from a model: its layers as a spec writes them, and what a spec cannot say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fer_jax.vocabulary.errors import UserError
from repro.specs.nearest import nearest_element

Setting = str | int | float | bool | Mapping[str, Any]


class DraftError(UserError):
    """A model cannot be read. The message says what would help."""


@dataclass(frozen=True)
class DraftedLayer:
    """settings: the keys of a layer of a spec, in order, `layer` first; empty for what the suite does not have. source:
    the layer in the model's own words. remarks: where the two differ, or what is nearest."""

    source: str
    settings: dict[str, Setting] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DraftedModel:
    """layers: input side first. size: pixels along a side of the input; None if the model does not say. channels: of
    the input. about: where it was read from. remarks: on the model as a whole."""

    layers: tuple[DraftedLayer, ...]
    about: str
    size: int | None = None
    channels: int | None = None
    remarks: tuple[str, ...] = ()


def unsupported(name: str, source: str) -> DraftedLayer:
    """A layer that the suite does not have, with the nearest that it has."""
    near = nearest_element("layer", name)
    return DraftedLayer(source, remarks=(f"not supported; nearest: {near}" if near else "not supported",))


def activation(function: str, source: str) -> DraftedLayer:
    """An activation by its usual name."""
    name = {"logistic": "sigmoid"}.get(function.lower(), function.lower())
    if name in ("relu", "elu", "tanh", "sigmoid", "softmax"):
        return DraftedLayer(source, {"layer": "activation", "function": name})
    near = nearest_element("function", name)
    return DraftedLayer(source, remarks=(f"not supported; nearest: {near}" if near else "not supported",))


def square(values: Sequence[int] | int, what: str) -> tuple[int, tuple[str, ...]]:
    """(the value for both sides, a remark if the sides differ)."""
    if isinstance(values, int):
        return values, ()
    first = int(values[0])
    odd = any(int(value) != first for value in values)
    return first, ((f"the {what} of {list(values)} is not square",) if odd else ())


def padding_of(pads: Sequence[int], kernel: int, stride: int) -> tuple[str, tuple[str, ...]]:
    """`valid` or `same` for explicit paddings (all sides), with a remark where neither is exact.

    `same` pads as TensorFlow does. At stride 1 that is (kernel - 1) / 2 on each side of an odd kernel; at other strides
    it pads less on the first sides than frameworks that pad symmetrically.
    """
    if not any(pads):
        return "valid", ()
    if set(pads) == {(kernel - 1) // 2} and kernel % 2 and stride == 1:
        return "same", ()
    return "same", (f"padding of {list(pads)} is not quite 'same', which pads as TensorFlow does",)

"""What is read from a model: its layers as a spec writes them, and what a spec cannot say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fer_jax.vocabulary.errors import UserError
from repro.specs.nearest import nearest_element

Setting = str | int | float | bool | list[int] | Mapping[str, Any]


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


FUNCTIONS = ("relu", "elu", "tanh", "sigmoid", "softmax", "gelu", "swish")
_SAME_FUNCTION = {"logistic": "sigmoid", "silu": "swish"}


def activation(function: str, source: str) -> DraftedLayer:
    """An activation by its usual name."""
    name = _SAME_FUNCTION.get(function.lower(), function.lower())
    if name in FUNCTIONS:
        return DraftedLayer(source, {"layer": "activation", "function": name})
    near = nearest_element("function", name)
    return DraftedLayer(source, remarks=(f"not supported; nearest: {near}" if near else "not supported",))


def sides(values: Sequence[int] | int) -> int | list[int]:
    """As a spec writes what has a height and a width: one number if they are equal."""
    if isinstance(values, int):
        return values
    numbers = [int(value) for value in values]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def padding_of(
    pads: Sequence[int], kernel: int | list[int], stride: int | list[int]
) -> tuple[Setting, tuple[str, ...]]:
    """`valid`, `same` or numbers for explicit paddings, with a remark where none is exact. pads: one for all sides, one
    for each axis, or of ONNX those before the axes and then those behind them.

    `same` pads as TensorFlow does. At stride 1 that is (kernel - 1) / 2 on each side of an odd kernel; at other strides
    it pads less on the first sides than frameworks that pad symmetrically.
    """
    if not any(pads):
        return "valid", ()
    if isinstance(kernel, int) and stride == 1 and kernel % 2 and set(pads) == {(kernel - 1) // 2}:
        return "same", ()
    before, behind = (pads[: len(pads) // 2], pads[len(pads) // 2 :]) if len(pads) == 4 else (pads, pads)
    if list(before) == list(behind):
        return sides(before), ()
    return "same", (f"padding of {list(pads)} is not quite 'same', which pads as TensorFlow does",)


def convolution(
    source: str,
    *,
    filters: int,
    channels: int,
    kernel: int | list[int],
    groups: int = 1,
    dilation: int | list[int] = 1,
    remarks: Sequence[str] = (),
    **more: Setting,
) -> DraftedLayer:
    """A convolution, which is a depthwise one if it has as many groups as `channels`. more: stride, padding, bias."""
    settings: dict[str, Setting]
    if groups > 1 and groups == channels and filters % channels == 0:
        settings = {"layer": "depthwise_conv", "kernel": kernel, **more}
        settings |= {"multiplier": filters // channels} if filters != channels else {}
    else:
        settings = {"layer": "conv", "filters": filters, "kernel": kernel, **more}
        settings |= {"groups": groups} if groups != 1 else {}
    settings |= {"dilation": dilation} if dilation != 1 else {}
    return DraftedLayer(source, settings, tuple(remarks))

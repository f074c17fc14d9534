"""Residual blocks by their names: `block = "basic"` with `filters` in place of its lists. No JAX.

They are written out when a file is read, so that a spec, its identity and its pages have nothing but layers.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fer_jax.vocabulary.layer_struct import PositiveInt
from repro.specs.accepted import explain
from repro.specs.mistakes import Mistake

_RELU: dict[str, Any] = {"layer": "activation", "function": "relu"}
_NORM: dict[str, Any] = {"layer": "batch_norm"}


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A block of two 3x3 convolutions without biases.

    basic: convolution, batch norm, ReLU, convolution, batch norm; the ReLU behind the sum is a layer by itself (He et
        al. 2016, *Deep Residual Learning for Image Recognition*).
    preactivation: batch norm and ReLU in front of each convolution, none behind the sum (He et al. 2016, *Identity
        Mappings in Deep Residual Networks*).
    filters: of both convolutions. stride: of the first. projection: whether the shortcut is a 1x1 convolution (in a
        basic block with batch norm) rather than the input; by default if there is a stride.
    """

    layer: Literal["residual"]
    block: Literal["basic", "preactivation"]
    filters: PositiveInt
    stride: PositiveInt = 1
    projection: bool | None = None

    def lists(self) -> dict[str, list[dict[str, Any]]]:
        """`body` and `shortcut` as a file has them."""

        def conv(kernel: int, stride: int) -> dict[str, Any]:
            strided = {"stride": stride} if stride != 1 else {}
            return {
                **{"layer": "conv", "filters": self.filters, "kernel": kernel, "padding": "same", "bias": False},
                **strided,
            }

        projected = self.stride != 1 if self.projection is None else self.projection
        shortcut = [conv(1, self.stride)] if projected else []
        first, second = conv(3, self.stride), conv(3, 1)
        if self.block == "preactivation":
            return {"body": [{**_NORM}, {**_RELU}, first, {**_NORM}, {**_RELU}, second], "shortcut": shortcut}
        shortcut += [{**_NORM}] if projected else []
        return {"body": [first, {**_NORM}, {**_RELU}, second, {**_NORM}], "shortcut": shortcut}


def write_out_blocks(raw: Any, path: str = "") -> list[Mistake]:
    """Replace every block of raw tables by its lists, at any depth. Returns what is wrong in blocks; each of these
    becomes a residual that can be decoded, so that the rest of the file can be looked at."""
    found: list[Mistake] = []
    if isinstance(raw, dict):
        if raw.get("layer") == "residual" and "block" in raw:
            found += _write_out(raw, path)
        for key, value in raw.items():
            found += write_out_blocks(value, f"{path}.{key}" if path else key)
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            found += write_out_blocks(value, f"{path}[{index}]")
    return found


def _write_out(raw: dict[str, Any], path: str) -> list[Mistake]:
    sources = {key: raw.pop(key) for key in ("provenance",) if key in raw}
    written, mistakes = {**raw}, []
    raw.clear()
    try:
        lists = msgspec.convert(written, Block).lists()
    except msgspec.ValidationError as error:
        lists = {"body": [{**_RELU}], "shortcut": []}
        mistakes.append(Mistake(path, explain(error, written, Block)))
    raw.update({"layer": "residual", **lists, **sources})
    return mistakes

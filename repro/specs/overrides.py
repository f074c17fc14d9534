"""Settings of a variant, or of --set, put at their dotted paths into the raw tables of a spec. No JAX here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fer_jax.vocabulary.custom_layer import expand
from fer_jax.vocabulary.layers import Layer, layer_names
from fer_jax.vocabulary.settings import Training
from fer_jax.vocabulary.step_kinds import step_names
from repro.specs.accepted import explain
from repro.specs.blocks import write_out_blocks
from repro.specs.nearest import hint
from repro.specs.spec import Data, Model
from repro.specs.stages import TABLES

_SETTING_TABLES = ("data.steps", "model.layers")


class WrongSetting(Exception):
    """A variant's setting that cannot be; the message has its key path."""


class SettingTables(msgspec.Struct, forbid_unknown_fields=True):
    """The tables of settings: all that a variant changes."""

    data: Data | None = None
    model: Model | None = None
    training: Training | None = None


def converted(raw: dict[str, Any]) -> SettingTables:
    expand(raw)
    if mistakes := write_out_blocks(raw):
        raise WrongSetting(str(mistakes[0]))
    try:
        return msgspec.convert(raw, SettingTables)
    except msgspec.ValidationError as error:
        raise WrongSetting(explain(error, raw, SettingTables)) from None


def override(raw: dict[str, Any], dotted: str, value: Any) -> None:
    """Put `value` at a dotted path; layers and steps are addressed by name (conv1, shuffle2)."""
    node: Any = raw
    parts = dotted.split(".")
    if parts[0] not in TABLES or len(parts) == 1:
        raise WrongSetting(
            f"{dotted}: not a setting; accepted: paths below {', '.join(TABLES)}{hint(parts[0], TABLES)}"
        )
    if parts[0] not in raw:
        raise WrongSetting(f"{dotted}: the file has no [{parts[0]}]")
    for depth, part in enumerate(parts):
        at = ".".join(parts[: depth + 1])
        last = depth == len(parts) - 1
        key: Any = part
        if isinstance(node, list):
            names = _names_in(raw, ".".join(parts[:depth]))
            if part not in names:
                raise WrongSetting(f"{at}: no such name; accepted: {', '.join(names)}{hint(part, names)}")
            key = names.index(part)
        elif not isinstance(node, dict):
            raise WrongSetting(f"{at}: {'.'.join(parts[:depth])} is a value and holds no keys")
        if last:
            node[key] = value
            return
        if isinstance(node, dict) and part not in node:
            raise WrongSetting(f"{at}: no such table; accepted: {', '.join(node)}{hint(part, node)}")
        node = node[key]


def _names_in(raw: dict[str, Any], list_path: str) -> tuple[str, ...]:
    spec = converted(raw)
    if list_path.startswith("model.layers") and spec.model:
        return layer_names(_layers_at(spec.model.layers, list_path.split(".")[2:]))
    if list_path == "data.steps" and spec.data:
        return step_names(spec.data.steps)
    raise WrongSetting(f"{list_path}: only the items of {' and '.join(_SETTING_TABLES)} have names")


def _layers_at(layers: tuple[Layer, ...], parts: Sequence[str]) -> tuple[Layer, ...]:
    """The list at the end of a path below a list: ["residual1", "body"]."""
    for name, key in zip(parts[::2], parts[1::2], strict=True):
        layers = getattr(layers[layer_names(layers).index(name)], key)
    return layers

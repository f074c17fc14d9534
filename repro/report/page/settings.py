"""The settings of a paper, each with its source: quote and place, upstream code, or the reason for a guess."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from fer_jax.vocabulary.custom_layer import Custom
from fer_jax.vocabulary.later_fields import counted_fields
from fer_jax.vocabulary.layers import shapes_by_name
from repro.report.describe import settings_text
from repro.report.sheets import setting_sources, setting_tables
from repro.specs.decode import LoadedSpec
from repro.specs.spec import PaperSpec, Provenance
from repro.specs.spec_checks import image_size

# By the first key of the tables.
TITLES = {"data": "Data, in this order", "model": "Network, input side first", "training": "Training"}


@dataclass(frozen=True)
class SharedSource:
    """Settings of one table that share the same provenance entries, as `key value`."""

    settings: tuple[str, ...]
    entries: tuple[Provenance, ...]


@dataclass(frozen=True)
class ShownTable:
    """One data step, layer or table of the training. shape: a layer's output for one face; else empty."""

    id: str
    name: str
    shape: str
    sources: tuple[SharedSource, ...]


@dataclass(frozen=True)
class ShownVariant:
    """changes: dotted paths with their new values."""

    name: str
    about: str
    changes: tuple[str, ...]
    entries: tuple[Provenance, ...]


def settings_of(loaded: LoadedSpec) -> dict[str, list[ShownTable]]:
    """The tables of settings of the default variant, under the titles for data, network and training."""
    spec = loaded.spec
    groups: dict[str, list[ShownTable]] = {title: [] for title in TITLES.values()}
    shapes = _shapes(spec)
    for key, name, struct in setting_tables(spec):
        shape = shapes.get(name, "") if key.startswith("model.") else ""
        id = f"{loaded.id}-source-{key}".replace(".", "-").replace("[", "-").replace("]", "")
        label = f"{name} (own code)" if isinstance(struct, Custom) else name
        table = ShownTable(id, label, shape, _sources(struct, loaded.provenance.get(key, ())))
        groups[TITLES[key.split(".")[0]]].append(table)
    return groups


def variants_of(loaded: LoadedSpec) -> list[ShownVariant]:
    return [
        ShownVariant(
            name,
            variant.about,
            tuple(f"{path} = {json.dumps(value, ensure_ascii=False)}" for path, value in variant.set.items()),
            loaded.provenance.get(f"variants.{name}", ()),
        )
        for name, variant in loaded.spec.variants.items()
    ]


def _shapes(spec: PaperSpec) -> dict[str, str]:
    """The output shape of each layer by name: height x width x channels, or features."""
    layers, size = spec.model.layers if spec.model else (), image_size(spec)
    shapes = shapes_by_name(layers, (size, size, 1))
    return {name: " × ".join(str(n) for n in after) for name, (_, after) in shapes.items()}


def _sources(struct: msgspec.Struct, entries: Sequence[Provenance]) -> tuple[SharedSource, ...]:
    """In the order of the settings; the kind of table comes first."""
    found: dict[tuple[Provenance, ...], list[str]] = {}
    sources = setting_sources(struct, entries)
    for name, own in sorted(sources.items(), key=lambda item: item[0] != struct.__struct_config__.tag_field):
        found.setdefault(own, []).append(_setting(struct, name))
    return tuple(SharedSource(tuple(settings), own) for own, settings in found.items())


def _setting(struct: msgspec.Struct, name: str) -> str:
    config = struct.__struct_config__
    if name == config.tag_field:
        return f"{name} {config.tag}"
    if getattr(struct, name) is None:
        return f"{name} none"
    return settings_text(struct, leave=tuple(other for other in counted_fields(struct) if other != name))

"""The sources of a variant's settings: the paper's provenance, and the variant's own for what it changes."""

from __future__ import annotations

import msgspec

from fer_jax.vocabulary.layers import every_layer
from fer_jax.vocabulary.settings import INNER_TABLES
from fer_jax.vocabulary.step_kinds import step_names
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec
from repro.specs.sources import with_inherited
from repro.specs.spec import PaperSpec, Provenance
from repro.specs.spec_checks import layer_tables

Sources = dict[str, tuple[Provenance, ...]]  # by the key path of the table: model.layers[0], training.loss


def variant_sources(paper: LoadedSpec, variant: str) -> Sources:
    """The provenance of all settings of `paper.settings(variant)`.

    A setting that the variant sets, alone or in a list or table that it replaces, has the variant's provenance.
    """
    spec = paper.settings(variant)
    sources = {key: entries for key, entries in paper.provenance.items() if not key.startswith("variants.")}
    if variant == DEFAULT_VARIANT:
        return sources
    own = own_sources(paper, variant)
    for dotted in spec.variants[variant].set:
        table, setting = _place(spec, dotted)
        if setting:
            named = tuple(msgspec.structs.replace(entry, of=(setting,)) for entry in own)
            sources[table] = named + _without(sources.get(table, ()), setting)
            held = f"{table}.{setting}["  # layers in a list that is replaced
            sources = {key: entries for key, entries in sources.items() if not key.startswith(held)}
        else:
            sources = {key: entries for key, entries in sources.items() if not (key + "[").startswith(table + "[")}
            sources |= dict.fromkeys(_tables(spec, table), own)
    return with_inherited(sources, layer_tables(spec))


def own_sources(paper: LoadedSpec, variant: str) -> tuple[Provenance, ...]:
    """A variant's provenance for its settings (not for its description); empty for a spec that was built in memory,
    without sources."""
    entries = paper.provenance.get(f"variants.{variant}", ())
    return tuple(msgspec.structs.replace(entry, of=()) for entry in entries if not entry.of or "set" in entry.of)


def _place(spec: PaperSpec, dotted: str) -> tuple[str, str]:
    """(key path of the table or list, key in it or '' for all of it) that a dotted path of a variant sets."""
    parts = dotted.split(".")
    steps = step_names(spec.data.steps if spec.data else ())
    layers = every_layer(spec.model.layers if spec.model else ())
    names = {
        "model.layers": {named.name: named.path for named in layers},
        "data.steps": {name: f"[{index}]" for index, name in enumerate(steps)},
    }
    head = ".".join(parts[:2])
    if head in names:
        if len(parts) == 2:
            return head, ""
        # The longest name: of a layer in a residual, not of the residual.
        end = max(n for n in range(3, len(parts) + 1) if ".".join(parts[2:n]) in names[head])
        return f"{head}{names[head]['.'.join(parts[2:end])]}", parts[end] if len(parts) > end else ""
    if parts[1] in INNER_TABLES:
        return head, parts[2] if len(parts) > 2 else ""
    return parts[0], parts[1]


def _tables(spec: PaperSpec, table: str) -> list[str]:
    """The setting tables of a replaced list or table."""
    count = {
        "model.layers": len(spec.model.layers) if spec.model else 0,
        "data.steps": len(spec.data.steps) if spec.data else 0,
    }.get(table)
    return [table] if count is None else [f"{table}[{index}]" for index in range(count)]


def _without(entries: tuple[Provenance, ...], setting: str) -> tuple[Provenance, ...]:
    """The entries without the setting; an entry that was about nothing else is removed."""
    kept = (
        entry
        if not entry.of
        else msgspec.structs.replace(entry, of=tuple(name for name in entry.of if name != setting))
        for entry in entries
        if entry.of != (setting,)
    )
    return tuple(kept)

"""Provenance of a table as a whole, for its layers, steps or inner tables that do not have their own. No JAX here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from fer_jax.vocabulary.layers import layer_names
from fer_jax.vocabulary.settings import INNER_TABLES, inner_tables
from fer_jax.vocabulary.step_kinds import step_names
from repro.specs.mistakes import Mistake
from repro.specs.spec import PaperSpec, Provenance


def setting_names(spec: PaperSpec, kept: Mapping[str, Sequence[int]] | None = None) -> dict[str, str]:
    """The name of each step, layer of the network's list and table inside [training], by its key path. kept: as of
    `repro.specs.spec_checks.setting_structs`."""
    kept = kept or {}
    found: dict[str, str] = {}
    for table, names in (
        ("data.steps", step_names(spec.data.steps if spec.data else ())),
        ("model.layers", layer_names(spec.model.layers if spec.model else ())),
    ):
        places = kept.get(table, range(len(names)))
        found |= {f"{table}[{place}]": name for place, name in zip(places, names, strict=True)}
    return found | {f"training.{name}": name for name in (inner_tables(spec.training) if spec.training else ())}


def of_whole_tables(
    provenance: Mapping[str, Sequence[Provenance]], names: Mapping[str, str]
) -> dict[str, tuple[Provenance, ...]]:
    """The provenance with that of [data], [model] and [training] handed down to what has no other.

    An entry of such a table names in `of` the parts that it is about, as variants do: `conv1`, or `conv1.filters` for
    one setting. An entry without `of` is about all parts that no other entry names; that of [training] only if none of
    its tables has another, so that a forgotten one is found.
    """
    found = {key: tuple(entries) for key, entries in provenance.items() if key not in ("data", "model")}
    if "training" in found:
        own = [_without_parts(entry, INNER_TABLES) for entry in found["training"]]
        found["training"] = tuple(entry for entry in own if entry is not None)
    in_parts = any(key.startswith("training.") for key in provenance)
    for key, name in names.items():
        table = key.partition(".")[0]
        entries = provenance.get(table, ())
        if table == "training" and in_parts:
            entries = [entry for entry in entries if entry.of]
        if entries and not found.get(key):
            found[key] = tuple(_of_part(entries, name))
    return {key: entries for key, entries in found.items() if entries}


def _without_parts(entry: Provenance, parts: Sequence[str]) -> Provenance | None:
    """The entry for the table's own settings; None if it is about parts alone."""
    if not entry.of:
        return entry
    own = tuple(name for name in entry.of if name.partition(".")[0] not in parts)
    return msgspec.structs.replace(entry, of=own) if own else None


def _of_part(entries: Sequence[Provenance], name: str) -> Iterator[Provenance]:
    whole = [entry for entry in entries if name in entry.of]
    for entry in entries:
        settings = tuple(one.partition(".")[2] for one in entry.of if one.startswith(f"{name}."))
        if entry in whole:
            yield msgspec.structs.replace(entry, of=())
        elif settings:
            yield msgspec.structs.replace(entry, of=settings)
        elif not entry.of and not whole:
            yield entry


def whole_table_mistakes(
    provenance: Mapping[str, Sequence[Provenance]], names: Mapping[str, str], damaged: frozenset[str] = frozenset()
) -> Iterator[Mistake]:
    """Names in `of` of [data] and [model] that no step and no layer has. damaged: keys at the top in which something
    could not be decoded, and whose names are not known."""
    for table in {"data", "model"} & provenance.keys() - damaged:
        known = [name for key, name in names.items() if key.startswith(f"{table}.")]
        named = {one.partition(".")[0] for entry in provenance[table] for one in entry.of}
        for name in sorted(named - set(known)):
            yield Mistake(f"{table}.provenance", f"`of` names {name!r}; accepted: {', '.join(known)}")


def with_inherited(
    provenance: Mapping[str, Sequence[Provenance]], tables: Iterable[str]
) -> dict[str, tuple[Provenance, ...]]:
    """The provenance of all tables: a layer in the list of another one has that one's, unless it has its own. tables:
    key paths of layers, those with lists first."""
    found = {key: tuple(entries) for key, entries in provenance.items()}
    for table in tables:
        above, _, held = table.rpartition(".")
        if not above.startswith("model.layers[") or found.get(table):
            continue
        key, entries = held.partition("[")[0], found.get(above, ())
        entries = [entry for entry in entries if key in entry.of] or [entry for entry in entries if not entry.of]
        found[table] = tuple(msgspec.structs.replace(entry, of=()) for entry in entries)
    return found

"""Questions to the authors of a paper: one for each setting that it does not state, and for each place where it says
two things."""

from __future__ import annotations

from collections.abc import Iterator

from repro.report.describe import setting_value
from repro.report.sheets import setting_sources, setting_tables
from repro.specs.decode import LoadedSpec
from repro.text import units
from repro.text.document import Inline, code, joined


def questions(loaded: LoadedSpec) -> list[Inline]:
    """Settings that were assumed for one reason and have the same values in several tables make one question."""
    return [*_contradictions(loaded), *_assumed(loaded), *_claims(loaded)]


def _contradictions(loaded: LoadedSpec) -> Iterator[Inline]:
    for item in loaded.spec.contradictions:
        sides = f"{item.one} ({item.one_place}) or {item.other} ({item.other_place})"
        yield f"{item.about}: {sides}? We took {item.chosen}."


def _assumed(loaded: LoadedSpec) -> Iterator[Inline]:
    found: dict[tuple[tuple[tuple[str, str], ...], str], list[str]] = {}
    for key, name, struct in setting_tables(loaded.spec):
        by_reason: dict[str, list[tuple[str, str]]] = {}
        given, kind = loaded.provenance.get(key, ()), struct.__struct_config__.tag_field
        for setting, entries in setting_sources(struct, given).items():
            if setting == kind and len(given) > 1:
                continue  # what kind of layer it is goes with the settings that are stated
            value = struct.__struct_config__.tag if setting == kind else getattr(struct, setting)
            if entries[0].kind == "assumed" and value is not None:
                by_reason.setdefault(entries[0].reason, []).append((setting, setting_value(value)))
        for reason, settings in by_reason.items():
            found.setdefault((tuple(settings), reason), []).append(name)
    for (settings, reason), names in found.items():
        values = joined([(code(setting), f" = {value}") for setting, value in settings])
        yield (joined([code(name) for name in names]), ": is it ", values, f"? Not stated; assumed: {reason}")


def _claims(loaded: LoadedSpec) -> Iterator[Inline]:
    for claim in loaded.spec.claims:
        said = f'{units.reported(claim)} ({claim.place}: "{claim.quote}")'
        if claim.unlabelled:
            yield (code(claim.id), f", {said}: what is it of? {claim.unlabelled}")
        if claim.selected_from and claim.tries is None:
            yield (code(claim.id), f", {said}: the best of how many, in {claim.selected_from}?")

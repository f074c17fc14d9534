"""Checks of a spec's claims, curves and tables that need more than one of its tables. No JAX here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.specs.claims import CLASS_MEASURES
from repro.specs.mistakes import Mistake
from repro.specs.spec import Claim, ClaimTable, Curve, PaperSpec

# Quantities whose printed digits decide a verdict. Without the worth of the last digit a claim cannot be judged.
_ROUNDED = frozenset({"accuracy", "loss", "time", "speedup", "pixel_mean", "pixel_std", *CLASS_MEASURES} - {"rank"})

Splits = Mapping[str, Sequence[str] | None]


def claim_mistakes(spec: PaperSpec, splits: Splits) -> Iterator[Mistake]:
    """splits: names of the splits that the data steps leave, by variant; None if they are not known."""
    yield from _ids(spec)
    for index, claim in enumerate(spec.claims):
        at = f"claims[{index}]"
        yield from _place(claim, at, splits, {"minibatch"})
        for key, emotion in (("emotion", claim.emotion), ("actual", claim.actual)):
            yield from _emotions(f"{at}.{key} ({claim.id})", [emotion] if emotion else [])
        if claim.quantity in _ROUNDED and not claim.not_measured and claim.resolution <= 0:
            yield Mistake(
                f"{at}.resolution ({claim.id})",
                f"a claim of quantity `{claim.quantity}` cannot be judged without `resolution`: the worth of its last "
                "printed digit (61 % -> 0.01)",
            )
    for index, curve in enumerate(spec.curves):
        yield from _place(curve, f"curves[{index}]", splits, {"minibatch"})
    for index, table in enumerate(spec.tables):
        at = f"tables[{index}]"
        yield from _place(table, at, splits, set())
        yield from _emotions(f"{at}.classes ({table.id})", table.classes)
    headlines = [claim.id for claim in spec.claims if claim.headline]
    if spec.claims and len(headlines) != 1:
        found = ", ".join(headlines) or "none"
        yield Mistake("claims", f"exactly one needs `headline = true`; those that have it: {found}")
    for index, item in enumerate(spec.contradictions):
        if item.variant and item.variant not in splits:
            yield Mistake(f"contradictions[{index}].variant", _no_variant(item.variant, splits))
    for index, sweep in enumerate(spec.sweeps):
        for variant in sweep.settings:
            if variant not in splits:
                yield Mistake(f"sweeps[{index}].settings", _no_variant(variant, splits))
    known = {claim.id for claim in spec.all_claims} | {item.id for item in (*spec.curves, *spec.tables)}
    for index, item in enumerate(spec.ruled_out):
        for id_ in item.claims:
            if id_ not in known:
                yield Mistake(f"ruled_out[{index}].claims", f"no claim has the id {id_!r}")


def _ids(spec: PaperSpec) -> Iterator[Mistake]:
    """Ids are unique, those of the points of curves and the entries of tables included."""
    named = [(f"claims[{i}]", (claim.id,)) for i, claim in enumerate(spec.claims)]
    named += [(f"curves[{i}]", (c.id, *(p.id for p in c.points))) for i, c in enumerate(spec.curves)]
    named += [
        (f"tables[{i}]", (t.id, *(c.id for c in (*t.margins, *t.cell_claims)))) for i, t in enumerate(spec.tables)
    ]
    seen: set[str] = set()
    for at, ids in named:
        for id_ in ids:
            if id_ in seen:
                made = "" if id_ == ids[0] else f"makes the id {id_!r}, and "
                yield Mistake(f"{at}.id", f"{made}another claim has the id {id_!r}; ids are unique")
            seen.add(id_)


def _place(item: Claim | Curve | ClaimTable, at: str, splits: Splits, more: set[str]) -> Iterator[Mistake]:
    """The variant and the split exist. more: accepted names of splits besides those of the data steps."""
    if item.variant not in splits:
        yield Mistake(f"{at}.variant ({item.id})", _no_variant(item.variant, splits))
        return
    found = splits[item.variant]
    if found is None:
        return
    known = {*found, *more}
    if not item.not_measured and item.split and item.split not in known:
        yield Mistake(f"{at}.split ({item.id})", f"no split {item.split!r}; accepted: {', '.join(sorted(known))}")


def _emotions(at: str, names: Sequence[str]) -> Iterator[Mistake]:
    for name in names:
        if name not in EMOTIONS:
            yield Mistake(at, f"no emotion {name!r}; accepted: {', '.join(EMOTIONS)}")


def _no_variant(name: str, splits: Splits) -> str:
    return f"no variant {name!r}; accepted: {', '.join(splits)}"

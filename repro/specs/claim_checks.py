"""Checks of a spec's claims, curves and tables that need more than one of its tables. No JAX here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fer_jax.data.faces import EMOTIONS
from repro.specs.claims import CLASS_MEASURES
from repro.specs.spec import Claim, ClaimTable, Curve, Spec

# Quantities whose printed digits decide a verdict. Without the worth of the last digit a claim cannot be judged.
_ROUNDED = frozenset({"accuracy", "loss", "time", "speedup", "pixel_mean", "pixel_std", *CLASS_MEASURES} - {"rank"})


def claim_mistakes(spec: Spec, splits: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Each mistake as ``key path: what is wrong; accepted: ...``.

    splits: names of the splits that the data steps leave, by variant.
    """
    yield from _ids(spec)
    for index, claim in enumerate(spec.claims):
        at = f"claims[{index}]"
        yield from _place(claim, at, splits, {"minibatch"})
        for key, emotion in (("emotion", claim.emotion), ("actual", claim.actual)):
            yield from _emotions(f"{at}.{key} ({claim.id})", [emotion] if emotion else [])
        if claim.quantity in _ROUNDED and not claim.not_measured and claim.resolution <= 0:
            yield (
                f"{at}.resolution ({claim.id}): a claim of quantity `{claim.quantity}` cannot be judged without "
                "`resolution`: the worth of its last printed digit (61 % -> 0.01)"
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
        yield f"claims: exactly one needs `headline = true`; those that have it: {found}"
    for index, item in enumerate(spec.contradictions):
        if item.variant and item.variant not in splits:
            yield f"contradictions[{index}].variant: no variant {item.variant!r}; accepted: {', '.join(splits)}"
    for index, sweep in enumerate(spec.sweeps):
        for variant in sweep.settings:
            if variant not in splits:
                yield f"sweeps[{index}].settings: no variant {variant!r}; accepted: {', '.join(splits)}"
    known = {claim.id for claim in spec.all_claims} | {item.id for item in (*spec.curves, *spec.tables)}
    for index, item in enumerate(spec.ruled_out):
        for id_ in item.claims:
            if id_ not in known:
                yield f"ruled_out[{index}].claims: no claim has the id {id_!r}"


def _ids(spec: Spec) -> Iterator[str]:
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
                made = "" if id_ == ids[0] else f" makes the id {id_!r}, and"
                yield f"{at}.id:{made} another claim has the id {id_!r}; ids are unique"
            seen.add(id_)


def _place(
    item: Claim | Curve | ClaimTable, at: str, splits: Mapping[str, Sequence[str]], more: set[str]
) -> Iterator[str]:
    """The variant and the split exist. more: accepted names of splits besides those of the data steps."""
    if item.variant not in splits:
        yield f"{at}.variant ({item.id}): no variant {item.variant!r}; accepted: {', '.join(splits)}"
        return
    known = {*splits[item.variant], *more}
    if not item.not_measured and item.split and item.split not in known:
        yield f"{at}.split ({item.id}): no split {item.split!r}; accepted: {', '.join(sorted(known))}"


def _emotions(at: str, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name not in EMOTIONS:
            yield f"{at}: no emotion {name!r}; accepted: {', '.join(EMOTIONS)}"

"""Confusion matrices: rows, predicted rows and true positives per emotion, against each other and the accuracy."""

from __future__ import annotations

from collections.abc import Iterator

from fer_jax.faces import EMOTIONS
from repro.forensics.case import Case, grouped, ids
from repro.forensics.finding import Finding, Outcome
from repro.forensics.printed import number, percent, window
from repro.spec import Claim

ACCURACY = "true positives / rows is the accuracy"
SUMS = "rows of all emotions make up the split"
BOUNDS = "true positives are among the rows of their emotion"
CELLS = "sums of the confusion matrix"
RECALLS = "recalls of the emotions give the accuracy"

PerEmotion = dict[str, Claim]


def check(case: Case) -> Iterator[Finding]:
    tables = ("rows", "predicted_rows", "true_positives", "accuracy")
    claims = (claim for claim in case.claims if claim.quantity in tables and claim.emotion)
    for (split, variant), group in grouped(claims, lambda claim: (claim.split, claim.variant)).items():
        one_table = {quantity: _per_emotion(group, quantity) for quantity in tables}
        yield from _sums(case, split, variant, one_table)
        yield from _bounds(one_table)
        yield from _accuracy(case, split, variant, one_table)
        yield from _cells(group, one_table)


def _per_emotion(claims: list[Claim], quantity: str) -> PerEmotion:
    return {claim.emotion: claim for claim in claims if claim.quantity == quantity and not claim.actual}


def _is_whole(table: PerEmotion) -> bool:
    return set(table) == set(EMOTIONS)


def _total(table: PerEmotion) -> float:
    return sum(claim.value for claim in table.values())


def _sum(table: PerEmotion) -> str:
    """200 + 63 + ... = 3,220, in the order of the labels."""
    return " + ".join(number(table[e].value) for e in EMOTIONS if e in table) + f" = {number(_total(table))}"


def _rows_of_split(case: Case, split: str, variant: str, rows: PerEmotion) -> tuple[float, str, Claim | None] | None:
    """(rows, who says so, the claim): as printed for the split, else as the emotions add up to, else by the steps."""
    stated = next((c for c in case.of("rows") if (c.split, c.variant, c.emotion) == (split, variant, "")), None)
    if stated is not None and stated.value > 0:
        return stated.value, f"rows of '{split}' as printed", stated
    if _is_whole(rows) and _total(rows) > 0:
        return _total(rows), "rows of all emotions", None
    known = case.rows(variant).get(split)
    return None if known is None else (float(known.total), f"rows of '{split}' by the data steps", None)


def _sums(case: Case, split: str, variant: str, tables: dict[str, PerEmotion]) -> Iterator[Finding]:
    known = _rows_of_split(case, split, variant, tables["rows"])
    for quantity in ("rows", "predicted_rows"):
        table = tables[quantity]
        if known is None or not _is_whole(table) or (quantity == "rows" and known[2] is None):
            continue
        rows, who, stated = known
        right = abs(_total(table) - rows) < 0.5
        what = "The predicted emotions" if quantity == "predicted_rows" else "The emotions"
        yield Finding(
            check=SUMS,
            claims=ids(*table.values(), stated),
            outcome="consistent" if right else "inconsistent",
            arithmetic=f"{_sum(table)}; {who}: {number(rows)}",
            meaning=f"{what} add up to the rows of '{split}'." if right else f"{what} do not add up to '{split}'.",
        )


def _bounds(tables: dict[str, PerEmotion]) -> Iterator[Finding]:
    hits = tables["true_positives"]
    for quantity, word in (("rows", "rows"), ("predicted_rows", "predicted rows")):
        both = [emotion for emotion in EMOTIONS if emotion in hits and emotion in tables[quantity]]
        over = [emotion for emotion in both if hits[emotion].value > tables[quantity][emotion].value]
        if not both:
            continue
        shown = ", ".join(
            f"{emotion} {number(hits[emotion].value)} of {number(tables[quantity][emotion].value)}"
            for emotion in over or both
        )
        yield Finding(
            check=BOUNDS,
            claims=ids(*(table[e] for e in over or both for table in (hits, tables[quantity]))),
            outcome="inconsistent" if over else "consistent",
            arithmetic=f"of the {word}: {shown}",
            meaning=f"More rows were recognised than there are {word}."
            if over
            else f"No emotion has more hits than {word}.",
        )


def _accuracy(case: Case, split: str, variant: str, tables: dict[str, PerEmotion]) -> Iterator[Finding]:
    known = _rows_of_split(case, split, variant, tables["rows"])
    hits, recalls, rows = tables["true_positives"], tables["accuracy"], tables["rows"]
    for claim in case.of("accuracy"):
        same = (claim.split, claim.variant, claim.emotion) == (split, variant, "")
        if not same or case.moment(claim) != ("end", 0):
            continue
        if known is not None and _is_whole(hits):
            total, who, stated = known
            share = _total(hits) / total
            shown = f"({_sum(hits)}) / {number(total)} {who} = {percent(share)}; printed {percent(claim.value)}"
            yield _against(ACCURACY, ids(claim, *hits.values(), stated), window(claim).fit(share), shown)
        if _is_whole(recalls) and _is_whole(rows) and _total(rows) > 0:
            yield _recalls(claim, recalls, rows)


def _recalls(claim: Claim, recalls: PerEmotion, rows: PerEmotion) -> Finding:
    total = _total(rows)
    windows = {emotion: window(recalls[emotion]) for emotion in EMOTIONS}
    low = sum(windows[e].low * rows[e].value for e in EMOTIONS) / total
    high = sum(windows[e].high_if_cut * rows[e].value for e in EMOTIONS) / total
    mean = sum(recalls[e].value * rows[e].value for e in EMOTIONS) / total
    shown = f"sum of recall x rows / {number(total)} = {percent(mean)} ({percent(low)} to {percent(high)} by rounding)"
    about = ids(claim, *recalls.values(), *rows.values())
    return _against(RECALLS, about, window(claim).fit(low, high), f"{shown}; printed {percent(claim.value)}")


def _against(check_name: str, claims: tuple[str, ...], outcome: Outcome, arithmetic: str) -> Finding:
    meanings = {
        "consistent": "The accuracy follows from the figures of the emotions.",
        "inconsistent": "The accuracy is not that of the printed figures of the emotions.",
        "cannot tell": "The accuracy follows from the figures of the emotions only if digits were cut off.",
    }
    return Finding(
        check=check_name,
        claims=claims,
        outcome=outcome,
        arithmetic=arithmetic,
        meaning=meanings[outcome],
    )


def _cells(group: list[Claim], tables: dict[str, PerEmotion]) -> Iterator[Finding]:
    """Rows of the matrix make the rows of an emotion, columns the predicted rows, the diagonal the true positives."""
    cells = {(claim.actual, claim.emotion): claim for claim in group if claim.actual}
    for emotion in EMOTIONS:
        row = [cells[emotion, other] for other in EMOTIONS if (emotion, other) in cells]
        column = [cells[other, emotion] for other in EMOTIONS if (other, emotion) in cells]
        diagonal = [cells[emotion, emotion]] if (emotion, emotion) in cells else []
        for part, size, quantity, word in (
            (row, len(EMOTIONS), "rows", f"row {emotion}"),
            (column, len(EMOTIONS), "predicted_rows", f"column {emotion}"),
            (diagonal, 1, "true_positives", f"diagonal {emotion}"),
        ):
            stated = tables[quantity].get(emotion)
            if stated is None or len(part) != size:
                continue
            total = sum(claim.value for claim in part)
            right = abs(total - stated.value) < 0.5
            yield Finding(
                check=CELLS,
                claims=ids(*part, stated),
                outcome="consistent" if right else "inconsistent",
                arithmetic=f"{word}: {' + '.join(number(c.value) for c in part)} = {number(total)}; "
                f"printed {number(stated.value)}",
                meaning=f"The matrix {'agrees' if right else 'does not agree'} with the printed count.",
            )

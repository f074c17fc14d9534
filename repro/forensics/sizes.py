"""Sizes: of the data set against FER-2013, of the splits against what the data steps make of it, of parts against the
whole."""

from __future__ import annotations

from collections.abc import Iterator

from fer_jax.faces import EMOTIONS
from fer_jax.step_kinds import CopySplit, Normalise, RandomFlip, Resize, Shuffle, SplitByUsage, SplitFraction, Step
from repro.forensics.case import Case, SplitRows, grouped, ids
from repro.forensics.counts import official_sizes
from repro.forensics.finding import Finding, Outcome
from repro.forensics.printed import best, number, percent, window
from repro.spec import Claim

DATA_SET = "size of the data set"
SPLIT = "rows of a split"
WHOLE = "parts make up the whole"
FRACTION = "share that is cut off"
LOST_PER_CUT = 2 * len(EMOTIONS)  # a cut by class rounds down in each, and may lose a row at each boundary


def check(case: Case) -> Iterator[Finding]:
    for claim in case.of("rows"):
        if not claim.split:
            yield _data_set(case, claim)
    splits = (claim for claim in case.of("rows") if claim.split)
    for claims in grouped(splits, lambda c: (c.variant, c.split, bool(c.emotion))).values():
        yield from _splits(case, claims)
    for variant in case.loaded.variant_names():
        yield from _parts(case, variant)
        yield from _fractions(case, variant)


def _data_set(case: Case, claim: Claim) -> Finding:
    """Of the imported file, or of all rows that the steps leave, unless they put rows into two splits."""
    official = official_sizes()["all"]
    shared = _puts_rows_into_two(case.spec(claim.variant).data.steps)
    made = 0 if shared else sum(rows.total for rows in case.rows(claim.variant).values())
    printed = window(claim)
    shown = f"printed {number(claim.value)}; FER-2013 has {official:,} rows"
    outcome, meaning = printed.fit(official), "It is the size of FER-2013."
    if outcome != "consistent" and made:
        shown += f", the data steps leave {made:,}"
        if printed.fit(made) != "inconsistent":
            outcome, meaning = printed.fit(made), "It is the number of rows that the data steps leave, copies included."
    if outcome == "inconsistent":
        meaning = "FER-2013 does not have so many rows, and the data steps do not make so many of it."
    return Finding(check=DATA_SET, claims=ids(claim), outcome=outcome, arithmetic=shown, meaning=meaning)


_SPLIT_MEANINGS: dict[Outcome, str] = {
    "consistent": "It is what the described preparation makes of FER-2013.",
    "cannot tell": "Chance, rounding or the pixels decide.",
    "inconsistent": "The described preparation does not make so many rows of FER-2013.",
}


def _splits(case: Case, claims: list[Claim]) -> Iterator[Finding]:
    """Claims on one split as a whole, or on its emotions: those with the same outcome make one finding."""
    split = claims[0].split
    rows = case.rows(claims[0].variant).get(split)
    expected = {claim: _expected(rows, claim.emotion) for claim in claims}
    judged = {
        claim: best([window(claim).fit(count) for count in counts]) if counts else "cannot tell"
        for claim, counts in expected.items()
    }
    for outcome, meaning in _SPLIT_MEANINGS.items():
        chosen = [claim for claim in claims if judged[claim] == outcome]
        if chosen:
            yield Finding(
                check=SPLIT,
                claims=ids(*chosen),
                outcome=outcome,
                arithmetic=f"'{split}': " + "; ".join(_beside(claim, expected[claim]) for claim in chosen),
                meaning=meaning,
            )


def _beside(claim: Claim, expected: dict[int, str]) -> str:
    name = f"{claim.emotion} " if claim.emotion else ""
    return f"{name}printed {number(claim.value)}, prepared {' or '.join(expected.values()) or 'not known'}"


def _expected(rows: SplitRows | None, emotion: str) -> dict[int, str]:
    """Counts that may be printed, with their words: of different rows, before copies were made, and with copies."""
    if rows is None:
        return {}
    distinct: int | None = rows.distinct
    total: int | None = rows.total
    if emotion:
        index = EMOTIONS.index(emotion)
        distinct = None if rows.distinct_by_emotion is None else rows.distinct_by_emotion[index]
        total = None if rows.by_emotion is None else rows.by_emotion[index]
    counts = {} if distinct is None else {distinct: f"{distinct:,} before copies"}
    return counts | ({} if total is None else {total: f"{total:,}"})


def _stated(case: Case, variant: str) -> dict[str, list[Claim]]:
    """Claims on whole splits of a variant, by split; "" is the data set."""
    found: dict[str, list[Claim]] = {}
    for claim in case.of("rows"):
        if claim.variant == variant and not claim.emotion:
            found.setdefault(claim.split, []).append(claim)
    return found


def _parts(case: Case, variant: str) -> Iterator[Finding]:
    """All splits are stated, and the data set is: the splits must add up to it."""
    stated = _stated(case, variant)
    wholes = stated.pop("", [])
    if not wholes or not stated or any(len(claims) > 1 for claims in stated.values()):
        return
    prepared = case.rows(variant)
    if set(stated) != set(prepared) or _puts_rows_into_two(case.spec(variant).data.steps):
        return
    if sum(rows.total for rows in prepared.values()) < official_sizes()["all"] - LOST_PER_CUT:
        return  # a part of the data set is left out
    parts = [claims[0] for claims in stated.values()]
    windows = [window(part) for part in parts]
    low, high = sum(w.low for w in windows), sum(w.high_if_cut for w in windows)
    total = f"{' + '.join(number(part.value) for part in parts)} = {number(sum(part.value for part in parts))}"
    for whole in wholes:
        outcome = window(whole).fit(low, high)
        yield Finding(
            check=WHOLE,
            claims=ids(*parts, whole),
            outcome=outcome,
            arithmetic=f"{total}; the data set: {number(whole.value)}",
            meaning="The splits add up to the data set."
            if outcome == "consistent"
            else "The splits do not add up to the size that is given for the data set.",
        )


def _puts_rows_into_two(steps: tuple[Step, ...]) -> bool:
    """Whether whole splits share their rows; such splits do not add up."""
    by_usage = [[usage for into in s.into.values() for usage in into] for s in steps if isinstance(s, SplitByUsage)]
    return any(isinstance(s, CopySplit) for s in steps) or any(len(set(u)) < len(u) for u in by_usage)


def _fractions(case: Case, variant: str) -> Iterator[Finding]:
    """A cut by a fraction shows in the printed sizes of its two parts, whatever was cut."""
    steps = case.spec(variant).data.steps
    harmless = (Shuffle, Resize, Normalise, RandomFlip)
    stated = _stated(case, variant)
    for index, step in enumerate(steps):
        if not isinstance(step, SplitFraction) or not all(isinstance(s, harmless) for s in steps[index + 1 :]):
            continue
        into, rest = stated.get(step.into), stated.get(step.rest)
        if not into or not rest or into[0].value < 1 or rest[0].value < 1:
            continue
        part, other = window(into[0]), window(rest[0])
        least, greatest = part.low / (part.low + other.high_if_cut), part.high_if_cut / (part.high_if_cut + other.low)
        slack = LOST_PER_CUT / (part.low + other.low)
        right = least - slack <= step.fraction <= greatest + slack
        whole = into[0].value + rest[0].value
        yield Finding(
            check=FRACTION,
            claims=ids(into[0], rest[0]),
            outcome="consistent" if right else "inconsistent",
            arithmetic=f"{number(into[0].value)} / ({number(into[0].value)} + {number(rest[0].value)}) = "
            f"{percent(round(into[0].value / whole, 4))}; the data steps cut off {percent(step.fraction)}",
            meaning="The sizes of the two parts are those of the cut."
            if right
            else "Rows were not cut as the program or the text says.",
        )

"""Sizes: the dataset against FER-2013, the splits against the result of the data steps, and the parts against the
whole."""

from __future__ import annotations

from collections.abc import Iterator

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.step_kinds import (
    PIXEL_STEPS,
    CopySplit,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    Step,
)
from repro.forensics.case import Case, ExpectedSamples, grouped
from repro.forensics.counts import official_sizes
from repro.forensics.finding import Finding
from repro.forensics.granted import data_steps, judge, plain, step_setting, together
from repro.forensics.printed import Fit, best, number, percent, window
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim

DATA_SET = "size of the dataset"
SPLIT = "samples of a split"
WHOLE = "parts make up the whole"
FRACTION = "share that is cut off"
LOST_PER_CUT = 2 * len(EMOTIONS)  # a cut by class rounds down in each class, and may lose a sample at each boundary
# Known sizes of FER-2013: without black images or mislabelled ones, with FER+'s labels, together with other datasets.
VERSIONS = {
    35_685: "35,685 samples",
    35_875: "35,875 samples, without blank images",
    35_488: "35,488 samples, those that FER+ keeps",
    35_887 + 981: "with the 981 images of CK+48",
}


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
    """Size of the imported file, or of all samples after the steps, unless they put samples into two splits."""
    official = official_sizes()["all"]
    shared = _puts_samples_into_two(case.steps(claim.variant))
    made = 0 if shared else sum(samples.total for samples in case.samples(claim.variant).values())
    printed = window(claim)
    shown = f"printed {number(claim.value)}; FER-2013 has {counted(official, 'sample')}"
    if printed.fit(official) == "rounded":
        return plain(DATA_SET, [claim], "consistent", shown, "It is the size of FER-2013.")
    premises = data_steps(case, claim.variant) if made else ()
    if made:
        shown += f", the data steps leave {made:,}"
    if made and printed.fit(made) == "rounded":
        meaning = "It is the number of samples that the data steps leave, copies included."
        return plain(DATA_SET, [claim], "consistent", shown, meaning, premises)
    if printed.fit(official) == "cut" or (made and printed.fit(made) == "cut"):
        return plain(DATA_SET, [claim], "cannot tell", shown, "Its size only if digits were cut off.", premises)
    known = [words for size, words in VERSIONS.items() if printed.fit(size) != "no"]
    explained: Explanations = {"other_samples": ", ".join(known)}
    if claim.value > official:
        explained["copies"] = ""
    meaning = "FER-2013 does not have this many samples" + (
        ", and the data steps do not make this many of it." if made else "."
    )
    return judge(case, DATA_SET, [claim], shown, meaning, explained=explained)


_FITTING: dict[Fit, str] = {
    "rounded": "It is what the described preparation makes of FER-2013.",
    "cut": "It is what the described preparation makes of FER-2013 only if digits were cut off.",
}


def _splits(case: Case, claims: list[Claim]) -> Iterator[Finding]:
    """Claims on one split as a whole, or on its emotions: those that fit equally well make one finding."""
    split, variant = claims[0].split, claims[0].variant
    samples, premises = case.samples(variant).get(split), data_steps(case, variant)
    expected = {claim: _expected(samples, claim.emotion) for claim in claims}
    unknown = [claim for claim in claims if not expected[claim]] if case.steps(variant) else []
    fits = {c: best([window(c).fit(count) for count in expected[c]]) for c in claims if expected[c]}
    if unknown:
        shown = f"'{split}': " + "; ".join(_beside(claim, expected[claim]) for claim in unknown)
        yield plain(SPLIT, unknown, "cannot tell", shown, "Chance or the pixels decide.", premises)
    for fit in ("rounded", "cut", "no"):
        chosen = [claim for claim in claims if fits.get(claim) == fit]
        if not chosen:
            continue
        shown = f"'{split}': " + "; ".join(_beside(claim, expected[claim]) for claim in chosen)
        if fit != "no":
            outcome = "consistent" if fit == "rounded" else "cannot tell"
            yield plain(SPLIT, chosen, outcome, shown, _FITTING[fit], premises)
            continue
        explained: Explanations = {"other_samples": ""}
        if any(claim.value > min(expected[claim]) for claim in chosen):
            explained["copies"] = ""
        meaning = "The described preparation does not make this many samples of FER-2013."
        single = [(claim,) for claim in chosen]
        yield judge(case, SPLIT, chosen, shown, meaning, explained=explained, premises=premises, conflicts=single)


def _beside(claim: Claim, expected: dict[int, str]) -> str:
    name = f"{claim.emotion} " if claim.emotion else ""
    return f"{name}printed {number(claim.value)}, prepared {' or '.join(expected.values()) or 'not known'}"


def _expected(samples: ExpectedSamples | None, emotion: str) -> dict[int, str]:
    """Counts that may be printed, with their meaning: different samples, before copies were made, and with copies."""
    if samples is None:
        return {}
    distinct: int | None = samples.distinct
    total: int | None = samples.total
    if emotion:
        index = EMOTIONS.index(emotion)
        distinct = None if samples.distinct_by_emotion is None else samples.distinct_by_emotion[index]
        total = None if samples.by_emotion is None else samples.by_emotion[index]
    counts = {} if distinct is None else {distinct: f"{distinct:,} before copies"}
    return counts | ({} if total is None else {total: f"{total:,}"})


def _stated(case: Case, variant: str) -> dict[str, list[Claim]]:
    """Claims on whole splits of a variant, by split; "" is the dataset."""
    found: dict[str, list[Claim]] = {}
    for claim in case.of("rows"):
        if claim.variant == variant and not claim.emotion:
            found.setdefault(claim.split, []).append(claim)
    return found


def _parts(case: Case, variant: str) -> Iterator[Finding]:
    """All splits are stated, and the dataset is: the splits must add up to it."""
    stated = _stated(case, variant)
    wholes = stated.pop("", [])
    if not wholes or not stated or any(len(claims) > 1 for claims in stated.values()):
        return
    prepared = case.samples(variant)
    if set(stated) != set(prepared) or _puts_samples_into_two(case.steps(variant)):
        return
    if sum(samples.total for samples in prepared.values()) < official_sizes()["all"] - LOST_PER_CUT:
        return  # a part of the dataset is left out
    parts = [claims[0] for claims in stated.values()]
    windows = [window(part) for part in parts]
    low, high = sum(w.low for w in windows), sum(w.high_if_cut for w in windows)
    total = f"{' + '.join(number(part.value) for part in parts)} = {number(sum(part.value for part in parts))}"
    premises = data_steps(case, variant)
    for whole in wholes:
        shown, claims = f"{total}; the dataset: {number(whole.value)}", [*parts, whole]
        fit = window(whole).fit(low, high)
        if fit != "no":
            outcome = "consistent" if fit == "rounded" else "cannot tell"
            yield plain(WHOLE, claims, outcome, shown, "The splits add up to the dataset.", premises)
            continue
        explained: Explanations = {} if together(claims) else {"two_things": ""}
        if high >= window(whole).low:
            explained["copies"] = "in the splits, not in the dataset"
        else:
            explained |= {"other_samples": "samples left out of the splits", "copies": "in the dataset"}
        meaning = "The splits do not add up to the size that is given for the dataset."
        yield judge(case, WHOLE, claims, shown, meaning, explained=explained, premises=premises)


def _puts_samples_into_two(steps: tuple[Step, ...]) -> bool:
    """Whether whole splits share their samples; such splits do not add up."""
    by_usage = [[usage for into in s.into.values() for usage in into] for s in steps if isinstance(s, SplitByUsage)]
    return any(isinstance(s, CopySplit) for s in steps) or any(len(set(u)) < len(u) for u in by_usage)


def _fractions(case: Case, variant: str) -> Iterator[Finding]:
    """A cut by a fraction shows in the printed sizes of its two parts, whatever was cut."""
    steps = case.steps(variant)
    harmless = (Shuffle, *PIXEL_STEPS)
    stated = _stated(case, variant)
    for index, step in enumerate(steps):
        if not isinstance(step, SplitFraction) or not all(isinstance(s, harmless) for s in steps[index + 1 :]):
            continue
        into, rest = stated.get(step.into), stated.get(step.rest)
        if not into or not rest or into[0].value < 1 or rest[0].value < 1:
            continue
        yield _fraction(case, variant, index, step, (into[0], rest[0]))


def _fraction(case: Case, variant: str, index: int, step: SplitFraction, sizes: tuple[Claim, Claim]) -> Finding:
    part, other = (window(claim) for claim in sizes)
    least, greatest = part.low / (part.low + other.high_if_cut), part.high_if_cut / (part.high_if_cut + other.low)
    slack = LOST_PER_CUT / (part.low + other.low)
    share = sizes[0].value / (sizes[0].value + sizes[1].value)
    premise = step_setting(case, variant, index, ("fraction",), f"a cut of {percent(step.fraction)}")
    shown = f"{number(sizes[0].value)} / ({number(sizes[0].value)} + {number(sizes[1].value)}) = "
    shown += f"{percent(round(share, 4))}; the data steps cut off {percent(step.fraction)}"
    if least - slack <= step.fraction <= greatest + slack:
        return plain(
            FRACTION, sizes, "consistent", shown, "The sizes of the two parts are those of the cut.", [premise]
        )
    explained: Explanations = {
        "two_things": "the sizes are of another run of another program",
        "other_samples": "samples left out after the cut",
        "copies": "made after the cut",
    }
    meaning = "The samples were not cut as the program or the text says."
    return judge(case, FRACTION, sizes, shown, meaning, explained=explained, premises=[premise])

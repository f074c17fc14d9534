"""Confusion matrices: samples, predictions and true positives per emotion, against each other and the accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.forensics.case import Case, grouped
from repro.forensics.counts import CROPS
from repro.forensics.finding import Finding, Premise
from repro.forensics.granted import data_steps, judge, plain, together
from repro.forensics.printed import Fit, number, percent, window
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim

ACCURACY = "true positives / samples is the accuracy"
SUMS = "samples of all emotions make up the split"
BOUNDS = "true positives are among the samples of their emotion"
CELLS = "sums of the confusion matrix"
RECALLS = "recalls of the emotions give the accuracy"
HALF = 0.5  # a count that is a rounded mean over runs is off by up to this
_SUM_OF_SHARES = (99.0, 101.0)  # per cent, with rounding

PerEmotion = dict[str, Claim]
_ELSEWHERE: Explanations = {"two_things": "", "other_samples": ""}  # of figures from different tables


def check(case: Case) -> Iterator[Finding]:
    tables = ("rows", "predicted_rows", "true_positives", "accuracy")
    claims = (claim for claim in case.claims if claim.quantity in tables and claim.emotion)
    for (split, variant), group in grouped(claims, lambda claim: (claim.split, claim.variant)).items():
        one_table = {quantity: _per_emotion(group, quantity) for quantity in tables}
        yield from _sums(case, split, variant, one_table)
        yield from _bounds(case, one_table)
        yield from _accuracy(case, split, variant, one_table)
        yield from _cells(case, group, one_table)


def _per_emotion(claims: list[Claim], quantity: str) -> PerEmotion:
    return {claim.emotion: claim for claim in claims if claim.quantity == quantity and not claim.actual}


def _is_whole(table: PerEmotion) -> bool:
    return set(table) == set(EMOTIONS)


def _total(table: PerEmotion) -> float:
    return sum(claim.value for claim in table.values())


def _sum(table: PerEmotion) -> str:
    """200 + 63 + ... = 3,220, in the order of the labels."""
    return " + ".join(number(table[e].value) for e in EMOTIONS if e in table) + f" = {number(_total(table))}"


Size = tuple[float, str, Claim | None, tuple[Premise, ...]]  # samples, source in words, the claim, its premises


def _samples_of_split(case: Case, split: str, variant: str, samples: PerEmotion) -> Size | None:
    """As printed for the split, else the sum over the emotions, else from the data steps."""
    stated = next((c for c in case.of("rows") if (c.split, c.variant, c.emotion) == (split, variant, "")), None)
    if stated is not None and stated.value > 0:
        return stated.value, f"samples of '{split}' as printed", stated, ()
    if _is_whole(samples) and _total(samples) > 0:
        return _total(samples), "samples of all emotions", None, ()
    known = case.samples(variant).get(split)
    if known is None:
        return None
    return float(known.total), f"samples of '{split}' by the data steps", None, data_steps(case, variant)


def _other_counts(total: float, expected: float, cells: int, claims: Sequence[Claim]) -> Explanations:
    """Conventions under which counts that should add up to `expected` add up to `total`."""
    explained: Explanations = {}
    if not together(claims):
        explained |= _ELSEWHERE
    if abs(total - expected) <= HALF * cells + HALF:
        explained["mean_of_runs"] = f"each of {cells} counts rounded"
    crops = [k for k in CROPS if total == k * expected or expected == k * total]
    if crops:
        explained["test_time_augmentation"] = f"{crops[0]} of each sample"
    low, high = _SUM_OF_SHARES
    if low <= total <= high or 7 * low <= total <= 7 * high:
        explained["shares"] = ""
    return explained


def _sums(case: Case, split: str, variant: str, tables: dict[str, PerEmotion]) -> Iterator[Finding]:
    known = _samples_of_split(case, split, variant, tables["rows"])
    for quantity in ("rows", "predicted_rows"):
        table = tables[quantity]
        if known is None or not _is_whole(table) or (quantity == "rows" and known[2] is None):
            continue
        samples, who, stated, premises = known
        claims = [*table.values(), *([stated] if stated else [])]
        if stated is None and "by the data" not in who:
            claims += tables["rows"].values()
        what = "The predicted emotions" if quantity == "predicted_rows" else "The emotions"
        shown = f"{_sum(table)}; {who}: {number(samples)}"
        if abs(_total(table) - samples) < HALF:
            meaning = f"{what} add up to the samples of '{split}'."
            yield plain(SUMS, claims, "consistent", shown, meaning, premises)
            continue
        explained = _other_counts(_total(table), samples, len(EMOTIONS), claims)
        meaning = f"{what} do not add up to '{split}'."
        yield judge(case, SUMS, claims, shown, meaning, explained=explained, premises=premises)


def _bounds(case: Case, tables: dict[str, PerEmotion]) -> Iterator[Finding]:
    hits = tables["true_positives"]
    for quantity, word in (("rows", "samples"), ("predicted_rows", "predicted samples")):
        both = [emotion for emotion in EMOTIONS if emotion in hits and emotion in tables[quantity]]
        over = [emotion for emotion in both if hits[emotion].value > tables[quantity][emotion].value]
        if not both:
            continue
        shown = f"of the {word}: " + ", ".join(
            f"{emotion} {number(hits[emotion].value)} of {number(tables[quantity][emotion].value)}"
            for emotion in over or both
        )
        claims = [table[e] for e in over or both for table in (hits, tables[quantity])]
        if not over:
            yield plain(BOUNDS, claims, "consistent", shown, f"No emotion has more hits than {word}.")
            continue
        explained: Explanations = {} if together(claims) else _ELSEWHERE.copy()
        if all(hits[e].value <= CROPS[-1] * tables[quantity][e].value for e in over):
            explained["test_time_augmentation"] = "hits counted over the crops"
        if all(claim.value <= 100 for claim in hits.values()):
            explained["shares"] = ""
        if all(hits[e].value <= tables[quantity][e].value + 2 * HALF for e in over):
            explained["mean_of_runs"] = "each count rounded"
        meaning = f"More samples were recognised than there are {word}."
        pairs = [(hits[e], tables[quantity][e]) for e in over]
        yield judge(case, BOUNDS, claims, shown, meaning, explained=explained, conflicts=pairs)


def _accuracy(case: Case, split: str, variant: str, tables: dict[str, PerEmotion]) -> Iterator[Finding]:
    known = _samples_of_split(case, split, variant, tables["rows"])
    hits, recalls, samples = tables["true_positives"], tables["accuracy"], tables["rows"]
    for claim in case.of("accuracy"):
        same = (claim.split, claim.variant, claim.emotion) == (split, variant, "")
        if not same or case.moment(claim) != ("end", 0):
            continue
        if known is not None and _is_whole(hits):
            total, who, stated, premises = known
            share = _total(hits) / total
            shown = f"({_sum(hits)}) / {number(total)} {who} = {percent(share)}; printed {percent(claim.value)}"
            claims = [claim, *hits.values(), *([stated] if stated else [])]
            fit, explained = window(claim).fit(share), _other_accuracies(claim, tables)
            yield _against(case, ACCURACY, claims, fit, shown, explained, premises)
        if _is_whole(recalls) and _is_whole(samples) and _total(samples) > 0:
            yield _recalls(case, claim, tables)


def _recalls(case: Case, claim: Claim, tables: dict[str, PerEmotion]) -> Finding:
    recalls, samples = tables["accuracy"], tables["rows"]
    total = _total(samples)
    windows = {emotion: window(recalls[emotion]) for emotion in EMOTIONS}
    low = sum(windows[e].low * samples[e].value for e in EMOTIONS) / total
    high = sum(windows[e].high_if_cut * samples[e].value for e in EMOTIONS) / total
    mean = sum(recalls[e].value * samples[e].value for e in EMOTIONS) / total
    shown = (
        f"sum of recall x samples / {number(total)} = {percent(mean)} ({percent(low)} to {percent(high)} by rounding)"
        f"; printed {percent(claim.value)}"
    )
    claims = [claim, *recalls.values(), *samples.values()]
    explained = _other_accuracies(claim, tables)
    return _against(case, RECALLS, claims, window(claim).fit(low, high), shown, explained, ())


def _other_accuracies(claim: Claim, tables: dict[str, PerEmotion]) -> Explanations:
    """Kinds of accuracy that the counts per emotion give, by name, if they fit the printed value. An accuracy from
    elsewhere may be a mean over runs, or of another network than the matrix."""
    hits, samples, predicted = (tables[q] for q in ("true_positives", "rows", "predicted_rows"))
    explained: Explanations = {"other_accuracy": "", "mean_of_runs": "", "mean_of_batches": ""}
    if not together([claim, *hits.values(), *tables["accuracy"].values()]):
        explained["two_things"] = ""
    total, kinds = _total(samples), {}
    if _is_whole(hits) and _is_whole(samples) and all(samples[e].value > 0 for e in EMOTIONS):
        kinds["macro recall"] = sum(hits[e].value / samples[e].value for e in EMOTIONS) / len(EMOTIONS)
        if _is_whole(predicted) and all(predicted[e].value > 0 for e in EMOTIONS):
            precisions = {e: hits[e].value / predicted[e].value for e in EMOTIONS}
            kinds["macro precision"] = sum(precisions.values()) / len(EMOTIONS)
            kinds["weighted precision"] = sum(precisions[e] * samples[e].value for e in EMOTIONS) / total
        wrong = 1 - _total(hits) / total
        kinds["one class against the rest"] = 1 - 2 * wrong / len(EMOTIONS)
        share = _total(hits) / total
        if crops := [k for k in CROPS if window(claim).fit(share / k) != "no"]:
            explained["test_time_augmentation"] = f"hits counted over {crops[0]} crops"
    fitting = [name for name, value in kinds.items() if window(claim).fit(value) != "no"]
    if fitting:
        explained["other_accuracy"] = ", ".join(fitting)
    return explained


def _against(
    case: Case,
    check_name: str,
    claims: list[Claim],
    fit: Fit,
    arithmetic: str,
    explained: Explanations,
    premises: tuple[Premise, ...],
) -> Finding:
    if fit == "no":
        meaning = "The accuracy is not that of the printed figures of the emotions."
        return judge(case, check_name, claims, arithmetic, meaning, explained=explained, premises=premises)
    if fit == "cut":
        meaning = "The accuracy follows from the figures of the emotions only if digits were cut off."
        return plain(check_name, claims, "cannot tell", arithmetic, meaning, premises)
    meaning = "The accuracy follows from the figures of the emotions."
    return plain(check_name, claims, "consistent", arithmetic, meaning, premises)


def _cells(case: Case, group: list[Claim], tables: dict[str, PerEmotion]) -> Iterator[Finding]:
    """Check that rows of the matrix sum to an emotion's samples, columns to its predictions; the diagonal are hits."""
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
            claims, total = [*part, stated], sum(claim.value for claim in part)
            shown = f"{word}: {' + '.join(number(c.value) for c in part)} = {number(total)}; printed "
            shown += number(stated.value)
            if abs(total - stated.value) < HALF:
                yield plain(CELLS, claims, "consistent", shown, "The matrix agrees with the printed count.")
                continue
            explained = _other_counts(total, stated.value, size, claims)
            meaning = "The matrix does not agree with the printed count."
            yield judge(case, CELLS, claims, shown, meaning, explained=explained)

"""Printed confusion matrices: the samples they cover, and whether the values printed with them follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.forensics import matrix_arithmetic as arithmetic
from repro.forensics.case import Case
from repro.forensics.finding import Finding, Premise
from repro.forensics.granted import data_steps, judge, plain, together
from repro.forensics.matrix_arithmetic import Bounds, Range
from repro.forensics.printed import number, percent, window
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim, ClaimTable

SOURCE = "which samples a confusion matrix is of"
WHOLE = "whole numbers behind the shares of a matrix"
SUMS = "shares of a matrix add up to the whole"
TRACE = "the diagonal of a matrix is the accuracy"
MEASURES = "precision, recall and F1 follow from the matrix"
_DERIVED = ("precision", "recall", "f1", "balanced_accuracy")
# Possible reasons for a difference between a matrix and a value printed elsewhere.
_ELSEWHERE: Explanations = {"two_things": "", "mean_of_runs": ""}


@dataclass(frozen=True)
class _Matrix:
    """A table with the samples of each class, as far as they are known, and their source."""

    table: ClaimTable
    claim: Claim  # names the table where a finding lists claims
    counts: tuple[int, ...] | None
    stated: tuple[Claim, ...]
    premises: tuple[Premise, ...]


def check(case: Case) -> Iterator[Finding]:
    for table in case.loaded.spec.tables:
        if not table.cells:
            yield from _measures_of_margins(case, table)
            continue
        matrix = _matrix(case, table)
        yield from _sums(case, matrix)
        yield from _source(case, matrix)
        yield from _whole(case, matrix)
        yield from _accuracy(case, matrix)
        yield from _measures(case, matrix)


def _matrix(case: Case, table: ClaimTable) -> _Matrix:
    """The class counts: as printed with the table or for its split, else from the data steps."""
    claim = table.as_claim
    if table.unit == "rows" and table.resolution <= 1:
        return _Matrix(table, claim, tuple(int(v) for v in arithmetic.row_sums(table)), (), ())
    stated = {
        c.emotion: c
        for c in case.of("rows")
        if (c.split, c.variant) == (table.split, table.variant) and c.emotion and c.value.is_integer()
    }
    if set(stated) >= set(table.classes):
        claims = tuple(stated[name] for name in table.classes)
        return _Matrix(table, claim, tuple(int(c.value) for c in claims), claims, ())
    samples = case.samples(table.variant).get(table.split)
    if samples is None or samples.by_emotion is None:
        return _Matrix(table, claim, None, (), ())
    order = [EMOTIONS.index(name) for name in table.classes]
    return _Matrix(table, claim, tuple(samples.by_emotion[i] for i in order), (), data_steps(case, table.variant))


def _sums(case: Case, matrix: _Matrix) -> Iterator[Finding]:
    """Shares of a row (a column, everything) sum to the whole, except for the rounding of each."""
    table = matrix.table
    if table.unit == "rows":
        return
    whole, cells = arithmetic.WHOLE[table.unit], np.asarray(table.cells)
    if table.of == "all":
        sums, size = {"all cells": float(cells.sum())}, cells.size
    else:
        axis, size = (1 if table.of == "row" else 0), len(cells)
        sums = dict(zip((f"{table.of} {name}" for name in table.classes), cells.sum(axis).tolist(), strict=True))
        sums = {name: total for name, total in sums.items() if total > 0}  # a class that was never predicted
    slack = size * table.resolution
    # Rounded shares sum to the whole within half a digit each; cut shares are below it by up to a digit each.
    off = {name: total for name, total in sums.items() if not -slack - 1e-9 <= total - whole <= slack / 2 + 1e-9}
    shown = "; ".join(f"{name} {number(round(total, 6))}" for name, total in (off or sums).items())
    shown += f"; {number(whole)} within {number(slack / 2)} if rounded"
    if not off:
        yield plain(SUMS, [matrix.claim], "consistent", shown, "The shares add up.")
        return
    meaning = "The printed shares do not make up the whole, however they were rounded."
    explained: Explanations = {"unprinted": "cells left out", "other_classes": "", "mean_of_runs": ""}
    yield judge(case, SUMS, [matrix.claim], shown, meaning, explained=explained)


def _source(case: Case, matrix: _Matrix) -> Iterator[Finding]:
    """The FER-2013 splits that have these samples per class."""
    table = matrix.table
    order = [EMOTIONS.index(name) for name in table.classes]
    splits = arithmetic.official_splits(order)
    by_sums = table.unit == "rows" or table.of == "all"
    fits = [name for name, counts in splits.items() if _may_be(table, counts, by_sums=by_sums)]
    shown = _source_shown(table, splits, fits, by_sums=by_sums)
    held_out = table.split not in ("train", "minibatch")
    others = [name for name in fits if name not in ("Training", "all of FER-2013")]
    if held_out and fits and not others:
        meaning = (
            f"The matrix is said to be of '{table.split}'. Its samples per class are those of {' or '.join(fits)}."
        )
        same = [c for c in case.of("accuracy") if (c.split, c.variant) == (table.split, table.variant)]
        explained: Explanations = {
            "two_things": "a matrix of the samples that were trained on",
            "mean_of_runs": "predictions of each fold of a cross-validation, put together",
        }
        if table.unit != "rows":
            explained["other_samples"] = ""
        yield judge(case, SOURCE, [matrix.claim], shown, meaning, explained=explained, about=same[:1])
    elif fits:
        yield plain(SOURCE, [matrix.claim], "consistent", shown, f"It can be a matrix of {' or '.join(fits)}.")
    else:
        meaning = "It is a matrix of none of FER-2013's own splits: of a split that was drawn, or of other samples."
        yield plain(SOURCE, [matrix.claim], "cannot tell", shown, meaning)


def _may_be(table: ClaimTable, counts: Sequence[int], *, by_sums: bool) -> bool:
    if by_sums and not arithmetic.sums_fit(table, counts):
        return False
    return arithmetic.has_whole_solution(table, counts)


def _source_shown(table: ClaimTable, splits: dict[str, tuple[int, ...]], fits: list[str], *, by_sums: bool) -> str:
    if not by_sums:
        others = [name for name in splits if name not in fits]
        return (
            f"whole numbers with these shares of each {table.of}: {'; '.join(fits) or 'none'}; not with the samples of "
            f"{'; '.join(others) or 'none'}"
        )
    sums = ", ".join(
        f"{name} {number(round(float(v), 6))}"
        for name, v in zip(table.classes, arithmetic.row_sums(table), strict=True)
    )
    unit = "samples" if table.unit == "rows" else "points" if table.unit == "percent" else "of 1"
    gaps = "; ".join(
        f"{name} {number(round(arithmetic.largest_gap(table, counts), 4))} {unit}" for name, counts in splits.items()
    )
    return f"sums of rows: {sums}. Largest difference from {gaps}"


def _whole(case: Case, matrix: _Matrix) -> Iterator[Finding]:
    table, counts = matrix.table, matrix.counts
    if table.unit == "rows" or counts is None:
        return
    claims = [matrix.claim, *matrix.stated]
    shown = f"samples per class {', '.join(f'{n} {c:,}' for n, c in zip(table.classes, counts, strict=True))}"
    if arithmetic.has_whole_solution(table, counts):
        meaning = "There are whole numbers that print as these shares."
        yield plain(WHOLE, claims, "consistent", shown, meaning, matrix.premises)
        return
    if table.of != "column":
        shown += "; " + _first_row_without(table, counts)
    explained: Explanations = {"mean_of_runs": "", "other_samples": "", "copies": ""}
    if matrix.stated and not together(claims):
        explained["two_things"] = ""
    meaning = "No whole numbers of these samples print as the shares of the matrix."
    yield judge(case, WHOLE, claims, shown, meaning, explained=explained, premises=matrix.premises)


def _first_row_without(table: ClaimTable, counts: Sequence[int]) -> str:
    """The first row that has no solution, with what is wrong in it."""
    bounds = arithmetic.count_bounds(table, counts)
    for i, name in enumerate(table.classes):
        low, high, total = bounds.low[i], bounds.high[i], counts[i]
        empty = np.flatnonzero(low > high)
        if len(empty):
            j = int(empty[0])
            return f"{name} as {table.classes[j]}: no k of {total:,} prints as {number(table.cells[i][j])}"
        if not low.sum() <= total <= high.sum():
            return f"row {name}: {number(low.sum())} to {number(high.sum())} samples, and there are {total:,}"
    return ""


def _bounds(matrix: _Matrix) -> Bounds | None:
    """The possible values of the cells; None for shares whose class counts are unknown or do not fit."""
    table = matrix.table
    if matrix.counts is None or (table.unit != "rows" and table.of == "column"):
        return None
    bounds = arithmetic.count_bounds(table, matrix.counts)
    return bounds if bounds.possible else None


def _same_run(case: Case, matrix: _Matrix, claim: Claim) -> bool:
    table = matrix.table
    return (claim.split, claim.variant) == (table.split, table.variant) and case.moment(claim) == ("end", 0)


def _accuracy(case: Case, matrix: _Matrix) -> Iterator[Finding]:
    found = _trace(matrix)
    if found is None:
        return
    (low, high), who, premises = found
    for claim in case.of("accuracy"):
        if claim.emotion or not _same_run(case, matrix, claim):
            continue
        shown = f"the diagonal {_span(low, high)} {who}; printed {percent(claim.value)}"
        if matrix.table.of == "row" and _bounds(matrix) is None and window(claim).fit(low, high) == "rounded":
            meaning = "It lies between the least and the greatest recall; the samples per class are not known."
            yield plain(TRACE, [matrix.claim, claim], "consistent", shown, meaning)
            continue
        yield _against(case, TRACE, matrix, claim, (low, high), shown, premises)


def _trace(matrix: _Matrix) -> tuple[Range, str, tuple[Premise, ...]] | None:
    """(range of the accuracy, of what, premises). Shares of all samples give it without the samples per class."""
    table = matrix.table
    if table.unit != "rows" and table.of == "all":
        low, high = arithmetic.share_window(table)
        return (float(np.trace(low)), float(min(np.trace(high), 1.0))), "of all cells", ()
    bounds = _bounds(matrix)
    if bounds is not None:
        return arithmetic.accuracy_range(bounds), f"of {sum(matrix.counts or ()):,} samples", matrix.premises
    if table.of == "row":
        low, high = arithmetic.share_window(table)
        return (float(np.diag(low).min()), float(np.diag(high).max())), "of a row, the least and the greatest", ()
    return None


def _measures(case: Case, matrix: _Matrix) -> Iterator[Finding]:
    bounds = _bounds(matrix)
    if bounds is None:
        return
    for claim in case.claims:
        recall = claim.quantity == "accuracy" and claim.emotion
        if not (claim.quantity in _DERIVED or recall) or not _same_run(case, matrix, claim):
            continue
        found = _derived(matrix, bounds, claim)
        if found is not None:
            what = " ".join(word for word in (claim.average, claim.quantity.replace("_", " "), claim.emotion) if word)
            shown = f"{what} {_span(*found)} by the matrix; printed {percent(claim.value)}"
            yield _against(case, MEASURES, matrix, claim, found, shown, matrix.premises)


def _measures_of_margins(case: Case, table: ClaimTable) -> Iterator[Finding]:
    """Precision, recall and F1 from the diagonal and the sums, where the paper prints no cells."""
    matrix = _Matrix(table, table.as_claim, None, (), ())
    for claim in case.claims:
        if claim.quantity not in _DERIVED or not _same_run(case, matrix, claim):
            continue
        value = _of_margins(table, claim)
        if value is not None:
            what = " ".join(word for word in (claim.average, claim.quantity.replace("_", " "), claim.emotion) if word)
            shown = f"{what} {percent(value)} by the counts; printed {percent(claim.value)}"
            yield _against(case, MEASURES, matrix, claim, (value, value), shown, ())


def _of_margins(table: ClaimTable, claim: Claim) -> float | None:
    """The measure from counts per class; None if the paper prints too few counts."""
    hits, actual, predicted = (np.asarray(v, np.float64) for v in (table.true_positives, table.actual, table.predicted))
    needed = {"precision": (predicted,), "f1": (actual, predicted)}.get(claim.quantity, (actual,))
    if not len(hits) or not all(len(counts) for counts in needed):
        return None
    out_of = sum(needed) / len(needed)  # F1 is hits over the mean of both sums
    values = np.divide(hits, out_of, out=np.zeros_like(hits), where=out_of > 0)
    if claim.emotion:
        return float(values[table.classes.index(claim.emotion)]) if claim.emotion in table.classes else None
    if claim.average == "micro":
        return float(hits.sum() / needed[0].sum())
    if claim.average == "weighted" and not len(actual):
        return None
    return float(np.average(values, weights=actual if claim.average == "weighted" else None))


def _derived(matrix: _Matrix, bounds: Bounds, claim: Claim) -> Range | None:
    """Range of a measure of one class, or of its mean over the classes."""
    assert matrix.counts is not None
    of = {
        "precision": arithmetic.precision_range,
        "recall": arithmetic.recall_range,
        "accuracy": arithmetic.recall_range,
        "balanced_accuracy": arithmetic.recall_range,
        "f1": arithmetic.f1_range,
    }[claim.quantity]
    classes = matrix.table.classes
    if claim.emotion:
        return of(bounds, classes.index(claim.emotion)) if claim.emotion in classes else None
    if claim.average == "micro":
        return arithmetic.accuracy_range(bounds)
    weights = matrix.counts if claim.average == "weighted" else None
    return arithmetic.mean_range([of(bounds, k) for k in range(len(classes))], weights)


def _against(
    case: Case,
    name: str,
    matrix: _Matrix,
    claim: Claim,
    found: Range,
    shown: str,
    premises: tuple[Premise, ...],
) -> Finding:
    claims = [matrix.claim, claim, *matrix.stated]
    fit = window(claim).fit(*found)
    if fit == "rounded":
        return plain(name, claims, "consistent", shown, "The figure follows from the matrix.", premises)
    if fit == "cut":
        meaning = "The figure follows from the matrix only if digits were cut off."
        return plain(name, claims, "cannot tell", shown, meaning, premises)
    explained: Explanations = {"mean_of_runs": "", "other_accuracy": _other_kinds(matrix, claim)}
    if not together([matrix.claim, claim]):
        explained |= _ELSEWHERE
    meaning = "The figure does not follow from the printed matrix."
    return judge(case, name, claims, shown, meaning, explained=explained, premises=premises)


def _other_kinds(matrix: _Matrix, claim: Claim) -> str:
    """Measures of the matrix that print as the value, by name; empty if none does."""
    bounds = _bounds(matrix)
    if bounds is None or claim.emotion:
        return ""
    size, weights = len(matrix.table.classes), matrix.counts
    kinds = {"accuracy": arithmetic.accuracy_range(bounds)}
    for name, of in (
        ("precision", arithmetic.precision_range),
        ("recall", arithmetic.recall_range),
        ("F1", arithmetic.f1_range),
    ):
        ranges = [of(bounds, k) for k in range(size)]
        kinds[f"macro {name}"] = arithmetic.mean_range(ranges)
        kinds[f"weighted {name}"] = arithmetic.mean_range(ranges, weights)
    return ", ".join(name for name, found in kinds.items() if window(claim).fit(*found) != "no")


def _span(low: float, high: float) -> str:
    first, last = percent(round(low, 5)), percent(round(high, 5))
    return first if first == last else f"{first} to {last}"

"""What speaks for a suspect and against it: the figure it reaches, the rows it evaluates, the shape of its curve. Pure
functions of a spec's claims and of run records."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import combinations

import msgspec
import numpy as np

from fer_jax.faces import EMOTIONS
from repro.decode import LoadedSpec
from repro.explain.records import Evidence
from repro.protocols import REPORTED_SPLIT
from repro.records import RunRecord
from repro.report import units
from repro.report.claims import metrics_of
from repro.spec import Claim
from repro.verdict import MIN_SEEDS, prediction_interval

# An estimate from honest runs leaves something out (other rows, another training set): a suspect is dropped unseen only
# where its estimate misses the claim by more than this beyond the tolerance.
ESTIMATE_MARGIN = 0.05
CURVE_TOLERANCE = 0.05  # root mean square of the differences, of accuracy; between two seeds it is about 0.01


def tolerance(claim: Claim) -> float:
    """How far one run may lie off: the claim's own, and half its last digit."""
    return (claim.tolerance or 0.0) + claim.resolution / 2


def reaches(claim: Claim, accuracies: Sequence[float], rows: int | None) -> bool:
    """Whether the claim is among what one more such run would give: inside the prediction interval of three or more
    runs, else within the tolerance of their mean."""
    if len(accuracies) >= MIN_SEEDS:
        interval = prediction_interval(accuracies, resolution=claim.resolution, rows=rows)
        assert interval is not None
        return interval.holds(claim.value) or abs(interval.centre - claim.value) <= tolerance(claim)
    return abs(statistics.fmean(accuracies) - claim.value) <= tolerance(claim)


def accuracy_evidence(claim: Claim, accuracies: Sequence[float], rows: int | None) -> Evidence:
    return Evidence(
        kind="accuracy",
        fits=reaches(claim, accuracies, rows),
        text=f"{units.percentage_of(accuracies)}, reported {units.reported(claim)}",
    )


def rows_evidence(loaded: LoadedSpec, claim: Claim, part: str, rows: int) -> Evidence:
    """The rows that a document evaluates under the suspect against the steps that it prints for that evaluation.

    part, rows: the part of the data set and its size (see `Suspect.evaluated_part`); no part where the size is free.
    """
    printed = [
        c for c in loaded.spec.claims if c.quantity == "steps" and (c.split, c.variant) == (claim.split, claim.variant)
    ]
    if not printed:
        return Evidence(kind="rows", fits=None, text="the document prints no number of evaluation steps")
    if not part:
        return Evidence(kind="rows", fits=None, text="a part that is drawn at random may have any size")
    batch = printed[0].batch_size or loaded.resolve(claim.variant).training.batch_size
    steps = int(printed[0].value)
    needed = math.ceil(rows / batch)
    return Evidence(
        kind="rows",
        fits=needed == steps,
        text=f"{rows:,} rows of {part} in batches of {batch} take {needed:,} steps; the document prints {steps:,}",
    )


def curve_evidence(loaded: LoadedSpec, claim: Claim, records: Sequence[RunRecord]) -> Evidence:
    """The suspect's figure after each epoch (or step) against what the document prints for it."""
    errors = [
        statistics.fmean(seen) - printed.value
        for printed in loaded.spec.all_claims
        if printed.quantity == "accuracy"
        and printed.variant == claim.variant
        and printed.split not in ("train", "minibatch")
        and not printed.emotion
        and (printed.epoch, printed.step) != (None, None)
        and (seen := [value for record in records if (value := _validation_accuracy(printed, record)) is not None])
    ]
    if len(errors) < 2:
        return Evidence(kind="curve", fits=None, text="the document prints fewer than two points of the curve")
    distance = math.sqrt(statistics.fmean(error**2 for error in errors))
    return Evidence(
        kind="curve",
        fits=distance <= CURVE_TOLERANCE,
        text=f"{100 * distance:.1f} points from the printed curve (root mean square over {len(errors)} of its points)",
    )


def _validation_accuracy(printed: Claim, record: RunRecord) -> float | None:
    """At the epoch or step that a claim names; None where the run holds none."""
    metrics = metrics_of(msgspec.structs.replace(printed, split="validation"), record)
    return None if metrics is None else metrics.accuracy


# --- estimates from the honest runs -----------------------------------------------------------------------------------


def training_accuracy(record: RunRecord) -> float | None:
    """The highest figure of the rows that were trained on: evaluated at the end, or the running mean of an epoch."""
    at_end = [record.metrics["train"].accuracy] if "train" in record.metrics else []
    return max([*at_end, *(entry.train.accuracy for entry in record.history)], default=None)


def best_epoch(record: RunRecord) -> float | None:
    """The best figure of any epoch, on PublicTest: what picking the epoch on the reported rows would have given."""
    found = [entry.splits["validation"].accuracy for entry in record.history if "validation" in entry.splits]
    return max(found, default=None)


def best_class_subsets(probability: np.ndarray, labels: np.ndarray) -> list[tuple[int, tuple[str, ...], float]]:
    """(number of classes, which, accuracy) of the best subset of each size from 6 down to 2, with the other classes'
    rows left out and the other outputs ignored. probability: (N, 7); labels: (N,).

    The network was trained on all classes: one trained on the subset alone would do better.
    """
    found = []
    for size in range(len(EMOTIONS) - 1, 1, -1):
        scored = [
            (_subset_accuracy(probability, labels, chosen), chosen)
            for chosen in combinations(range(len(EMOTIONS)), size)
        ]
        accuracy, chosen = max(scored)
        found.append((size, tuple(EMOTIONS[k] for k in chosen), accuracy))
    return found


def _subset_accuracy(probability: np.ndarray, labels: np.ndarray, chosen: tuple[int, ...]) -> float:
    kept = np.isin(labels, chosen)
    if not kept.any():
        return 0.0
    predicted = np.array(chosen)[probability[kept][:, chosen].argmax(1)]
    return float((predicted == labels[kept]).mean())


def evaluated_rows(records: Sequence[RunRecord]) -> int:
    return records[0].metrics[REPORTED_SPLIT].n

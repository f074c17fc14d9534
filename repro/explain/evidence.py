"""Evidence for or against a hypothesis besides rules (i) to (iii): the steps and the curve that the paper prints, and
what clean runs show about an error without training with it. Pure functions of a spec's claims and of records."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import msgspec
import numpy as np

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.explain.credit import difference
from repro.explain.hypotheses import p_text
from repro.explain.records import Evidence
from repro.judge.assumptions import assumptions
from repro.judge.measured import metrics_of
from repro.runs.records import RunRecord
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import BEST_EPOCH_ON_TEST, EVALUATED_ON_TRAINING, TRAINED_ON_ALL
from repro.specs.spec import Claim
from repro.statistics import LEVEL, MIN_RUNS, Decision, decide_curve


def steps_evidence(loaded: LoadedSpec, claim: Claim, usage: str, samples: int | None) -> Evidence | None:
    """Compare the samples evaluated under the error with the steps that the paper prints for its evaluation. None if it
    prints none, or if the number of samples is free.

    usage, samples: the official split (see `Suspect.evaluated_split`), empty if samples are drawn, and its size.
    """
    printed = [
        c for c in loaded.spec.claims if c.quantity == "steps" and (c.split, c.variant) == (claim.split, claim.variant)
    ]
    if not printed or not usage or samples is None:
        return None
    batch = printed[0].batch_size or loaded.resolve(claim.variant).training.batch_size
    steps, needed = int(printed[0].value), math.ceil(samples / batch)
    return Evidence(
        kind="steps",
        fits=needed == steps,
        text=(
            f"{counted(samples, 'sample')} of {usage} in batches of {batch} take "
            f"{counted(needed, 'step')}; the paper prints {steps:,}"
        ),
    )


# --- the curve --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PrintedCurve:
    """Accuracy on held-out samples at several epochs or steps, as claims on the validation split."""

    points: tuple[Claim, ...]

    def of(self, record: RunRecord) -> list[float] | None:
        """The run's accuracy at each point; None if it lacks a point."""
        found = [metrics_of(point, record) for point in self.points]
        return None if None in found else [metrics.accuracy for metrics in found if metrics]

    def distance(self, values: Sequence[float]) -> float:
        """Root mean square of the differences from the printed points."""
        return math.sqrt(statistics.fmean((v - p.value) ** 2 for v, p in zip(values, self.points, strict=True)))


def printed_curve(loaded: LoadedSpec, claim: Claim) -> PrintedCurve | None:
    """The longest held-out accuracy curve that the paper prints for the run of a claim: a curve of the spec, or single
    claims with an epoch or a step. None if it has fewer than two points."""
    single = [c for c in loaded.spec.claims if (c.epoch, c.step) != (None, None)]
    series = [list(curve.points) for curve in loaded.spec.curves]
    series += [[c for c in single if c.split == split] for split in {c.split for c in single}]
    kept = [
        [
            msgspec.structs.replace(c, split="validation")
            for c in points
            if c.quantity == "accuracy" and c.variant == claim.variant and not c.emotion and not c.not_measured
            if c.split not in ("train", "minibatch")
        ]
        for points in series
    ]
    longest = max(kept, key=len, default=[])
    return PrintedCurve(tuple(longest)) if len(longest) > 1 else None


def curve_evidence(
    printed: PrintedCurve | None, runs: Sequence[RunRecord], clean: Sequence[RunRecord]
) -> Evidence | None:
    """Compare the curve of the runs with the error with the printed one; None if there is nothing to compare.

    For the error: the printed curve could be one more run with it, and could not be a clean run. Against the error: the
    printed curve could not be a run with it, and these runs are no nearer to the curve than the clean runs. The spread
    of the runs shows how far off one more run may be (`repro.statistics.decide_curve`). The distances of the single
    runs show which group is nearer (`repro.explain.credit.difference`).
    """
    if printed is None:
        return None
    curves = [values for record in runs if (values := printed.of(record)) is not None]
    reference = [values for record in clean if (values := printed.of(record)) is not None]
    if min(len(curves), len(reference)) < MIN_RUNS:
        return None
    values, digits = [p.value for p in printed.points], [p.resolution for p in printed.points]
    with_error = decide_curve(curves, values, resolution=digits)
    without = decide_curve(reference, values, resolution=digits)
    own, others = ([printed.distance(one) for one in group] for group in (curves, reference))
    nearer = difference(own, others)
    is_nearer = nearer.p < LEVEL and nearer.value < 0
    fits = None
    if not with_error.differs and (without.differs or is_nearer):
        fits = True
    elif with_error.differs and not is_nearer:
        fits = False
    text = (
        f"{len(values)} printed points: root mean square distance {_points(own)} with the error, {_points(others)} of "
        f"the clean runs; as one more run {p_text(with_error.p_differs)} and {p_text(without.p_differs)}"
    )
    return Evidence(kind="curve", fits=fits, text=text)


def _points(distances: Sequence[float]) -> str:
    return f"{100 * statistics.fmean(distances):.1f} points"


# --- estimates from the clean runs ------------------------------------------------------------------------------------


def training_accuracy(record: RunRecord) -> float | None:
    """The highest accuracy on training samples: evaluated at the end, or the running mean of an epoch."""
    at_end = [record.metrics["train"].accuracy] if "train" in record.metrics else []
    return max([*at_end, *(entry.train.accuracy for entry in record.history)], default=None)


def best_epoch(record: RunRecord) -> float | None:
    """The best accuracy of any epoch on PublicTest: the effect of choosing the epoch on the reported samples."""
    found = [entry.splits["validation"].accuracy for entry in record.history if "validation" in entry.splits]
    return max(found, default=None)


# What clean runs show about an error without training with it. A network knows leaked samples as well as its other
# training samples, so training accuracy estimates both errors that evaluate training samples.
ESTIMATES: dict[str, Callable[[RunRecord], float | None]] = {
    EVALUATED_ON_TRAINING: training_accuracy,
    TRAINED_ON_ALL: training_accuracy,
    BEST_EPOCH_ON_TEST: best_epoch,
}


def estimated(suspect: str, clean: Sequence[RunRecord]) -> tuple[float, ...]:
    """One estimate per clean run; empty if clean runs show nothing about this error."""
    estimate = ESTIMATES.get(suspect)
    return tuple(value for record in clean if estimate and (value := estimate(record)) is not None)


def best_class_subsets(probability: np.ndarray, labels: np.ndarray) -> list[tuple[int, tuple[str, ...], float]]:
    """(number of classes, which, accuracy) of the best subset of each size from 6 down to 2. Samples and outputs of the
    other classes are left out. probability: (N, 7); labels: (N,).

    The network was trained on all classes; a network trained only on the subset would do better.
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


# --- other reasons ----------------------------------------------------------------------------------------------------


def other_data(loaded: LoadedSpec, claim: Claim, published: Sequence[RunRecord]) -> list[str]:
    """Sample counts in the paper that its own data steps do not reproduce on this dataset. The paper's data were then
    not what its description gives here, so its accuracy may differ for that reason alone.

    Counts of the whole dataset are compared only if they are printed in full, because papers round them freely.
    published: runs of the paper's own protocol, which all have the same counts.
    """
    found = []
    for printed in loaded.spec.claims if published else ():
        if printed.quantity != "rows" or printed.variant != claim.variant or printed.not_measured or printed.emotion:
            continue
        if not printed.split and printed.resolution > 1:
            continue
        data = published[0].data
        ours = data.splits[printed.split].rows if printed.split in data.splits else data.rows
        if abs(ours - printed.value) > max(printed.tolerance or 0.0, printed.resolution / 2):
            where = f" in split {printed.split}" if printed.split else ""
            found.append(
                f"the paper prints {counted(int(printed.value), 'sample')}{where}; its data steps give {ours:,} here"
            )
    return found


def other_network(loaded: LoadedSpec, claim: Claim) -> list[str]:
    """The layer sizes that the paper does not state: its network may differ from this one."""
    sizes = [one for one in assumptions(claim, loaded) if one.endswith("layer sizes")]
    return [f"{one} are assumed, because neither the paper nor its code states them" for one in sizes]


def unknown_tries(claim: Claim, clean: Decision) -> list[str]:
    """A claim that is the best of an unknown number of tries: chance alone may have raised it."""
    if not claim.selected_from or claim.tries is not None:
        return []
    words = f"the claim is the best of an unknown number of tries ({claim.selected_from})"
    if clean.chance is None or math.isinf(clean.chance.tries_even):
        return [words]
    tries = counted(math.ceil(clean.chance.tries_even), "clean run")
    return [f"{words}; the best of {tries} reaches it with even chance"]

"""Points of curves: means and bands over runs, and the values that a paper prints for its training."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from repro.judge.headline_runs import HeadlineRuns
from repro.report.figures.figure_data import Line
from repro.runs.records import Epoch, Metrics, RunRecord
from repro.specs.spec import Claim

AXES = {"accuracy": "accuracy (%)", "loss": "loss (nat)"}
BAND = "Line: mean over n runs; band: ± sample standard deviation."
Value = Callable[[Epoch], float | None]


def band(series: str, records: Sequence[RunRecord], value: Value, place: Callable[[Epoch], float]) -> Line:
    """Mean over the runs at each place that every run has; with two or more runs, ± sample standard deviation."""
    found: dict[float, list[float]] = {}
    for record in records:
        for entry in record.history:
            one = value(entry)
            if one is not None:
                found.setdefault(float(place(entry)), []).append(one)
    shared = {x: values for x, values in sorted(found.items()) if len(values) == len(records)}
    means = {x: statistics.fmean(values) for x, values in shared.items()}
    widths = {x: statistics.stdev(values) for x, values in shared.items()} if len(records) > 1 else {}
    return Line(
        series=series,
        x=tuple(shared),
        y=tuple(means.values()),
        low=tuple(means[x] - width for x, width in widths.items()),
        high=tuple(means[x] + width for x, width in widths.items()),
    )


def figure_of(quantity: str, split: str) -> Value:
    """Accuracy in per cent, or loss, of an entry: on a split, the training samples (`train`) or the `minibatch`."""

    def value(entry: Epoch) -> float | None:
        own: dict[str, Metrics] = {"train": entry.train, "minibatch": entry.minibatch}
        metrics = (own | entry.splits).get(split)
        if metrics is None:
            return None
        return 100 * metrics.accuracy if quantity == "accuracy" else metrics.loss

    return value


def epoch_of(entry: Epoch) -> float:
    return entry.epoch


def step_of(entry: Epoch) -> float:
    """The step as printed by a loop that counts from 0."""
    return entry.printed_step


def evaluated_split(runs: HeadlineRuns, records: Sequence[RunRecord]) -> str:
    """The headline's split if it was evaluated during training, else the first that was; empty if none was."""
    found = records[0].history[-1].splits
    return runs.claim.split if runs.claim.split in found else next(iter(found), "")


def claims_of(runs: HeadlineRuns) -> list[Claim]:
    """The paper's claims about the headline's variant."""
    assert runs.paper.loaded is not None
    return [claim for claim in runs.paper.loaded.spec.all_claims if claim.variant == runs.claim.variant]


def printed(runs: HeadlineRuns, quantity: str, split: str) -> list[Claim]:
    """Accuracies or losses of a split that the paper prints and that runs can be compared with."""
    return [
        claim
        for claim in claims_of(runs)
        if (claim.quantity, claim.split) == (quantity, split) and not claim.emotion and not claim.not_measured
    ]


def points(series: str, claims: Sequence[Claim], end: float = 0.0) -> Line:
    """Printed values at their epoch or step, accuracies in per cent. end: the place of values without either."""
    places = [claim.epoch if claim.step is None else claim.step for claim in claims]
    values = [100 * claim.value if claim.quantity == "accuracy" else claim.value for claim in claims]
    found = sorted({(float(end if x is None else x), y) for x, y in zip(places, values, strict=True)})
    return Line(series=series, x=tuple(x for x, _ in found), y=tuple(y for _, y in found))

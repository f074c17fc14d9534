"""The records' measurements of a claim: one value per run, never invented, never mixed with incomparable values."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.runs.class_measures import from_confusion, from_ranking
from repro.runs.data_names import NOT_FER2013
from repro.runs.records import Epoch, Metrics, RunRecord
from repro.specs.claims import CLASS_MEASURES
from repro.specs.protocols import AS_PUBLISHED
from repro.specs.spec import Claim
from repro.text import units

SECONDS_PER_UNIT = {"s": 1.0, "min": 60.0, "h": 3600.0}
# Facts about the prepared data and the network: the same on every kind of device.
DEVICE_FREE = frozenset({"rows", "pixel_mean", "pixel_std", "parameters"})


@dataclass(frozen=True)
class Measured:
    """Values in the claim's unit, one per run. For a speed-up the ratio alone; `runs` says how many runs it is from.

    partial: from runs that were shortened after the point that the claim is about.
    """

    values: tuple[float, ...]
    partial: bool = False
    runs: str = field(default="")

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("nothing measured")

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1); None for a single value."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


def measure(claim: Claim, records: Iterable[RunRecord]) -> Measured | None:
    """The values that the records of the claim's paper give for it, or None.

    records: of that paper; those of other variants, protocols, kinds of device or of synthetic faces are left out. Only
    finished runs count. If there is none, runs shortened only in epochs count, up to the epoch that they reached.
    """
    if claim.not_measured:
        return None
    eligible = [record for record in records if is_comparable(claim, record)]
    if claim.quantity == "speedup":
        return _speedup(claim, eligible)
    values, partial = _values(claim, eligible)
    return Measured(tuple(values), partial) if values else None


def why_unmeasured(claim: Claim, records: Iterable[RunRecord]) -> str:
    """Why `measure` gives None, in a few words; the claim's `not_measured` explains the rest."""
    if claim.not_measured:
        return "not measured"
    eligible = [record for record in records if is_comparable(claim, record)]
    if claim.quantity == "speedup":
        kinds = {record.device.kind for record in eligible}
        if kinds and not {"cpu", "gpu"} <= kinds:
            return f"needs runs on cpu and gpu, there are none on {' or '.join(sorted({'cpu', 'gpu'} - kinds))}"
        if {"cpu", "gpu"} <= {record.device.kind for record in eligible if record.status == "done"}:
            return "no cpu and gpu runs that can be compared"
    found = {record.status for record in eligible}
    if not found:
        return "not run"
    if found == {"failed"}:
        return "run failed"
    if "done" not in found:
        return "not reached: partial run"
    return "not recorded by the run"


def is_comparable(claim: Claim, record: RunRecord) -> bool:
    """Whether the record is of the run that the claim is about, however far it got."""
    same_run = record.variant == claim.variant and record.protocol == AS_PUBLISHED
    return same_run and _is_fer2013(record) and claim.device in ("", record.device.kind)


def _is_fer2013(record: RunRecord) -> bool:
    return not record.data.synthetic and record.data.shown_name != NOT_FER2013


def _values(claim: Claim, records: Sequence[RunRecord]) -> tuple[list[float], bool]:
    """Values of the full runs, else those of partial ones; never both."""
    full = [_value(claim, record) for record in records if record.status == "done"]
    known = [value for value in full if value is not None]
    if known:
        return known, False
    shortened = [_value(claim, record) for record in records if _measures_in_part(claim, record)]
    return [value for value in shortened if value is not None], True


def _measures_in_part(claim: Claim, record: RunRecord) -> bool:
    """A shortened run is, as far as it went, the run that the claim is about. A run with fewer samples never is."""
    placed = claim.epoch is not None or claim.step is not None
    return (
        record.status == "partial"
        and record.overrides.limit_train is None
        and (placed or claim.quantity in DEVICE_FREE)
    )


def _speedup(claim: Claim, records: Sequence[RunRecord]) -> Measured | None:
    times = {
        kind: _values(claim, [record for record in records if record.device.kind == kind]) for kind in ("cpu", "gpu")
    }
    (cpu, cpu_partial), (gpu, gpu_partial) = times["cpu"], times["gpu"]
    if not cpu or not gpu or statistics.fmean(gpu) <= 0:
        return None
    ratio = statistics.fmean(cpu) / statistics.fmean(gpu)
    return Measured((ratio,), cpu_partial or gpu_partial, runs=f"{len(cpu)} cpu, {len(gpu)} gpu")


def _value(claim: Claim, record: RunRecord) -> float | None:
    """The value of one run; None if the run does not hold it. For a speed-up: the time, in seconds."""
    quantity = claim.quantity
    if quantity in ("accuracy", "loss"):
        metrics = metrics_of(claim, record)
        return None if metrics is None else figure(claim, metrics)
    if quantity in ("predicted_rows", "true_positives"):
        return _confusion_count(claim, record)
    if quantity in ("top_k", "auc"):
        return _of_probabilities(claim, record)
    if quantity in CLASS_MEASURES:
        metrics = _evaluated(claim, record)
        if metrics is None or metrics.confusion is None:
            return None
        return from_confusion(claim, metrics.confusion, EMOTIONS)
    if quantity in ("time", "speedup"):
        seconds = _seconds(claim, record)
        if seconds is None or quantity == "speedup":
            return seconds
        return seconds / SECONDS_PER_UNIT[claim.unit]
    if quantity == "parameters":
        return float(record.parameters)
    return _data_fact(claim, record)


def _data_fact(claim: Claim, record: RunRecord) -> float | None:
    if not claim.split:
        whole = record.data
        if claim.quantity != "rows" or (claim.emotion and not whole.class_rows):
            return None
        return float(whole.class_rows[EMOTIONS.index(claim.emotion)] if claim.emotion else whole.rows)
    split = record.data.splits.get(claim.split)
    if split is None:
        return None
    if claim.quantity == "pixel_mean":
        return split.pixel_mean
    if claim.quantity == "pixel_std":
        return split.pixel_std
    if claim.quantity == "rows":
        return float(split.class_rows[EMOTIONS.index(claim.emotion)] if claim.emotion else split.rows)
    return None


def _entry(claim: Claim, record: RunRecord) -> Epoch | None:
    """The history entry that the claim is about: of its epoch or its printed step, else the last entry."""
    if claim.epoch is None and claim.step is None:
        return record.history[-1] if record.history else None
    for entry in record.history:
        if claim.epoch in (None, entry.epoch) and claim.step in (None, entry.printed_step):
            return entry
    return None


def metrics_of(claim: Claim, record: RunRecord) -> Metrics | None:
    entry = _entry(claim, record)
    if claim.split == "train" and not claim.evaluated:
        return entry.train if entry else None
    if claim.split == "minibatch":
        return entry.minibatch if entry else None
    if _at_end(claim):
        return record.metrics.get(claim.split)
    return entry.splits.get(claim.split) if entry else None


def figure(claim: Claim, metrics: Metrics) -> float | None:
    """The value of an evaluation for a claim on accuracy or loss; for one emotion its recall, if samples were
    counted."""
    if not claim.emotion:
        return getattr(metrics, claim.quantity)
    rows = samples_behind(claim, metrics)
    if claim.quantity != "accuracy" or metrics.confusion is None or not rows:
        return None
    emotion = EMOTIONS.index(claim.emotion)
    return metrics.confusion[emotion][emotion] / rows


def samples_behind(claim: Claim, metrics: Metrics) -> int:
    """Samples that `figure` is a mean over."""
    if claim.emotion and metrics.confusion is not None:
        return sum(metrics.confusion[EMOTIONS.index(claim.emotion)])
    return metrics.n


def _evaluated(claim: Claim, record: RunRecord) -> Metrics | None:
    """The evaluation behind a count or a measure per class: of the whole split, never a running mean."""
    return record.metrics.get(claim.split) if _at_end(claim) else metrics_of(claim, record)


def _at_end(claim: Claim) -> bool:
    return claim.epoch is None and claim.step is None


def _confusion_count(claim: Claim, record: RunRecord) -> float | None:
    """Samples predicted as the emotion (with `actual`: only those of that emotion), or samples of the emotion predicted
    as such; without an emotion: of all emotions. If the claim gives the number of samples behind its count (`of_rows`),
    the run's count is scaled to it: shares and recalls are compared, not sizes of splits."""
    metrics = _evaluated(claim, record)
    if metrics is None or metrics.confusion is None:
        return None
    confusion = np.asarray(metrics.confusion)
    column = EMOTIONS.index(claim.emotion) if claim.emotion else None
    if claim.quantity == "true_positives":
        count = np.trace(confusion) if column is None else confusion[column, column]
        out_of = confusion.sum() if column is None else confusion[column].sum()
    else:
        rows = confusion[[EMOTIONS.index(claim.actual)]] if claim.actual else confusion
        count, out_of = rows.sum() if column is None else rows[:, column].sum(), rows.sum()
    if claim.of_rows is None:
        return float(count)
    return float(count) / float(out_of) * claim.of_rows if out_of else None


def _of_probabilities(claim: Claim, record: RunRecord) -> float | None:
    """From the probabilities in the record, which are those of the reported end."""
    found, metrics = record.ranking.get(claim.split), record.metrics.get(claim.split)
    if found is None or metrics is None or metrics.confusion is None or not _at_end(claim):
        return None
    return from_ranking(claim, found, np.asarray(metrics.confusion).sum(1), EMOTIONS)


def _seconds(claim: Claim, record: RunRecord) -> float | None:
    """Training and evaluation of every epoch up to the claim's, without compilation and checkpoints."""
    entry = _entry(claim, record)
    if entry is None:
        return None
    count = record.history.index(entry) + 1
    if len(record.time.epochs) < count:
        return None
    return sum(epoch.train_s + epoch.eval_s for epoch in record.time.epochs[:count])


def measured_text(claim: Claim, measured: Measured) -> str:
    """Mean, spread and number of runs, in the claim's unit."""
    return f"{units.mean_and_spread(claim, measured.mean, measured.std)} {_of_runs(measured)}"


def percentage_text(measured: Measured) -> str:
    """Mean and spread of an accuracy to a tenth of a per cent, however the paper prints it, and number of runs."""
    return f"{units.percentage(measured.mean, measured.std)} {_of_runs(measured)}"


def _of_runs(measured: Measured) -> str:
    return f"(n = {measured.runs or measured.n}{', partial' if measured.partial else ''})"

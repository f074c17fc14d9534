"""A run as trackers see it: a name, flat settings, and numbers by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from fer_jax.vocabulary.later_fields import counted
from repro.runs.plan import RunPlan
from repro.runs.records import Epoch, RunRecord

Value = str | int | float | bool
PROJECT = "fer-repro"  # of W&B and Trackio; the experiments of MLflow are named after papers


@dataclass(frozen=True)
class LoggedRun:
    """place: the run's folder below ``results/runs``; its name in every tracker. config: settings by dotted keys."""

    place: str
    paper: str
    config: Mapping[str, Value]


class RunLog(Protocol):
    """One run in one tracker."""

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """The numbers of an epoch, from 1."""
        ...

    def end(self, values: Mapping[str, float], status: str) -> None:
        """The numbers at the reported end, and `RunRecord.status`."""
        ...


class RunTracker(Protocol):
    """A place that keeps copies of runs. A run that is begun again replaces what an earlier process sent of it, or
    appears as a second run with the same name."""

    def begin(self, run: LoggedRun) -> RunLog: ...


def planned(place: str, plan: RunPlan) -> LoggedRun:
    """A run that is being trained."""
    words = {"variant": plan.variant, "protocol": plan.protocol, "seed": plan.seed}
    return _logged(place, plan.paper, words, plan.overrides.settings or (), counted(plan.spec.training))


def recorded(place: str, record: RunRecord) -> LoggedRun:
    """A run that has its record."""
    words = {"variant": record.variant, "protocol": record.protocol, "seed": record.seed}
    return _logged(place, record.paper, words, record.overrides.settings or (), record.spec.get("training", {}))


def epoch_values(entry: Mapping[str, Any] | Epoch) -> dict[str, float]:
    """``train/loss``, ``validation/accuracy``, ``learning_rate`` and so on."""
    shown = entry if isinstance(entry, Epoch) else msgspec.convert(entry, Epoch)
    values = {"learning_rate": shown.learning_rate}
    for name, metrics in {"train": shown.train, **shown.splits}.items():
        values |= {f"{name}/loss": metrics.loss, f"{name}/accuracy": metrics.accuracy}
    return values


def end_values(record: RunRecord) -> dict[str, float]:
    """``reported/test/accuracy`` and so on: every split at the reported end."""
    values = {}
    for name, metrics in record.metrics.items():
        values |= {f"reported/{name}/loss": metrics.loss, f"reported/{name}/accuracy": metrics.accuracy}
    return values


def _logged(
    place: str, paper: str, words: Mapping[str, Value], settings: Sequence[str], training: Mapping[str, Any]
) -> LoggedRun:
    config: dict[str, Value] = {"paper": paper, **words, **dict(_flat("training", training))}
    config |= {key: value for key, _, value in (line.partition("=") for line in settings)}
    return LoggedRun(place, paper, config)


def _flat(key: str, value: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    elif isinstance(value, str | int | float | bool):
        yield key, value
    elif value is not None:
        yield key, str(value)

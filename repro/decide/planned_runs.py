"""What a command would run: state, size and time of every run, before anything starts. Trains nothing."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fer_jax.vocabulary.layers import parameter_count
from repro.decide.duration import duration_text
from repro.decide.time_estimate import TimeEstimate, recorded_time
from repro.runs.plan import RunPlan, seeds_text
from repro.runs.records import RunRecord
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun
from repro.specs.protocols import RUNNABLE
from repro.specs.spec_checks import image_size
from repro.text.document import Cell, Column, Document, Inline, Paragraph, count, table

# The states of `repro.runs.run_store`, and `running` for a run that another process works on.
_TO_DO = ("resumable", "stale", "absent", "failed")
_WORDS = {"resumable": "begun", "stale": "to run", "absent": "to run", "failed": "failed, tried again"}


@dataclass(frozen=True)
class PlannedRuns:
    """Runs that differ only in their seed. states: per seed. parameters: of the network. estimate: of one
    run; None if no run of the paper's variant was made. exact: it is of runs of these very settings, not of another
    protocol."""

    plan: RunPlan
    states: dict[int, str]
    parameters: int
    estimate: TimeEstimate | None
    exact: bool = True

    @property
    def to_do(self) -> int:
        return sum(state in _TO_DO for state in self.states.values())

    @property
    def seconds(self) -> float | None:
        """Of all that is to do. A run that was begun counts whole. None if the time of one is unknown."""
        if not self.to_do:
            return 0.0
        return None if self.estimate is None else self.estimate.seconds * self.to_do


def planned_runs(plans: Sequence[RunPlan], context: RunContext, records: Iterable[RunRecord]) -> list[PlannedRuns]:
    """The plans by settings, in the order given. records: of the results folder, for the times of earlier runs."""
    known = list(records)
    found = []
    for _, alike in groupby(plans, key=lambda plan: plan.all_but_seed):
        same = list(alike)
        fingerprint = context.dataset.faces.fingerprint
        exact = recorded_time(same[0], context.device_kind, fingerprint, known)
        estimate = exact or _of_another_protocol(same[0], context.device_kind, fingerprint, known)
        states = {plan.seed: _state(StoredRun(plan, context)) for plan in same}
        found.append(PlannedRuns(same[0], states, _parameters(same[0]), estimate, exact is not None))
    return found


def _of_another_protocol(
    plan: RunPlan, device_kind: str, fingerprint: str, records: list[RunRecord]
) -> TimeEstimate | None:
    """The mean time of the variant under any protocol: the samples differ by a few percent, the rest does not."""
    alike = [
        record.time.total_s
        for record in records
        if (record.status, record.overrides) == ("done", plan.overrides)
        and (record.paper, record.variant) == (plan.paper, plan.variant)
        and (record.device.kind, record.data.fingerprint) == (device_kind, fingerprint)
        and record.protocol in RUNNABLE
    ]
    return TimeEstimate(statistics.fmean(alike), "other protocols") if alike else None


def _state(run: StoredRun) -> str:
    if run.done_here() is not None:
        return "done"
    if run.holder() is not None:
        return "running"
    # A run under another protocol with the same settings is taken over.
    return run.state if run.needs_training() else "done"


def _parameters(plan: RunPlan) -> int:
    size = image_size(plan.spec)
    return parameter_count(plan.spec.model.layers, (size, size, 1))[0]


def plan_of_runs_document(found: Sequence[PlannedRuns]) -> Document:
    """`repro plan --all`."""
    columns = (Column("Run"), Column("Seeds"), Column("Now"), *(Column(name, "right") for name in _NUMBERS))
    rows = [
        (
            _name(one.plan),
            seeds_text(one.states),
            _now(one),
            count(one.parameters),
            _time(one.estimate.seconds if one.estimate else None, one.exact),
            _time(one.seconds, one.exact) if one.to_do else "",
        )
        for one in found
    ]
    return Document("Runs of this command", (table(columns, rows), Paragraph(_total(found))))


_NUMBERS = ("Parameters", "One run", "All to do")


def _total(found: Sequence[PlannedRuns]) -> str:
    runs, to_do = sum(len(one.states) for one in found), sum(one.to_do for one in found)
    known = sum(one.seconds or 0 for one in found)
    unknown = sum(one.to_do for one in found if one.seconds is None)
    text = f"{to_do:,} of {runs:,} runs to do"
    if known:
        text += f"; {duration_text(known)} one after another, by earlier runs on this kind of device"
        if any(one.to_do and one.estimate is not None and not one.exact for one in found):
            text += ' ("about": of the same network under another protocol)'
    if unknown:
        text += f"; {unknown:,} of a kind that was not run here yet, so their time is unknown"
    return f"{text}."


def plan_of_runs_builtins(found: Sequence[PlannedRuns]) -> list[dict[str, Any]]:
    """`repro plan --all --json`: seconds of one run, and of all that is to do; null if unknown."""
    return [
        {
            "paper": one.plan.paper,
            "variant": one.plan.variant,
            "protocol": one.plan.protocol,
            "seeds": {str(seed): state for seed, state in one.states.items()},
            "parameters": one.parameters,
            "run_s": one.estimate.seconds if one.estimate else None,
            "of_these_settings": one.exact,
            "to_do_s": one.seconds,
        }
        for one in found
    ]


def _name(plan: RunPlan) -> str:
    return plan.name + "".join(f" {line}" for line in plan.overrides.settings or ())


def _now(one: PlannedRuns) -> str:
    words: dict[str, int] = {}
    for state in one.states.values():
        word = _WORDS.get(state, state)
        words[word] = words.get(word, 0) + 1
    return ", ".join(f"{number} {word}" for word, number in words.items())


def _time(seconds: float | None, exact: bool) -> Cell | Inline:
    about = "" if exact else "about "
    return "unknown" if seconds is None else Cell(f"{about}{duration_text(seconds)}", seconds)

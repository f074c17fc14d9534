"""Carry out the trials of a sweep. Any number of processes with the same command share them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from repro.runs.batch import run_in
from repro.runs.claim import AGAIN_S
from repro.runs.observer import ObservedRun, RunPruned
from repro.runs.records import RunRecord
from repro.runs.run_context import RunContext
from repro.specs.decode import SpecError
from repro.sweep.search import SettingSearch
from repro.sweep.trials import SharedTrials, WorkedTrial

POLL_S = 1.0  # between looks at trials that other processes work on


def sweep_folder(search: SettingSearch, context: RunContext) -> Path:
    """Of this search on these data and this kind of device."""
    digest = search.digest(context.dataset.faces.fingerprint, context.device_kind)
    name = f"{search.name}-{digest}" if search.name else digest
    return context.results / "sweeps" / search.loaded.id / name


def work(search: SettingSearch, context: RunContext) -> None:
    """Make trials until all that were asked for have ended, those of other processes included.

    Raises what `run_in` raises for a bug; a trial that a user's mistake ends is a failed one.
    """
    trials = SharedTrials(search, sweep_folder(search, context), context.say)
    said = 0.0
    while True:
        worked = trials.next()
        if worked is not None:
            try:
                _carry_out(search, context, worked)
            finally:
                worked.leave()
            continue
        others = [one for one in trials.all() if one.state == "running"]
        if not others:
            return
        if time.monotonic() - said > AGAIN_S or not said:
            said = time.monotonic()
            context.say(f"waiting for {'; '.join(trials.holders()) or 'the end of a trial'}")
        time.sleep(POLL_S)


def _carry_out(search: SettingSearch, context: RunContext, worked: WorkedTrial) -> None:
    setting = search.setting(worked.values)
    context.say(f"trial {worked.number + 1} of {search.most_trials}: {setting.text}")
    try:
        plans = search.plans(setting)
    except SpecError as error:  # each value is possible, and these together are not
        context.say(f"trial {worked.number + 1}: FAILED: {error}")
        worked.failed()
        return
    watch = _Watch(search, worked)
    watched = replace(context, observers=(*context.observers, watch))
    try:
        watch.stop_if_lagging()  # if the process before died between an epoch and the end
        first, runs = worked.number * len(plans) + 1, search.most_trials * len(plans)
        records = run_in(watched, plans, first=first, of=runs, alone=False)
    except RunPruned as stopped:
        context.say(f"trial {worked.number + 1}: {stopped}")
        worked.pruned()
        return
    accuracies = [one.metrics[search.select].accuracy for one in records if one.has_result]
    if len(accuracies) < len(records):
        worked.failed()
        return
    for entry in records[0].history:  # of a run that was there already, whose epochs nobody saw
        if search.select in entry.splits:
            worked.report(entry.epoch, entry.splits[search.select].accuracy)
    worked.done(statistics.fmean(accuracies))


@dataclass(frozen=True)
class _Watch:
    """Notes the accuracies of the first seed, and stops a trial that lags. See `RunObserver`."""

    search: SettingSearch
    worked: WorkedTrial

    def epoch(self, run: ObservedRun, history: Sequence[dict[str, Any]]) -> None:
        if run.plan.seed != self.search.seeds[0]:
            return
        for entry in history:
            if self.search.select in entry["splits"]:
                self.worked.report(entry["epoch"], entry["splits"][self.search.select]["accuracy"])
        self.stop_if_lagging()

    def stop_if_lagging(self) -> None:
        if self.search.prune and self.worked.lags():
            raise RunPruned(
                f"pruned: after this epoch its best accuracy on {self.search.select} was below the median of the "
                "finished trials"
            )

    def ended(self, run: ObservedRun, record: RunRecord) -> None:
        """Nothing to note: the record says it."""

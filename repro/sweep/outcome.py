"""From the trials of a sweep and the records of their runs to its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fer_jax import TRAINING_VERSION
from fer_jax.machine.precision import choose_precision
from repro.judge.groups import PaperRuns
from repro.judge.usual_spread import usual_spread
from repro.runs.plan import RunPlan
from repro.runs.record_files import RecordError
from repro.runs.records import RECORD_NAME, RunRecord
from repro.runs.run_context import RunContext
from repro.runs.run_store import folder_of
from repro.runs.stored_records import read_record
from repro.specs.decode import SpecError
from repro.sweep.records import SWEEP_FORMAT, BestSetting, SweepRecord, SweepVerdict, TrialRecord
from repro.sweep.search import SettingSearch, selection_leak
from repro.sweep.trials import SweepTrial
from repro.sweep.verdict import against_claim, against_own_setting


def sweep_record(
    search: SettingSearch, context: RunContext, trials: Sequence[SweepTrial], known: Iterable[RunRecord]
) -> SweepRecord:
    """known: records of the results folder, of any paper, for the verdicts."""
    records = list(known)
    settings = {one.number: search.setting(one.values) for one in trials if _is_whole(search, one)}
    tried = len(set(settings.values()))
    ended = [one for one in trials if one.value is not None]
    best = max(ended, key=lambda one: (one.value, -one.number), default=None)
    runs = [] if best is None else _records(search.plans(settings[best.number]), context)
    chosen = None
    samples = 0
    verdicts: tuple[SweepVerdict, ...] = ()
    if best is not None and runs:
        reported = [record.metrics[search.reported] for record in runs]
        samples = runs[0].metrics[search.select].n
        chosen = BestSetting(
            trial=best.number + 1,
            chosen_by=best.value or 0.0,
            reported=tuple(one.accuracy for one in reported),
            samples=reported[0].n,
        )
        verdicts = _verdicts(search, context, chosen, tried, runs, records)
    return SweepRecord(
        format=SWEEP_FORMAT,
        paper=search.loaded.id,
        variant=search.variant,
        protocol=search.protocol,
        spec_sha256=search.plans(search.own_setting())[0].sha256,
        figure=search.figure,
        data=context.dataset.tag,
        device=context.device_kind,
        sampler=search.sampler,
        space=tuple(one.written() for one in search.dimensions),
        seeds=search.seeds,
        asked=search.most_trials,
        pruning=search.prune,
        settings_tried=tried,
        selected_on=search.select,
        selected_samples=samples,
        reported_on=search.reported,
        leakage=selection_leak(search),
        trials=tuple(_trial_record(search, context, one) for one in trials),
        best=chosen,
        verdicts=verdicts,
    )


def _verdicts(
    search: SettingSearch,
    context: RunContext,
    best: BestSetting,
    tried: int,
    runs: list[RunRecord],
    known: list[RunRecord],
) -> tuple[SweepVerdict, ...]:
    if context.dataset.faces.synthetic:
        return ()
    usual = usual_spread(known)
    own = _own_runs(search, context, known)
    found = [against_own_setting(search, best.chosen_by, tried, own, usual)]
    if (claim := search.claim) is not None:
        paper = PaperRuns(search.loaded.id, search.loaded, (), usual)
        found.append(against_claim(search, claim, tried, runs, paper))
    return tuple(found)


def _own_runs(search: SettingSearch, context: RunContext, known: list[RunRecord]) -> list[RunRecord]:
    """Runs of the paper's own setting, as the sweep would make them, with any seed: at most one per seed."""
    (plan, *_) = search.plans(search.own_setting())
    precision = choose_precision(plan.precision, context.devices[0])
    asked = (plan.sha256, plan.overrides, context.dataset.faces.fingerprint, context.device_kind, precision)
    alike = {
        record.seed: record
        for record in known
        if record.has_result
        and (record.paper, record.variant, record.protocol) == (plan.paper, plan.variant, plan.protocol)
        and (record.spec_sha256, record.overrides, record.data.fingerprint) == asked[:3]
        and (record.device.kind, record.matmul_precision) == asked[3:]
        and record.training_version == TRAINING_VERSION
    }
    return [alike[seed] for seed in sorted(alike)]


def _is_whole(search: SettingSearch, trial: SweepTrial) -> bool:
    """Whether it has all values; one whose process died at its very beginning has not."""
    return all(one.key in trial.values for one in search.dimensions)


def _records(plans: list[RunPlan], context: RunContext) -> list[RunRecord]:
    """Those that are there and have a result."""
    found = []
    for plan in plans:
        try:
            record = read_record(folder_of(plan, context) / RECORD_NAME)
        except (FileNotFoundError, RecordError):
            continue
        if record.has_result:
            found.append(record)
    return found


def _trial_record(search: SettingSearch, context: RunContext, trial: SweepTrial) -> TrialRecord:
    whole = _is_whole(search, trial)
    setting = search.setting(trial.values) if whole else search.own_setting()
    try:
        plans = search.plans(setting) if whole else []
    except SpecError:  # a failed trial whose settings do not go together
        plans = []
    runs = context.results / "runs"
    return TrialRecord(
        number=trial.number + 1,
        variant=setting.variant,
        settings=setting.lines,
        state=trial.state,
        accuracy=trial.value,
        epochs=max(trial.curve, default=0),
        runs=tuple(folder_of(plan, context).relative_to(runs).as_posix() for plan in plans),
    )

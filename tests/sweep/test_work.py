"""Sweeps of the tiny paper, from the first trial to the record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tiny_runs import CPU, Killed, stop_at, tiny_dataset

from repro.runs.claim import take
from repro.runs.observer import RunPruned
from repro.runs.records import RECORD_NAME
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun
from repro.runs.runner import run
from repro.runs.status import run_statuses
from repro.runs.stored_records import find_records, read_record
from repro.specs.decode import load_spec
from repro.sweep.dimension import parse_dimension
from repro.sweep.outcome import sweep_record
from repro.sweep.records import read_sweep, write_sweep
from repro.sweep.search import make_search
from repro.sweep.table import sweep_document
from repro.sweep.trials import SharedTrials, read_trials
from repro.sweep.work import sweep_folder, work
from repro.text.terminal import terminal

pytest.importorskip("optuna")
RATES = "training.optimizer.learning_rate=0.05,0.005,0.0005"


@pytest.fixture
def context(tiny_faces, tmp_path):
    said: list[str] = []
    return RunContext(tiny_dataset(tiny_faces), CPU, tmp_path / "results", say=said.append)


@pytest.fixture
def search(tiny_paper):
    def make(*lines, **more):
        loaded = load_spec(tiny_paper())
        given = {"variant": "default", "protocol": "official", "sampler": "grid", "trials": None, "select": None}
        return make_search(loaded, tuple(map(parse_dimension, lines or (RATES,))), **(given | more))

    return make


class Interrupted:
    """An observer in place of a signal: the process dies after an epoch of a trial."""

    def __init__(self, epoch: int) -> None:
        self.report = stop_at(epoch)

    def epoch(self, run, history):
        self.report(type("Progress", (), {"entry": history[-1]}))

    def ended(self, run, record):
        pass


def trained(context):
    return [one.record for one in run_statuses(context.results) if one.record is not None]


def test_a_grid_is_tried_once_and_the_record_says_what_chose(search, context):
    asked = search()
    work(asked, context)
    trials = read_trials(sweep_folder(asked, context))
    assert [one.state for one in trials] == ["done"] * 3
    assert [one.values["training.optimizer.learning_rate"] for one in trials] == ["0.05", "0.005", "0.0005"]
    by_rate = {record.overrides.settings: record for _, record in find_records(context.results)}
    assert len(by_rate) == 3
    record = sweep_record(asked, context, trials, [])
    for one in record.trials:
        stored = read_record(context.results / "runs" / one.runs[0] / RECORD_NAME)
        assert one.accuracy == stored.metrics["validation"].accuracy
    assert record.best is not None and record.best.chosen_by == max(one.accuracy or 0 for one in record.trials)
    best = read_record(context.results / "runs" / record.trials[record.best.trial - 1].runs[0] / RECORD_NAME)
    assert record.best.reported == (best.metrics["test"].accuracy,)
    assert (record.settings_tried, record.selected_on, record.selected_samples, record.leakage) == (
        3,
        "validation",
        50,
        "",
    )
    assert read_sweep(write_sweep(sweep_folder(asked, context), record)) == record
    shown = terminal(sweep_document(record))
    assert "on test (50 samples), the best of 3 settings tried" in " ".join(shown.split())
    before = len(context.say.__self__)
    work(asked, context)
    assert context.say.__self__[before:] == [], "nothing is left to do"
    own = StoredRun(asked.plans(asked.own_setting())[0], context)
    ordinary = own.done_here()
    assert ordinary is not None and ordinary.status == "done", "0.05 is the paper's rate: its ordinary run"
    assert {record.status for record in trained(context)} == {"done", "partial"}


def test_a_trial_whose_process_died_is_resumed_and_counted_once(search, context):
    asked = search()
    with pytest.raises(Killed):
        work(asked, replace(context, observers=(Interrupted(2),)))
    folder = sweep_folder(asked, context)
    assert [one.state for one in read_trials(folder)] == ["running"]
    work(asked, context)
    trials = read_trials(folder)
    assert [one.state for one in trials] == ["done"] * 3
    assert sorted(record.resumed for record in trained(context)) == [0, 0, 1]
    assert all(set(one.curve) == {1, 2, 3} for one in trials)


def test_a_trial_of_a_living_process_is_left_alone(search, context):
    asked = search()
    trials = SharedTrials(asked, sweep_folder(asked, context), context.say)
    first, second = trials.next(), trials.next()
    assert first is not None and second is not None and (first.number, second.number) == (0, 1)
    first.leave()
    again = trials.next()
    assert again is not None and (again.number, again.values) == (0, first.values), "taken over"
    third = trials.next()
    assert third is not None and third.number == 2
    assert trials.next() is None, "three were asked for"
    second.leave()
    second.leave()
    taken = trials.next()
    assert taken is not None and taken.number == 1


def test_more_trials_continue_and_random_ones_do_not_depend_on_who_asks(search, context, tmp_path):
    line = "training.optimizer.learning_rate=1e-4..1e-1:log"
    few, many = (search(line, sampler="random", trials=n) for n in (2, 4))
    assert sweep_folder(few, context) == sweep_folder(many, context)

    def drawn(asked, folder, times):
        found = []
        for _ in range(times):
            worked = SharedTrials(asked, folder, context.say).next()
            assert worked is not None
            found.append(worked.values["training.optimizer.learning_rate"])
            worked.done(0.5)
        return found

    first = drawn(few, tmp_path / "a", 2)
    assert SharedTrials(few, tmp_path / "a", context.say).next() is None
    assert drawn(many, tmp_path / "b", 4) == first + drawn(many, tmp_path / "a", 2)
    assert len(set(first)) == 2 and all(1e-4 <= one <= 1e-1 for one in first)


def test_tpe_draws_where_earlier_trials_were_good(search, context):
    asked = search("training.optimizer.learning_rate=0.001..1.0", sampler="tpe", trials=40)
    folder = sweep_folder(asked, context)
    for _ in range(40):
        worked = SharedTrials(asked, folder, context.say).next()
        assert worked is not None
        worked.done(1 - abs(worked.values["training.optimizer.learning_rate"] - 0.2))
    rates = [one.values["training.optimizer.learning_rate"] for one in read_trials(folder)]
    assert sum(abs(rate - 0.2) < 0.1 for rate in rates[20:]) >= 9, (
        "of 20; 4 are expected at random, 9 or more once in 100"
    )


def test_a_trial_below_the_median_is_pruned_and_its_record_says_so(search, context):
    good = ",".join(f"0.05{k}" for k in range(5))
    asked = search(f"training.optimizer.learning_rate={good},1e-7", prune=True)
    work(asked, context)
    trials = read_trials(sweep_folder(asked, context))
    assert trials[-1].state == "pruned" and trials[-1].value is None and max(trials[-1].curve) < 3
    plan = asked.plans(asked.setting(trials[-1].values))[0]
    stored = StoredRun(plan, context)
    record = read_record(stored.folder / RECORD_NAME)
    assert record.status == "pruned" and "below the median" in record.error
    assert [entry.epoch for entry in record.history] == sorted(trials[-1].curve)
    assert record.metrics["validation"].accuracy == trials[-1].curve[max(trials[-1].curve)]
    assert "pruned" in {one.state for one in run_statuses(context.results)}
    whole = sweep_record(asked, context, trials, [])
    assert whole.settings_tried == 6 and whole.trials[-1].state == "pruned"
    assert stored.done_here() is None and stored.state == "resumable"
    done = run(plan, context)
    assert done.record.status == "partial" and done.record.resumed == 1 and len(done.record.history) == 3
    assert read_record(stored.folder / RECORD_NAME).status == "partial"


def test_a_pruned_record_without_checkpoints_is_trained_again(search, context, tmp_path):
    asked = search("training.optimizer.learning_rate=0.04")
    plan = asked.plans(asked.setting({"training.optimizer.learning_rate": "0.04"}))[0]

    class Stop(Interrupted):
        def epoch(self, run, history):
            raise RunPruned("pruned: as a test")

    with pytest.raises(RunPruned):
        run(plan, replace(context, observers=(Stop(1),)))
    stored = StoredRun(plan, context)
    for path in sorted((stored.folder / "checkpoints").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert stored.done_here() is None and stored.needs_training()
    assert run(plan, context).record.resumed == 0


def test_settings_that_do_not_go_together_fail_alone(search, context):
    asked = search("training.optimizer.learning_rate=0.05,0.01", "training.schedule.factor=0.5,0.25", trials=2)
    folder = sweep_folder(asked, context)
    worked = SharedTrials(asked, folder, context.say).next()
    assert worked is not None
    worked.failed()
    work(asked, context)
    record = sweep_record(asked, context, read_trials(folder), [])
    assert [one.state for one in record.trials] == ["failed", "done"] and record.settings_tried == 2
    assert record.best is not None and record.best.trial == 2


def test_a_last_line_that_was_not_finished_is_cut_off(search, context):
    asked = search()
    folder = sweep_folder(asked, context)
    worked = SharedTrials(asked, folder, context.say).next()
    assert worked is not None
    worked.done(0.5)
    with (folder / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    again = SharedTrials(asked, folder, context.say).next()
    assert again is not None and again.number == 1
    assert all(json.loads(line) for line in (folder / "journal.log").read_text().splitlines())


def test_the_claim_of_a_trial_is_gone_when_it_has_ended(search, context):
    asked = search(RATES, trials=1)
    work(asked, context)
    folder = sweep_folder(asked, context)
    assert not list(folder.rglob("claim-*")) and not list((folder / "trials").iterdir())
    claim = take(folder / "trials" / "0")
    assert not hasattr(claim, "host")
    claim.release()  # type: ignore[union-attr]

"""repro.trackers.tracker: what trackers get, in order and once; one that fails stops nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tiny_runs import Killed, stop_at

from repro.runs.observer import ObservedRun
from repro.trackers.logged_run import end_values, recorded
from repro.trackers.names import TrackerError, installed
from repro.trackers.tracker import TrackerObserver


class Noted:
    """A tracker that notes its calls."""

    def __init__(self, fail_at=None):
        self.runs, self.calls, self.fail_at = [], [], fail_at

    def begin(self, run):
        self.runs.append(run)
        return self

    def epoch(self, epoch, values):
        print("a tracker that prints")
        if epoch == self.fail_at:
            raise RuntimeError("no disk left\nand more")
        self.calls.append((epoch, dict(values)))

    def end(self, values, status):
        self.calls.append((status, dict(values)))


def observed(do, outcome):
    return ObservedRun(do.plan(), outcome.folder, outcome.folder.relative_to(do.results / "runs").as_posix())


def test_a_run_is_sent_as_it_trains_and_from_its_record_alike(do, capsys):
    live = Noted()
    outcome = do(observers=(TrackerObserver("noted", live, do.said.append),))
    assert [call[0] for call in live.calls] == [1, 2, 3, "done"]
    assert live.calls[0][1]["validation/accuracy"] == outcome.record.history[0].splits["validation"].accuracy
    assert live.calls[-1][1] == end_values(outcome.record) and "reported/test/accuracy" in live.calls[-1][1]
    assert "a tracker that prints" not in capsys.readouterr().out, "standard output holds the answer"
    later = Noted()
    place = observed(do, outcome).place
    TrackerObserver("noted", later, do.said.append).finished(place, outcome.record)
    assert later.calls == live.calls and later.runs == live.runs == [recorded(place, outcome.record)]
    assert live.runs[0].config["training.optimizer.learning_rate"] == 0.05 and live.runs[0].config["seed"] == 0


def test_a_process_that_resumes_a_run_sends_it_from_the_beginning(do):
    with pytest.raises(Killed):
        do(report=stop_at(2))
    live = Noted()
    do(observers=(TrackerObserver("noted", live, do.said.append),))
    assert [call[0] for call in live.calls] == [1, 2, 3, "done"] and len(live.runs) == 1


def test_a_tracker_that_fails_is_named_once_and_the_run_ends(do):
    bad, good = Noted(fail_at=2), Noted()
    observers = tuple(TrackerObserver(name, one, do.said.append) for name, one in (("bad", bad), ("good", good)))
    outcome = do(observers=observers)
    assert outcome.record.status == "done"
    said = [line for line in do.said if "bad" in line]
    assert said == ["bad: no disk left; nothing more is sent to it, and the runs continue"]
    assert [call[0] for call in bad.calls] == [1] and [call[0] for call in good.calls] == [1, 2, 3, "done"]


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow", "trackio"])
def test_a_tracker_that_is_not_installed_is_named(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(TrackerError, match=rf"{name}: the package \w+ is missing: pip install \"fer-repro\[{name}\]\""):
        installed(name)


def test_nothing_is_imported_unless_asked():
    packages = ("tensorboardX", "wandb", "mlflow", "trackio", "optuna")
    code = (
        f"import sys, repro.cli.run, repro.cli.sweep, repro.trackers.tracker\nprint(*{packages} & sys.modules.keys())"
    )
    code = code.replace(str(packages), f"set({packages})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr

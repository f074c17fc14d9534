"""Real processes that are killed with SIGKILL, and started again with the same command.

Every kill is made in a state of the file system that was looked for and seen: the process is stopped first, looked at
again, and killed only if it still stands where it was to be killed; otherwise it goes on and is caught later.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_runs import fill_folder, process_environment

from fer_jax.train.checkpoint import Checkpoints
from fer_jax.train.engine import Engine
from fer_jax.vocabulary.network import Network
from repro.runs.record_files import RecordError
from repro.runs.stored_records import read_record
from repro.specs.decode import load_spec
from repro.use.trained import find_trained

ROOT = Path(__file__).parents[2]
EPOCHS = 20  # many chances to meet a moment: a write takes some hundredths of a second
SIZE = 16
SETTINGS = {"size": SIZE, "units": 128, "batch_size": 4, "learning_rate": 0.006}
TIMEOUT_S = 240


class Command:
    """``repro run`` of the tiny paper, as a user types it."""

    def __init__(self, folder, results):
        self.folder, self.results = folder, folder / results
        self.environment = process_environment()

    def start(self, *more):
        arguments = ["./tiny.toml", "--device", "cpu", "--data", "tiny.npz", "--results", str(self.results), *more]
        command = [sys.executable, "-m", "repro", "run", *arguments]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def finish(self):
        assert self.start().wait(TIMEOUT_S) == 0, (self.folder / "log").read_text()

    def kill_when(self, ready, *more):
        """Run until `ready`, then SIGKILL. Returns nothing; fails if the run ends before."""
        before = self.records()
        process = self.start(*more)
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while time.monotonic() < deadline:
                assert process.poll() is None, f"it ended first: {(self.folder / 'log').read_text()}"
                if ready(self):
                    process.send_signal(signal.SIGSTOP)
                    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
                    if ready(self):
                        return
                    process.send_signal(signal.SIGCONT)
                time.sleep(0.0005)
            raise AssertionError("the moment to kill never came")
        finally:
            process.kill()
            process.wait()
            assert self.records() == before, "killed before the record was written"

    def records(self):
        """The content of every record."""
        return [path.read_bytes() for path in self.results.glob("runs/*/*/*/*/*/*/run.json")]

    def run_folder(self):
        (folder,) = self.results.glob("runs/tiny/default/cpu/*/*/seed-0")
        return folder

    def names(self, which):
        """(finished epochs, unfinished ones) in a folder of checkpoints."""
        try:
            (folder,) = self.results.glob(f"runs/tiny/default/cpu/*/*/seed-0/checkpoints/{which}")
            found = os.listdir(folder)
        except (ValueError, FileNotFoundError):  # not there yet, or this moment cleared
            found = []
        finished = sorted(int(name) for name in found if name.isdigit())
        return finished, [name for name in found if re.match(r"\d+\D", name)]


def complete(command, epoch):
    """Whether the last checkpoint of the epoch is there with its digest, which is written after it."""
    try:
        return f'"last/{epoch}"' in (command.run_folder() / "checkpoints" / "digests.json").read_text()
    except (ValueError, FileNotFoundError):
        return False


def first_checkpoint(command):
    return command.names("last")[0] == [1] and complete(command, 1)


def within_an_epoch(command):
    """The third epoch, or a later one, is trained or evaluated: the one before is written, and no other is."""
    finished, unfinished = command.names("last")
    _, best_unfinished = command.names("best")
    if not finished or finished[-1] < 2 or unfinished or best_unfinished or not complete(command, finished[-1]):
        return False
    try:
        written = (command.run_folder() / "checkpoints" / "last" / str(finished[-1])).stat().st_ctime
    except FileNotFoundError:
        return False
    return time.time() - written > 0.02


def write_of_last(command):
    """The fourth epoch's checkpoint, or a later one's, is half written."""
    finished, unfinished = command.names("last")
    return bool(unfinished) and bool(finished) and finished[-1] >= 3 and complete(command, finished[-1])


def write_of_the_first(command):
    _, unfinished = command.names("best")
    return bool(unfinished) and command.names("last") == ([], [])


@pytest.fixture
def tiny(tmp_path, tiny_paper, tiny_faces):
    """A paper and a dataset for which an epoch takes a few tenths of a second."""
    fill_folder(tmp_path, tiny_paper, tiny_faces, epochs=EPOCHS, **SETTINGS)
    return tmp_path


def parameters(command):
    """All arrays of the last and of the best checkpoint."""
    spec = load_spec(command.folder / "tiny.toml").resolve("default")
    network = Network(spec.model.layers, spec.training, SIZE, divide=255.0)
    like = Engine(network, jax.devices("cpu")[:1]).init_state(0)
    checkpoints = Checkpoints(command.run_folder() / "checkpoints")
    found = {name: checkpoints.restore(name, like) for name in ("last", "best")}
    checkpoints.close()
    return {name: [np.asarray(leaf) for leaf in jax.tree.leaves(one[0])] for name, one in found.items() if one}


def record(command):
    return read_record(command.run_folder() / "run.json")


def assert_same_result(one, other):
    """Parameters, optimizer state, history, figures, predictions: bit for bit."""
    found, expected = parameters(one), parameters(other)
    assert set(found) == set(expected) == {"last", "best"}
    for name, leaves in expected.items():
        assert len(leaves) == len(found[name])
        for leaf, of_found in zip(leaves, found[name], strict=True):
            assert leaf.tobytes() == of_found.tobytes() and leaf.dtype == of_found.dtype
    of_one, of_other = record(one), record(other)
    for field in ("history", "best", "metrics", "reported_epoch", "status", "parameters"):
        assert getattr(of_one, field) == getattr(of_other, field), field
    with (
        np.load(one.run_folder() / "predictions.npz") as arrays,
        np.load(other.run_folder() / "predictions.npz") as expected_arrays,
    ):
        assert set(arrays) == set(expected_arrays)
        for name in arrays:
            np.testing.assert_array_equal(arrays[name], expected_arrays[name])


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(tiny):
    whole = Command(tiny, "whole")
    whole.finish()
    killed = Command(tiny, "killed")
    for moment in (write_of_the_first, first_checkpoint, within_an_epoch, write_of_last):
        killed.kill_when(moment)
    killed.finish()
    assert (record(killed).resumed, record(whole).resumed) == (3, 0)  # the first kill left nothing to go on from
    rates = {entry.learning_rate for entry in record(whole).history}
    assert len(record(whole).history) == EPOCHS and len(rates) > 1, "the schedule must have changed the rate"
    assert_same_result(killed, whole)


@pytest.mark.slow
def test_a_fresh_run_that_was_killed_over_an_older_record_is_resumed(tiny, tiny_paper):
    """Until it has ended, the older record stands with its own predictions, and its network is gone."""
    tiny_paper(drawn=True, epochs=6, **SETTINGS)
    command = Command(tiny, "again")
    command.finish()
    older, predictions = record(command), (command.run_folder() / "predictions.npz").read_bytes()
    command.kill_when(first_checkpoint, "--fresh")
    assert record(command) == older
    assert (command.run_folder() / "predictions.npz").read_bytes() == predictions
    with pytest.raises(RecordError, match=r"has not ended; finish it with `repro run ./tiny.toml --device cpu`"):
        find_trained(command.results, run=str(command.run_folder()))
    command.finish()
    newer = record(command)
    assert newer.resumed == 1 and newer.finished > older.finished and newer.history == older.history
    assert set(parameters(command)) == {"last", "best"}
    assert not (command.run_folder() / "checkpoints" / "identity.json").exists()
    assert find_trained(command.results) == command.run_folder()

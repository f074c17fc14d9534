"""`repro run --coordinator`: real processes that share every batch over Gloo, as hosts would over a network."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from click.testing import CliRunner
from tiny_runs import fill_folder
from two_hosts import TwoHosts

from repro.cli.main import main
from repro.runs.batch import run_in
from repro.runs.dataset import open_dataset
from repro.runs.plan import make_plan
from repro.runs.records import Overrides
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun
from repro.runs.stored_records import find_records
from repro.specs.decode import load_spec

RESUMES = "started again on every host, the run resumes from its last checkpoint"
ADDRESS = ("--coordinator", "gpu1:9911")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--processes", "2"), "need --coordinator"),
        (("--process-id", "0"), "need --coordinator"),
        (("--coordinator", "auto", "--processes", "2"), "omit --processes and --process-id"),
        ((*ADDRESS, "--processes", "2"), "needs --processes N and --process-id K"),
        ((*ADDRESS, "--process-id", "1"), "needs --processes N and --process-id K"),
        ((*ADDRESS, "--processes", "2", "--process-id", "2"), "--process-id 2: --processes 2 are numbered from 0"),
        ((*ADDRESS, "--processes", "0", "--process-id", "0"), "not in the range"),
        *(
            (("--coordinator", address, "--processes", "2", "--process-id", "1"), "write auto, or HOST:PORT")
            for address in ("gpu1", "gpu1:", ":9911", "gpu1:0", "gpu1:65536", "::1:9911", "http://gpu1:9911", "a b:1")
        ),
    ],
)
@pytest.mark.parametrize("command", ["run chavan2020", "run-all"])
def test_options_that_do_not_fit(command, words, said):
    result = CliRunner().invoke(main, [*command.split(), *words])
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.fixture
def hosts(tmp_path, tiny_paper, tiny_faces):
    fill_folder(tmp_path, tiny_paper, tiny_faces, epochs=5, batch_size=32, learning_rate=0.02)
    started = TwoHosts(tmp_path)
    yield started
    started.stop()


def in_one_process(folder, seeds):
    """The records of the same runs on two devices of this process, and the runs' places."""
    context = RunContext(
        open_dataset(str(folder / "tiny.npz")), jax.devices("cpu")[:2], folder / "one", seeds_at_once=2
    )
    loaded = load_spec(folder / "tiny.toml")
    plans = [make_plan(loaded, variant="default", seed=seed, overrides=Overrides()) for seed in range(seeds)]
    return run_in(context, plans), [StoredRun(plan, context) for plan in plans]


def numbers(value, place=""):
    """Every number of a record's part, by its place."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(one, f"{place}/{key}")
    elif value is not None:
        yield place, value


def same_history(one, other):
    a, b = (json.loads((folder / "run.json").read_bytes()) for folder in (one, other))
    for part in ("history", "best", "metrics"):
        assert dict(numbers(a[part])) == pytest.approx(dict(numbers(b[part])), abs=1e-5), part


def folders(results):
    return sorted(path.parent for path, _ in find_records(results))


def few_steps(folder, tiny_paper, faces):
    """In place of the paper of `hosts`: what compiles in a second, and few steps, because two processes that wait for
    each other 10 times per step are slow on busy cores."""
    tiny_paper(epochs=2, batch_size=64)
    np.savez(folder / "tiny.npz", images=faces.images, labels=faces.labels, usage=np.arange(len(faces)) % 3)


def test_two_processes_give_what_two_devices_of_one_give(hosts, tiny_paper, tiny_faces):
    few_steps(hosts.folder, tiny_paper, tiny_faces(384, size=48))
    compare_with_one_process(hosts, 1)


@pytest.mark.slow
def test_so_do_seeds_side_by_side(hosts):
    """Two together, and then one alone."""
    compare_with_one_process(hosts, 3, "--seeds-at-once", "2")


def compare_with_one_process(hosts, seeds, *more):
    hosts.start("--seeds", str(seeds), *more, "--json")
    (code, out, err), (code_1, out_1, err_1) = hosts.end(0), hosts.end(1)
    assert (code, code_1) == (0, 0), err + err_1
    assert "process 0 of 2, 2 devices in all" in err and "process 1 of 2" in err_1
    shown = json.loads(out)  # nothing else is on standard output
    assert (len(shown["runs"]), out_1) == (seeds, "")
    assert shown["runs"][0]["device"] | {"name": ""} == {
        **{"kind": "cpu", "name": "", "count": 2, "hosts": 2},
        "host_cores": shown["runs"][0]["device"]["host_cores"],
    }
    assert sorted(path.name for path in (hosts.folder / "elsewhere").rglob("*")) == [], "one process alone writes"

    _, stored = in_one_process(hosts.folder, seeds)
    shared = folders(hosts.results)
    assert [one.folder.relative_to(hosts.folder / "one") for one in stored] == [
        folder.relative_to(hosts.results) for folder in shared
    ]
    for one, folder in zip(stored, shared, strict=True):
        same_history(folder, one.folder)
        assert one._look(folder)[0] == "done", "the same identity"


def saved(results, epoch):
    return any(results.glob(f"runs/*/*/*/*/*/seed-0/checkpoints/last/[{epoch}-9]"))


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_host_that_is_killed_ends_the_other_and_both_resume(hosts, killed):
    hosts.start()
    while not saved(hosts.results, 2):
        assert hosts.processes[0].poll() is None, hosts.end(0)
        time.sleep(0.01)
    hosts.processes[killed].kill()
    code, _, err = hosts.end(1 - killed, within_s=60)
    assert code == 1
    assert err.rstrip().splitlines()[-1].startswith("error: another host ended") and RESUMES in err
    assert "Traceback" not in err and "stack trace" not in err
    assert list(find_records(hosts.results)) == []

    hosts.start()
    hosts.finish()
    ((path, record),) = find_records(hosts.results)
    assert record.resumed == 1
    _, (whole,) = in_one_process(hosts.folder, 1)
    same_history(path.parent, whole.folder)


@pytest.mark.slow
def test_what_differs_or_cannot_be_is_said_by_both_and_nothing_hangs(hosts, tiny_faces):
    others, usage = tiny_faces(300, seed=5, size=48), np.repeat(np.arange(3, dtype=np.uint8), 100)
    np.savez(hosts.folder / "other.npz", images=others.images, labels=others.labels, usage=usage)
    for data, said in (
        (("tiny.npz", "other.npz"), "process 1: its dataset is"),
        (("tiny.npz", "none.npz"), "none.npz"),
    ):
        hosts.start(data=data)
        for number in (0, 1):
            code, _, err = hosts.end(number)
            assert (code, said in err) == (2, True), err
    assert list(find_records(hosts.results)) == [], "a host that lacks the data is no failed run"
    hosts.start("--variant", "nowhere")
    for number in (0, 1):
        code, _, err = hosts.end(number)
        assert code == 2 and "no variant 'nowhere'" in err


@pytest.mark.slow
def test_a_run_that_the_first_host_cannot_resume_fails_alone(hosts):
    """The other host gives it up too, and both train the next one."""
    hosts.start()
    while not saved(hosts.results, 2):
        assert hosts.processes[0].poll() is None, hosts.end(0)
        time.sleep(0.01)
    hosts.stop()
    for path in hosts.results.glob("runs/*/*/*/*/*/seed-0/checkpoints/last/*/state/manifest.ocdbt"):
        path.write_bytes(b"damaged")
    hosts.start("--seeds", "2")
    (code, _, err), (code_1, _, err_1) = hosts.end(0), hosts.end(1)
    assert (code, code_1) == (1, 1), err + err_1
    assert "seed 0: FAILED" in err and "start again with --fresh" in err
    assert "the first host gave the run up" in err_1 and "cannot be used (damaged" in err_1
    assert {record.seed: record.status for _, record in find_records(hosts.results)} == {0: "failed", 1: "done"}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds a process in the list of Linux")
def test_a_host_that_hangs_ends_the_other(hosts):
    """As if its network were gone: nothing closes, but no heartbeat comes."""
    hosts.start()
    while not saved(hosts.results, 2):
        assert hosts.processes[0].poll() is None, hosts.end(0)
        time.sleep(0.01)
    (worker,) = children(hosts.processes[1].pid)
    os.kill(worker, signal.SIGSTOP)
    code, _, err = hosts.end(0, within_s=60)
    os.kill(worker, signal.SIGCONT)
    assert code == 1
    assert err.rstrip().splitlines()[-1].startswith("error: another host ended") and RESUMES in err
    assert hosts.end(1, within_s=60)[0] == 1


def children(pid):
    """Process numbers, from the list of processes: its fourth field is the parent."""
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat")]
    return [int(one.split()[0]) for one in stats if int(one.rpartition(")")[2].split()[1]) == pid]

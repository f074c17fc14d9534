"""Many runs at once: failures stay visible, done work is skipped, synthetic data is said loudly."""

import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import draw_tiny_faces
from tiny_paper import write_tiny

from fer_jax.data.faces import concatenate
from repro.cli.main import main
from repro.runs import batch, runner
from repro.runs.plan import RunPlan
from repro.runs.runner import run_free
from repro.runs.stored_records import find_records, read_record
from repro.specs import catalog

# 48 pixels, since a spec's data steps start from FER-2013's size.
SIZE = 48


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Training and PrivateTest rows, none of PublicTest."""
    faces = concatenate([draw_tiny_faces(40, size=SIZE), draw_tiny_faces(14, size=SIZE, usage=2)])
    path = tmp_path / "faces.npz"
    np.savez(path, images=faces.images, labels=faces.labels, usage=faces.usage)
    return path


@pytest.fixture
def two_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of two papers, of which the first needs rows that the dataset does not have."""
    folder = tmp_path / "papers"
    for name, usage in (("aaa", "PublicTest"), ("bbb", "PrivateTest")):
        (folder / name).mkdir(parents=True)
        path = write_tiny(
            folder / name, ('id = "tiny"', f'id = "{name}"'), ('test = ["PrivateTest"]', f'test = ["{usage}"]')
        )
        path.rename(folder / f"{name}.toml")
    monkeypatch.setattr(catalog, "papers_folder", lambda: folder)
    return folder


def _call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def test_run_all_goes_on_after_a_failed_run_and_exits_1(two_papers: Path, data: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    done = _call("run-all", "--data", data, "--results", results, "--device", "cpu", "--epochs", 1, "--json")
    assert done.exit_code == 1
    failed, partial = json.loads(done.stdout)["runs"]
    assert (failed["paper"], failed["status"]) == ("aaa", "failed")
    assert "split_by_usage" in failed["error"]
    assert (partial["paper"], partial["status"]) == ("bbb", "partial")
    assert [record.status for _, record in find_records(results)] == ["failed", "partial"]
    report = _call("report", "--results", results)
    assert report.exit_code == 0
    assert "left without samples" in (results / "aaa.md").read_text(encoding="utf-8")
    assert _call("report", "--results", results, "--check").exit_code == 0


def test_a_single_run_that_does_not_fit_its_data_is_an_input_error(
    two_papers: Path, data: Path, tmp_path: Path
) -> None:
    done = _call("run", "aaa", "--data", data, "--results", tmp_path / "results", "--device", "cpu")
    assert done.exit_code == 2
    assert "split_by_usage" in done.stderr
    assert done.stdout == ""


def test_a_run_that_was_done_is_skipped_with_a_word(data: Path, tmp_path: Path) -> None:
    words = ("run", write_tiny(tmp_path), "--data", data, "--results", tmp_path / "results", "--device", "cpu")
    first = _call(*words)
    again = _call(*words)
    fresh = _call(*words, "--fresh")
    assert first.exit_code == again.exit_code == fresh.exit_code == 0
    assert "done already" not in first.stderr
    assert "done already" in again.stderr
    assert "done already" not in fresh.stderr


def test_too_few_rows_name_the_remedy(data: Path, tmp_path: Path) -> None:
    paper = write_tiny(tmp_path, ("epochs = 5", 'epochs = 5\nlast_batch = "drop"'))
    done = _call("run", paper, "--data", data, "--results", tmp_path, "--device", "cpu", "--limit-train", 3)
    assert done.exit_code == 2
    assert "3 training samples are fewer than one batch of 4" in done.stderr


def test_a_gpu_that_is_not_there_is_an_error_with_a_hint(data: Path, tmp_path: Path) -> None:
    if any(device.platform != "cpu" for device in jax.devices()):
        pytest.skip("this machine has a GPU")
    done = _call("run", write_tiny(tmp_path), "--data", data, "--results", tmp_path, "--device", "gpu")
    assert done.exit_code == 2
    assert "cuda12" in done.stderr


def test_synthetic_faces_are_said_on_screen_in_the_record_and_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.runs.dataset.SYNTHETIC_SHARE", 400)
    monkeypatch.setenv("FER_JAX_CACHE", str(tmp_path / "empty"))
    results = tmp_path / "results"
    done = _call("run", write_tiny(tmp_path), "--results", results, "--device", "cpu", "--epochs", 1)
    assert done.exit_code == 0
    assert "SYNTHETIC" in done.stderr
    ((_, record),) = find_records(results)
    assert record.data.synthetic
    assert record.data.name == "synthetic"
    _call("report", "--results", results)
    assert "SYNTHETIC" in (results / "tiny.md").read_text(encoding="utf-8")


def test_seeds_share_programs_of_the_size_asked_for(data: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    words = ("run", write_tiny(tmp_path), "--data", data, "--results", results, "--device", "cpu", "--seeds", 3)
    done = _call(*words, "--seeds-at-once", 2, "--json")
    assert done.exit_code == 0
    assert [(r["seed"], r["seeds_at_once"]) for r in json.loads(done.stdout)["runs"]] == [(0, 2), (1, 2), (2, 1)]
    assert "[1-2/3] tiny default seeds 0 to 1" in done.stderr and "for 2 seeds at once" in done.stderr
    assert "[3/3] tiny default seed 2" in done.stderr
    records = [record for _, record in find_records(results)]
    assert len({record.history[0].train.loss for record in records}) == 3
    first, second, third = (record.time for record in records)
    assert first.wall_s is not None and second.first_step_s is not None and third.first_step_s is not None
    assert first.wall_s > 1.5 * first.total_s
    assert second.first_step_s > 0 < third.first_step_s
    again = _call(*words, "--seeds-at-once", 3)
    assert again.stderr.count("done already") == 3


def test_seeds_that_do_not_fit_together_are_split_up(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def without_memory(plans: list[RunPlan], *given: Any, **more: Any) -> Any:
        if len(plans) == 1:
            return run_free(plans, *given, **more)
        tried.append([plan.seed for plan in plans])
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory\nand a long table")

    monkeypatch.setattr(batch, "run_free", without_memory)
    results = tmp_path / "results"
    words = ("--data", data, "--results", results, "--device", "cpu", "--seeds", 3, "--seeds-at-once", 3)
    done = _call("run", write_tiny(tmp_path), *words)
    assert done.exit_code == 0
    assert tried == [[0, 1, 2], [1, 2]]
    assert done.stderr.count("RESOURCE_EXHAUSTED: out of memory\n") == 2
    assert [(r.seed, r.status, r.seeds_at_once) for _, r in find_records(results)] == [
        (seed, "done", 1) for seed in range(3)
    ]


def test_a_precision_that_the_device_does_not_have_is_an_input_error(data: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    words = ("run", write_tiny(tmp_path), "--data", data, "--results", results, "--device", "cpu", "--precision")
    done = _call(*words, "bfloat16")
    assert done.exit_code == 2 and "on a CPU there is only float32" in done.stderr
    assert not results.exists()
    assert _call(*words, "float32").exit_code == 0
    assert "done already" in _call(*words[:-1]).stderr, "the default is not another run"


# A rate at which the parameters stay where they were drawn.
STILL = ("learning_rate = 0.1", "learning_rate = 1e-12")


def test_a_network_that_learns_nothing_fails_early_and_is_a_row(data: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    paper = write_tiny(tmp_path, STILL, ("epochs = 5", "epochs = 12"))
    words = ("run", paper, "--data", data, "--results", results, "--device", "cpu", "--json")
    done = _call(*words)
    assert done.exit_code == 1 and "FAILED: not above the constant answer in 10 epochs" in done.stderr
    (record,) = json.loads(done.stdout)["runs"]
    assert (record["status"], record["failed_epoch"], record["failed_step"]) == ("failed", 10, 99)
    assert len(record["history"]) == 10 and record["metrics"] == {}
    assert _call("report", "--results", results).exit_code == 0
    assert "not above the constant answer" in (results / "tiny.md").read_text(encoding="utf-8")
    again = _call(*words)
    assert again.exit_code == 1 and "as before, --fresh trains it again" in again.stderr
    assert json.loads(again.stdout)["runs"][0]["started"] == record["started"], "the same record, not another run"
    whole = _call(*words, "--keep-going")
    assert whole.exit_code == 0
    (kept,) = json.loads(whole.stdout)["runs"]
    assert (kept["status"], kept["failed_epoch"], len(kept["history"])) == ("done", None, 12)
    assert kept["history"][:10] == record["history"] and kept["spec_sha256"] == record["spec_sha256"]
    assert "done already" in _call(*words).stderr, "the option is no part of what makes two runs the same"


def test_only_the_first_run_of_a_process_counts_from_its_start(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over several calls of `run_in`, which `repro explain` makes."""
    monkeypatch.setattr(batch, "_process_start", [time.perf_counter() - 1000])
    words = (
        "run",
        write_tiny(tmp_path),
        "--data",
        data,
        "--results",
        tmp_path / "results",
        "--device",
        "cpu",
        "--json",
    )
    first, second = (json.loads(_call(*words, "--epochs", n).stdout)["runs"][0]["time"]["first_step_s"] for n in (1, 2))
    assert first > 1000 > second > 0


def test_a_later_batch_of_a_process_counts_from_its_own_start(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its runs does, also if the first batch trained nothing."""
    words = ("run", write_tiny(tmp_path), "--data", data, "--results", tmp_path / "results", "--device", "cpu")
    assert _call(*words).exit_code == 0
    monkeypatch.setattr(batch, "_process_start", [time.perf_counter() - 1000])
    assert "done already" in _call(*words).stderr
    began = time.perf_counter()
    later = json.loads(_call(*words, "--seeds", 3, "--json").stdout)["runs"][1:]
    took_s = time.perf_counter() - began
    assert sum(run["time"]["first_step_s"] for run in later) < took_s
    for run in later:
        assert 0 < run["time"]["first_step_s"] < run["time"]["wall_s"] + 1


# --- records that cannot be read, and failures beside good ones -----------------------------------------------------


@pytest.mark.filterwarnings("ignore::repro.runs.record_files.RecordWarning")  # the card names the kept one
@pytest.mark.parametrize("fresh", [True, False])
def test_a_corrupt_record_is_kept_aside_with_a_word_or_replaced_by_a_fresh_run(
    data: Path, tmp_path: Path, fresh: bool
) -> None:
    results = tmp_path / "results"
    words = ("run", write_tiny(tmp_path), "--data", data, "--results", results, "--device", "cpu", "--epochs", 1)
    assert _call(*words).exit_code == 0
    (path,) = results.rglob("run.json")
    good = read_record(path)
    path.write_bytes(path.read_bytes()[:100])
    done = _call(*words, *(["--fresh"] if fresh else []))
    assert done.exit_code == 0
    kept = path.parent.with_name("seed-0-before-unreadable")
    said = f"{path}: not a run record of format 1: Input data was truncated; it is kept beside it in {kept.name}"
    assert (said in done.stderr.splitlines(), (kept / "run.json").exists()) == (not fresh, not fresh)
    assert read_record(path).history == good.history
    assert "done already" in _call(*words).stderr


def _out_of_memory(*_: object, **__: object) -> None:
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")


def test_a_failure_leaves_a_good_older_record_and_says_so(data: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    words = ("run", write_tiny(tmp_path), "--data", data, "--results", results, "--device", "cpu", "--json")
    assert _call(*words).exit_code == 0
    (path,) = results.rglob("run.json")
    good, predictions = path.read_bytes(), path.with_name("predictions.npz").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "fit_seeds", _out_of_memory)
        done = _call(*words, "--fresh")
    assert done.exit_code == 1 and "the older record is kept" in done.stderr
    assert [run["status"] for run in json.loads(done.stdout)["runs"]] == ["failed"]
    assert (path.read_bytes(), path.with_name("predictions.npz").read_bytes()) == (good, predictions)
    failure = read_record(path.with_name("failed.json"))
    assert failure.status == "failed" and "RESOURCE_EXHAUSTED" in failure.error
    again = _call(*words)
    assert again.exit_code == 0 and "done already" not in again.stderr, "the network of the older record is gone"
    assert not path.with_name("failed.json").exists()


def test_a_failure_without_a_good_record_is_a_row_of_the_report(data: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    words = ("run", write_tiny(tmp_path), "--data", data, "--results", results, "--device", "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "fit_seeds", _out_of_memory)
        for _ in range(2):  # the second time over the first failure
            assert _call(*words).exit_code == 1
    assert [record.status for _, record in find_records(results)] == ["failed"]
    assert not list(results.rglob("failed.json"))
    assert _call("report", "--results", results).exit_code == 0
    assert "RESOURCE_EXHAUSTED" in (results / "tiny.md").read_text(encoding="utf-8")
    assert _call(*words).exit_code == 0


def test_an_error_of_the_input_leaves_good_records_of_the_same_folder(data: Path, tmp_path: Path) -> None:
    """The paper is edited so that it needs samples that are not there; the network of the old run can still be used."""
    results = tmp_path / "results"
    words = ("--data", data, "--results", results, "--device", "cpu", "--seeds", 2)
    assert _call("run", write_tiny(tmp_path), *words).exit_code == 0
    before = {path: path.read_bytes() for path in results.rglob("run.json")}
    edited = write_tiny(tmp_path, ('test = ["PrivateTest"]', 'test = ["PublicTest"]'))
    done = _call("run", edited, *words)
    assert done.exit_code == 1 and done.stderr.count("the older record is kept") == 2
    assert {path: path.read_bytes() for path in results.rglob("run.json")} == before
    assert len(list(results.rglob("failed.json"))) == 2
    assert "done already" in _call("run", write_tiny(tmp_path), *words).stderr


@pytest.mark.parametrize("error", [NotImplementedError, RecursionError, RuntimeError])
def test_a_programming_error_is_no_row(
    error: type[Exception], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error("a bug")

    monkeypatch.setattr(runner, "fit_seeds", broken)
    monkeypatch.setenv("REPRO_TRACEBACK", "1")
    results = tmp_path / "results"
    with pytest.raises(error, match="a bug"):
        _call("run", write_tiny(tmp_path), "--data", data, "--results", results, "--device", "cpu", "--seeds", 2)
    assert not list(results.rglob("run.json"))


def test_what_the_system_refuses_is_one_line_and_the_next_run_is_done(
    two_papers: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the second paper cannot be made, because a file has its name; the other paper fails by its data."""
    results = tmp_path / "results"
    (results / "runs").mkdir(parents=True)
    (results / "runs" / "aaa").write_text("")
    words = ("--data", data, "--results", results, "--device", "cpu", "--epochs", 1)
    done = _call("run-all", *words)
    assert done.exit_code == 1
    line = next(line for line in done.stderr.splitlines() if "aaa default seed 0: FAILED" in line)
    assert f"{results / 'runs' / 'aaa'}" in line and "the failure cannot be recorded" in line
    assert [(record.paper, record.status) for _, record in find_records(results)] == [("bbb", "partial")]
    alone = _call("run", "aaa", *words)
    assert alone.exit_code == 2 and alone.stderr.splitlines()[-1].startswith(f"error: {results / 'runs' / 'aaa'}")

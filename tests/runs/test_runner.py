"""Runs from plan to record: what is skipped, what is done again, what is kept apart."""

import multiprocessing
import os

import jax
import msgspec
import numpy as np
import pytest
from tiny_runs import CPU, Killed, stop_at, under

from fer_jax.data.faces import Faces, concatenate
from fer_jax.duplicates.search import DUPLICATES_VERSION
from fer_jax.vocabulary.fer2013 import UNLABELLED
from fer_jax.vocabulary.step_kinds import StepError
from repro.runs import recording, run_store
from repro.runs.dataset import Dataset
from repro.runs.plan import make_plan
from repro.runs.records import Overrides
from repro.runs.run_context import RunContext
from repro.runs.runner import run, run_seeds
from repro.runs.stored_records import read_record, write_record
from repro.specs.decode import load_spec


def test_a_run_is_recorded_and_then_skipped(do, dataset):
    first = do()
    record, folder = first.record, first.folder
    assert not first.skipped and record.status == "done" and record.error == "" and record.failed_step is None
    assert {name: m.n for name, m in record.metrics.items()} == {"train": 150, "validation": 50, "test": 50}
    assert record.data.fingerprint == dataset.faces.fingerprint and record.data.rows == 250
    assert sum(record.data.splits["test"].class_rows) == 50
    assert record.parameters == record.trainable_parameters == 144 * 16 + 16 + 16 * 7 + 7
    assert (record.device.kind, record.device.count, record.seed) == ("cpu", 1, 0)
    assert [e.printed_step for e in record.history] == [4, 9, 14]
    assert record.best["validation"].epoch == record.reported_epoch
    with np.load(folder / "predictions.npz") as arrays:
        assert "train.predicted" not in arrays
        for split in ("validation", "test"):
            right = (arrays[f"{split}.predicted"] == arrays[f"{split}.label"]).mean()
            assert right == pytest.approx(record.metrics[split].accuracy)
    for split, found in record.ranking.items():
        assert found.top_k[0] == pytest.approx(record.metrics[split].accuracy) and found.top_k[-1] == 1.0
    assert set(record.ranking) == {"train", "validation", "test"}
    for name, epoch in (("last", 3), ("best", record.reported_epoch)):
        assert [p.name for p in (folder / "checkpoints" / name).iterdir() if p.is_dir()] == [str(epoch)]

    written = (folder / "run.json").read_bytes()
    second = do()
    assert second.skipped and second.folder == folder and (folder / "run.json").read_bytes() == written
    assert second.record == read_record(folder / "run.json") and second.record.history == record.history

    third = do(fresh=True)
    assert not third.skipped and third.record.resumed == 0
    assert third.record.history == record.history and third.record.started >= record.finished


@pytest.mark.usefixtures("fresh_programs")
def test_times_pixels_and_rows_without_a_label(do, dataset):
    faces = dataset.faces
    labels = faces.labels.copy()
    labels[-7:] = UNLABELLED
    record = do(size=48, data=Dataset(Faces(faces.images, labels, faces.usage, faces.origin), "fer2013")).record
    assert record.metrics["test"].n == 43 and record.data.rows == 250

    times = record.time
    assert min(times.compile_s, times.prepare_s, times.train_s, times.eval_s, times.checkpoint_s) > 0
    parts = times.compile_s + times.prepare_s + times.train_s + times.eval_s + times.checkpoint_s
    assert parts < times.total_s
    assert len(times.epochs) == 3
    assert record.images_per_s == pytest.approx(3 * 150 / sum(e.train_s for e in times.epochs), rel=1e-3)
    assert record.peak_memory_bytes > 20e6

    pixels = faces.images[faces.usage == 0] / 255
    split = record.data.splits["train"]
    assert split.pixel_mean == pytest.approx(pixels.mean(), abs=1e-6)
    assert split.pixel_std == pytest.approx(pixels.std(), abs=1e-6)


def test_an_interrupted_run_goes_on_unless_fresh(do):
    with pytest.raises(Killed):
        do(report=stop_at(2))
    resumed = do()
    assert resumed.record.resumed == 1 and len(resumed.record.history) == 3
    with pytest.raises(Killed):
        do(seed=1, report=stop_at(2))
    assert do(seed=1, fresh=True).record.resumed == 0


def test_an_edited_paper_is_another_run(do):
    """It starts anew. The earlier run is kept aside."""
    with pytest.raises(Killed):
        do(report=stop_at(2))
    first = do(learning_rate=0.04)
    assert first.record.resumed == 0, "the checkpoints are of the paper before it was edited"
    with pytest.raises(Killed):
        do(learning_rate=0.02, report=stop_at(2))
    kept = [read_record(path).history for path in first.folder.parent.glob("seed-0-before-*/run.json")]
    assert kept == [first.record.history]
    edited = do(learning_rate=0.02)
    assert not edited.skipped and edited.folder == first.folder
    assert edited.record.resumed == 1 and edited.record.history[0].learning_rate == 0.02
    assert read_record(edited.folder / "run.json").spec_sha256 == edited.record.spec_sha256 != first.record.spec_sha256


def test_what_makes_two_runs_the_same(do, tiny_paper, tiny_faces, tmp_path, dataset, monkeypatch):
    first = do()
    path = tiny_paper()
    path.write_text(path.read_text().replace('reason = "a test"', 'reason = "a test, said better"'))
    loaded = load_spec(path)
    assert loaded.sha256 != first.record.spec_file_sha256
    plan = make_plan(loaded, variant="default", seed=0, overrides=Overrides())
    assert run(plan, RunContext(dataset, CPU, tmp_path / "results")).skipped, "only a quote was corrected"

    other = concatenate([tiny_faces(n, seed=1, size=48, usage=u) for u, n in enumerate((90, 30, 30))])
    second = do(data=Dataset(other, "fer2013"))
    assert not second.skipped and second.folder != first.folder

    monkeypatch.setattr(run_store, "TRAINING_VERSION", run_store.TRAINING_VERSION + 1)
    assert not do().skipped


def test_shortened_runs_stand_apart_and_are_partial(do):
    full = do()
    short = do(overrides=Overrides(epochs=1))
    few = do(overrides=Overrides(limit_train=64))
    assert len({full.folder, short.folder, few.folder}) == 3
    assert (full.record.status, short.record.status, few.record.status) == ("done", "partial", "partial")
    assert len(short.record.history) == 1 and short.record.history[0] == full.record.history[0]
    assert few.record.metrics["train"].n == 64 and few.record.data.splits["train"].rows == 64
    assert do().skipped and do(overrides=Overrides(epochs=1)).skipped


def test_a_failed_run_is_recorded_and_not_trained_again(do):
    done = do()
    assert (done.folder / "predictions.npz").exists()
    failed = do(learning_rate=1e38)
    assert failed.folder == done.folder
    record = read_record(failed.folder / "run.json")
    assert record.status == "failed" and record.failed_step == 1 and "step 1" in record.error
    assert record.metrics == {} and record.history == ()
    assert not (failed.folder / "predictions.npz").exists(), "those of the run before must not stand beside a failure"
    again = do(learning_rate=1e38)
    assert again.skipped and again.record == record, "the same settings end in the same way"
    fresh = do(learning_rate=1e38, fresh=True)
    assert not fresh.skipped and fresh.record.resumed == 0 and fresh.record.failed_step == 1
    outside = msgspec.structs.replace(record, failed_epoch=None, failed_step=None, error="out of memory")
    write_record(failed.folder, outside)
    assert not do(learning_rate=1e38).skipped, "a failure from outside may not come again"
    mended = do()
    assert mended.skipped and read_record(mended.folder / "run.json").status == "done", "it was kept aside"


def test_seeds_side_by_side_are_runs_of_their_own(tiny_paper, dataset, tmp_path, do):
    """One is done already, one was stopped after an epoch, two are new."""
    done = do(seed=1)
    with pytest.raises(Killed):
        do(seed=2, report=stop_at(1))
    loaded = load_spec(tiny_paper())
    plans = [make_plan(loaded, variant="default", seed=seed, overrides=Overrides()) for seed in range(4)]
    outcomes = run_seeds(plans, RunContext(dataset, CPU, tmp_path / "results"))
    assert [outcome.skipped for outcome in outcomes] == [False, True, False, False]
    assert outcomes[1].record.history == done.record.history
    records = [outcome.record for outcome in outcomes]
    assert [(r.seed, r.seeds_at_once, r.resumed) for r in records] == [(0, 3, 0), (1, 1, 0), (2, 3, 1), (3, 3, 0)]
    for outcome in outcomes:
        record = outcome.record
        assert record.status == "done" and len(record.history) == len(record.time.epochs) == 3
        assert outcome.folder.name == f"seed-{record.seed}"
        assert read_record(outcome.folder / "run.json").history == record.history
        with np.load(outcome.folder / "predictions.npz") as arrays:
            right = (arrays["test.predicted"] == arrays["test.label"]).mean()
        assert right == pytest.approx(record.metrics["test"].accuracy)
        assert not (outcome.folder / "checkpoints" / "identity.json").exists()
    assert len({r.history[0].train.loss for r in records}) == 4
    times = records[0].time
    assert times.wall_s is not None and times.wall_s > 2 * times.total_s
    assert records[1].time.wall_s == pytest.approx(records[1].time.total_s, abs=1e-5)


def test_another_precision_than_the_devices_own_is_another_run(do, monkeypatch):
    first = do()
    # As a GPU's, whose default is another one than what this record was made in.
    monkeypatch.setattr(run_store, "default_precision", lambda device: "tensorfloat32")
    second = do()
    assert not second.skipped and second.folder.parent.name == f"{first.folder.parent.name}-float32"
    assert second.record.matmul_precision == "float32" and do().skipped


def _run_in_another_process(spec, faces, results, barrier, told):
    plan = make_plan(load_spec(spec), variant="default", seed=0, overrides=Overrides())
    barrier.wait(timeout=120)
    outcome = run(plan, RunContext(Dataset(faces, "fer2013"), jax.devices("cpu")[:1], results))
    told.put((os.getpid(), outcome.skipped, msgspec.json.encode(outcome.record.history)))


@pytest.mark.slow
def test_two_processes_at_once_end_with_the_same_record(tiny_paper, dataset, tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(2), context.Queue()
    arguments = (tiny_paper(), dataset.faces, tmp_path / "results", barrier, told)
    processes = [context.Process(target=_run_in_another_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    found = [told.get(timeout=240) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(skipped for _, skipped, _ in found) == [False, True], "one trains, the other waits for it"
    assert found[0][2] == found[1][2]
    (path,) = (tmp_path / "results").rglob("run.json")
    record = read_record(path)
    assert record.status == "done" and msgspec.json.encode(record.history) == found[0][2]
    left = {p.name for p in path.parent.iterdir()}
    assert left == {"run.json", "predictions.npz", "checkpoints", "history.jsonl"}
    assert set(os.listdir(path.parent / "checkpoints")) == {"last", "best", "digests.json"}


def test_the_clean_protocol_trains_on_no_picture_that_it_evaluates(tiny_paper, dataset, tmp_path):
    """Twenty of the test rows show training rows, ten of them brightened: what is left is told by the record."""
    images = dataset.faces.images.copy()
    images[200:210] = images[:10]
    images[210:220] = np.clip(images[10:20].astype(int) + 9, 0, 255).astype(np.uint8)
    copied = Dataset(dataset.faces.changed(images=images), "fer2013")
    record = under("clean", tiny_paper, copied, tmp_path).record
    assert {name: split.rows for name, split in record.data.splits.items()} == {
        "train": 130,
        "validation": 50,
        "test": 50,
        "test_all": 50,
    }
    assert record.data.duplicates_version == DUPLICATES_VERSION
    assert under("official", tiny_paper, copied, tmp_path).record.data.duplicates_version is None
    assert under("clean", tiny_paper, copied, tmp_path).skipped


def test_a_step_of_a_protocol_that_does_not_fit_the_data_is_not_looked_for_in_the_file(tiny_paper, dataset, tmp_path):
    """A dataset without PublicTest can be prepared as published, but not under the corrected protocols."""
    rows = np.flatnonzero(dataset.faces.usage != 1)
    without = Dataset(dataset.faces.take(rows).changed(origin=np.arange(len(rows), dtype=np.int32)), "fer2013")
    with pytest.raises(StepError, match=r"tiny\.toml: protocol official, step 1 \(split_by_usage1\): .* 0 PublicTest"):
        under("official", tiny_paper, without, tmp_path)
    with pytest.raises(StepError, match=r"tiny\.toml: data\.steps\[0\] \(split_by_usage1\)"):
        under("as-published", tiny_paper, without, tmp_path)


def test_runs_that_relied_on_another_search_for_duplicates_are_made_again(tiny_paper, dataset, tmp_path, monkeypatch):
    under("clean", tiny_paper, dataset, tmp_path)
    assert under("clean", tiny_paper, dataset, tmp_path).skipped
    monkeypatch.setattr(recording, "DUPLICATES_VERSION", DUPLICATES_VERSION + 1)
    assert not under("clean", tiny_paper, dataset, tmp_path).skipped

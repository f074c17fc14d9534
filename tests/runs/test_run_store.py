"""repro.runs.run_store: what makes two runs the same, where they are kept, and what a killed process leaves behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tiny_runs import Killed, stop_at, under

from fer_jax import TRAINING_VERSION
from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.report.page.runs import _facts
from repro.runs import recording, run_store, runner
from repro.runs.dataset import Dataset
from repro.runs.plan import RunPlan, make_plan, settings_sha256
from repro.runs.records import RunRecord, marker_path
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun
from repro.runs.stored_records import read_record, write_record
from repro.specs.catalog import find_paper
from repro.specs.protocols import under_protocol

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
COMMITTED = sorted((RESULTS / "runs").rglob("run.json"))
# As JAX describes them, as far as identity and folder depend on them.
DEVICES = {
    "cpu": SimpleNamespace(platform="cpu", device_kind="cpu"),
    "gpu": SimpleNamespace(platform="cuda", device_kind="NVIDIA", compute_capability="9.0"),
}
DEFAULT_PRECISION = {"cpu": "float32", "gpu": "tensorfloat32"}


def dataset_of(record: RunRecord) -> Dataset:
    return Dataset(SimpleNamespace(fingerprint=record.data.fingerprint), record.data.name)  # type: ignore[arg-type]


def plan_of(record: RunRecord) -> RunPlan:
    return make_plan(
        find_paper(record.paper),
        variant=record.variant,
        seed=record.seed,
        overrides=record.overrides,
        protocol=record.protocol,
        precision=record.matmul_precision,  # type: ignore[arg-type]
    )


def written_out(record: RunRecord) -> dict[str, Any]:
    """The identity by its formula, in words of the record alone. Checkpoints on users' disks carry it."""
    found: dict[str, Any] = {
        "spec_sha256": record.spec_sha256,
        "overrides": {"epochs": record.overrides.epochs, "limit_train": record.overrides.limit_train},
        "fingerprint": record.data.fingerprint,
        "seed": record.seed,
        "device": record.device.kind,
        "training_version": record.training_version,
    }
    if record.data.duplicates_version is not None:
        found["duplicates_version"] = record.data.duplicates_version
    if record.matmul_precision != DEFAULT_PRECISION[record.device.kind]:
        found["precision"] = record.matmul_precision
    return found


def is_current(record: RunRecord) -> bool:
    """Whether the paper's file and the code are still those of the record."""
    spec = under_protocol(find_paper(record.paper).resolve(record.variant), record.protocol)
    versions = record.training_version == TRAINING_VERSION, record.data.duplicates_version in (None, DUPLICATES_VERSION)
    return settings_sha256(spec) == record.spec_sha256 and all(versions)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: "/".join(p.parts[-7:-1]))
def test_identity_and_folder_of_a_committed_record_are_those_of_its_plan(path: Path) -> None:
    record = read_record(path)
    devices: Any = [DEVICES[record.device.kind]]
    found = StoredRun(plan_of(record), RunContext(dataset_of(record), devices, RESULTS))
    assert found.folder == path.parent
    if is_current(record):
        assert found.state == ("failed" if record.status == "failed" else "done")
        assert found.identity == json.dumps(written_out(record), sort_keys=True, separators=(",", ":")).encode()


def test_most_committed_records_are_of_the_present_settings() -> None:
    assert sum(is_current(read_record(path)) for path in COMMITTED) > len(COMMITTED) / 2


# --- states, and kills in between -------------------------------------------------------------------------------------


def test_the_state_of_a_run(do):
    one = do.stored()
    assert one.state == "absent" and one.needs_training()
    with pytest.raises(Killed):
        do(report=stop_at(2))
    assert one.state == "resumable" and one.needs_training() and one.known() is None
    assert do.stored(learning_rate=0.04).state == "stale"
    record = do().record
    assert one.state == "done" and not one.needs_training() and one.known().history == record.history
    edited = do.stored(learning_rate=0.04)
    assert edited.state == "stale" and edited.needs_training()
    marker_path(one.folder).write_bytes(edited.identity)
    assert one.state == "stale" and edited.state == "resumable", "the marker counts, whatever the record says"
    assert not (one.folder / "failed.json").exists()
    do(learning_rate=1e38)
    failed = do.stored(learning_rate=1e38)
    assert failed.state == "failed" and not failed.needs_training(), "training would end in the same way"
    write_record(one.folder, msgspec.structs.replace(failed.known(), failed_epoch=None, error="out of memory"))
    assert failed.state == "failed" and failed.needs_training()


def test_a_clear_that_was_killed_leaves_a_run_that_is_neither_done_nor_to_be_gone_on_from(do, monkeypatch):
    with pytest.raises(Killed):
        do(report=stop_at(1))
    for _ in range(2):  # over a run that was stopped, then over one that is done
        with monkeypatch.context() as patch:
            patch.setattr(run_store.shutil, "rmtree", lambda folder: raise_killed())
            with pytest.raises(Killed):
                do(fresh=True)
        assert do.stored().state == "stale"
        again = do()
        assert not again.skipped and again.record.resumed == 0


def raise_killed():
    raise Killed


def test_a_kill_between_predictions_and_record_leaves_no_record_beside_another_runs_predictions(do, monkeypatch):
    """A fresh run may make other predictions, for example on another machine."""
    older = do()
    record = (older.folder / "run.json").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run_store, "write_record", stop_at_the_record)
        do(fresh=True)
    assert (older.folder / "run.json").read_bytes() == record
    assert not (older.folder / "predictions.npz").exists()
    newer = do()
    assert newer.record.resumed == 1 and (newer.folder / "predictions.npz").exists()


def stop_at_the_record(folder, record, name="run.json"):
    if name == "run.json":
        raise Killed
    return write_record(folder, record, name)


def test_a_protocol_of_the_same_settings_is_the_same_run(tiny_paper, tmp_path, dataset, monkeypatch):
    """The tiny paper splits by usage, resizes and normalises: that is the official protocol, but for what `evaluate`
    and the plateau name, and they name `validation`."""
    published = under("as-published", tiny_paper, dataset, tmp_path)
    monkeypatch.setattr(runner, "fit_seeds", lambda *_, **__: pytest.fail("trained twice"))
    official = under("official", tiny_paper, dataset, tmp_path)
    assert official.skipped and official.folder != published.folder
    kept = read_record(published.folder / "run.json")
    assert official.record == msgspec.structs.replace(kept, protocol="official", same_run_as="as-published")
    assert read_record(official.folder / "run.json") == official.record
    shutil.rmtree(published.folder)
    again = under("as-published", tiny_paper, dataset, tmp_path)
    assert again.record.same_run_as == "as-published", "the protocol that it was trained under, by way of official"
    arrays, expected = (np.load(one.folder / "predictions.npz") for one in (official, published))
    assert {name: a.tobytes() for name, a in arrays.items()} == {name: a.tobytes() for name, a in expected.items()}


def test_a_run_that_is_taken_over_leaves_no_checkpoint_of_a_stale_one(tiny_paper, tmp_path, dataset, monkeypatch):
    """Also if it was killed in between: it is then taken over again."""
    stale = under("official", tiny_paper, dataset, tmp_path, units=8)
    under("as-published", tiny_paper, dataset, tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run_store, "write_record", stop_at_the_record)
        under("official", tiny_paper, dataset, tmp_path)
    assert marker_path(stale.folder).exists() and not (stale.folder / "predictions.npz").exists()
    official = under("official", tiny_paper, dataset, tmp_path)
    assert official.skipped and official.folder == stale.folder and official.record.same_run_as == "as-published"
    assert {p.name for p in official.folder.iterdir()} == {"run.json", "predictions.npz"}


def test_a_run_that_was_begun_is_resumed_although_it_is_done_under_another_protocol(tiny_paper, tmp_path, dataset):
    with pytest.raises(Killed):
        under("official", tiny_paper, dataset, tmp_path, report=stop_at(2))
    under("as-published", tiny_paper, dataset, tmp_path)
    official = under("official", tiny_paper, dataset, tmp_path)
    assert not official.skipped and official.record.resumed == 1


def test_what_a_run_is_compared_with_is_on_disk_before_it_trains_and_stays(do, tmp_path):
    """The record of what was asked, with the hash of the spec's file; a spec whose words change meanwhile changes
    nothing of it."""
    with pytest.raises(Killed):
        do(report=stop_at(1))
    (path,) = (tmp_path / "results").rglob("asked.json")
    asked = read_record(path)
    assert asked.status == "failed" and asked.history == () and asked.spec_file_sha256
    spec = tmp_path / "tiny.toml"
    original = type(spec).write_text

    def with_other_words(self, text, *rest, **options):
        return original(self, text.replace("A dense network", "A network"), *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(spec), "write_text", with_other_words)
        resumed = do()
    assert resumed.record.resumed == 1
    assert resumed.record.spec_file_sha256 == asked.spec_file_sha256
    assert resumed.record.started == asked.started
    assert not list((tmp_path / "results").rglob("asked.json")), "the ended run's record holds it"


def test_a_run_that_goes_on_with_other_cores_says_so(do, monkeypatch):
    """XLA's sums over threads round differently."""
    with pytest.raises(Killed):
        do(report=stop_at(2))
    monkeypatch.setattr(recording, "host_cores", lambda: 99)
    record = do().record
    assert record.begun_on is not None and record.device.host_cores == 99 != record.begun_on.host_cores
    assert any("another device or number of cores" in fact for _, fact in _facts(record))
    assert do(fresh=True).record.begun_on is None

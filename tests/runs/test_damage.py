"""One bit flipped in any file of a run is noticed before the file is used: records, predictions, checkpoints."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import msgspec
import pytest
from tiny_runs import Killed, TinyRuns, stop_at, tiny_dataset

from fer_jax.train.checkpoint import CheckpointError, Checkpoints, read_digests
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.record_files import RecordError
from repro.runs.records import CHECKPOINTS_NAME, RECORD_NAME
from repro.runs.stored_records import read_record, write_record
from repro.use.trained import load_trained

PLACES = 25


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_tiny_paper):
    """The folder of a run that has ended. Never changed."""
    from conftest import draw_tiny_faces

    folder = tmp_path_factory.mktemp("damage")

    def paper(**settings):
        return make_tiny_paper(folder, **settings)

    return TinyRuns(paper, tiny_dataset(draw_tiny_faces), folder / "results")().folder


def flips(path: Path, name: str):
    """The path, with one bit of the file flipped at each of 25 places in turn."""
    content, draw = path.read_bytes(), random.Random(name)
    for _ in range(PLACES):
        at = draw.randrange(len(content) * 8)
        changed = bytearray(content)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        yield f"{name}, bit {at}"
    path.write_bytes(content)


@pytest.mark.parametrize("name", [RECORD_NAME, PREDICTIONS_NAME])
def test_a_bit_flipped_in_a_record_or_its_predictions_is_noticed(finished, tmp_path, name):
    shutil.copytree(finished, tmp_path / "run")
    written = read_record(finished / RECORD_NAME).predictions_sha256
    for place in flips(tmp_path / "run" / name, name):
        with pytest.raises(RecordError, match=name):
            read_record(tmp_path / "run" / RECORD_NAME)
            read_predictions(tmp_path / "run" / PREDICTIONS_NAME, written)
            pytest.fail(f"unnoticed: {place}")


def test_a_bit_flipped_in_any_file_of_a_checkpoint_is_noticed(finished, tmp_path):
    folder = tmp_path / CHECKPOINTS_NAME
    shutil.copytree(finished / CHECKPOINTS_NAME, folder)
    checkpoints = Checkpoints(folder, read_only=True)
    there = [(name, epoch) for name, epochs in checkpoints.epochs().items() for epoch in epochs]
    assert [name for name, _ in there] == ["last", "best"]
    assert [checkpoints.trouble(*one) for one in there] == [None, None]
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 10
    for path in files:
        for place in flips(path, path.relative_to(folder).as_posix()):
            checkpoints._digests = read_digests(checkpoints.folder)
            assert any(checkpoints.trouble(*one) for one in there), f"unnoticed: {place}"
    assert [checkpoints.trouble(*one) for one in there] == [None, None], "the digest of one that was not touched"
    checkpoints.close()


def damage(folder: Path) -> None:
    """Flip a bit of the largest file."""
    path = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_network_that_was_damaged_or_exchanged_is_not_used(finished, tmp_path):
    run = tmp_path / "seed-0"
    shutil.copytree(finished, run)
    best = max((run / CHECKPOINTS_NAME / "best").iterdir(), key=lambda path: path.is_dir())
    epoch = read_record(run / RECORD_NAME).reported_epoch
    damage(best)
    if (run / CHECKPOINTS_NAME / "last" / str(epoch)).exists():
        damage(run / CHECKPOINTS_NAME / "last" / str(epoch))
    with pytest.raises(
        CheckpointError, match=rf"best: checkpoint {epoch} cannot be used .damaged.*repro run ./tiny.*--with-network"
    ):
        load_trained(run)
    shutil.rmtree(run)
    shutil.copytree(finished, run)
    write_record(run, msgspec.structs.replace(read_record(run / RECORD_NAME), network_sha256="0" * 64))
    with pytest.raises(CheckpointError, match="another network than the record's"):
        load_trained(run)


def test_an_older_run_without_digests_is_used_as_it_is(finished, tmp_path):
    run = tmp_path / "seed-0"
    shutil.copytree(finished, run)
    (run / CHECKPOINTS_NAME / "digests.json").unlink()
    document = json.loads((run / RECORD_NAME).read_text())
    for key in ("sha256", "network_sha256", "predictions_sha256", "switches", "kernels"):
        del document[key]
    (run / RECORD_NAME).write_text(json.dumps(document))
    assert load_trained(run).record.network_sha256 == ""
    assert read_predictions(run / PREDICTIONS_NAME, "")


@pytest.mark.parametrize("harmed", ["last", "best"])
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(do, tmp_path, harmed):
    """To the same bits. The damage is named. If nothing sound is left, the way to start anew is."""
    settings = {"epochs": 6, "learning_rate": 0.02}
    whole = TinyRuns(do.tiny_paper, do.dataset, tmp_path / "whole")(**settings)
    accuracies = [entry.splits["validation"].accuracy for entry in whole.record.history]
    epoch = max(k + 1 for k in range(1, 5) if accuracies[k] > max(accuracies[:k]))  # the best one when it is killed
    with pytest.raises(Killed):
        do(report=stop_at(epoch), **settings)
    folder = do.stored(**settings).folder / CHECKPOINTS_NAME
    damage(folder / harmed / str(epoch))
    with pytest.warns(UserWarning, match=rf"last: checkpoint {epoch} cannot be used .*resumes from epoch {epoch - 1}"):
        resumed = do(**settings)
    assert resumed.record.history == whole.record.history and resumed.record.resumed == 1
    assert resumed.record.network_sha256 == whole.record.network_sha256 != ""
    assert resumed.record.predictions_sha256 == whole.record.predictions_sha256 != ""
    with pytest.raises(Killed):
        do(report=stop_at(2), fresh=True, **settings)
    for one in (folder / harmed).iterdir():
        damage(one)
    with pytest.raises(CheckpointError, match=r"last: checkpoint 2 cannot be used .*start again with --fresh"):
        do(**settings)

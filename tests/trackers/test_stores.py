"""Each tracker, where its package is installed: a run of the tiny paper, read back from what the tracker keeps."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
import struct
from collections import defaultdict

import pytest
from click.testing import CliRunner

from repro.cli.main import main
from repro.trackers.logged_run import end_values, epoch_values
from repro.trackers.tracker import trackers

PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}


@pytest.fixture
def sent(do, monkeypatch):
    """Call it with a tracker: a run, sent while it trained."""

    def call(name):
        if importlib.util.find_spec(PACKAGES[name]) is None:  # not imported here: Trackio reads its folder when it is
            pytest.skip(f"{PACKAGES[name]} is not installed (extra `{name}`)")
        for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI", "TRACKIO_DIR", "WANDB_PROJECT"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.chdir(do.results.parent)
        outcome = do(observers=trackers([name], do.results, do.said.append))
        assert do.said == [] and outcome.record.status == "done"
        return outcome

    return call


def expected(record):
    """By name: the values in the order of their steps."""
    values = defaultdict(list)
    for entry in record.history:
        for name, value in epoch_values(entry).items():
            values[name].append((entry.epoch, value))
    for name, value in end_values(record).items():
        values[name].append((record.history[-1].epoch, value))
    return values


def same(found, wanted):
    """Whether both have the same names and steps, and values that differ by no more than single precision does."""
    assert {name: [step for step, _ in values] for name, values in found.items()} == {
        name: [step for step, _ in values] for name, values in wanted.items()
    }
    for name, values in found.items():
        assert [value for _, value in values] == pytest.approx([value for _, value in wanted[name]], rel=1e-6), name
    return True


def events(path):
    """The scalars of an event file: TFRecords of a length, its checksum, an event and its checksum."""
    from tensorboardX.crc32c import crc32c  # pyright: ignore[reportMissingImports]
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]

    def masked(data):
        checksum = crc32c(data)
        return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    found, content, place = defaultdict(list), path.read_bytes(), 0
    while place < len(content):
        head = content[place : place + 8]
        (length,) = struct.unpack("<Q", head)
        body = content[place + 12 : place + 12 + length]
        assert struct.unpack("<I", content[place + 8 : place + 12]) == (masked(head),)
        assert struct.unpack("<I", content[place + 12 + length : place + 16 + length]) == (masked(body),)
        event = Event.FromString(body)
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found[value.tag].append((event.step, value.simple_value))
        place += 16 + length
    return dict(found)


def test_tensorboard(sent, do):
    outcome = sent("tensorboard")
    (path,) = (do.results / "tensorboard").rglob("events.out.tfevents*")
    place = outcome.folder.relative_to(do.results / "runs")
    assert path.parent == do.results / "tensorboard" / place
    assert same(events(path), expected(outcome.record))
    done = CliRunner().invoke(main, ["log", "--to", "tensorboard", "--results", str(do.results)])
    assert done.exit_code == 0 and "1 run sent to tensorboard" in done.stderr, done.stderr
    (again,) = (do.results / "tensorboard").rglob("events.out.tfevents*")
    assert same(events(again), expected(outcome.record)), "the earlier file was replaced"


def test_mlflow(sent, do):
    pytest.importorskip("sqlalchemy")
    outcome = sent("mlflow")
    from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

    client = MlflowClient(tracking_uri=f"sqlite:///{do.results / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny")

    def stored():
        (run,) = client.search_runs([experiment.experiment_id])
        metrics = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        return run, {name: sorted((one.step, one.value) for one in values) for name, values in metrics.items()}

    run, values = stored()
    assert same(values, expected(outcome.record))
    assert run.info.status == "FINISHED" and run.data.params["training.optimizer.learning_rate"] == "0.05"
    done = CliRunner().invoke(main, ["log", "tiny", "--to", "mlflow", "--results", str(do.results)])
    assert done.exit_code == 0, done.stderr
    again, values = stored()
    assert again.info.run_id != run.info.run_id and same(values, expected(outcome.record)), "it replaces the first"


def log_records(content):
    """The records of a log in LevelDB's format, with the header of W&B: blocks of 32,768 bytes hold pieces of records,
    each with its checksum, length and kind (1 whole, 2 first, 3 middle, 4 last)."""
    assert content[:4] == b":W&B"
    place, record = 7, b""
    while place + 7 <= len(content):
        left = 32_768 - place % 32_768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def test_wandb_is_offline_unless_asked(sent, do):
    outcome = sent("wandb")
    (path,) = (do.results / "wandb").glob("offline-run-*/run-*.wandb")
    from wandb.proto import wandb_internal_pb2  # pyright: ignore[reportMissingImports]

    found, summary = defaultdict(list), {}
    for data in log_records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        items = {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for name, value in items.items():
            if not name.startswith("_"):
                found[name].append((items["_step"], value))
        for item in record.summary.update:
            summary[".".join(item.nested_key) or item.key] = json.loads(item.value_json)
    wanted = {name: values for name, values in expected(outcome.record).items() if not name.startswith("reported")}
    assert same(found, wanted)
    assert {name: summary[name] for name in end_values(outcome.record)} == pytest.approx(end_values(outcome.record))


def test_trackio(sent, do):
    outcome = sent("trackio")
    path = next(path for path in (do.results / "trackio").glob("*.db"))
    assert os.environ["TRACKIO_DIR"] == str(do.results / "trackio")
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "select step, metrics from metrics where run_name = ? order by id", (name_of(do, outcome),)
        )
        found = defaultdict(list)
        for step, metrics in rows:
            for name, value in json.loads(metrics).items():
                found[name].append((step, value))
    assert found.pop("status") == [(3, "done")]
    assert same(found, expected(outcome.record))


def name_of(do, outcome):
    return outcome.folder.relative_to(do.results / "runs").as_posix()

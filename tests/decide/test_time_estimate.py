"""repro.decide.time_estimate: a seed's time from records, and from a trial that is compared with the run itself."""

import jax
import msgspec
import numpy as np
import pytest
from conftest import draw_tiny_faces
from report_records import make_record
from tiny_paper import load_tiny

from fer_jax.data.faces import concatenate
from repro.decide.time_estimate import recorded_time, trial_time
from repro.runs.dataset import Dataset
from repro.runs.plan import make_plan
from repro.runs.records import EpochTime, Overrides
from repro.runs.run_context import RunContext
from repro.runs.runner import run

CPU = jax.devices("cpu")[:1]


def plan_of(loaded, **more):
    return make_plan(loaded, variant="default", seed=0, overrides=Overrides(), **more)


def test_only_runs_of_the_same_kind_count(tmp_path):
    loaded = load_tiny(tmp_path)

    def record(total_s: float, **fields):
        made = make_record(loaded, **fields)
        return msgspec.structs.replace(made, time=msgspec.structs.replace(made.time, total_s=total_s))

    fitting = [record(10.0), record(20.0, seed=1)]
    fingerprint = fitting[0].data.fingerprint
    others = [
        record(99.0, status="failed"),
        record(99.0, status="partial"),
        record(99.0, protocol="clean"),
        record(99.0, variant="tanh"),
        msgspec.structs.replace(record(99.0), spec_sha256="edited since"),
        msgspec.structs.replace(record(99.0), paper="another"),
    ]
    found = recorded_time(plan_of(loaded), "cpu", fingerprint, [*others, *fitting])
    assert found is not None and (found.seconds, found.source) == (15.0, "mean of 2 earlier runs")
    assert recorded_time(plan_of(loaded), "gpu", fingerprint, fitting) is None
    assert recorded_time(plan_of(loaded), "cpu", "other faces", fitting) is None
    assert recorded_time(plan_of(loaded), "cpu", fingerprint, others) is None


def test_a_computer_that_slept_during_an_epoch_is_left_out(tmp_path):
    loaded = load_tiny(tmp_path)
    made = make_record(loaded)
    epochs = tuple(EpochTime(train_s=seconds, eval_s=1.0) for seconds in (9.0, 9.0, 3600.0, 9.0, 11.0))
    slept = sum(epoch.train_s + epoch.eval_s for epoch in epochs)
    record = msgspec.structs.replace(made, time=msgspec.structs.replace(made.time, total_s=slept, epochs=epochs))
    found = recorded_time(plan_of(loaded), "cpu", made.data.fingerprint, [record])
    assert found is not None and found.seconds == pytest.approx(50)


@pytest.mark.slow  # it compares times, which needs a machine that does little else
@pytest.mark.usefixtures("fresh_programs")
@pytest.mark.parametrize(
    "edits",
    [
        [("epochs = 5", "epochs = 10")],
        [("epochs = 5", 'steps = 501\nevaluate_every_steps = 200\norder = "offset_modulo"')],
    ],
    ids=["epochs", "steps"],
)
def test_a_trial_foretells_the_run(tmp_path, edits):
    """To a factor of five, on a machine that may be busy: minutes are told from hours. It leaves no trace."""
    faces = concatenate([draw_tiny_faces(400, size=48), draw_tiny_faces(400, size=48, usage=2)])
    dataset = Dataset(faces.changed(origin=np.arange(800, dtype=np.int32)), "fer2013")
    plan = plan_of(load_tiny(tmp_path, ("size = 8", "size = 48"), ("filters = 2", "filters = 16"), *edits))
    before = sorted(tmp_path.iterdir())
    estimate = trial_time(plan, dataset, CPU)
    assert estimate.source.startswith("from a trial of ") and sorted(tmp_path.iterdir()) == before
    took = run(plan, RunContext(dataset, CPU, tmp_path / "results")).record.time
    real = took.prepare_s + took.compile_s + took.train_s + took.eval_s
    assert took.train_s > 0.3 and 1 / 5 < estimate.seconds / real < 5, (estimate, took)

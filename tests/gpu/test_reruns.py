"""repro.gpu.reruns: real `repro run` processes of a tiny paper, killed, and on two devices."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data.faces import concatenate
from repro.gpu import reruns

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tiny(tmp_path, tiny_paper, tiny_faces, monkeypatch):
    """(paper, data) for which an epoch takes a few tenths of a second."""
    paper = tiny_paper(drawn=True, size=16, units=64, batch_size=4, epochs=12)
    faces = concatenate([tiny_faces(n, size=48, usage=u) for u, n in enumerate((501, 101, 101))])
    data = tmp_path / "tiny.npz"
    np.savez(data, images=faces.images, labels=faces.labels, usage=faces.usage)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    return str(paper), str(data)


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_one_that_was_not(tiny, tmp_path):
    paper, data = tiny
    (found,) = reruns.killed(paper, tmp_path / "scratch", epochs=10, data=data, device="cpu", more=[])
    assert found["passed"] and found["resumed"] == [1, 1] and not found["ended_before_the_kill"]
    assert found["losses_apart"] == [0.0, 0.0], "bit for bit on a CPU"


@pytest.mark.slow
def test_the_first_epochs_on_two_devices(tiny, tmp_path, monkeypatch):
    paper, data = tiny
    (found,) = reruns.first_epoch(paper, tmp_path / "scratch", epochs=2, data=data, device="cpu", more=[])
    assert found["passed"] and found["loss_apart"] == 0 and len(found["loss"]) == 2
    finish = reruns.Rerun.finish

    def another_seed(self):
        """As if the device trained something else."""
        return finish(self)[-1:] if self.results.name == "cpu" else finish(self)[:1]

    monkeypatch.setattr(reruns.Rerun, "finish", another_seed)
    (found,) = reruns.first_epoch(paper, tmp_path / "other", epochs=2, data=data, device="cpu", more=["--seeds", "2"])
    assert not found["passed"] and found["loss_apart"] > 1e-3

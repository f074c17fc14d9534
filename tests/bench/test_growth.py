"""repro.bench.growth: what is changed at each point, and real points of a tiny network."""

from __future__ import annotations

import numpy as np
import pytest
from bench_workload import SIZE, tiny_workload

from repro.bench import contenders, growth
from repro.bench.growth import GrowthSettings, measure_growth, with_batch_size, with_image_size
from repro.bench.growth_contenders import NOISE, SeedsTogether, start_on_all_devices, with_samples


def test_batch_and_image_size():
    workload = tiny_workload(20)
    assert with_batch_size(workload, 8).network.training.batch_size == 8
    larger = with_image_size(workload, 2 * SIZE)
    assert larger.images.shape == (20, 24, 24) and larger.network.image_size == 24
    assert np.array_equal(larger.images[:, ::2, ::2], workload.images)
    assert np.array_equal(larger.images[:, 1::2, ::2], workload.images)
    assert with_image_size(workload, 5).images.shape == (20, 5, 5)
    assert workload.network.image_size == SIZE, "the given workload stays as it is"


def test_rows_are_the_first_and_then_repeated_under_noise():
    workload = tiny_workload(20)
    assert np.array_equal(with_samples(workload, 7).images, workload.images[:7])
    more = with_samples(workload, 50)
    assert more.images.shape == (50, SIZE, SIZE) and more.images.dtype == np.uint8
    assert np.array_equal(more.images[:20], workload.images)
    assert np.array_equal(more.labels, np.concatenate([workload.labels, workload.labels, workload.labels[:10]]))
    for first, count in ((20, 20), (40, 10)):
        apart = np.abs(more.images[first : first + count].astype(int) - workload.images[:count])
        assert 0 < apart.max() <= NOISE, "noise, without wrapping around at black and white"
    assert not np.array_equal(more.images[20:30], more.images[40:50])


def test_rows_that_do_not_fit_into_memory(monkeypatch):
    workload = tiny_workload(20)
    monkeypatch.setattr(growth, "available_memory_bytes", lambda: 3 << 30)
    assert growth._too_large(workload, 1000) is None
    point = growth._too_large(workload, 10**7)
    assert point is not None and point.error == "needs 4.7 GiB, 3.0 GiB are free"
    monkeypatch.setattr(growth, "available_memory_bytes", lambda: None)
    assert growth._too_large(workload, 10**7) is None


@pytest.mark.slow
def test_points():
    settings = GrowthSettings(
        "cpu",
        threads=1,
        seconds=0.02,
        pause_s=0.0,
        batch_sizes=(8,),
        image_sizes=(),
        images=(300,),
        device_counts=(2, 3),
        seeds=(2,),
    )
    found = measure_growth(tiny_workload(), settings, say=lambda line: None)
    axes = {axis.name: axis.points for axis in found.axes}
    (batch,) = axes["batch_size"]
    assert batch.error == "" and batch.train and batch.predict and batch.train.images_per_s > 100
    assert batch.compile_s > 0 and batch.peak_memory_bytes > 50 << 20
    (images,) = axes["images"]
    assert images.value == 300 and images.train and images.predict is None
    (seeds,) = axes["seeds"]
    assert seeds.train and seeds.error == ""
    two, three = axes["devices"]
    assert two.train and two.error == ""
    assert three.train is None and three.error == "a batch of 16 cannot be shared evenly"


def test_a_shared_contender_uses_all_devices():
    own = start_on_all_devices(tiny_workload(), "cpu")
    own.reset(0)
    together = own.train(np.arange(64, dtype=np.int32).reshape(4, 16))
    alone = contenders.start("own", "default", tiny_workload(), "cpu")
    alone.reset(0)
    assert np.allclose(alone.train(np.arange(64, dtype=np.int32).reshape(4, 16)), together, atol=1e-5)
    assert len(own.engine.devices) == 4 and len(alone.engine.devices) == 1  # type: ignore[attr-defined]


def test_seeds_together_learn_as_each_does_alone():
    rows = np.arange(96, dtype=np.int32).reshape(2, 48)
    together = SeedsTogether(tiny_workload(), "cpu", 3)
    together.reset(5)
    found = together.train(rows)
    losses = []
    for i in range(3):
        alone = contenders.start("own", "default", tiny_workload(), "cpu")
        alone.reset(5 + i)
        losses.append(alone.train(rows[:, 16 * i : 16 * (i + 1)]))
    assert np.allclose(found, np.mean(losses, 0), atol=1e-5)


def test_more_devices_than_a_machine_has():
    settings = GrowthSettings("gpu", threads=1, seconds=1.0, devices=1)
    point = growth._device_point(tiny_workload(), 2, settings, lambda *_: pytest.fail("nothing to measure"))
    assert point.error == "the machine has 1"

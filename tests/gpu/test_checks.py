"""repro.gpu.checks: they pass where a device computes rightly, and fail where it does not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import pytest
from bench_workload import SIZE, tiny_workload

from fer_jax.network.backends import NhwcBackend
from fer_jax.train.engine import Engine
from fer_jax.vocabulary.layers import Activation, BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool
from repro.bench.workload import initial_variables
from repro.gpu import checks
from repro.gpu.checks import TINY, check_gradients, check_seeds, measure_speed

CPU = jax.devices("cpu")
LAYERS = (
    *(Conv(filters=4, kernel=3, padding="same"), BatchNorm(), Activation(function="relu"), MaxPool(window=2)),
    *(Dropout(rate=0.5), Flatten(), Dense(units=7), Activation(function="softmax")),
)


@pytest.fixture(scope="module")
def workload():
    """A small network with everything in it that rounding can turn another way."""
    plain = tiny_workload()
    network = replace(plain.network, layers=LAYERS, image_size=SIZE)
    return replace(plain, network=network, variables={0: initial_variables(network, 0)})


@dataclass(frozen=True)
class TensorFloat(NhwcBackend):
    """Factors rounded to TF32's 10 bits, as a GPU multiplies."""

    def conv(self, x, kernel_HWIO, bias, stage, added=None):
        return super().conv(rounded(x), rounded(kernel_HWIO), bias, stage, added)

    def dense(self, x, kernel_IO, bias):
        return super().dense(rounded(x), rounded(kernel_IO), bias)


@dataclass(frozen=True)
class Wrong(NhwcBackend):
    """A convolution whose positive values are too large by two parts in a thousand; batch norm would hide a factor."""

    def conv(self, x, kernel_HWIO, bias, stage, added=None):
        y = super().conv(x, kernel_HWIO, bias, stage, added)
        return jnp.where(y > 0, 1.002 * y, y)


def rounded(x):
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=10) if x.dtype == jnp.float32 else x


def test_a_cpu_passes(workload):
    (found,) = check_gradients(workload, CPU[0], TINY)
    assert found["name"] == "gradients in float32" and found["passed"]
    assert 0 < found["logits"] < 1e-5 and 0 < found["gradient"] < 1e-3


def test_a_small_fault_does_not_pass_in_float32_and_tf32_has_its_own_bounds(workload, monkeypatch):
    monkeypatch.setattr(checks, "choose_backend", lambda kind: Wrong())
    (found,) = check_gradients(workload, CPU[0], TINY)
    assert not found["passed"]
    monkeypatch.setattr(checks, "choose_backend", lambda kind: TensorFloat())
    (found,) = check_gradients(workload, CPU[0], TINY)
    assert not found["passed"], "TF32 is no float32"
    assert found["logits"] < checks.LOGITS_ERROR["tensorfloat32"] / 2
    assert found["gradient"] < checks.GRADIENT_ERROR["tensorfloat32"] / 2


def test_one_seed_among_four(workload):
    found = check_seeds(workload, CPU, TINY)
    assert found["passed"] and found["first_loss"] < 1e-5


def test_seeds_that_are_all_the_first_one_do_not_pass(workload, monkeypatch):
    monkeypatch.setattr(Engine, "join", lambda self, states, join=Engine.join: join(self, [states[0]] * len(states)))
    found = check_seeds(workload, CPU, TINY)
    assert not found["passed"] and not found["seeds_differ"]


def test_speed_counts_the_images_of_all_seeds(workload):
    found = measure_speed(workload, "cpu", TINY)
    assert found["seeds"] == 2
    assert found["ratio"] == pytest.approx(found["all_images_per_s"] / found["one_images_per_s"])
    assert found["one_images_per_s"] > 100

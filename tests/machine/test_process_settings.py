"""No switch of JAX changes a number: each is pinned, or harmless, or named in the record."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from fer_jax.data.faces import concatenate
from fer_jax.machine import process_settings
from fer_jax.machine.process_settings import HARMLESS, PINNED, SettingsError, pin, switches
from fer_jax.train import engine
from fer_jax.train.loop import fit
from repro.runs.stored_records import find_records

CPU = jax.devices("cpu")
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"
VALUES = dict(jax.config.values)  # as this process started
# The other value of each option that is not on or off.
OTHERS = {
    "jax_explicit_x64_dtypes": "allow",
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_default_prng_impl": "rbg",
    "jax_random_seed_offset": 7,
    "jax_legacy_prng_key": "error",
    "jax_default_matmul_precision": "bfloat16",
    "jax_embedded_constants_max_bytes": 0,
    "jax_optimization_level": "O1",
    "jax_exec_time_optimization_effort": 1.0,
    "jax_memory_fitting_effort": 1.0,
    "jax_memory_fitting_level": "O0",
    "jax_xla_profile_version": 1,
    "jax_use_magma": "off",
    "jax_error_checking_behavior_nan": "raise",
    "jax_error_checking_behavior_divide": "raise",
    "jax_error_checking_behavior_oob": "raise",
    "jax_transfer_guard": "disallow",
    "jax_transfer_guard_host_to_device": "disallow",
    "jax_transfer_guard_device_to_device": "disallow",
    "jax_transfer_guard_device_to_host": "disallow",
    "jax_default_device": CPU[1],
}


@pytest.fixture
def option():
    """Call it to set an option of JAX; all are as before afterwards."""
    before = dict(jax.config.values)

    def update(name, value):
        jax.config.update(name, value)

    yield update
    for name, value in before.items():
        if jax.config.values[name] is not value:
            jax.config.update(name, value)


@pytest.fixture(scope="module")
def numbers():
    """A digest of everything that a short training with convolution, batch norm, dropout and flips gives."""
    from conftest import CONVOLUTIONAL, TINY_SIZE, draw_tiny_faces

    from fer_jax.vocabulary.network import Network
    from fer_jax.vocabulary.settings import Loss, Sgd, Training

    faces = concatenate([draw_tiny_faces(48), draw_tiny_faces(20, usage=2)])
    splits = {"train": faces.take(faces.usage == 0), "validation": faces.take(faces.usage == 2)}
    optimizer = Sgd(learning_rate=0.05, momentum=0.9)
    training = Training(batch_size=16, loss=Loss(kind="cross_entropy"), optimizer=optimizer, epochs=1)
    network = Network(CONVOLUTIONAL, training, TINY_SIZE, divide=255.0, random_flip={"train": 0.5})

    def train():
        result = fit(network, splits, seed=3, devices=CPU[:1])
        leaves = jax.tree.leaves((result.state, result.predictions))
        digest = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves))
        return digest.hexdigest(), result.history

    return train


@pytest.fixture(scope="module")
def default(numbers):
    return numbers()


def test_every_option_of_the_installed_jax_has_its_place():
    places = {name: (name in PINNED) + name.startswith(HARMLESS) for name in VALUES}
    assert {name for name, found in places.items() if found != 1} == set()


ALONE = ("jax_enable_x64", "jax_disable_jit", "jax_default_prng_impl", "jax_threefry_partitionable", "jax_no_execution")
TOGETHER = [name for name in PINNED if name in VALUES and name not in ALONE]


@pytest.mark.parametrize("names", [*((name,) for name in ALONE), *(TOGETHER[at::3] for at in range(3))])
def test_an_option_that_changes_numbers_is_overruled(names, numbers, default, option):
    for name in names:
        option(name, OTHERS[name] if name in OTHERS else not PINNED[name])
        assert jax.config.values[name] != PINNED[name], "or the test says nothing"
    assert numbers() == default


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_harmless_options_are_harmless(numbers, default, option):
    """All that are on or off, set to the other value together."""
    flipped = [name for name in VALUES if name.startswith(HARMLESS) and isinstance(VALUES[name], bool)]
    assert len(flipped) > 20
    for name in flipped:
        option(name, not VALUES[name])
    assert numbers() == default


def test_without_the_pins_numbers_would_change(numbers, default, option, monkeypatch):
    monkeypatch.setattr(engine, "pin", lambda: None)
    option("jax_random_seed_offset", 7)
    assert numbers() != default


def test_a_context_of_jax_that_cannot_be_overruled_is_named():
    with jax.enable_x64(True), pytest.raises(SettingsError, match="jax_enable_x64: set by a context"):
        pin()
    pin()


@pytest.mark.parametrize(
    ("device", "environment", "found"),
    [
        ("cpu", {}, {}),
        ("cpu", {"XLA_FLAGS": "--xla_dump_to=/home/me --xla_force_host_platform_device_count=4"}, {}),
        (
            "cpu",
            {"XLA_FLAGS": "--xla_dump_to=/home/me --xla_cpu_enable_fast_math=true"},
            {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"},
        ),
        ("cpu", {"XLA_FLAGS": ONE_THREAD}, {"XLA_FLAGS": ONE_THREAD}),
        ("cpu", {"FER_JAX_NATIVE": "0", "NVIDIA_TF32_OVERRIDE": "0"}, {"FER_JAX_NATIVE": "0"}),
        ("gpu", {"FER_JAX_NATIVE": "0", "NVIDIA_TF32_OVERRIDE": "0"}, {"NVIDIA_TF32_OVERRIDE": "0"}),
        ("cpu", {"NPROC": "3", "OMP_NUM_THREADS": "1"}, {}),
        ("cpu", {"NPROC": "1"}, {"NPROC": "1"}),
        ("gpu", {"NPROC": "1"}, {}),
        ("cpu", {"JAX_ENABLE_X64": "1", "JAX_LOG_COMPILES": "1", "JAX_NEW": "1"}, {"JAX_NEW": "1"}),
    ],
)
def test_what_cannot_be_pinned_is_named(device, environment, found, monkeypatch):
    monkeypatch.setattr(process_settings, "host_cores", lambda: 3)
    for name in ("XLA_FLAGS", "FER_JAX_NATIVE", "NPROC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(type(jax.config), "values", VALUES | {"jax_new": False}, raising=False)
    assert switches(device) == found


def test_with_one_core_the_flag_of_threads_is_no_switch(monkeypatch):
    monkeypatch.setattr(process_settings, "host_cores", lambda: 1)
    monkeypatch.delenv("NPROC", raising=False)
    monkeypatch.setenv("XLA_FLAGS", f"{ONE_THREAD} --xla_cpu_enable_fast_math=true")
    assert switches("cpu") == {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}
    assert switches("gpu") == {"XLA_FLAGS": f"--xla_cpu_enable_fast_math=true {ONE_THREAD}"}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no way to give a process one core")
def test_with_one_core_the_flag_of_threads_changes_no_number(tmp_path):
    records = []
    for name, flags in (("with", ONE_THREAD), ("without", "")):
        words = ["run", "chavan2020", "--epochs", "1", "--limit-train", "300", "--data", "synthetic", "--device", "cpu"]
        program = f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); import runpy, sys; \
sys.argv = ['repro', *{words!r}, '--results', {str(tmp_path / name)!r}]; runpy.run_module('repro', run_name='__main__')"
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        environment.pop("NPROC", None)
        subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=300, capture_output=True)
        records += [record for _, record in find_records(tmp_path / name)]
    (one, other) = records
    assert one.switches == other.switches == {}
    assert (one.history, one.metrics, one.predictions_sha256) == (
        other.history,
        other.metrics,
        other.predictions_sha256,
    )

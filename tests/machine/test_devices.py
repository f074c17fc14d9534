"""Which devices there are."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from fer_jax.machine.devices import (
    DeviceError,
    choose_devices,
    data_mesh,
    device_kind,
    device_name,
    peak_memory_bytes,
)


def has_gpu():
    try:
        return bool(jax.local_devices(backend="gpu"))
    except RuntimeError:
        return False


def test_cpu_devices():
    devices = choose_devices("cpu")
    assert len(devices) == 4  # as tests/conftest.py asks for
    assert {device_kind(d) for d in devices} == {"cpu"}
    assert device_name(devices[0])


@pytest.mark.skipif(has_gpu(), reason="there is a GPU here")
def test_no_gpu_is_an_error_with_a_hint_and_auto_takes_the_cpu():
    with pytest.raises(DeviceError, match=r"--device cpu"):
        choose_devices("gpu")
    assert choose_devices("auto") == choose_devices("cpu")


@pytest.mark.skipif(not has_gpu(), reason="there is no GPU here")
def test_auto_takes_the_gpu():
    assert {device_kind(d) for d in choose_devices("auto")} == {"gpu"}
    assert peak_memory_bytes(choose_devices("gpu")) > 0


def test_a_mesh_only_for_several():
    devices = choose_devices("cpu")
    assert data_mesh(devices[:1]) is None
    mesh = data_mesh(devices)
    assert mesh is not None and dict(mesh.shape) == {"data": 4}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux keeps a second count to compare with")
def test_peak_memory_is_in_bytes():
    """`ru_maxrss`, in units that differ between systems, beside the high-water mark that the kernel gives in kB."""
    status = Path("/proc/self/status").read_text()
    high_water = int(status.split("VmHWM:")[1].split()[0]) << 10
    assert 0.99 * high_water < peak_memory_bytes(choose_devices("cpu")[:1]) < 100 * high_water


@pytest.mark.parametrize("kind", ["auto", "cpu", "gpu"])
@pytest.mark.parametrize(
    "error", [AssertionError(), RuntimeError("Unable to initialize backend 'cuda': no driver\nmore")]
)
def test_platforms_that_are_not_there_are_one_line(kind, error, monkeypatch):
    """JAX_PLATFORMS=cuda without a GPU: JAX raises an AssertionError without text, even for a CPU."""

    def broken(backend):
        raise error

    monkeypatch.setattr(jax, "devices", broken)
    monkeypatch.setattr(type(jax.config), "values", {"jax_platforms": "cuda"}, raising=False)
    with pytest.raises(DeviceError, match=r"^JAX_PLATFORMS=cuda: JAX has no .*unset the variable.*JAX_PLATFORMS=cpu$"):
        choose_devices(kind)
    monkeypatch.setattr(type(jax.config), "values", {"jax_platforms": None}, raising=False)
    with pytest.raises(DeviceError, match="JAX sees no GPU" if kind == "gpu" else "JAX cannot start on the CPU: "):
        choose_devices(kind)


PLUGIN = """
def initialize():
    raise RuntimeError("CUDA driver version is insufficient\\nmore")
"""
CHOOSE = """
import sys, warnings
from fer_jax.machine.devices import DeviceError, choose_devices
warnings.showwarning = lambda message, *_: print(message)
for kind in ("auto", "cpu", "gpu"):
    try:
        print(choose_devices(kind)[0].platform)
    except DeviceError as error:
        print(error)
"""


@pytest.mark.skipif(has_gpu(), reason="there is a GPU here")
def test_a_plugin_of_a_gpu_that_fails_is_one_line_and_the_cpu_is_used(tmp_path):
    """A driver that is older than the plugin. JAX logs a traceback."""
    about = tmp_path / "broken-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[jax_plugins]\nbroken = broken_plugin\n")
    (tmp_path / "broken_plugin.py").write_text(PLUGIN)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run([sys.executable, "-c", CHOOSE], env=environment, capture_output=True, text=True)
    auto, used, cpu, gpu = done.stdout.splitlines()
    assert (used, cpu, done.stderr) == ("cpu", "cpu", "")
    assert auto == "CUDA driver version is insufficient; the CPU is used"
    assert gpu.startswith("--device gpu: JAX sees no GPU on this machine")


@pytest.mark.parametrize("kind", ["auto", "cpu"])
def test_a_plugin_that_ends_the_first_try_is_no_reason_not_to_take_the_cpu(kind, monkeypatch):
    cpus, tries = jax.local_devices(backend="cpu"), []

    def broken_once(backend):
        tries.append(backend)
        if len(tries) == 1:
            raise RuntimeError("Unable to initialize backend 'own': no such device")
        return cpus

    monkeypatch.setattr(jax, "devices", broken_once)
    if kind == "auto":
        with pytest.warns(UserWarning, match="Unable to initialize backend 'own': no such device; the CPU is used"):
            assert choose_devices(kind) == cpus
    else:
        assert choose_devices(kind) == cpus
    assert tries[-1] == "cpu" and logging.getLogger("jax._src.xla_bridge").filters == []

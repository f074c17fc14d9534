"""Which devices a run uses, and what they are called."""

from __future__ import annotations

import resource
import sys
from typing import Literal

import jax
import numpy as np

from fer_jax.machine.processor import processor_name
from fer_jax.vocabulary.errors import UserError

DeviceKind = Literal["auto", "cpu", "gpu"]


class DeviceError(UserError):
    """The requested device does not exist. The message says what to do."""


def choose_devices(kind: DeviceKind = "auto") -> list[jax.Device]:
    """All local devices of a kind; `auto` takes GPUs if there are any.

    On CPU there is one device, whatever the number of cores, unless the flag JAX_NUM_CPU_DEVICES asks for more.
    Raises DeviceError if there is no device of that kind, or if JAX cannot start at all (a broken driver, JAX_PLATFORMS
    that names what is not there).
    """
    reason = ""
    for backend in ("gpu", "cpu") if kind == "auto" else (kind,):
        try:
            return jax.local_devices(backend=backend)
        except Exception as error:  # JAX raises RuntimeError, or AssertionError without a text, or what a driver raises
            reason = str(error).partition("\n")[0] or "no device was found"
    if platforms := jax.config.values["jax_platforms"]:
        wanted = "no device" if kind == "auto" else f"no {kind.upper()}"
        raise DeviceError(
            f"JAX_PLATFORMS={platforms}: JAX has {wanted} with it ({reason}); unset the variable, or name what this "
            "machine has: JAX_PLATFORMS=cpu"
        )
    if kind != "gpu":
        raise DeviceError(f"JAX cannot start on the CPU: {reason}")
    raise DeviceError(
        "--device gpu: JAX sees no GPU on this machine. Install a CUDA build (pip install '.[cuda12]' or '.[cuda13]') "
        "on a machine with an NVIDIA GPU and its driver, or run with --device cpu."
    )


def device_kind(device: jax.Device) -> str:
    """cpu or gpu: JAX calls a GPU by its maker's platform (cuda, rocm)."""
    return "cpu" if device.platform == "cpu" else "gpu"


def device_name(device: jax.Device) -> str:
    """The maker's name. For a CPU: the name of the processor, if the system reports it."""
    if device.platform != "cpu":
        return str(device.device_kind)
    return processor_name()


def data_mesh(devices: list[jax.Device]) -> jax.sharding.Mesh | None:
    """One axis over which a batch is split; None for a single device, which needs none."""
    return jax.sharding.Mesh(np.array(devices), ("data",)) if len(devices) > 1 else None


def peak_memory_bytes(devices: list[jax.Device]) -> int:
    """The most memory held at once: on the GPUs as their allocator counts it, else by this process."""
    stats = [device.memory_stats() for device in devices]
    if all(stats):
        return sum(int(s["peak_bytes_in_use"]) for s in stats if s)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB, macOS in bytes

"""Which devices a run uses, and what they are called."""

from __future__ import annotations

import logging
import resource
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import jax
import numpy as np

from fer_jax.machine.hosts import own
from fer_jax.machine.processor import processor_name
from fer_jax.vocabulary.errors import UserError

DeviceKind = Literal["auto", "cpu", "gpu"]


class DeviceError(UserError):
    """The requested device does not exist. The message says what to do."""


def choose_devices(kind: DeviceKind = "auto") -> list[jax.Device]:
    """All devices of a kind, those of other hosts included if this process has joined them (`fer_jax.machine.hosts`);
    `auto` takes GPUs if there are any.

    On CPU there is one device, whatever the number of cores, unless the flag JAX_NUM_CPU_DEVICES asks for more.
    Raises DeviceError if there is no device of that kind, or if JAX cannot start at all (a broken driver, JAX_PLATFORMS
    that names what is not there). A GPU's plugin that fails is named in a warning if `auto` then takes the CPU.
    """
    reason = ""
    with _plugin_troubles() as troubles:
        # Twice for the CPU: a plugin that fails ends the first try, though JAX has found the CPU.
        for backend in {"auto": ("gpu", "cpu", "cpu"), "cpu": ("cpu", "cpu"), "gpu": ("gpu",)}[kind]:
            try:
                found = jax.devices(backend)
            except Exception as error:  # RuntimeError, AssertionError without a text, or what a driver raises
                reason = str(error).partition("\n")[0] or "no device was found"
                if reason.startswith("Unable to initialize backend"):
                    troubles.append(reason)
                continue
            if kind == "auto" and backend == "cpu" and troubles:
                warnings.warn(f"{troubles[0]}; the CPU is used", stacklevel=2)
            return found
    if platforms := jax.config.values["jax_platforms"]:
        wanted = "no device" if kind == "auto" else f"no {kind.upper()}"
        raise DeviceError(
            f"JAX_PLATFORMS={platforms}: JAX has {wanted} with it ({(*troubles, reason)[0]}); unset the variable, or "
            "name what this machine has: JAX_PLATFORMS=cpu"
        )
    if kind != "gpu":
        raise DeviceError(f"JAX cannot start on the CPU: {reason}")
    raise DeviceError(
        f"--device gpu: JAX sees no GPU on this machine{f' ({troubles[0]})' if troubles else ''}. Install a CUDA build "
        "(pip install '.[cuda12]' or '.[cuda13]') on a machine with an NVIDIA GPU and its driver, or run with "
        "--device cpu."
    )


@contextmanager
def _plugin_troubles() -> Iterator[list[str]]:
    """What JAX logs of plugins that cannot be used, each in one line. JAX itself prints a traceback and continues."""
    logger, found = logging.getLogger("jax._src.xla_bridge"), []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        error = record.exc_info[1] if record.exc_info else None
        found.append((str(error) or type(error).__name__ if error else record.getMessage()).partition("\n")[0])
        return False

    logger.addFilter(keep)
    try:
        yield found
    finally:
        logger.removeFilter(keep)


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
    """The most memory held at once: on this process's GPUs as their allocator counts it, else by this process."""
    stats = [device.memory_stats() for device in own(devices)]
    if all(stats):
        return sum(int(s["peak_bytes_in_use"]) for s in stats if s)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB, macOS in bytes

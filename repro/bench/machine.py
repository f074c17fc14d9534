"""The machine used for the comparison: its name, matmul rate, memory, and the load from other processes."""

from __future__ import annotations

import os
import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.runs.records import Device

# Large enough that the rate no longer grows with the size, small enough for under 0.2 s per matmul on two cores.
MATMUL_SIZE = {"cpu": 2048, "gpu": 8192}
MATMUL_REPEATS = 4
# A timing is marked as disturbed if other processes used more than this share of all cores.
DISTURBED_SHARE = 0.1


def slug(device: Device) -> str:
    """A folder name for a kind of machine: "cpu-amd-epyc-2-cores". It does not identify the machine itself."""
    text = re.sub(r"\((?:r|tm)\)|\bprocessor\b|\bcpu\b|@.*", " ", device.name.lower())
    name = "-".join(re.findall(r"[a-z0-9]+", text)) or "unknown"
    count = f"{device.count}x-" if device.kind == "gpu" and device.count > 1 else ""
    return f"{device.kind}-{count}{name}-{device.host_cores}-cores"


class MatmulRate:
    """The best rate of a large matrix product on a device of this process, in the precision of the comparison."""

    def __init__(self, device: Any, kind: str, precision: str) -> None:
        """device: of JAX. precision: float32, tensorfloat32 or bfloat16."""
        import jax
        import jax.numpy as jnp

        size = MATMUL_SIZE[kind]
        dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
        self._flops = 2 * size**3
        self._operand = jax.device_put(jax.random.normal(jax.random.key(0), (size, size)).astype(dtype), device)
        exactness = {"float32": "highest", "tensorfloat32": "tensorfloat32", "bfloat16": "default"}[precision]
        self._product = jax.jit(lambda x: jnp.matmul(x, x, precision=exactness))
        self._product(self._operand).block_until_ready()
        self.flops_per_s = 0.0

    def measure(self) -> float:
        """The best rate since the start, in operations per second (a multiply-add counts as two)."""
        for _ in range(MATMUL_REPEATS):
            begin = time.perf_counter()
            self._product(self._operand).block_until_ready()
            self.flops_per_s = max(self.flops_per_s, self._flops / (time.perf_counter() - begin))
        return self.flops_per_s


def peak_memory_bytes() -> int:
    """The most memory that this process has held at once.

    On Linux `ru_maxrss` of a child process starts at its parent's memory at the fork. So the high-water mark of the
    process's own memory map is read instead.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return int(found.group(1)) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_memory_bytes() -> int | None:
    """Memory that could be allocated without swapping; None if the system does not report it."""
    info = Path("/proc/meminfo")
    found = re.search(r"^MemAvailable:\s+(\d+) kB", info.read_text(), re.MULTILINE) if info.exists() else None
    return int(found.group(1)) * 1024 if found else None


@dataclass(frozen=True)
class CoreTime:
    """Seconds of processor time so far, of the cores available to this process and of the given processes."""

    at_s: float
    busy_s: float
    ours_s: float

    def other_cores(self, later: CoreTime) -> float:
        """The average number of cores that other processes kept busy between two moments."""
        elapsed = later.at_s - self.at_s
        other = (later.busy_s - self.busy_s) - (later.ours_s - self.ours_s)
        return max(0.0, other / elapsed) if elapsed > 0 else 0.0


def core_time(processes: tuple[int, ...]) -> CoreTime | None:
    """Core time of the system and of processes by their ids; None if the system does not report it."""
    try:
        busy = _busy_seconds(Path("/proc/stat").read_text())
        ours = sum(_process_seconds(Path(f"/proc/{process}/stat").read_text()) for process in processes)
    except OSError:
        return None
    return CoreTime(time.monotonic(), busy, ours) if busy > 0 else None


def _busy_seconds(stat: str) -> float:
    """From the lines ``cpu0 user nice system idle iowait irq softirq steal ...`` of our cores. Time taken by a
    hypervisor (steal) counts as other processes' time."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    ticks = 0
    for number, fields in re.findall(r"^cpu(\d+) (.+)$", stat, re.MULTILINE):
        if cores is None or int(number) in cores:
            values = [int(value) for value in fields.split()]
            ticks += sum(values[:3]) + sum(values[5:8])
    return ticks / os.sysconf("SC_CLK_TCK")


def _process_seconds(stat: str) -> float:
    fields = stat.rpartition(")")[2].split()  # the name before it may hold blanks
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_disturbed(other_cores: float | None, cores: int) -> bool:
    """Whether other processes used so much of the cores that a timing is unreliable."""
    return other_cores is not None and other_cores > DISTURBED_SHARE * cores

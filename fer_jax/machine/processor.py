"""The processor: what compilers see of it, and its cores. Imports no JAX."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def processor() -> str:
    """What decides which instructions a compiler uses: model and features, if the system reports them."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    lines = info.read_text(errors="replace").split("\n\n")[0].splitlines()
    kept = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part")
    return "\n".join(line for line in lines if line.partition(":")[0].strip() in kept)


def host_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

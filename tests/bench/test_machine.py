"""repro.bench.machine: whose time the cores spend, peaks of memory, names."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from repro.bench import machine
from repro.bench.machine import CoreTime, core_time, is_disturbed, slug
from repro.runs.records import Device


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (Device(kind="cpu", name="AMD EPYC", count=1, host_cores=2), "cpu-amd-epyc-2-cores"),
        (
            Device(kind="cpu", name="Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz", count=1, host_cores=8),
            "cpu-intel-xeon-e5-2690-v4-8-cores",
        ),
        (Device(kind="gpu", name="NVIDIA H200", count=1, host_cores=16), "gpu-nvidia-h200-16-cores"),
        (Device(kind="cpu", name="", count=1, host_cores=4), "cpu-unknown-4-cores"),
    ],
)
def test_slug(device, name):
    assert slug(device) == name


def test_what_others_took_is_what_is_left_of_the_busy_time():
    before, after = CoreTime(10.0, busy_s=100.0, ours_s=40.0), CoreTime(14.0, busy_s=107.0, ours_s=46.0)
    assert before.other_cores(after) == 0.25
    assert before.other_cores(CoreTime(14.0, busy_s=101.0, ours_s=42.0)) == 0.0, "clock ticks are coarse"
    assert before.other_cores(before) == 0.0


def test_only_our_cores_count_and_a_hypervisor_is_another(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 10})
    stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 900 0 0 0 0 0 0 0 0 0\ncpu1 1 2 4 8 16 32 64 128 256 512\ncpu10 100 0 0 0\n"
    ticks = (1 + 2 + 4 + 32 + 64 + 128) + 100
    assert machine._busy_seconds(stat) == ticks / os.sysconf("SC_CLK_TCK")


def test_a_process_name_may_hold_blanks_and_brackets():
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"12 (a) b (c) S {' '.join(['0'] * 10)} {3 * ticks} {2 * ticks} 0 0"
    assert machine._process_seconds(stat) == 5


def test_work_of_this_process_is_counted_as_ours():
    before = core_time((os.getpid(),))
    if before is None:
        pytest.skip("the system does not tell processor time")
    until = time.process_time() + 0.3
    while time.process_time() < until:
        sum(range(1000))
    after = core_time((os.getpid(),))
    assert after is not None
    assert 0.25 <= after.ours_s - before.ours_s <= 1.0
    assert after.busy_s > before.busy_s


def test_a_process_that_is_gone():
    assert core_time((2**22 + 1,)) is None


def test_a_tenth_of_the_cores_disturbs():
    assert is_disturbed(0.21, 2) and not is_disturbed(0.19, 2) and not is_disturbed(None, 2)


HELD = """
import numpy as np
from repro.bench.machine import peak_memory_bytes
held = np.ones(peak_memory_bytes() + (64 << 20), np.uint8)
size = held.nbytes
del held
assert peak_memory_bytes() >= size, (peak_memory_bytes(), size)
"""


def test_peak_memory_stays_when_the_memory_is_given_back():
    """In a process of its own: this one may have held gigabytes."""
    subprocess.run([sys.executable, "-c", HELD], check=True, timeout=120)


def test_matmul_rate():
    import jax

    rate = machine.MatmulRate(jax.local_devices(backend="cpu")[0], "cpu", "float32")
    first = rate.measure()
    assert 1e8 < first < 1e14
    assert rate.measure() >= first, "the best rate counts"

"""What is known of the processor."""

from __future__ import annotations

import os

from fer_jax.machine.processor import host_cores


def test_host_cores():
    assert 1 <= host_cores() <= (os.cpu_count() or 1)

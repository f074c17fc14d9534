"""What is known of the processor."""

from __future__ import annotations

import os
import threading

import pytest

from fer_jax.machine import processor
from fer_jax.machine.processor import host_cores, on_each_core


def test_host_cores():
    assert 1 <= host_cores() <= (os.cpu_count() or 1)


def test_results_are_in_the_order_of_the_items_however_many_are_under_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processor, "host_cores", lambda: 2)
    both = threading.Barrier(2, timeout=10)  # broken, and so an error, unless two items are under way together

    def work(item: int) -> tuple[int, int]:
        both.wait()
        return item, threading.get_ident()

    results = on_each_core(work, range(6))
    assert [item for item, _ in results] == [*range(6)]
    assert len({thread for _, thread in results}) == 2


def test_an_error_of_one_item_is_raised():
    with pytest.raises(ZeroDivisionError):
        on_each_core(lambda item: 1 // item, [1, 0])

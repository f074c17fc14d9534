"""A bucket of permits, on a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.use.serve.limits import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_and_then_the_rate():
    clock = Clock()
    bucket = TokenBucket(10.0, 3, clock)
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    assert bucket.wait_s() == pytest.approx(0.1)
    clock.now += 0.1
    assert bucket.take() and not bucket.take()
    clock.now += 60
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False], "what was not used is not saved up"


@given(
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=60),
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 20),
)
def test_never_more_than_burst_and_rate_allow(pauses, rate, burst):
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        taken += bucket.take()
        assert taken <= burst + rate * (clock.now - 100.0) + 1e-6
        wait = bucket.wait_s()
        clock.now += wait + 1e-9
        assert bucket.wait_s() == pytest.approx(0, abs=1e-6), "after that wait there is a permit"

"""repro.gpu.profile: what is computed from the events of a trace."""

from __future__ import annotations

import pytest

from repro.gpu.profile import Event, kind_of, summary


def test_time_that_two_streams_share_counts_once():
    events = [
        Event("conv.1", 0, 4_000),
        Event("conv.2", 2_000, 5_000),  # on another stream: 1 us beyond the first
        Event("copy", 2_500, 3_000),  # inside of both
        Event("gemm", 8_000, 10_000),
    ]
    found = summary(events, steps=2)
    assert found["events_per_step"] == 2
    assert found["busy_us"] == pytest.approx((5 + 2) / 2)
    assert found["busy_share"] == pytest.approx(0.7)
    assert [kind["name"] for kind in found["kinds"]] == ["conv", "gemm", "copy"]
    assert found["kinds"][0] == {"name": "conv", "us_per_step": pytest.approx(3.5), "per_step": 1.0}


def test_the_order_of_the_events_does_not_matter():
    events = [Event("b", 5, 6), Event("a", 0, 1)]
    assert summary(events, 1) == summary(events[::-1], 1)


def test_no_events_are_no_error():
    assert summary([], 5)["busy_share"] is None


def test_kinds_are_names_without_the_numbers_of_copies():
    assert kind_of("loop_add_fusion.12") == kind_of("loop_add_fusion") == kind_of("loop_add_fusion_3")
    assert len(kind_of("x" * 500)) == 100

"""repro.text.units: digits, units and signs."""

from __future__ import annotations

import pytest
from report_records import claim

from repro.text import units


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"value": 0.61, "resolution": 0.01}, "61 %"),
        ({"value": 0.60, "resolution": 0.0}, "60 %"),
        ({"value": 0.488, "resolution": 0.001}, "48.8 %"),
        ({"value": 0.5, "resolution": 0.001}, "50.0 %"),
        ({"value": 0.6173, "resolution": 0.0}, "61.73 %"),
        ({"value": 11.761, "resolution": 0.001, "unit": "h"}, "11.761 h"),
        ({"value": 3.693719, "resolution": 1e-6, "unit": "nat"}, "3.693719 nat"),
        ({"value": 28709.0, "resolution": 1.0, "unit": "rows"}, "28,709 samples"),
        ({"value": 40000.0, "resolution": 1000.0, "unit": "rows"}, "40,000 samples"),
        ({"value": 5.15, "resolution": 0.01, "unit": "1"}, "5.15"),
        ({"value": 7, "resolution": 1, "unit": "rank", "quantity": "rank", "emotion": "fear"}, "7"),
        ({"value": 1.5, "resolution": 0.5, "unit": "rank", "quantity": "rank", "emotion": "fear"}, "1.5"),
    ],
)
def test_reported_is_as_exact_as_printed(fields, text):
    assert units.reported(claim(**fields)) == text


@pytest.mark.parametrize(
    ("fields", "mean", "std", "text", "change"),
    [
        ({"value": 0.61, "resolution": 0.01}, 0.6043, 0.0051, "60.4 ± 0.5 %", "-0.6 points"),
        ({"value": 0.488, "resolution": 0.001}, 0.49, None, "49.00 %", "+0.20 points"),
        ({"value": 0.61, "resolution": 0.01}, 0.6101, None, "61.0 %", "0.0 points"),
        ({"value": 0.61, "resolution": 0.01}, 0.6099999, None, "61.0 %", "0.0 points"),
        ({"value": 28709.0, "resolution": 1.0, "unit": "rows"}, 28709.0, 0.0, "28,709 samples", "0 samples"),
        ({"value": 900.0, "resolution": 1.0, "unit": "rows"}, 888.5, 2.5, "888.5 ± 2.5 samples", "-11.5 samples"),
        ({"value": 1.234785, "resolution": 1e-6, "unit": "nat"}, 1.3, None, "1.3000 nat", "+0.0652 nat"),
        ({"value": 0.469, "resolution": 0.001, "unit": "h"}, 0.01, None, "0.0100 h", "-0.4590 h"),
        ({"value": 5.15, "resolution": 0.01, "unit": "1"}, 12.0, None, "12.000", "+6.850"),
    ],
)
def test_measured_has_one_digit_more(fields, mean, std, text, change):
    assert units.mean_and_spread(claim(**fields), mean, std) == text
    assert units.difference(claim(**fields), mean) == change


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.24, "4.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (187.4, "3 min 07 s"),
        (3599.6, "1 h 00 min"),
        (7499.0, "2 h 05 min"),
    ],
)
def test_duration_never_shows_sixty(seconds, text):
    assert units.duration(seconds) == text


def test_rate():
    assert units.rate(12_345.6) == "12,346"
    assert units.rate(8.25) == "8.2"

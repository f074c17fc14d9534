"""repro.specs.printed_values: a value as it is printed gives the number, its unit and the worth of its last digit."""

from __future__ import annotations

import pytest

from repro.specs.printed_values import read_printed_values


@pytest.mark.parametrize(
    ("quantity", "printed", "value", "resolution", "unit"),
    [
        ("accuracy", "47%", 0.47, 0.01, "fraction"),
        ("accuracy", "73.112 %", 0.73112, 0.00001, "fraction"),
        ("accuracy", "0.4612", 0.4612, 0.0001, "fraction"),
        ("loss", "1.20", 1.2, 0.01, "nat"),
        ("rows", "3,589", 3589.0, 1.0, "rows"),
        ("parameters", "58423", 58423.0, 1.0, "1"),
        ("pixel_mean", "-0.5", -0.5, 0.1, "1"),
    ],
)
def test_a_printed_value(quantity, printed, value, resolution, unit):
    claim = {"quantity": quantity, "value": printed}
    read_printed_values({"claims": [claim]})
    assert claim == {"quantity": quantity, "value": value, "resolution": resolution, "unit": unit}


def test_what_the_file_says_itself_stays():
    claim = {"quantity": "time", "value": "12", "unit": "min", "resolution": 5}
    read_printed_values({"claims": [claim]})
    assert claim == {"quantity": "time", "value": 12.0, "unit": "min", "resolution": 5}


def test_a_unit_that_is_not_printed_is_not_guessed():
    claim = {"quantity": "time", "value": "12"}
    read_printed_values({"claims": [claim]})
    assert "unit" not in claim


@pytest.mark.parametrize("text", ["", "about 47%", "47%%", "4,7", "1e3", "47 percent", "٤٧%", "9" * 50])
def test_another_text_stays_and_is_an_error_of_type(text):
    claim = {"quantity": "accuracy", "value": text}
    read_printed_values({"claims": [claim]})
    assert claim["value"] == text
    read_printed_values({"claims": "no list"})
    read_printed_values({"claims": [1, {"value": 2.0}]})

"""repro.decide.duration: what --budget accepts, and that what is printed can be typed again."""

import pytest

from repro.decide.duration import duration_text, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("2h", 7200), ("1h30m", 5400), ("1h0m5s", 3605), (" 5m ", 300)]
)
def test_a_duration_is_hours_minutes_and_seconds(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "2 h", "h", "1.5h", "-5m", "30m1h", "2hours", "1d", "m30", "५s x"])
def test_anything_else_names_what_is_accepted(text):
    with pytest.raises(ValueError, match="is not a duration; write it as 90s, 20m, 2h or 1h30m"):
        seconds_of(text)


@pytest.mark.parametrize("text", ["0s", "0h0m"])
def test_no_time_at_all_is_an_error_too(text):
    with pytest.raises(ValueError, match="is no time"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1s"), (119, "119s"), (120, "2m"), (121, "3m"), (3600, "1h"), (5400, "1h30m"), (86401, "24h1m")],
)
def test_what_is_printed_is_rounded_up_and_can_be_typed(seconds, text):
    assert duration_text(seconds) == text
    assert seconds_of(text) >= seconds

"""`repro.verdict`: the statistics of the bundled papers, for numbers typed in."""

from __future__ import annotations

import pytest

import repro
from fer_jax.vocabulary.errors import UserError

CLEAN = [0.456, 0.455, 0.457]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"claim": "98 %", "values": CLEAN}, "lower"),
        ({"claim": "45.6 %", "values": CLEAN}, "reproduced"),
        ({"claim": 0.456, "values": CLEAN}, "reproduced"),
        ({"claim": "30 %", "values": CLEAN}, "higher"),
        ({"claim": "45.6 %", "values": CLEAN[:2]}, "open"),
    ],
)
def test_the_word(given, word):
    found = repro.verdict(**given)
    assert found.word == word and word in repr(found)
    assert bool(found.missing) == (word == "open")


def test_other_samples_widen_the_interval():
    same = repro.verdict(claim="47 %", values=CLEAN, samples=500)
    other = repro.verdict(claim="47 %", values=CLEAN, samples=500, same_samples=False)
    assert (same.word, other.word) == ("reproduced, though lower", "open")
    lowest, highest = other.decision.low, other.decision.high
    assert lowest is not None and highest is not None and lowest < 0.40 and highest > 0.51


def test_the_printed_digits_are_the_resolution():
    assert repro.verdict(claim="61.70 %", values=CLEAN).claim.resolution == pytest.approx(0.0001)
    assert repro.verdict(claim="0.6", values=CLEAN, tolerance=None).claim.resolution == pytest.approx(0.1)
    assert repro.verdict(claim=0.6, values=CLEAN, resolution=0.05).claim.resolution == 0.05


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"claim": 61, "values": CLEAN}, "a fraction from 0 to 1"),
        ({"claim": "sixty", "values": CLEAN}, "write 0.61 or '61 %'"),
        ({"claim": "61 % or so", "values": CLEAN}, "write 0.61 or '61 %'"),
        ({"claim": 0.6, "values": [61.0]}, "a fraction from 0 to 1"),
        ({"claim": 0.6, "values": CLEAN, "same_samples": False}, "`samples` is needed"),
        ({"claim": 0.6, "values": CLEAN, "tolerance": -1}, "cannot be negative"),
        ({"claim": "0.6", "values": CLEAN}, "is below half the `resolution`"),
        ({"claim": 0.6, "values": CLEAN, "tries": 0}, "at least one try"),
    ],
)
def test_what_is_no_accuracy_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        repro.verdict(**given)

"""Numbers as the report prints them: fractions as percentages, with digits according to the paper's precision."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from decimal import Decimal

from repro.specs.spec import Claim

DISPLAY_SCALE = {"fraction": 100.0}
DISPLAY_UNIT = {"fraction": "%", "1": "", "rank": "", "rows": "samples"}  # a row of the dataset is a sample
DIFFERENCE_UNIT = {"fraction": "points", "1": "", "rank": "places", "rows": "samples"}
FINEST_ADDED_DIGIT = 3  # a value printed to more places than this gets no further digit
# Places of measured accuracies (in per cent) and losses: the mean of a few runs is never known to more.
FINEST_SAMPLED = {"fraction": 3, "nat": 4}


def printed_decimals(claim: Claim) -> int:
    """Decimals of the paper's value in the displayed unit: by its resolution, else by its digits."""
    scale = DISPLAY_SCALE.get(claim.unit, 1.0)
    if claim.resolution > 0:
        return max(0, math.ceil(-math.log10(claim.resolution * scale) - 1e-9))
    exponent = (Decimal(str(claim.value)) * Decimal(str(scale))).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def measured_decimals(claim: Claim) -> int:
    """One decimal more than printed, to show whether a mean is near a rounding edge."""
    printed = printed_decimals(claim)
    more = printed + 1 if printed <= FINEST_ADDED_DIGIT else printed
    return min(more, FINEST_SAMPLED.get(claim.unit, more))


def number(value: float, decimals: int) -> str:
    """With thousands separated, and no minus before a zero."""
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text


def with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text


def reported(claim: Claim) -> str:
    """The paper's value, as exact as it was printed."""
    text = number(claim.value * DISPLAY_SCALE.get(claim.unit, 1.0), printed_decimals(claim))
    return with_unit(text, DISPLAY_UNIT.get(claim.unit, claim.unit))


def mean_and_spread(claim: Claim, mean: float, std: float | None) -> str:
    """A mean with its standard deviation, in the claim's unit. A count that is the same in all runs stays a count."""
    scale = DISPLAY_SCALE.get(claim.unit, 1.0)
    unit = DISPLAY_UNIT.get(claim.unit, claim.unit)
    if _is_count(claim, mean) and not std:
        return with_unit(number(mean, 0), unit)
    decimals = measured_decimals(claim)
    text = number(mean * scale, decimals)
    if std is not None:
        text += f" ± {number(std * scale, decimals)}"
    return with_unit(text, unit)


def percentage(mean: float, std: float | None) -> str:
    """A fraction that no paper reports, to a tenth of a per cent."""
    spread = "" if std is None else f" ± {number(100 * std, 1)}"
    return f"{number(100 * mean, 1)}{spread} %"


def percentage_of(values: Sequence[float]) -> str:
    """Fractions of several runs: mean, spread and n."""
    spread = statistics.stdev(values) if len(values) > 1 else None
    return f"{percentage(statistics.fmean(values), spread)} (n = {len(values)})"


def difference(claim: Claim, mean: float) -> str:
    """Measured minus reported, signed, in the claim's unit (points for percentages)."""
    decimals = 0 if _is_count(claim, mean) else measured_decimals(claim)
    text = signed((mean - claim.value) * DISPLAY_SCALE.get(claim.unit, 1.0), decimals)
    return with_unit(text, DIFFERENCE_UNIT.get(claim.unit, claim.unit))


def signed(value: float, decimals: int) -> str:
    """With a plus before what is more than zero as printed."""
    text = number(value, decimals)
    return text if text.startswith("-") or not text.strip("0.,") else f"+{text}"


def _is_count(claim: Claim, mean: float) -> bool:
    return claim.unit != "fraction" and printed_decimals(claim) == 0 and mean.is_integer()


def duration(seconds: float) -> str:
    """Wall time for people: 4.2 s, 3 min 07 s, 2 h 05 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02d} min"


def rate(per_second: float) -> str:
    """Images per second: three digits are enough for slow ones."""
    return number(per_second, 0 if per_second >= 100 else 1)

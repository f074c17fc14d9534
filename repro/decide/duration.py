"""Durations as a user writes and reads them: 90s, 20m, 2h, 1h30m."""

from __future__ import annotations

import math
import re
from typing import Any

import click

ACCEPTED = "write it as 90s, 20m, 2h or 1h30m"
_FORM = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?")
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def seconds_of(text: str) -> int:
    """Seconds of a duration such as 1h30m. Raises ValueError for anything else, and for no time at all."""
    found = _FORM.fullmatch(text.strip())
    parts = {unit: int(count) for unit, count in found.groupdict().items() if count} if found else {}
    if not parts:
        raise ValueError(f"{text!r} is not a duration; {ACCEPTED}")
    seconds = sum(count * _SECONDS[unit] for unit, count in parts.items())
    if not seconds:
        raise ValueError(f"{text!r} is no time; {ACCEPTED}")
    return seconds


def duration_text(seconds: float) -> str:
    """At most two units, rounded up, in a form that `seconds_of` reads: 45s, 12m, 1h30m."""
    whole = max(1, math.ceil(round(seconds, 6)))  # 1.1 x 100 is a little more than 110
    if whole < 120:
        return f"{whole}s"
    minutes = -(-whole // 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m"
    return f"{hours}h{rest}m" if rest else f"{hours}h"


class Duration(click.ParamType):
    """A command-line value in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return seconds_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

"""What a check has to say: one struct."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Outcome = Literal["consistent", "inconsistent", "cannot tell"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One result of one check.

    check: name of the check, the same for every document ("steps x batch size").
    claims: ids of the claims that it is about, at least one.
    outcome: "cannot tell" where the figures are too coarse, or where what they would be held against is not known.
    arithmetic: one line with the figures.
    meaning: one sentence for a reader.
    """

    check: str
    claims: tuple[str, ...]
    outcome: Outcome
    arithmetic: str
    meaning: str

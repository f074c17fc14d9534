"""Which claims get a verdict. The statistics are in `repro.statistics`, the words in `repro.judge.verdicts`."""

from __future__ import annotations

from collections.abc import Sequence

from repro.specs.claims import CLASS_MEASURES
from repro.specs.spec import Claim

FACTS = frozenset({"rows", "parameters", "pixel_mean", "pixel_std"})  # of the prepared data and the network
# A time belongs to its hardware: it gets a ratio with both machines named, never a verdict.
_WITH_VERDICT = FACTS | {"accuracy", "loss", "predicted_rows", "true_positives", *CLASS_MEASURES}


def has_verdict(claim: Claim) -> bool:
    """Whether runs can confirm or contradict the claim. False for times and for claims that no run measures."""
    return claim.quantity in _WITH_VERDICT and not claim.not_measured


def is_fact(claim: Claim, values: Sequence[float]) -> bool:
    """Whether the claim is about data or network and every run gave the same value."""
    return claim.quantity in FACTS and len(values) > 0 and len(set(values)) == 1

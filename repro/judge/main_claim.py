"""The value that a paper's verdict is about: its headline, or the corresponding claim for another variant."""

from __future__ import annotations

from repro.judge.groups import PaperRuns
from repro.specs.spec import Claim, PaperSpec


def headline(paper: PaperRuns) -> Claim | None:
    """The paper's main number."""
    return paper.loaded.spec.headline if paper.loaded else None


def main_claim(paper: PaperRuns, variant: str) -> Claim | None:
    """The headline, or the corresponding claim for another variant; None if the paper reports nothing."""
    return claim_for(paper.loaded.spec, variant) if paper.loaded else None


def claim_for(spec: PaperSpec, variant: str) -> Claim | None:
    """`main_claim` by the spec alone."""
    main = spec.headline
    if main is None or main.variant == variant:
        return main
    same_figure = [
        claim
        for claim in spec.single_claims
        if (claim.variant, claim.quantity, claim.split) == (variant, main.quantity, main.split)
        and not claim.not_measured
        and not claim.emotion
    ]
    # The end of the run before any epoch of it, then the latest epoch: the place that the headline is about.
    latest = {claim.id: claim.epoch or claim.step or float("inf") for claim in same_figure}
    return max(same_figure, key=lambda claim: latest[claim.id], default=None)

"""The value that a paper's verdict is about: its headline, or the corresponding claim for another variant."""

from __future__ import annotations

from repro.judge.groups import PaperRuns
from repro.specs.spec import Claim


def headline(paper: PaperRuns) -> Claim | None:
    """The paper's main number."""
    return paper.loaded.spec.headline if paper.loaded else None


def main_claim(paper: PaperRuns, variant: str) -> Claim | None:
    """The headline, or the corresponding claim for another variant; None if the paper reports nothing."""
    main = headline(paper)
    if main is None or main.variant == variant or paper.loaded is None:
        return main
    same_figure = [
        claim
        for claim in paper.loaded.spec.single_claims
        if (claim.variant, claim.quantity, claim.split) == (variant, main.quantity, main.split)
        and not claim.not_measured
        and not claim.emotion
    ]
    # The end of the run before any epoch of it, then the latest epoch: the place that the headline is about.
    latest = {claim.id: claim.epoch or claim.step or float("inf") for claim in same_figure}
    return max(same_figure, key=lambda claim: latest[claim.id], default=None)

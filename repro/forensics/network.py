"""Parameters that the document prints against those of its network."""

from __future__ import annotations

from collections.abc import Iterator

from fer_jax.layers import parameter_count
from repro.forensics.case import Case, ids
from repro.forensics.finding import Finding
from repro.forensics.printed import best, number, window
from repro.spec import Claim

PARAMETERS = "parameters of the network"


def check(case: Case) -> Iterator[Finding]:
    for claim in case.of("parameters"):
        yield _parameters(case, claim)


def _parameters(case: Case, claim: Claim) -> Finding:
    counts = _counts(case, claim.variant)
    outcome = best([window(claim).fit(count) for count in counts])
    total, trainable = counts
    shown = f"printed {number(claim.value)}; the network has {total:,}"
    if trainable != total:
        shown += f", {trainable:,} of them trainable"
    shown += "".join(
        f"; the reading {name} has {_counts(case, name)[0]:,}"
        for name in case.loaded.spec.variants
        if name in case.readings and _counts(case, name)[0] != _counts(case, claim.variant)[0]
    )
    return Finding(
        check=PARAMETERS,
        claims=ids(claim),
        outcome=outcome,
        arithmetic=shown,
        meaning="The network as it is described has the printed number of parameters."
        if outcome == "consistent"
        else "The network that is described is not the one whose parameters were counted.",
    )


def _counts(case: Case, variant: str) -> tuple[int, int]:
    size = case.image_size(variant)
    return parameter_count(case.spec(variant).model.layers, (size, size, 1))

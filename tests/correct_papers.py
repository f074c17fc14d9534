"""Correct papers whose authors use another convention than the checks expect first.

Each starts from an invented paper without a mistake (`invented_papers`). Some of its numbers are then made again as an
author with another convention makes them: by simulating what that author does, from a seed. `uses` names the
conventions. The paper rules out all others and states every setting, so that nothing else can excuse it.
"""

from __future__ import annotations

import random
from pathlib import Path

import correct_accuracies
import correct_tables
import msgspec
from correct_kind import KINDS
from invented_papers import invented_paper, stating_everything, with_claims

from repro.specs.conventions import Convention
from repro.specs.decode import LoadedSpec
from repro.specs.spec import Claim

__all__ = ["KINDS", "correct_accuracies", "correct_paper", "correct_tables"]  # the two modules fill KINDS


def correct_paper(folder: Path, kind: str, seed: int, *, but: frozenset[Convention] | None = None) -> LoadedSpec:
    """The paper of a seed. but: the conventions that it does not rule out; default: those that it uses."""
    draw = random.Random(f"{kind} {seed}")
    paper = invented_paper(folder, draw)
    claims = {c.id: c for c in paper.spec.claims}
    for id_, new in KINDS[kind].make(draw, claims).items():
        if new is None:
            del claims[id_]
        elif isinstance(new, Claim):
            claims[id_] = new
        else:
            fields = new if isinstance(new, dict) else {"value": float(new)}
            claims[id_] = msgspec.structs.replace(claims[id_], **fields)
    return stating_everything(with_claims(paper, list(claims.values())), but=KINDS[kind].uses if but is None else but)

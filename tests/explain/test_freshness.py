"""repro.explain.freshness, and that the committed explanations are what the committed records give."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.explain.freshness import is_current
from repro.explain.records import Explanation, read_explanation
from repro.explain.search import Search
from repro.specs.catalog import bundled_papers

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.mark.parametrize("paper", bundled_papers(), ids=lambda paper: paper.id)
def test_a_committed_explanation_is_what_the_records_give(paper):
    """More runs of any paper change the usual spread, and so the intervals of all."""
    kept = read_explanation(RESULTS, paper.id)
    assert isinstance(kept, Explanation) and is_current(paper, kept)
    now = Search(paper, data=None, device="auto", results=RESULTS, seeds=3, train=False).explain()
    if now != kept:
        pytest.fail(f"run `repro explain {paper.id} --no-train`, then `repro report`", pytrace=False)

"""Steps and decimals together: which samples an evaluation was of."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_papers import claim, stating_everything, with_claims
from tiny_paper import load_tiny

from repro.forensics import examine
from repro.forensics.counts import other_batch_sizes
from repro.forensics.evaluated import EVALUATED, is_mean_of_batches
from repro.forensics.printed import FLOAT32, RoundingInterval

PRIVATE, TRAINING = 3589, 28_709
BATCHES = st.integers(1, 512)


def evaluated(folder, right: int, rows: int, batch: int):
    """The finding on an accuracy that a program printed in full, with the steps of its progress line."""
    claims = [
        claim("accuracy", "accuracy", right / rows, split="test", resolution=0.0),
        claim("steps", "steps", -(-rows // batch), split="test"),
    ]
    paper = stating_everything(with_claims(load_tiny(folder), claims))
    (finding,) = [f for f in examine(paper) if f.check == EVALUATED]
    return finding


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluated")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, PRIVATE - 1), BATCHES)
def test_a_correct_evaluation_of_a_test_split_fits_with_any_batch_size(folder, right, batch):
    assert evaluated(folder, right, PRIVATE, batch).outcome == "consistent"


def test_an_evaluation_of_the_training_part_is_found_in_nearly_all_cases(folder):
    """Now and then k / 28,709 is within float32 of some k / 3,589, or no batch size tells: never a false alarm then."""
    draw = random.Random(5)
    cases = [evaluated(folder, draw.randint(9000, TRAINING - 1), TRAINING, draw.choice((8, 32, 64))) for _ in range(40)]
    assert sum(f.outcome == "impossible" for f in cases) >= 36
    assert all("of the 28,709 training samples" in f.meaning for f in cases if f.outcome == "impossible")


@given(st.integers(1, 3000), BATCHES)
def test_the_batch_sizes_of_a_number_of_steps_are_those_that_give_it(rows, batch):
    """Against every batch size, one by one. Batches larger than all samples are as good as one of all samples."""
    steps = -(-rows // batch)
    assert other_batch_sizes(steps, rows) == [b for b in range(1, rows + 1) if steps in (-(-rows // b), rows // b)]


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(2, 500), st.integers(1, 60))
def test_a_mean_over_batches_is_recognised(seed, rows, batch):
    draw = random.Random(seed)
    sizes = [min(batch, rows - start) for start in range(0, rows, batch)]
    mean = sum(draw.randint(0, size) / size for size in sizes) / len(sizes)
    assert is_mean_of_batches(RoundingInterval(mean, mean * FLOAT32), rows, batch)

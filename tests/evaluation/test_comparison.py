"""Two networks on the same samples: McNemar, the bootstrap, and groups of seeds."""

from __future__ import annotations

import numpy as np
import pytest

from repro.evaluation.comparison import Contestant, compare_networks, read_contestant
from repro.evaluation.comparison_text import comparison_document
from repro.evaluation.errors import EvaluationError
from repro.evaluation.scores import Answers
from repro.text.terminal import terminal

N = 400
LABEL = np.arange(N) % 7
FINGERPRINT = "a" * 64


def network(right: np.ndarray, rows: np.ndarray | None = None) -> Answers:
    predicted = np.where(right, LABEL, (LABEL + 1) % 7)
    rows = np.arange(N) if rows is None else rows
    return Answers(rows.astype(np.int64), LABEL[rows], predicted[rows], None)


def side(name: str, share: float, seeds: int, start: int = 0) -> Contestant:
    """Networks that are right on `share` of the samples, each on others."""
    made: dict[int | None, Answers] = {
        seed: network(np.random.default_rng([start, seed]).random(N) < share) for seed in range(seeds)
    }
    return Contestant(name, made if seeds > 1 else {None: made[0]}, FINGERPRINT)


def test_a_network_against_itself_differs_nowhere(tmp_path):
    one = side("one", 0.6, 1)
    found = compare_networks(one, one, tmp_path)
    assert found.subsets[0].images == (0.0, 0.0, 0.0) and found.pairs[0].table.p == 1.0
    assert "No difference is shown" in terminal(comparison_document(found))


def test_one_sample_in_ten_better_is_found(tmp_path):
    right = np.random.default_rng(0).random(N) < 0.5
    better = right | (np.arange(N) % 10 == 0)
    found = compare_networks(
        Contestant("better", {None: network(better)}, FINGERPRINT),
        Contestant("one", {None: network(right)}, FINGERPRINT),
        tmp_path,
    )
    gained = int((better & ~right).sum())
    assert found.pairs[0].table[1:3] == (gained, 0)
    images = found.subsets[0].images
    assert images.value == pytest.approx(gained / N) and images.low > 0
    assert found.pairs[0].table.p == pytest.approx(2 * 0.5**gained)
    assert found.subsets[0].seeds is None


def test_only_samples_that_both_predicted_count(tmp_path):
    half = Contestant("half", {None: network(np.ones(N, bool), np.arange(100, 300))}, FINGERPRINT)
    found = compare_networks(half, side("one", 0.5, 1), tmp_path)
    assert found.samples == 200 and found.subsets[0].first == 1.0


def test_seeds_are_paired_and_give_an_interval_of_their_own(tmp_path):
    found = compare_networks(side("a", 0.8, 4, start=1), side("b", 0.5, 3, start=2), tmp_path)
    assert [pair.seed for pair in found.pairs] == [0, 1, 2]
    (whole,) = found.subsets
    assert whole.seeds is not None and whole.seeds.half_width is not None
    assert whole.seeds.mean == pytest.approx(whole.first - whole.second)
    assert whole.seeds.mean - whole.seeds.half_width > 0.2
    text = terminal(comparison_document(found))
    assert "95 % interval, seeds" in text and "A is better" in text


def test_a_single_network_is_paired_with_every_seed(tmp_path):
    found = compare_networks(side("a", 0.6, 1), side("b", 0.5, 3, start=4), tmp_path)
    assert [pair.seed for pair in found.pairs] == [0, 1, 2] and found.subsets[0].seeds is None


def test_mistakes_are_one_message(tmp_path):
    one, other = side("one", 0.5, 1), Contestant("other", side("x", 0.5, 1).answers, "b" * 64)
    with pytest.raises(EvaluationError, match="different datasets"):
        compare_networks(one, other, tmp_path)
    apart = Contestant("apart", {None: network(np.ones(N, bool), np.arange(200, 400))}, FINGERPRINT)
    first = Contestant("first", {None: network(np.ones(N, bool), np.arange(200))}, FINGERPRINT)
    with pytest.raises(EvaluationError, match="no sample in common"):
        compare_networks(first, apart, tmp_path)
    with pytest.raises(EvaluationError, match="neither an evaluation"):
        read_contestant("nothing", tmp_path, "PrivateTest")

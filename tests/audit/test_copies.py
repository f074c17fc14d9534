"""What copies are worth: the parts add up, planted effects are found, intervals hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.audit import copies
from repro.audit.copies import COPIES, common_samples, decompose, label_response, test_samples

test_samples.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]
CLASSES = 7


def planted(seed: int, n: int, share: float, runs: int, *, recall: float, loss: float = 0.0, jitter: float = 0.0):
    """(samples, official, clean, placebo) of networks that are right with 50 %, and that on samples with a copy answer
    the copy's label with chance `recall` instead. loss: what official gains over placebo on every sample. jitter:
    standard deviation of a run's own accuracy."""
    random = np.random.default_rng(seed)
    label = random.integers(0, CLASSES, n).astype(np.uint8)
    copied = random.random(n) < share
    other = (label + 1) % CLASSES
    conflicting = random.random(n) < 0.2
    sample = np.arange(n)
    pairs = np.stack([sample[copied], n + sample[copied]], 1)
    training = {n + int(k): int(other[k] if conflicting[k] else label[k]) for k in sample[copied]}
    samples = test_samples(sample, label, pairs, training, CLASSES)
    of_copy = np.where(conflicting, other, label)

    def answers(recalls: bool, accuracy: float) -> np.ndarray:
        out = []
        for _ in range(runs):
            own = random.random(n) < accuracy + jitter * random.normal()
            plain = np.where(own, label, (label + random.integers(1, CLASSES, n)) % CLASSES)
            out.append(np.where(recalls & copied & (random.random(n) < recall), of_copy, plain))
        return np.stack(out).astype(np.uint8)

    return samples, answers(True, 0.5 + loss), answers(False, 0.5), answers(True, 0.5)


def test_the_parts_add_up_to_the_difference_of_official_and_clean() -> None:
    found = decompose(*planted(1, 3000, 0.2, 3, recall=0.6, loss=0.02))
    parts = found.copies.value + found.control.value + found.fewer.value
    assert found.total.value == pytest.approx(parts, abs=1e-12)
    assert found.with_copy == pytest.approx(600, abs=60) and found.samples == 3000


def test_a_planted_effect_is_found_and_the_control_holds_zero() -> None:
    found = decompose(*planted(2, 4000, 0.2, 3, recall=0.6))
    # Of the samples with a copy, 60 % are answered as the copy: right in 80 % of them instead of 50 %.
    truth = 0.2 * 0.6 * (0.8 - 0.5)
    assert found.copies.low < truth < found.copies.high and found.copies.low > 0
    assert found.control.low < 0 < found.control.high
    assert found.fewer.low < 0 < found.fewer.high


def test_networks_that_recall_nothing_show_no_effect_of_copies() -> None:
    found = decompose(*planted(3, 4000, 0.2, 3, recall=0.0))
    assert found.copies.low < 0 < found.copies.high


def test_conflicting_copies_make_networks_wrong_that_recall_them() -> None:
    samples, official, clean, _ = planted(4, 4000, 0.2, 3, recall=0.6)
    by_kind = {one.copies: one for one in label_response(samples, {"official": official, "clean": clean})}
    assert list(by_kind) == ["none", "same label", "other label"]
    other, same = by_kind["other label"], by_kind["same label"]
    assert other.accuracy["official"].high < other.accuracy["clean"].low
    assert same.accuracy["official"].low > same.accuracy["clean"].high
    assert other.as_copies and other.as_copies["official"].low > other.as_copies["clean"].high
    assert same.as_copies == same.accuracy and by_kind["none"].as_copies is None
    assert sum(one.samples for one in by_kind.values()) == len(samples)


@pytest.mark.parametrize(("runs", "least"), [(2, 0.85), (3, 0.90), (5, 0.92)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(runs: int, least: float) -> None:
    """Of `fewer`, whose truth is 0 here; runs differ by 2 points beside the chance of 200 samples. Few seeds give
    intervals that are a little short, because a percentile interval does not know Student's t."""
    held = 0
    for seed in range(100):
        found = decompose(*planted(seed, 200, 0.2, runs, recall=0.5, jitter=0.02), draws=100)
        held += found.fewer.low <= 0 <= found.fewer.high
    assert held / 100 >= least


def test_what_the_labels_of_copies_say() -> None:
    """Sample 0 without a copy, 1 with one of its label, 2 with both, 3 with another's, 4 through a third sample."""
    label = np.array([0, 1, 2, 3, 4], np.uint8)
    pairs = np.array([[1, 11], [2, 12], [2, 13], [3, 14], [4, 20], [20, 15]])
    training = {11: 1, 12: 2, 13: 5, 14: 0, 15: 4}
    samples = test_samples(np.arange(5), label, pairs, training, CLASSES)
    assert [COPIES[kind] for kind in samples.copies] == [
        "none", "same label", "mixed labels", "other label", "same label",
    ]  # fmt: skip
    assert np.flatnonzero(samples.copy_labels[2]).tolist() == [2, 5]
    assert len(set(samples.group.tolist())) == 5


def test_a_single_run_is_refused_by_name() -> None:
    samples, official, clean, placebo = planted(5, 200, 0.2, 2, recall=0.5)
    with pytest.raises(ValueError, match="placebo: 1 run has no spread"):
        decompose(samples, official, clean, placebo[:1])


def test_the_same_draws_every_time() -> None:
    arguments = planted(6, 300, 0.2, 3, recall=0.5)
    assert decompose(*arguments, draws=50) == decompose(*arguments, draws=50)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(0, 30), min_size=8), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_common_samples_are_those_of_all_runs_in_whatever_order(numbers: list[set[int]], random) -> None:
    runs = []
    for one in numbers:
        order = list(one)
        random.shuffle(order)
        runs.append((np.array(order), np.array([k % CLASSES for k in order], np.uint8)))
    common, answers = common_samples(runs)
    assert common.tolist() == sorted(set.intersection(*numbers))
    assert (answers == common % CLASSES).all() and answers.shape == (len(numbers), len(common))


def test_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no run"):
        common_samples([])


def test_the_bootstrap_takes_images_whole() -> None:
    """Two samples of one image are drawn together: their common fate widens the interval."""
    random = np.random.default_rng(0)
    right = random.random((3, 300)) < 0.5
    seeds = {"official": 3}
    alone = copies.ImageBootstrap(np.arange(600), seeds, 400)
    paired = copies.ImageBootstrap(np.arange(600) // 2, seeds, 400)
    hit, where = np.repeat(right, 2, axis=1), np.ones(600, bool)
    widths = [one.high - one.low for one in (b.share("official", hit, where) for b in (alone, paired))]
    assert widths[1] > 1.1 * widths[0]

"""Which samples count as seen: copies in training, copies in the split of selection, and repeats."""

from __future__ import annotations

import numpy as np
from evaluated import known_pairs, three_splits

from repro.evaluation.subsets import evaluated_samples

FACES = three_splits()
KNOWN = known_pairs()
SAMPLE = np.flatnonzero(FACES.usage == 2)


def subsets(trained_on):
    found = evaluated_samples(SAMPLE, FACES.labels[SAMPLE], "PrivateTest", KNOWN, trained_on)
    return found, {name: np.flatnonzero(mask).tolist() for name, mask in found.subsets.items()}


def test_copies_in_training_are_seen_and_those_in_public_test_are_not_clean():
    found, by_name = subsets(["Training"])
    assert by_name["copies only"] == [0, 1]
    assert by_name["without copies"] == list(range(2, 40))
    assert by_name["clean"] == [3, *range(5, 40)], "neither the copy of PublicTest, 2, nor the repeat, 4"
    assert np.flatnonzero(found.other_label).tolist() == [1]


def test_a_network_that_was_trained_on_public_test_too_has_seen_more():
    assert subsets(["Training", "PublicTest"])[1]["copies only"] == [0, 1, 2]


def test_a_network_from_elsewhere_has_seen_nothing():
    _, by_name = subsets([])
    assert by_name["copies only"] == []
    assert by_name["clean"] == [0, 1, 3, *range(5, 40)], "PublicTest may have chosen the epoch in any case"

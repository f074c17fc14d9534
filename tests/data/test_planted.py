"""fer_jax.data.planted: copies where they are said to be, and nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.planted import EXACT, NEAR, plant_copies
from fer_jax.data.synthetic import draw_faces

COUNTS = {"Training": (30,) * 7, "PublicTest": (6,) * 7, "PrivateTest": (6,) * 7}


@pytest.fixture(scope="module")
def drawn() -> Faces:
    return draw_faces(2, COUNTS)


@pytest.mark.parametrize(("duplicates", "conflicts"), [(0.0, 0.0), (0.5, 0.0), (0.5, 0.2), (0.3, 0.3), (1.0, 0.0)])
def test_so_many_samples_of_each_split_are_copies_and_all_others_are_as_before(drawn, duplicates, conflicts):
    faces, copies = plant_copies(drawn, duplicates, conflicts)
    rows = [copy.row for copy in copies]
    assert rows == sorted(set(rows)) and len({copy.original for copy in copies}) == len(rows)
    for usage in (1, 2):
        mine = [copy for copy in copies if faces.usage[copy.row] == usage]
        assert len(mine) == round(42 * duplicates)
        assert sum(copy.conflict for copy in mine) == round(42 * conflicts)
    np.testing.assert_array_equal(faces.labels, drawn.labels)
    np.testing.assert_array_equal(faces.usage, drawn.usage)
    others = np.setdiff1d(np.arange(len(faces)), rows)
    np.testing.assert_array_equal(faces.images[others], drawn.images[others])
    for copy in copies:
        assert faces.usage[copy.original] == 0
        assert (faces.labels[copy.original] != faces.labels[copy.row]) == copy.conflict
        equal = np.array_equal(faces.images[copy.row], drawn.images[copy.original])
        assert equal == (copy.change == EXACT)


def test_half_of_the_copies_are_exact_and_the_others_of_every_kind(drawn):
    changes = [copy.change for copy in plant_copies(drawn, 1.0, 0.0)[1]]
    assert changes.count(EXACT) == 42
    assert {changes.count(kind) for kind in NEAR} <= {6, 7, 8}


def test_the_same_seed_plants_the_same_copies(drawn):
    first, again, other = plant_copies(drawn, 0.5, 0.1), plant_copies(drawn, 0.5, 0.1), plant_copies(drawn, 0.5, 0.1, 1)
    assert first[0].fingerprint == again[0].fingerprint and first[1] == again[1]
    assert first[1] != other[1]


def test_shares_that_cannot_be_and_too_few_originals_are_refused(drawn):
    for shares in ((0.1, 0.2), (-0.1, 0.0), (1.1, 0.0)):
        with pytest.raises(ValueError, match="0 <= conflicts <= duplicates <= 1"):
            plant_copies(drawn, *shares)
    scarce = draw_faces(2, {**COUNTS, "Training": (30, 3, 30, 30, 30, 30, 30)})
    with pytest.raises(DataError, match="too few samples of disgust"):
        plant_copies(scarce, 1.0, 0.0)

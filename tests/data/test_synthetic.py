"""The drawn dataset: official proportions, the same faces for the same seed, learnable but not trivial."""

from __future__ import annotations

import numpy as np
import pytest

from fer_jax.data.faces import Faces
from fer_jax.data.synthetic import ACTION_UNITS, BLOCK, CONFUSIONS, LABEL_NOISE, PROTOTYPES, SIZE_PX, _draw, draw_faces
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS, USAGES

SHARE = 8
COUNTS = {usage: tuple(rows // SHARE for rows in counts) for usage, counts in OFFICIAL_COUNTS.items()}
TINY = {"Training": (3, 1, 4, 6, 4, 2, 40), "PublicTest": (1, 0, 1, 1, 1, 1, 1), "PrivateTest": (1, 1, 0, 2, 1, 1, 1)}


@pytest.fixture(scope="module")
def drawn() -> tuple[Faces, np.ndarray]:
    return _draw(0, COUNTS, LABEL_NOISE)


def _rows(faces: Faces) -> set[tuple[int, int, bytes]]:
    rows = zip(faces.usage, faces.labels, faces.images, strict=True)
    return {(int(usage), int(label), image.tobytes()) for usage, label, image in rows}


def test_counts_usages_and_types(drawn: tuple[Faces, np.ndarray]) -> None:
    faces, shown = drawn
    assert faces.counts() == COUNTS
    assert faces.images.shape == (sum(map(sum, COUNTS.values())), SIZE_PX, SIZE_PX)
    assert faces.images.dtype == np.uint8 and shown.dtype == np.uint8
    assert faces.synthetic
    np.testing.assert_array_equal(faces.origin, np.arange(len(faces)))
    assert (np.diff(faces.usage.astype(int)) >= 0).all(), "usages lie in the order of USAGES, as in fer2013.csv"


def test_official_counts_are_the_default() -> None:
    assert draw_faces.__defaults__ is not None
    assert draw_faces.__defaults__[1] is OFFICIAL_COUNTS


def test_labels_are_shuffled_inside_each_usage(drawn: tuple[Faces, np.ndarray]) -> None:
    faces, _ = drawn
    for u in range(len(USAGES)):
        labels = faces.labels[faces.usage == u]
        chance = ((np.bincount(labels) / len(labels)) ** 2).sum()
        assert (labels[1:] == labels[:-1]).mean() < chance + 0.1  # sorted labels would give nearly 1


def test_the_same_seed_draws_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = draw_faces(3, TINY), draw_faces(3, TINY), draw_faces(4, TINY)
    assert first.fingerprint == again.fingerprint
    assert not _rows(first) & _rows(other)


def test_smaller_counts_draw_a_subset_of_the_same_faces() -> None:
    fewer = {"Training": (2, 1, 0, 3, 1, 1, BLOCK + 3), "PublicTest": (1, 0, 0, 1, 0, 1, 0)}
    assert _rows(draw_faces(5, fewer)) < _rows(draw_faces(5, TINY))


def test_no_two_faces_are_the_same(drawn: tuple[Faces, np.ndarray]) -> None:
    faces, _ = drawn
    assert len({image.tobytes() for image in faces.images}) == len(faces)
    # Nor nearly the same: 12x12 thumbnails without brightness and contrast, neighbours across all usages.
    small = faces.images[::2].reshape(-1, 12, 4, 12, 4).mean((2, 4)).reshape(-1, 144)
    small = small - small.mean(1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True)
    likeness = small @ small.T
    np.fill_diagonal(likeness, 0)
    assert likeness.max() < 0.995


def test_every_face_has_contrast_and_stays_on_the_gray_scale(drawn: tuple[Faces, np.ndarray]) -> None:
    images = drawn[0].images
    assert images.std((1, 2)).min() > 3
    assert 90 < images.mean() < 160
    assert np.isin(images, (0, 255)).mean() < 0.1, "few pixels are under- or overexposed"


def test_share_of_wrong_labels_is_the_documented_one(drawn: tuple[Faces, np.ndarray]) -> None:
    faces, shown = drawn
    wrong = shown != faces.labels
    deviation = (LABEL_NOISE * (1 - LABEL_NOISE) / len(faces)) ** 0.5
    assert abs(wrong.mean() - LABEL_NOISE) < 4 * deviation
    confusions = {(EMOTIONS[a], EMOTIONS[b]) for a, b in zip(faces.labels[wrong], shown[wrong], strict=True)}
    assert confusions <= {(label, other) for label, others in CONFUSIONS.items() for other in others}
    assert {("fear", "surprise"), ("sad", "neutral"), ("disgust", "angry")} <= confusions


def test_without_label_noise_every_face_shows_its_label() -> None:
    faces, shown = _draw(0, TINY, 0.0)
    np.testing.assert_array_equal(shown, faces.labels)


def test_with_nothing_but_label_noise_no_face_shows_its_label() -> None:
    faces, shown = _draw(0, TINY, 1.0)
    assert (shown != faces.labels).all() and shown.max() < len(EMOTIONS)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_tables_are_complete(emotion: str) -> None:
    assert sum(CONFUSIONS[emotion].values()) == pytest.approx(1)
    assert emotion not in CONFUSIONS[emotion] and set(CONFUSIONS[emotion]) <= set(EMOTIONS)
    assert all(set(units) <= set(ACTION_UNITS) for units in PROTOTYPES[emotion])


def test_a_linear_classifier_learns_but_does_not_solve_it(drawn: tuple[Faces, np.ndarray]) -> None:
    faces, _ = drawn
    x = faces.images.reshape(-1, 24, 2, 24, 2).mean((2, 4)).reshape(len(faces), -1)
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    x = np.c_[x, np.ones(len(x))]
    train = faces.usage == 0
    ridge = x[train].T @ x[train] + 1000 * np.eye(x.shape[1])
    weights = np.linalg.solve(ridge, x[train].T @ np.eye(len(EMOTIONS))[faces.labels[train]])
    test_labels = faces.labels[~train]
    accuracy = (np.argmax(x[~train] @ weights, 1) == test_labels).mean()
    majority = np.bincount(test_labels).max() / len(test_labels)
    assert majority + 0.08 < accuracy < 0.6


def test_strong_expressions_move_the_drawing() -> None:
    """The mean surprised face has a darker mouth than the mean neutral one: the jaw drops."""
    faces, _ = _draw(1, {"Training": (0, 0, 0, 0, 0, 200, 200)}, 0.0)
    surprised, neutral = (faces.images[faces.labels == label, 34:42, 20:28].mean() for label in (5, 6))
    assert surprised < neutral - 5


@pytest.mark.parametrize(
    "counts", [{"Test": (1,) * 7}, {"Training": (1, 2, 3)}, {"Training": (1, 1, 1, 1, 1, 1, -1)}], ids=str
)
def test_impossible_counts_are_refused(counts: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"draw_faces: counts\["):
        draw_faces(0, counts)


def test_no_counts_draw_no_faces() -> None:
    assert len(draw_faces(0, {})) == 0

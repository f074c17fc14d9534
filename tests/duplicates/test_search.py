"""The search for equal pictures, tested like a detector: copies at known places are found, clean data is passed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from planted import Planted, plant

from fer_jax.data.faces import Faces
from fer_jax.data.synthetic import draw_faces
from fer_jax.duplicates import correlation, search
from fer_jax.duplicates.search import (
    MIRRORED_MARGIN,
    THRESHOLD,
    Pairs,
    almost_constant,
    duplicates_of,
    find_duplicates,
    picture_groups,
    pictures_of,
)
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS

CLEAN_SHARE = 24  # about 1,500 of the official 35,887 rows
COPIES = 40  # of each of the twelve kinds
SEED_A, SEED_B = 11, 12  # chosen on / reported on


def clean_faces(seed: int) -> Faces:
    return draw_faces(seed, {usage: tuple(max(1, n // CLEAN_SHARE) for n in c) for usage, c in OFFICIAL_COUNTS.items()})


@pytest.fixture(scope="module")
def planted_b() -> tuple[Planted, Pairs]:
    mixed = plant(clean_faces(SEED_B).images, COPIES, SEED_B)
    return mixed, find_duplicates(mixed.images)


def near_figures(mixed: Planted, pairs: Pairs) -> tuple[float, float]:
    """Recall and precision of the near pairs."""
    truth = mixed.of(*(set(planted.CHANGES) - {"same"}))
    found = planted.rows(pairs.take(~pairs.exact))
    return len(found & truth) / len(truth), len(found & truth) / max(1, len(found))


def test_exact_copies_are_all_found_and_nothing_else_is_called_exact(planted_b: tuple[Planted, Pairs]) -> None:
    mixed, pairs = planted_b
    assert planted.rows(pairs.take(pairs.exact)) == mixed.of("same")
    assert len(mixed.of("same")) >= COPIES


def test_near_copies_are_found_by_recall_and_precision(planted_b: tuple[Planted, Pairs]) -> None:
    recall, precision = near_figures(*planted_b)
    assert recall >= 0.92 and precision >= 0.99, (recall, precision)
    by_kind = planted_b[0].recall(planted_b[1])
    assert set(by_kind) == set(planted.CHANGES)
    # Measured over several seeds: docs/duplicates.md.
    least = dict.fromkeys(by_kind, 0.9) | {"captioned": 0.85, "bordered": 0.8, "cropped_and_captioned": 0.6}
    assert all(by_kind[kind] >= share for kind, share in least.items()), by_kind


def test_the_threshold_lies_where_other_copies_than_the_reported_ones_put_it() -> None:
    mixed = plant(clean_faces(SEED_A).images, COPIES, SEED_A)
    pairs = find_duplicates(mixed.images, threshold=THRESHOLD - 0.2)
    is_copy = np.array([pair in mixed.truth for pair in zip(pairs.row_a.tolist(), pairs.row_b.tolist(), strict=True)])
    near = ~pairs.exact
    score = pairs.score - MIRRORED_MARGIN * pairs.mirrored
    assert score[~is_copy].max() < THRESHOLD <= np.quantile(score[is_copy & near], 0.05)


def test_clean_faces_give_no_alarm() -> None:
    assert len(find_duplicates(clean_faces(SEED_B).images)) == 0


def test_the_change_that_was_found_undoes_the_planted_one() -> None:
    """Of a copy shifted within a larger picture, every compared pixel is where dx and dy say."""
    random = np.random.default_rng(3)
    large = clean_faces(5).images[:40]
    images = [large[:, 2:-2, 2:-2]]
    moves = random.integers(0, 5, (len(large), 2))
    turned = random.random(len(large)) < 0.5
    for image, (dy, dx), mirror in zip(large, moves, turned, strict=True):
        copy = image[dy : dy + 44, dx : dx + 44]
        images.append(copy[None, :, ::-1] if mirror else copy[None])
    # A second copy of each first picture, after its changed one, has the change seen from the other side.
    images.append(images[0])
    pairs = find_duplicates(np.concatenate(images))
    n = len(large)
    # The middle is the picture itself, or its mirror image.
    exact = {(k, k + 2 * n) for k in range(n)}
    assert exact <= planted.rows(pairs.take(pairs.exact))
    stack = np.concatenate(images).astype(int)
    for k in np.flatnonzero(~pairs.exact):
        a, b = stack[pairs.row_a[k]], stack[pairs.row_b[k]]
        b = b[:, ::-1] if pairs.mirrored[k] else b
        dy, dx = int(pairs.dy[k]), int(pairs.dx[k])
        np.testing.assert_array_equal(a[2:-2, 2:-2], b[2 + dy : 42 + dy, 2 + dx : 42 + dx])
    changed = {k for k in range(n) if turned[k] or tuple(moves[k]) != (2, 2)}
    near = planted.rows(pairs.take(~pairs.exact))
    assert near == {(k, k + n) for k in changed} | {(k + n, k + 2 * n) for k in changed}


def test_pictures_without_structure_are_never_near() -> None:
    random = np.random.default_rng(0)
    faces = clean_faces(6).images[:50]
    flat = np.stack([np.full((48, 48), level, np.uint8) for level in (0, 17, 17, 255)])
    noise = random.integers(100, 103, (20, 48, 48), dtype=np.uint8)
    corner = np.zeros((2, 48, 48), np.uint8)
    corner[:, 0, 0] = 255, 90  # one pixel in the corner that the compared window does not see
    images = np.concatenate([faces, flat, noise, corner])
    assert (almost_constant(images) == (np.arange(len(images)) >= 50)).sum() >= 74
    pairs = find_duplicates(images, threshold=0.5)
    assert planted.rows(pairs.take(pairs.exact)) == {(51, 52)}
    assert pairs.row_b[~pairs.exact].max(initial=0) < 50


def no_near_pairs(images: np.ndarray, rows: np.ndarray, *_: object) -> Pairs:
    """In place of the search for near pairs, which gets each different image once."""
    assert len(np.unique(images[rows], axis=0)) == len(rows)
    none = np.zeros(0, np.int32)
    return Pairs(
        none, none, none == 1, none.astype(np.float32), none == 1, none.astype(np.int16), none.astype(np.int16)
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(0, 99))
def test_exact_pairs_are_those_of_a_comparison_of_all(which: list[int], seed: int) -> None:
    which = [*range(6), *which]
    images = np.random.default_rng(seed).integers(0, 255, (6, 12, 12), dtype=np.uint8)[which]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_near", no_near_pairs)
        pairs = find_duplicates(images)
    expected = {(a, b) for b in range(len(which)) for a in range(b) if which[a] == which[b]}
    assert planted.rows(pairs) == expected
    assert pairs.exact.all() and (pairs.score == 1).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_picture_groups_are_the_smallest_row_that_can_be_reached(case: tuple[int, list[tuple[int, int]]]) -> None:
    n, links = case
    links = sorted({(min(link), max(link)) for link in links if link[0] != link[1]})
    group = list(range(n))
    for _ in range(n):
        for a, b in links:
            group[a] = group[b] = min(group[a], group[b])
    a, b = np.array(links, np.int32).reshape(-1, 2).T
    none = np.zeros(len(links))
    found = picture_groups(n, Pairs(a, b, none, none, none, none, none))
    assert found.dtype == np.int32
    assert found.tolist() == group


@pytest.mark.parametrize("n", [1, 31, 64, 65, 200])
def test_alike_in_blocks_finds_what_all_products_at_once_find(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "BLOCK", 64)
    random = np.random.default_rng(n)
    rows, columns = random.normal(size=(2, n, 6)).astype(np.float32)
    products = rows @ columns.T
    a, b = correlation.alike(rows, columns, 1.5)
    assert a.dtype == b.dtype == np.int32
    expected = np.argwhere(np.triu(products >= 1.5, 1))
    assert set(zip(a.tolist(), b.tolist(), strict=True)) == set(map(tuple, expected.tolist()))
    a, b = correlation.above(rows, columns[::3], 1.5)
    assert a.dtype == b.dtype == np.int32
    assert set(zip(a.tolist(), b.tolist(), strict=True)) == set(
        map(tuple, np.argwhere(products[:, ::3] >= 1.5).tolist())
    )


@pytest.mark.parametrize("images", [np.zeros((3, 48, 48)), np.zeros((3, 48), np.uint8), np.zeros((3, 6, 48), np.uint8)])
def test_other_arrays_than_pictures_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="find_duplicates: images must be uint8"):
        find_duplicates(images)


def test_no_pictures_and_one_picture_have_no_pairs() -> None:
    for n in (0, 1):
        assert len(find_duplicates(clean_faces(1).images[:n])) == 0


def test_kept_pairs_are_read_again_and_a_damaged_file_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = clean_faces(8).take(np.arange(60))
    faces = clean.take(np.r_[np.arange(60), 7, 9])
    first = pictures_of(faces, tmp_path)
    assert first.tolist() == [*range(60), 7, 9]
    (kept,) = (tmp_path / "duplicates").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(search, "find_duplicates", None)
        np.testing.assert_array_equal(pictures_of(faces, tmp_path), first)
    content, pairs, searches = kept.read_bytes(), duplicates_of(faces, tmp_path), []

    def found(images: np.ndarray) -> Pairs:
        searches.append(len(images))
        return pairs

    for damaged in (content[: len(content) // 2], b"", b"not a zip"):
        kept.write_bytes(damaged)
        with monkeypatch.context() as patch:
            patch.setattr(search, "find_duplicates", found)
            np.testing.assert_array_equal(pictures_of(faces, tmp_path), first)
        assert kept.read_bytes() != damaged
    assert searches == [62, 62, 62]
    with monkeypatch.context() as patch:
        patch.setattr(search, "DUPLICATES_VERSION", search.DUPLICATES_VERSION + 1)
        again = duplicates_of(faces, tmp_path)
    assert planted.rows(again) == {(7, 60), (9, 61)}
    assert len(list((tmp_path / "duplicates").iterdir())) == 2, "another version is kept beside, nothing else is left"


def test_pairs_that_an_earlier_search_kept_are_not_read(tmp_path: Path) -> None:
    faces = clean_faces(9).take(np.r_[np.arange(40), 3])
    assert planted.rows(duplicates_of(faces, tmp_path)) == {(3, 40)}
    (kept,) = (tmp_path / "duplicates").iterdir()
    assert kept.name == f"{faces.fingerprint}-v{search.DUPLICATES_VERSION}.npz"
    none = {field.name: np.zeros(0, np.int32) for field in fields(Pairs)}
    for version in range(1, search.DUPLICATES_VERSION):
        np.savez(kept.with_name(f"{faces.fingerprint}-v{version}.npz"), **none)  # type: ignore[arg-type]
    kept.unlink()
    assert planted.rows(duplicates_of(faces, tmp_path)) == {(3, 40)}


@pytest.mark.parametrize(("height", "width"), [(96, 96), (30, 40)])
def test_copies_among_images_of_other_sizes_are_found(height: int, width: int) -> None:
    faces = clean_faces(14).images[:120]
    images = np.stack([np.asarray(Image.fromarray(image).resize((width, height))) for image in faces])
    moved = np.roll(images[:40], (height // 24, -(width // 12)), (1, 2))
    pairs = find_duplicates(np.concatenate([images, moved]))
    found = planted.rows(pairs)
    assert found <= {(k, 120 + k) for k in range(40)} and len(found) >= 36
    assert (np.abs(pairs.dy - height // 24) <= 1).all() and (np.abs(pairs.dx + width // 12) <= 1).all()


def test_pairs_out_of_range_are_taken_for_damage(tmp_path: Path) -> None:
    faces = clean_faces(9).take(np.arange(40))
    duplicates_of(faces, tmp_path)
    (kept,) = (tmp_path / "duplicates").iterdir()
    wrong = {field.name: np.array([50]) for field in fields(Pairs)}
    np.savez(kept, **wrong)  # type: ignore[arg-type]
    assert len(duplicates_of(faces, tmp_path)) == 0

"""The stages of a large dataset: what they lose, how many pairs they let through, and that their order is no matter."""

from __future__ import annotations

import importlib.util
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from planted import Planted, plant
from planted import rows as pairs_of

from fer_jax.data.synthetic import draw_faces
from fer_jax.duplicates import stages
from fer_jax.duplicates.correlation import best_of_windows
from fer_jax.duplicates.search import Pairs, find_duplicates
from fer_jax.duplicates.stages import CandidatePairs, Cuts
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS

has_faiss = importlib.util.find_spec("faiss") is not None
pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__:DeprecationWarning")  # of SWIG


@pytest.fixture(scope="module")
def mixed() -> Planted:
    counts = {usage: tuple(max(1, n // 90) for n in row) for usage, row in OFFICIAL_COUNTS.items()}
    return plant(draw_faces(17, counts).images, 10, 17)


@pytest.fixture(scope="module")
def expected(mixed: Planted) -> Pairs:
    return find_duplicates(mixed.images)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every dataset counts as a large one. The numbers of pairs that were compared in detail."""
    compared: list[int] = []
    in_detail = stages.fine_match

    def counting(images, a, *rest):
        compared.append(len(a))
        return in_detail(images, a, *rest)

    monkeypatch.setattr(stages, "SMALL", 100)
    monkeypatch.setattr(stages, "fine_match", counting)
    return compared


@pytest.mark.parametrize(
    "candidates",
    ["blocks", pytest.param("index", marks=pytest.mark.skipif(not has_faiss, reason="needs the extra audit-large"))],
)
def test_a_large_dataset_loses_few_copies(
    mixed: Planted, expected: Pairs, large: list[int], candidates, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stages, "COLUMNS", 150)
    reports: list[tuple[int, int]] = []
    found = find_duplicates(mixed.images, candidates=candidates, report=lambda done, of: reports.append((done, of)))
    assert pairs_of(found) <= pairs_of(expected)
    assert len(found) >= 0.98 * len(expected) >= 0.8 * len(mixed.truth)
    assert reports[-1][0] == reports[-1][1] == (10 if candidates == "blocks" else 4)
    assert [done for done, _ in reports] == list(range(1, len(reports) + 1))


def test_no_more_pairs_are_compared_than_the_budget(mixed, expected, large, monkeypatch: pytest.MonkeyPatch):
    find_duplicates(mixed.images)
    usual = sum(large)
    large.clear()
    wanted = usual / len(mixed.images) / 4
    monkeypatch.setattr(stages, "FINE_PER_IMAGE", wanted)
    monkeypatch.setattr(stages, "MOST_TOGETHER", 2.0)
    found = find_duplicates(mixed.images)
    assert sum(large) == pytest.approx(wanted * len(mixed.images), abs=2)
    assert 0 < len(found) < len(expected), "a budget below the number of copies loses some"


@pytest.mark.parametrize("tile", [97, 1 << 20])
def test_tiles_and_a_file_instead_of_an_array_change_nothing(
    mixed: Planted, expected: Pairs, tile: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(stages, "TILE", tile)
    np.save(tmp_path / "images.npy", mixed.images)
    found = find_duplicates(np.load(tmp_path / "images.npy", mmap_mode="r"))
    for field in fields(Pairs):
        # Scores of other batches differ by rounding.
        np.testing.assert_allclose(getattr(found, field.name), getattr(expected, field.name), atol=1e-5)


@pytest.mark.parametrize(
    "candidates",
    ["blocks", pytest.param("index", marks=pytest.mark.skipif(not has_faiss, reason="needs the extra audit-large"))],
)
def test_parts_that_others_carry_out_give_the_same_pairs(
    mixed: Planted, expected: Pairs, candidates, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stages, "COLUMNS", 150)
    parts: list[CandidatePairs] = []

    def in_another_order(count, find):
        assert count == -(-len(np.unique(mixed.images, axis=0)) // 150)
        parts.extend(find(part) for part in reversed(range(count)))
        return parts[::-1]

    found = find_duplicates(mixed.images, candidates=candidates, carry_out=in_another_order)
    usual = expected if candidates == "blocks" else find_duplicates(mixed.images, candidates="index")
    for field in fields(Pairs):
        np.testing.assert_allclose(getattr(found, field.name), getattr(usual, field.name), atol=1e-5)
    assert all(part.b.min() // 150 == part.b.max() // 150 for part in parts if len(part)), "columns of one part"
    # Nothing is described if all parts are there.
    monkeypatch.setattr(stages, "describe", None)
    again = find_duplicates(mixed.images, candidates=candidates, carry_out=lambda count, _: parts[::-1])
    np.testing.assert_array_equal(again.score, found.score)


def test_each_tile_holds_the_pairs_of_two_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stages, "TILE", 10)
    random = np.random.default_rng(0)
    a, b = random.integers(0, 45, (2, 500)).astype(np.int32)
    value = np.arange(500, dtype=np.float32)
    tiles = list(stages._tiles(CandidatePairs(a, b, a > b, value, np.zeros((500, 4), np.float32))))
    assert len(tiles) == len({(x // 10, y // 10) for x, y in zip(a, b, strict=True)}) == 25
    assert all(len(np.unique(tile.a // 10)) == len(np.unique(tile.b // 10)) == 1 for tile in tiles)
    everything = stages.joined(tiles)
    order = np.argsort(everything.value)
    np.testing.assert_array_equal(everything.a[order], a)
    np.testing.assert_array_equal(everything.mirrored[order], a > b)
    assert len(stages.joined([])) == 0


def test_the_best_of_windows_is_that_of_all_products():
    random = np.random.default_rng(1)
    one, other = random.normal(size=(2, 6, 30, 8)).astype(np.float16)
    a, b = random.integers(0, 30, (2, 200))
    products = np.einsum("ipd,jpd->pij", one[:, a].astype(float), other[:, b].astype(float))
    found = best_of_windows(one, other, a, b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, products.max((1, 2)), rtol=1e-5)
    assert len(best_of_windows(one, other, a[:0], b[:0])) == 0


@pytest.mark.parametrize(
    ("wanted", "cut"), [(3, 0.9), (7, 0.8), (99, 0.72), (0, 0.88)], ids=["third", "least", "all", "most"]
)
def test_a_cut_lets_as_many_through_as_wanted_but_keeps_its_bounds(wanted, cut):
    values = np.array([0.95, 0.93, 0.91, 0.9, 0.85, 0.83, 0.81, 0.8, 0.6], np.float32)
    assert stages._cut(values, wanted, 0.72, 0.92 if wanted == 3 else 0.88) == pytest.approx(cut)


def test_a_small_dataset_has_the_cuts_that_are_documented():
    assert Cuts() == Cuts(whole=0.60, corner=0.66, windows=0.0, coarse=0.75, together=0.0)

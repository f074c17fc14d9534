"""The search in inverted lists finds what the comparison of all pairs finds, and asks for its package where needed."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from planted import Planted, plant
from planted import rows as pairs_of

from fer_jax.data.faces import DataError
from fer_jax.data.synthetic import draw_faces
from fer_jax.duplicates import nearest
from fer_jax.duplicates.nearest import InvertedLists
from fer_jax.duplicates.search import Pairs, find_duplicates
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS

SMALL_SHARE = 45  # about 800 of the official 35,887 rows
COPIES = 20  # of each of the twelve kinds
needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="needs the extra audit-large")
pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__:DeprecationWarning")  # of SWIG


@pytest.fixture(scope="module")
def small() -> tuple[Planted, Pairs]:
    counts = {usage: tuple(max(1, n // SMALL_SHARE) for n in row) for usage, row in OFFICIAL_COUNTS.items()}
    mixed = plant(draw_faces(13, counts).images, COPIES, 13)
    return mixed, find_duplicates(mixed.images)


@needs_faiss
def test_the_index_finds_the_pairs_of_the_blocks(small: tuple[Planted, Pairs]) -> None:
    mixed, expected = small
    reports: list[tuple[int, int]] = []
    found = find_duplicates(mixed.images, candidates="index", report=lambda done, of: reports.append((done, of)))
    for field in fields(Pairs):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)
    assert len(expected) >= 0.9 * len(mixed.truth)
    assert reports == [(k, 10) for k in range(1, 11)]


@needs_faiss
def test_a_twelfth_of_the_lists_holds_nearly_all_near_pairs(
    small: tuple[Planted, Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the 256 lists of 10,000 rows the 16 that are probed are as small a part."""
    mixed, expected = small
    lists = len(mixed.images) // nearest.LEAST_ROWS
    monkeypatch.setattr(nearest, "PROBES", lists // 12)
    found = find_duplicates(mixed.images, candidates="index")
    assert pairs_of(found) <= pairs_of(expected)
    assert len(found) >= 0.97 * len(expected)


@needs_faiss
@pytest.mark.parametrize("n", [1, 38, 79, 600])
def test_all_lists_together_give_all_products_above_the_cut(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "PART", 64)
    random = np.random.default_rng(n)
    rows, columns = random.normal(size=(2, n, 6)).astype(np.float32)
    rows[::7] = 0  # pictures without structure
    expected = set(map(tuple, np.argwhere(rows @ columns.T >= 1.5).tolist()))
    monkeypatch.setattr(nearest, "PROBES", n)
    a, b = InvertedLists(rows).above(columns, 1.5)
    assert a.dtype == b.dtype == np.int32
    assert len(a) == len(expected)
    assert set(zip(a.tolist(), b.tolist(), strict=True)) == expected
    monkeypatch.setattr(nearest, "PROBES", 1)
    some = set(zip(*(x.tolist() for x in InvertedLists(rows).above(columns, 1.5)), strict=True))
    assert some <= expected and (some < expected) == (n > 78)


def test_without_faiss_the_message_names_an_extra_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    images = np.zeros((3, 48, 48), np.uint8)
    with pytest.raises(DataError, match="faiss, which is not installed: pip install") as error:
        find_duplicates(images, candidates="index")
    named = re.search(r"'([\w-]+)\[([\w-]+)\]'", str(error.value))
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert named and named[1] == pyproject["name"]
    assert any(one.startswith("faiss-cpu") for one in pyproject["optional-dependencies"][named[2]])
    assert len(find_duplicates(images)) == 3, "all pairs are compared without it"


def test_other_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="candidates 'all'; accepted are blocks, index"):
        find_duplicates(np.zeros((3, 48, 48), np.uint8), candidates="all")  # type: ignore[arg-type]

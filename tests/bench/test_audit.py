"""repro.bench.audit: what each way of searching finds, among drawn faces with planted copies."""

from __future__ import annotations

import numpy as np
import pytest

from fer_jax.data.synthetic import draw_faces
from repro.bench.audit import OWN, WAYS, Searcher, compare_audits

PLAIN, BRIGHTER, MIRRORED = (0, 39), (1, 40), (2, 41)  # the rows of a face, and of its copy


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    faces = draw_faces(counts={"Training": (6,) * 7}).images.copy()
    faces[PLAIN[1]] = faces[PLAIN[0]]
    faces[BRIGHTER[1]] = np.clip(faces[BRIGHTER[0]].astype(int) + 8, 0, 255)
    faces[MIRRORED[1]] = faces[MIRRORED[0]][:, ::-1]
    return faces


@pytest.mark.parametrize("way", WAYS)
def test_copies_are_found_by_those_that_look_for_them(way, images, monkeypatch):
    monkeypatch.setattr("repro.bench.audit.BLOCK", 16)  # several blocks, the last not full
    found = set(zip(*(rows.tolist() for rows in WAYS[way](images)), strict=True))
    assert {PLAIN, BRIGHTER} <= found
    assert all(a < b for a, b in found)
    assert (MIRRORED in found) == (way == OWN)


def test_keys_name_the_pairs(images):
    found = Searcher(OWN, images).search()
    assert found.seconds > 0 and found.peak_memory_bytes > 10 << 20
    assert PLAIN[0] * len(images) + PLAIN[1] in found.keys.tolist()
    assert np.all(np.diff(found.keys) > 0)


@pytest.mark.slow
def test_rounds_in_fresh_processes(images):
    lines: list[str] = []
    found = compare_audits(images, rounds=1, threads=1, say=lines.append)
    assert len(lines) == len(WAYS) and found.own.name == OWN
    assert found.own.pairs == found.own.pairs_of_ours >= 3
    assert all(2 <= way.pairs_of_ours <= min(way.pairs, found.own.pairs) for way in found.others)
    assert found.own.timings[0].images_per_s * found.own.seconds == pytest.approx(len(images))

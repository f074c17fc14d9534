"""repro.bench.import_csv: all ways read the same faces, and what is written is what `read_faces` reads."""

from __future__ import annotations

import numpy as np
import pytest

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.formats import read_faces
from fer_jax.data.synthetic import draw_faces
from repro.bench import import_csv
from repro.bench.import_csv import IDIOMS, Reader, compare_imports, write_csv


@pytest.fixture(scope="module")
def faces() -> Faces:
    return draw_faces(counts={"Training": (3,) * 7, "PrivateTest": (1,) * 7})


@pytest.fixture
def csv(faces, tmp_path):
    return write_csv(faces, tmp_path / "fer2013.csv")


def test_a_written_file_is_read_as_it_was(faces, csv):
    found = read_faces(csv).faces
    assert np.array_equal(found.images, faces.images)
    assert np.array_equal(found.labels, faces.labels) and np.array_equal(found.usage, faces.usage)
    assert csv.read_text().startswith("emotion,pixels,Usage\n")


@pytest.mark.parametrize("idiom", IDIOMS)
def test_idioms_read_the_same_faces(faces, csv, idiom):
    images, labels = IDIOMS[idiom](str(csv))
    assert images.dtype == np.uint8
    assert np.array_equal(images, faces.images) and np.array_equal(labels, faces.labels)


def test_rounds_in_fresh_processes(csv):
    lines: list[str] = []
    found = compare_imports(csv, rounds=1, threads=1, say=lines.append)
    ways = [found.own, *found.idioms, found.cached]
    assert [len(way.timings) for way in ways] == [1] * 5 and len(lines) == 5
    assert all(way.seconds > 0 and way.peak_memory_bytes > 10 << 20 for way in ways)
    assert found.file_bytes == csv.stat().st_size
    assert found.own.timings[0].images_per_s * found.own.seconds == pytest.approx(28)


def test_a_file_that_idioms_read_otherwise_is_refused(csv, monkeypatch):
    class Odd:
        def __init__(self, start, arguments, **_):
            self.way = arguments[0]

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def call(self, method):
            return import_csv.CsvTiming(1.0, 28, 1, "a" if self.way == import_csv.OWN else "b")

    monkeypatch.setattr(import_csv, "Worker", Odd)
    with pytest.raises(DataError, match="reads other faces"):
        compare_imports(csv, rounds=1, threads=1, say=lambda line: None)


def test_the_digest_is_of_pixels_and_labels(faces, csv, tmp_path):
    digest = Reader(import_csv.OWN, str(csv), "").read().digest
    other = faces.labels.copy()
    other[0] = (other[0] + 1) % 7
    changed = write_csv(Faces(faces.images, other, faces.usage, faces.origin), tmp_path / "other.csv")
    assert Reader(import_csv.OWN, str(changed), "").read().digest != digest
    assert Reader(next(iter(IDIOMS)), str(csv), "").read().digest == digest

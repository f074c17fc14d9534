"""A file or folder that has changed since it was imported is read again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from fer_jax.data import cache
from fer_jax.data.formats import read_faces


def write_csv(path: Path, rows: int = 3, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    lines = [f"{i % 7},{' '.join(map(str, random.integers(0, 256, 2304)))},Training" for i in range(rows)]
    path.write_text("\n".join(["emotion,pixels,Usage", *lines, ""]))
    return path


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path, root = write_csv(tmp_path / "a.csv", seed=0), tmp_path / "cache"
    before, _ = cache.import_faces(path, root)
    about = path.stat()
    write_csv(path, seed=1)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    after, cached = cache.import_faces(path, root)
    assert not cached
    assert after.faces.fingerprint == read_faces(path).faces.fingerprint != before.faces.fingerprint
    assert len(cache.entries(root)) == 2


def test_a_folder_is_known_by_its_files(tmp_path: Path) -> None:
    folder, root = tmp_path / "data", tmp_path / "cache"
    folder.mkdir()
    write_csv(folder / "fer2013.csv", seed=0)
    assert [cache.import_faces(folder, root)[1] for _ in range(2)] == [False, True]
    write_csv(folder / "fer2013.csv", rows=4, seed=0)
    imported, cached = cache.import_faces(folder, root)
    assert (len(imported.faces), cached) == (4, False)

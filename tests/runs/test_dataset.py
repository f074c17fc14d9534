"""Which faces a run uses."""

from pathlib import Path

import numpy as np
import pytest
from conftest import draw_tiny_faces

from fer_jax.data import cache
from fer_jax.data.faces import DataError
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS
from repro.runs import dataset
from repro.runs.dataset import open_dataset, synthetic_counts


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("repro.runs.dataset.SYNTHETIC_SHARE", 400)


def _file(folder: Path, seed: int) -> tuple[Path, str]:
    faces = draw_tiny_faces(20, seed=seed, size=48)
    path = folder / f"faces-{seed}.npz"
    np.savez(path, images=faces.images, labels=faces.labels, usage=faces.usage)
    return path, faces.fingerprint


def test_a_path_comes_before_the_default_and_the_default_before_synthetic_faces(tmp_path: Path) -> None:
    first, first_print = _file(tmp_path, 1)
    second, second_print = _file(tmp_path, 2)
    assert open_dataset(None).faces.synthetic
    assert open_dataset(str(first)).faces.fingerprint == first_print
    assert open_dataset(None).faces.synthetic, "--data names a dataset for one run, not for later ones"
    cache.set_default(first_print)
    assert open_dataset(None).faces.fingerprint == first_print
    assert open_dataset(str(second)).faces.fingerprint == second_print
    assert open_dataset("synthetic").faces.synthetic


def test_the_tag_tells_data_sets_apart(tmp_path: Path) -> None:
    tags = {open_dataset(str(_file(tmp_path, seed)[0])).tag for seed in (1, 2)}
    assert len(tags) == 2
    assert open_dataset("synthetic").tag.startswith("synthetic-")


def test_a_path_that_is_not_there_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        open_dataset(str(tmp_path / "nowhere.csv"))


def test_synthetic_counts_keep_the_official_proportions() -> None:
    counts = synthetic_counts(8)
    for usage, official in OFFICIAL_COUNTS.items():
        for emotion, drawn, real in zip(EMOTIONS, counts[usage], official, strict=True):
            assert abs(drawn - real / 8) <= 0.5, (usage, emotion)


def test_synthetic_faces_are_kept_and_used_only_if_they_are_the_right_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = open_dataset("synthetic").faces
    assert not dataset._kept_at().exists(), "only those whose fingerprint is known"
    monkeypatch.setattr(dataset, "SYNTHETIC_FINGERPRINTS", {400: drawn.fingerprint})
    open_dataset("synthetic")
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "draw_faces", lambda **_: pytest.fail("drawn again"))
        kept = open_dataset("synthetic").faces
    assert kept.synthetic and kept.fingerprint == drawn.fingerprint
    np.testing.assert_array_equal(kept.origin, drawn.origin)
    good = dataset._kept_at().read_bytes()
    for damaged in (b"", good[:1000], good[:3000] + bytes(2000) + good[5000:]):
        dataset._kept_at().write_bytes(damaged)
        assert open_dataset("synthetic").faces.fingerprint == drawn.fingerprint
        assert dataset._kept_at().read_bytes() == good


def test_the_known_fingerprint_is_that_of_the_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing would be kept, and every run draw them again."""
    for share, fingerprint in dataset.SYNTHETIC_FINGERPRINTS.items():
        monkeypatch.setattr(dataset, "SYNTHETIC_SHARE", share)
        assert open_dataset("synthetic").faces.fingerprint == fingerprint and dataset._kept_at().exists()

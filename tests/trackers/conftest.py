"""Runs of the tiny paper, for tests of what trackers get of them."""

import pytest
from tiny_runs import TinyRuns, tiny_dataset


@pytest.fixture
def dataset(tiny_faces):
    return tiny_dataset(tiny_faces)


@pytest.fixture
def do(tiny_paper, dataset, tmp_path):
    return TinyRuns(tiny_paper, dataset, tmp_path / "results")

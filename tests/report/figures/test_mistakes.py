"""The most confident mistakes of a run, read from its predictions; the faces here are drawn by the tests."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PIL import Image
from report_records import headline, make_record, make_spec

from fer_jax.data.synthetic import draw_faces
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS, USAGES
from repro.report.figures.figure_data import FaceSheet
from repro.report.figures.folder import write_mistakes
from repro.report.figures.mistakes import COUNT, confident_mistakes, mistake_figures
from repro.runs.dataset import Dataset
from repro.runs.folders import record_folder
from repro.runs.predictions import PREDICTIONS_NAME, pack_predictions
from repro.runs.stored_records import write_record

SPEC = make_spec(claims=(headline(),))


def predictions(answers, origins=None, extra_rows=0):
    """test split from (label, predicted, probability) each, packed as a run packs them; the other classes share what
    is left. extra_rows: of a further split, which make the run a large one."""
    probability = np.zeros((len(answers), 7), np.float32)
    for row, (_, predicted, p) in enumerate(answers):
        probability[row] = (1 - p) / 6
        probability[row, predicted] = p
    origin = np.arange(len(answers)) if origins is None else np.array(origins)
    splits = {"test": {"probability": probability, "label": np.array([a[0] for a in answers]), "origin": origin}}
    if extra_rows:
        more = np.full((extra_rows, 7), 1 / 7, np.float32)
        splits["train"] = {"probability": more, "label": np.zeros(extra_rows), "origin": np.arange(extra_rows)}
    return pack_predictions(splits)


@pytest.fixture
def keep(tmp_path):
    def write(arrays):
        path = tmp_path / PREDICTIONS_NAME
        np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
        return path

    return write


# Rows 0 to 4: right and sure, then four mistakes, two of them equally sure.
ANSWERS = [(3, 3, 1.0), (0, 1, 0.6), (2, 4, 0.9), (5, 3, 0.8), (6, 4, 0.8)]


@pytest.mark.parametrize("extra_rows", [0, 8_001], ids=["probabilities kept", "confidence kept"])
def test_wrong_rows_come_in_the_order_of_their_surety(keep, extra_rows):
    found = confident_mistakes(keep(predictions(ANSWERS, extra_rows=extra_rows)), "test")
    assert found is not None
    assert (found.rows, found.wrong) == (5, 4)
    assert list(found.origin) == [2, 3, 4, 1], "of equally sure ones the lower row first"
    assert list(found.label) == [2, 5, 6, 0]
    assert list(found.predicted) == [4, 3, 4, 1]
    assert found.probability == pytest.approx([0.9, 0.8, 0.8, 0.6], abs=1 / 255)


def test_a_row_that_was_copied_is_shown_once_and_twelve_are_enough(keep):
    answers = [(0, 1, 0.5 + k / 100) for k in range(40)]
    found = confident_mistakes(keep(predictions(answers, origins=[k // 2 for k in range(40)])), "test")
    assert found is not None
    assert list(found.origin) == list(range(19, 19 - COUNT, -1))
    assert found.wrong == 40


def test_large_runs_keep_no_probabilities_and_have_no_sheet(keep, tmp_path):
    assert confident_mistakes(keep(predictions(ANSWERS, extra_rows=20_001)), "test") is None
    assert confident_mistakes(tmp_path / "missing.npz", "test") is None


@pytest.fixture
def run(tmp_path):
    """A results folder with a run on drawn faces, and those."""
    counts = {usage: tuple(2 for _ in EMOTIONS) for usage in USAGES}
    assert counts.keys() == OFFICIAL_COUNTS.keys()
    faces = draw_faces(seed=3, counts=counts)
    record = make_record(SPEC)
    told = {"name": "synthetic", "synthetic": True, "fingerprint": faces.fingerprint}
    record = msgspec.structs.replace(record, data=msgspec.structs.replace(record.data, **told))
    folder = record_folder(tmp_path, record)
    write_record(folder, record)
    np.savez(folder / PREDICTIONS_NAME, **predictions(ANSWERS, origins=[30, 31, 32, 33, 34]))  # pyright: ignore[reportArgumentType]
    return tmp_path, Dataset(faces, "synthetic")


def test_a_sheet_shows_the_faces_of_the_run_and_says_that_they_are_drawn(run):
    results, dataset = run
    (figure,), left_out = mistake_figures(results, [SPEC], dataset)
    (sheet,) = figure.panels[0]
    assert isinstance(sheet, FaceSheet)
    assert [face.origin for face in sheet.faces] == [32, 33, 34, 31]
    assert sheet.faces[0].words == "sad 90 %\nlabel: fear\nrow 32"
    assert "SYNTHETIC" in figure.caption and "4 mistakes among 5 samples of test" in figure.caption
    assert left_out == []


def test_sheets_stand_beside_the_results_and_are_drawn_once(run):
    results, dataset = run
    written, _ = write_mistakes(results, [SPEC], dataset)
    names = ["mistakes/someone2020-as-published-seed0.png", "figures/mistakes-synthetic.png"]
    assert [path.relative_to(results).as_posix() for path in written] == names
    assert write_mistakes(results, [SPEC], dataset)[0] == []
    with Image.open(written[0]) as image:
        pixels = np.asarray(image.convert("L")).astype(int)
    face = dataset.faces.images[32].astype(int)
    # The first face, shown without smoothing: somewhere its middle row of pixels stands in the picture, enlarged.
    enlarged = [row for row in pixels if _holds(row, face[24])]
    assert enlarged, "the sheet shows row 32"


def _holds(row: np.ndarray, pixels: np.ndarray) -> bool:
    """Whether a line of the sheet shows the pixels, each some 2.5 wide, to the few grays that the file keeps."""
    for width in np.arange(2.3, 3.2, 0.02):
        places = (np.arange(len(pixels)) + 0.5) * width
        for start in range(0, 60):
            seen = row[(start + places).astype(int)]
            if np.abs(seen - pixels).mean() < 6:
                return True
    return False


def test_faces_of_another_data_set_are_not_shown_for_those_of_the_run(run):
    results, dataset = run
    other = Dataset(dataset.faces.take(np.arange(len(dataset.faces) - 1)), "synthetic")
    assert mistake_figures(results, [SPEC], other) == ([], [])

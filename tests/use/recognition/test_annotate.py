"""Boxes and labels can be read on any ground, and the bars are as long as the probabilities."""

import numpy as np
import pytest
from PIL import Image

from repro.use.recognition.annotate import _BAR, annotated, annotated_live
from repro.use.recognition.detection import Box
from repro.use.recognition.recogniser import RecognisedFace

HAPPY = np.array([0.05, 0.0, 0.05, 0.8, 0.05, 0.05, 0.0], np.float32)
FACE = RecognisedFace(Box(100, 120, 200, 200, 1.0), HAPPY)


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_box_and_label_stand_out_from_any_ground(ground: int) -> None:
    picture = Image.new("L", (640, 480), ground)
    marked = np.asarray(annotated(picture, [FACE]).convert("L")).astype(int)
    assert picture.getextrema() == (ground, ground), "the picture itself stays as it is"
    for line in (marked[220, 90:110], marked[110:130, 200], marked[220, 290:310], marked[310:330, 200]):
        assert np.abs(line - ground).max() > 100, "each side of the box differs from what is around"
    label = marked[100:118, 100:180]
    assert label.min() < 60 and label.max() > 200, "ink and its own ground"
    assert (marked[150:300, 130:270] == ground).all(), "the face itself is not painted over"


def test_marks_stay_inside_the_picture_and_away_from_the_rest_of_it() -> None:
    corner = RecognisedFace(Box(560, 2, 70, 70, 1.0), HAPPY)
    marked = np.asarray(annotated(Image.new("RGB", (640, 480)), [corner]))
    ys, xs = np.nonzero(marked.any(2))
    assert ys.max() < 90 and xs.min() > 480
    assert marked[2:20, 560:].max() > 200, "where there is no room above, the label stands inside the box"


def test_bars_are_as_long_as_the_probabilities() -> None:
    def blue(row: float) -> int:
        probabilities = np.full(7, (1 - row) / 6, np.float32)
        probabilities[3] = row
        live = annotated_live(Image.new("RGB", (640, 480)), [RecognisedFace(FACE.box, probabilities)], 12.5)
        lengths = (np.asarray(live) == _BAR).all(2).sum(1)
        return int(lengths.max())

    full = blue(1.0)
    assert full > 40
    assert abs(blue(0.5) - full / 2) <= 2
    assert abs(blue(0.25) - full / 4) <= 2


def test_the_rate_is_written_only_where_there_is_one() -> None:
    still = np.asarray(annotated_live(Image.new("RGB", (640, 480)), []))
    moving = np.asarray(annotated_live(Image.new("RGB", (640, 480)), [], 12.5))
    assert not still.any()
    assert moving[:20].max() > 200 and not moving[30:].any()


@pytest.mark.parametrize("size", [(1, 1), (48, 48), (5000, 20)])
def test_any_size_of_picture_can_be_marked(size: tuple[int, int]) -> None:
    face = RecognisedFace(Box(0, 0, min(size), min(size), 1.0), HAPPY)
    assert annotated_live(Image.new("RGB", size), [face], 1.0).size == size

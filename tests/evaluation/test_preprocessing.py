"""Faces as a network takes them: arithmetic by hand, layouts, and what a shape says."""

from __future__ import annotations

import numpy as np
import pytest

from repro.evaluation.errors import EvaluationError
from repro.evaluation.options import parse_preprocessing, parse_splits
from repro.evaluation.preprocessing import Preprocessing, from_shape, prepared, resized

FACES = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)


def test_a_pixel_is_scaled_then_moved_then_divided():
    how = Preprocessing(scale=1 / 255, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225), channels=3)
    found = prepared(FACES, how, "float32")
    expected = (FACES[..., None] / 255 - np.array(how.mean)) / np.array(how.deviation)
    assert found.shape == (3, 48, 48, 3) and found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("layout", "channels", "shape"),
    [
        *(("nhwc", 1, (3, 40, 44, 1)), ("nhwc", 3, (3, 40, 44, 3)), ("nchw", 1, (3, 1, 40, 44))),
        *(("nchw", 3, (3, 3, 40, 44)), ("nhw", 1, (3, 40, 44)), ("flat", 1, (3, 1760))),
    ],
)
def test_layouts(layout, channels, shape):
    how = Preprocessing(height=40, width=44, layout=layout, channels=channels, scale=1.0)
    found = prepared(FACES, how, "float32")
    assert found.shape == shape and found.flags.c_contiguous
    assert found.reshape(3, -1).sum(1) == pytest.approx(channels * resized(FACES, 40, 44, "bilinear").sum((1, 2)))


def test_bytes_stay_bytes():
    assert (prepared(FACES, Preprocessing(scale=1.0, layout="nhw"), "uint8") == FACES).all()


def test_bilinear_enlarging_is_that_of_opencv():
    cv2 = pytest.importorskip("cv2")
    ours = resized(FACES, 64, 64, "bilinear").astype(int)
    theirs = np.stack([cv2.resize(face, (64, 64)) for face in FACES]).astype(int)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize(
    ("dims", "usual", "expected"),
    [
        ((64, 64, 1), "nchw", {"layout": "nhwc", "channels": 1, "height": 64, "width": 64}),
        ((3, 224, 224), "nhwc", {"layout": "nchw", "channels": 3, "height": 224, "width": 224}),
        ((48, 40), "nhwc", {"layout": "nhw", "channels": 1, "height": 48, "width": 40}),
        ((2304,), "nhwc", {"layout": "flat", "channels": 1, "height": 48, "width": 48}),
        ((6912,), "nhwc", {"layout": "flat", "channels": 3, "height": 48, "width": 48}),
        ((None, None, 3), "nchw", {"layout": "nhwc", "channels": 3}),
        ((None, None, None), "nchw", {"layout": "nchw"}),
    ],
)
def test_what_a_shape_says(dims, usual, expected):
    assert from_shape(dims, usual, "net") == expected


@pytest.mark.parametrize(
    ("dims", "words"), [((1000,), "not a square"), ((48, 48, 4), "4 channels"), ((1, 2, 3, 4), "not an image")]
)
def test_a_shape_that_no_face_fits(dims, words):
    with pytest.raises(EvaluationError, match=words):
        from_shape(dims, "nhwc", "net")


@pytest.mark.parametrize(
    "settings",
    [{"height": 0}, {"height": 5000}, {"channels": 2}, {"mean": (0.1, 0.2)}, {"deviation": (0.0,)}, {"scale": 0.0}],
)
def test_settings_that_cannot_be(settings):
    with pytest.raises(ValueError, match=r"possible|numbers for|must be"):
        Preprocessing(**settings)


def test_options_as_people_write_them():
    found = parse_preprocessing(
        {"size": "64x48", "scale": "1/255", "mean": "0.5", "deviation": "1,2,3", "channels": "3"}
    )
    assert found == {
        **{"height": 64, "width": 48, "scale": 1 / 255, "mean": (0.5,), "deviation": (1.0, 2.0, 3.0), "channels": 3}
    }
    assert parse_splits("privatetest,Training") == ("Training", "PrivateTest") and parse_splits("none") == ()
    for options in ({"size": "big"}, {"scale": "1/0"}, {"mean": "a"}):
        with pytest.raises(EvaluationError, match="--"):
            parse_preprocessing(options)
    with pytest.raises(EvaluationError, match="--trained-on"):
        parse_splits("Test")

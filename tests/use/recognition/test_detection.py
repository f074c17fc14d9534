"""The detector finds drawn faces where they are, and nothing where none is; it stands any size and several threads."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from pictures_of_faces import SIDE_PX, drawn_faces, picture_of_faces
from PIL import Image

from repro.use.recognition.detection import LIVE_SEARCH_PX, PHOTOGRAPH_FACE_PX, SEARCH_PX, Box, Detector, open_detector
from repro.use.recognition.errors import RecognitionError

PLACES = [(40, 40), (380, 240)]


def gray(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).convert("L"))


def places(boxes, side: float = SIDE_PX) -> list[tuple[int, int]]:
    """The corners of the faces that boxes fit, to an eighth of a side."""
    near = side / 8
    found = []
    for box in boxes:
        assert abs(box.width - side) < 2 * near and box.width == box.height
        found += [
            (left, top)
            for left, top in PLACES
            if abs(box.left + box.width / 2 - left - side / 2) < near
            and abs(box.top + box.height / 2 - top - side / 2) < near
        ]
    assert len(found) == len(boxes)
    return sorted(found)


@pytest.mark.parametrize("search_px", [SEARCH_PX, LIVE_SEARCH_PX])
def test_every_drawn_face_is_found_where_it_is(search_px: int) -> None:
    detector = open_detector(search_px)
    boxes = detector.find(gray(picture_of_faces(PLACES)))
    assert places(boxes) == PLACES
    assert boxes[0].score >= boxes[1].score
    assert places(detector.find(gray(picture_of_faces(PLACES[1:])))) == PLACES[1:]
    assert detector.find(gray(picture_of_faces([]))) == []


def test_boxes_are_in_pixels_of_a_picture_larger_than_what_is_searched() -> None:
    large = cv2.resize(gray(picture_of_faces(PLACES)), None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    boxes = open_detector().find(large)
    assert len(boxes) == 2
    small = [SimpleNamespace(**{k: getattr(b, k) / 5 for k in ("left", "top", "width", "height")}) for b in boxes]
    assert places(small) == PLACES


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 5000), (3000, 2), (23, 23)])
def test_a_picture_too_small_for_a_face_holds_none(shape: tuple[int, int]) -> None:
    assert open_detector().find(np.zeros(shape, np.uint8)) == []


def test_threads_do_not_disturb_each_other() -> None:
    detector = open_detector(LIVE_SEARCH_PX)
    pictures = [gray(picture_of_faces([(20 * k, 10 * k)])) for k in range(12)]
    alone = [detector.find(picture) for picture in pictures]
    assert all(len(boxes) == 1 for boxes in alone)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector.find, pictures)) == alone


def test_further_cascades_are_asked_only_where_the_first_find_nothing() -> None:
    asked: list[str] = []

    class Cascade:
        """Only the profile's finds something: a bright square, 40 pixels to the right of its edge."""

        def __init__(self, path: str) -> None:
            self.name = path.rsplit("_")[-1]

        def detectMultiScale3(self, gray_HW: np.ndarray, **_: object) -> tuple:
            asked.append(self.name)
            if self.name == "alt2.xml":
                return np.array([[0, 0, 30, 30]]), (), np.array([54.9])  # less than the least
            if self.name != "profileface.xml" or gray_HW[0, 0] == 0:
                return (), (), ()
            return np.array([[40, 10, 50, 50], [5, 6, 30, 30]]), (), np.array([0.25, 3.05])

    detector = Detector(SimpleNamespace(CascadeClassifier=Cascade), Path(), 320)
    right = np.zeros((100, 200), np.uint8)
    right[0, -1] = 255  # in the mirror on the left
    assert detector.find(right) == [Box(165, 6, 30, 30, 2.0), Box(110, 10, 50, 50, 0.0)]
    assert asked == ["alt2.xml", "default.xml", "profileface.xml", "profileface.xml"]
    assert detector.find(right[:, ::-1]) == [Box(5, 6, 30, 30, 2.0), Box(40, 10, 50, 50, 0.0)]
    assert asked[4:] == ["alt2.xml", "default.xml", "profileface.xml"]


def group(width: int, side: int) -> np.ndarray:
    """Ten drawn faces of `side` pixels in two rows on a soft gray ground, uint8 (width * 3/4, width)."""
    height = 3 * width // 4
    picture = np.tile(np.linspace(90, 170, width).astype(np.uint8), (height, 1))
    for number in range(10):
        face = cv2.resize(drawn_faces()[number], (side, side), interpolation=cv2.INTER_CUBIC)
        left, top = width // 12 + number % 5 * (width // 6), height // 6 + number // 5 * (height // 2)
        picture[top : top + side, left : left + side] = face
    return picture


@pytest.mark.parametrize("side", [120, 160, 240, 480])
def test_in_a_photograph_small_faces_are_found(side: int) -> None:
    photograph = group(4000, side)
    detector = open_detector(photograph_face_px=PHOTOGRAPH_FACE_PX)
    assert detector.smallest_face(4000, 3000) == PHOTOGRAPH_FACE_PX
    boxes = detector.find(photograph)
    assert len(boxes) >= 9 and all(abs(box.width - side) < side / 4 for box in boxes)


def test_the_smallest_face_follows_the_picture_or_is_what_the_user_said() -> None:
    usual, live = open_detector(photograph_face_px=PHOTOGRAPH_FACE_PX), open_detector(LIVE_SEARCH_PX)
    assert [usual.smallest_face(size, size // 2) for size in (100, 480, 960, 4000)] == [24, 24, 48, 64]
    assert usual.smallest_face(1000, 500, pixel=4.0) == 24, "of 4000 pixels, decoded at a quarter"
    assert live.smallest_face(640, 480) == 48 and live.smallest_face(4000, 3000) == 300
    picture = group(1200, 60)
    for min_face, found in ((40, 9), (90, 0)):
        detector = open_detector(min_face=min_face)
        assert detector.smallest_face(1200, 900) == min_face
        assert len(detector.find(picture)) == found
    assert open_detector(min_face=90).find(picture, pixel=0.5) == []
    assert len(open_detector(min_face=90).find(picture, pixel=2.0)) == 9, "120 pixels each in the original"


def test_min_score_leaves_the_most_certain_faces() -> None:
    picture = gray(picture_of_faces(PLACES))
    best, second = open_detector().find(picture)
    assert best.score > second.score > 0
    assert open_detector(min_score=(best.score + second.score) / 2).find(picture) == [best]
    assert open_detector(min_score=best.score + 1).find(picture) == []


def test_a_missing_or_unfit_package_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        RecognitionError, match=r"OpenCV 4, which is not installed: pip install 'fer-repro\[recognise\]'"
    ):
        open_detector()
    five = SimpleNamespace(__version__="5.0.0", __file__="/nowhere/cv2/__init__.py")
    monkeypatch.setitem(sys.modules, "cv2", five)
    with pytest.raises(RecognitionError, match=r"OpenCV 5\.0\.0 does not bring"):
        open_detector()

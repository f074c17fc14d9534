"""Faces are followed from frame to frame as if every frame were searched, with few whole searches."""

from __future__ import annotations

import numpy as np
import pytest

from repro.measurements.live_latency import FACE_PX, SIZE_PX, one_face
from repro.use.recognition.detection import LIVE_SEARCH_PX, Box, Detector, open_detector, overlap
from repro.use.serve.tracking import EVERY, NEAR_PX, Tracker

WIDTH, HEIGHT = SIZE_PX
HOME = ((WIDTH - FACE_PX) // 2, (HEIGHT - FACE_PX) // 2)


class Counted(Detector):
    """A detector that counts its searches."""

    def __init__(self, detector: Detector) -> None:
        self._detector, self.searches = detector, 0

    def find(self, gray_HW: np.ndarray, pixel: float = 1.0) -> list[Box]:
        self.searches += 1
        return self._detector.find(gray_HW, pixel)


class Camera:
    """A tracker, its whole searches, and a clock that moves by a thirtieth of a second per frame."""

    def __init__(self) -> None:
        self.now = 0.0
        self.whole = Counted(open_detector(LIVE_SEARCH_PX))
        self.tracker = Tracker(self.whole, open_detector(NEAR_PX), lambda: self.now)

    def sees(self, *places: tuple[int, int], size: tuple[int, int] = SIZE_PX) -> list[Box]:
        """Faces with these upper left corners, in the next frame."""
        self.now += 1 / 30
        face = one_face()[HOME[1] : HOME[1] + FACE_PX, HOME[0] : HOME[0] + FACE_PX]
        frame = np.full((size[1], size[0]), 110, np.uint8)
        for left, top in places:
            frame[top : top + FACE_PX, left : left + FACE_PX] = face
        return self.tracker.find(frame)


def is_at(box: Box, left: int, top: int) -> bool:
    x, y = box.left + box.width / 2 - left, box.top + box.height / 2 - top
    return abs(x - FACE_PX / 2) < 25 and abs(y - FACE_PX / 2) < 25 and 0.7 < box.width / FACE_PX < 1.3


def test_a_face_that_moves_is_followed_with_few_whole_searches():
    camera = Camera()
    for i in range(30):
        (box,) = camera.sees((10 + 14 * i, 5 + 9 * i))  # 17 pixels from frame to frame, half a picture each second
        assert is_at(box, 10 + 14 * i, 5 + 9 * i), i
    assert camera.whole.searches == 30 / EVERY


def test_faces_that_go_jump_or_come_are_seen():
    camera = Camera()
    camera.sees((20, 20))
    camera.sees((20, 20))
    assert camera.sees() == [], "gone"
    (box,) = camera.sees((400, 250))
    assert is_at(box, 400, 250)
    (box,) = camera.sees((20, 20))
    assert is_at(box, 20, 20), "too far to be followed"
    seen = [len(camera.sees((20, 20), (400, 250))) for _ in range(EVERY)]
    assert seen[-1] == 2 and seen == sorted(seen), "a second face is found by the next whole search"
    before = camera.whole.searches
    assert [len(camera.sees((20, 20), (400, 250))) for _ in range(3)] == [2, 2, 2]
    assert camera.whole.searches == before
    (box,) = camera.sees((400, 250))
    assert is_at(box, 400, 250), "one of two went"


def test_two_faces_that_touch_stay_two():
    camera = Camera()
    for _ in range(6):
        boxes = camera.sees((110, 100), (110 + FACE_PX, 100))
        assert sorted(is_at(box, 110, 100) for box in boxes) == [False, True]
    assert camera.whole.searches == 1


@pytest.mark.parametrize("what", ["pause", "size"])
def test_another_picture_is_searched_whole(what):
    camera = Camera()
    camera.sees((20, 20))
    size = SIZE_PX
    if what == "pause":
        camera.now += 1.5
    else:
        size = (WIDTH, HEIGHT + 60)
    assert len(camera.sees((20, 20), (400, 250), size=size)) == 2


def test_overlap():
    box = Box(10, 10, 20, 20, 1.0)
    assert overlap(box, box) == 1 and overlap(box, Box(30, 10, 20, 20, 1.0)) == 0
    assert overlap(box, Box(20, 10, 20, 20, 1.0)) == pytest.approx(1 / 3)
    assert overlap(box, Box(15, 15, 10, 10, 1.0)) == pytest.approx(1 / 4)

"""What the network is shown of a face: its own pixels, in its frame, and the answer beside the right box."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from pictures_of_faces import HEIGHT_PX, SIDE_PX, WIDTH_PX, drawn_faces, picture_of_faces
from PIL import Image

from repro.use.classifier import Classifier
from repro.use.recognition.detection import Box, Detector, open_detector
from repro.use.recognition.recogniser import Recogniser, cut


class Remembering:
    """In a classifier's place: answers with the number of the drawn face that is most like what it is shown."""

    trained = SimpleNamespace(size=48)

    def __init__(self) -> None:
        self.seen = np.empty((0, 48, 48), np.uint8)

    def __call__(self, faces_NHW: np.ndarray) -> np.ndarray:
        self.seen = faces_NHW
        distance = np.abs(faces_NHW[:, None].astype(float) - drawn_faces()[None, :7]).mean((2, 3))
        return np.eye(7, dtype=np.float32)[distance.argmin(1)]


def recogniser(detector: Detector | None) -> Recogniser:
    return Recogniser(cast(Classifier, Remembering()), detector)


def seen(by: Recogniser) -> np.ndarray:
    return cast(Remembering, by.classifier).seen


def test_a_face_of_the_right_size_reaches_the_network_unchanged() -> None:
    whole = recogniser(None)
    for number, face in enumerate(drawn_faces()[:7]):
        for picture in (face, np.repeat(face[:, :, None], 3, axis=2)):
            (found,) = whole(picture)
            assert (seen(whole) == face).all()
            assert found.box == Box(0, 0, 48, 48, 1.0)
            assert found.probabilities.argmax() == number


def test_a_picture_that_is_no_square_gives_its_middle() -> None:
    wide = np.pad(drawn_faces()[0], ((0, 0), (30, 30)))
    whole = recogniser(None)
    (found,) = whole(wide)
    assert (found.box.left, found.box.width) == (30, 48)
    assert (seen(whole) == drawn_faces()[0]).all()


def test_each_face_gets_its_own_answer() -> None:
    searching = recogniser(open_detector())
    places = {1: (30, 20), 2: (400, 240)}
    picture = picture_of_faces([places[1], places[2]], first=1)
    answers = {int(face.probabilities.argmax()): face.box for face in searching(picture)}
    assert set(answers) == set(places)
    for number, box in answers.items():
        assert abs(box.left - places[number][0]) < SIDE_PX / 5 and abs(box.top - places[number][1]) < SIDE_PX / 5


def test_a_picture_without_a_face_has_no_answer() -> None:
    assert recogniser(open_detector())(picture_of_faces([])) == []


@pytest.mark.parametrize("corner", [(0, 0), (WIDTH_PX - 100, 0), (0, HEIGHT_PX - 100), (WIDTH_PX - 100, 380)])
def test_beyond_the_border_a_cut_repeats_it(corner: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT_PX, WIDTH_PX), np.uint8)
    left, top = corner
    found = cut(Image.fromarray(picture), Box(left, top, 100, 100, 1.0), 200, 0.5)
    expected = np.pad(picture, 50, mode="edge")[top : top + 200, left : left + 200]
    assert (found == expected).all()


def test_a_box_that_is_no_square_is_cut_out_as_one_around_its_middle() -> None:
    picture = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    found = cut(Image.fromarray(picture), Box(80, 50, 40, 100, 1.0), 100, 0.0)
    assert (found == picture[50:150, 50:150]).all()

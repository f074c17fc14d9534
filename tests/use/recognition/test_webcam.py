"""Live, the newest frame counts, and errors reach the window that shows it."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from pictures_of_faces import HEIGHT_PX, WIDTH_PX, write_video
from PIL import Image

from repro.use.recognition import webcam
from repro.use.recognition.detection import open_detector
from repro.use.recognition.errors import RecognitionError
from repro.use.recognition.recogniser import RecognisedFace, Recogniser
from repro.use.recognition.webcam import LiveFrames

SURE = np.array([0, 0, 0, 1, 0, 0, 0], np.float32)


class AlwaysHappy:
    trained = SimpleNamespace(size=48)

    def __call__(self, faces_NHW: np.ndarray) -> np.ndarray:
        return np.repeat(SURE[None], len(faces_NHW), axis=0)


@pytest.fixture
def recogniser() -> Recogniser:
    return Recogniser(cast(Any, AlwaysHappy()), open_detector())


class Camera:
    """500 frames a second; the tone of each is its number. given: how many it gave."""

    def __init__(self, frames: int = 10_000) -> None:
        self.frames, self.given = frames, 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.002)
        if self.given == self.frames:
            return False, None
        self.given += 1
        return True, np.full((60, 80, 3), self.given % 256, np.uint8)

    def release(self) -> None: ...


def use(monkeypatch: pytest.MonkeyPatch, camera: Camera) -> None:
    monkeypatch.setattr(webcam, "open_capture", lambda source: (camera, np.zeros((60, 80, 3), np.uint8)))


def pictures(live: LiveFrames, seconds: float = 20) -> Iterator[Image.Image]:
    """What a window would show, until the end."""
    end = time.monotonic() + seconds
    while not live.ended:
        assert time.monotonic() < end, "the source did not end"
        picture = live.take()
        if picture is not None:
            yield picture
        time.sleep(0.002)


def test_a_slow_network_drops_frames_instead_of_falling_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera()
    use(monkeypatch, camera)
    seen: list[int] = []

    def slow(picture: np.ndarray) -> list[RecognisedFace]:
        """As long as ten frames take."""
        seen.append(int(picture[0, 0, 0]))
        begin = camera.given
        while camera.given < begin + 10 and len(seen) < 9:
            time.sleep(0.001)
        return []

    with LiveFrames(0, cast(Recogniser, slow)) as live:
        shown = pictures(live)
        while len(seen) < 9:
            picture = next(shown)
    steps = np.diff(seen[:8]) % 256
    assert (steps >= 10).all(), "each time the newest of the frames that came meanwhile"
    assert picture.size == (80, 60)


def test_what_a_thread_raises_reaches_the_one_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Camera())

    def fails(picture: np.ndarray) -> list[RecognisedFace]:
        raise ValueError("no network")

    with LiveFrames(0, cast(Recogniser, fails)) as live, pytest.raises(ValueError, match="no network"):
        list(pictures(live))


def test_a_camera_that_goes_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Camera(frames=3))
    with (
        LiveFrames(0, cast(Recogniser, lambda picture: [])) as live,
        pytest.raises(RecognitionError, match="no more pictures"),
    ):
        list(pictures(live))


def test_a_video_ends_by_itself_and_its_last_frame_is_shown(tmp_path: Path, recogniser: Recogniser) -> None:
    with LiveFrames(write_video(tmp_path / "in.avi", 5), recogniser) as live:
        shown = list(pictures(live))
    assert 1 <= len(shown) <= 5
    assert shown[-1].size == (WIDTH_PX, HEIGHT_PX)
    assert (np.asarray(shown[-1]) == (86, 180, 233)).all(2).sum() > 200, "a bar of certainty"

"""Videos are marked frame by frame; live, the newest frame counts, and errors reach the window that shows it."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
from pictures_of_faces import HEIGHT_PX, WIDTH_PX, write_video
from PIL import Image

from repro.use.recognition import webcam
from repro.use.recognition.detection import open_detector
from repro.use.recognition.errors import RecognitionError
from repro.use.recognition.recogniser import RecognisedFace, Recogniser
from repro.use.recognition.webcam import LiveFrames, mark_video

SURE = np.array([0, 0, 0, 1, 0, 0, 0], np.float32)


class AlwaysHappy:
    trained = SimpleNamespace(size=48)

    def __call__(self, faces_NHW: np.ndarray) -> np.ndarray:
        return np.repeat(SURE[None], len(faces_NHW), axis=0)


@pytest.fixture
def recogniser() -> Recogniser:
    return Recogniser(cast(Any, AlwaysHappy()), open_detector())


def read_video(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (frame := webcam._next(capture)) is not None:
        frames.append(frame)
    return frames


@pytest.mark.parametrize(("kind", "into"), [(".avi", ".mp4"), (".mp4", ".avi")])
def test_every_frame_of_a_video_is_marked_and_written(
    tmp_path: Path, recogniser: Recogniser, kind: str, into: str
) -> None:
    video = write_video(tmp_path / f"in{kind}", 6)
    out = tmp_path / f"out{into}"
    assert mark_video(video, out, recogniser) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([video.name, out.name])
    plain, marked = read_video(video), read_video(out)
    assert len(marked) == 6 and marked[0].shape == (HEIGHT_PX, WIDTH_PX, 3)
    for number in range(6):
        changed = np.abs(plain[number].astype(int) - marked[number]).max(2) > 100
        columns = np.flatnonzero(changed[:120].any(0))
        assert abs(columns.min() - (100 + 4 * number)) < 30, "the box follows the face"
        bars = changed[120:320, 320 + 4 * number : 460]
        assert bars.mean() > 0.05, "the seven probabilities stand beside it"


def test_what_cannot_be_read_or_written_is_told_and_leaves_nothing(tmp_path: Path, recogniser: Recogniser) -> None:
    video = write_video(tmp_path / "in.avi", 2)
    (tmp_path / "text.avi").write_text("no video")
    there = tmp_path / "there.mp4"
    there.write_text("mine")
    for source, out, words in (
        (tmp_path / "absent.avi", tmp_path / "x.mp4", "no such file"),
        (tmp_path / "text.avi", tmp_path / "x.mp4", "not a video that OpenCV can read"),
        (video, there, "exists already"),
        (video, video, "exists already"),
        (video, tmp_path / "x.gif", r"\.mp4 or \.avi"),
        (video, tmp_path / "nowhere" / "x.avi", "is the folder there"),
    ):
        with pytest.raises(RecognitionError, match=words):
            mark_video(source, out, recogniser)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.avi", "text.avi", "there.mp4"]
    assert there.read_text() == "mine"


def test_a_video_that_fails_halfway_leaves_no_file(tmp_path: Path) -> None:
    calls = count()

    def fails(picture: np.ndarray) -> list[RecognisedFace]:
        if next(calls) == 2:
            raise ValueError("third frame")
        return []

    with pytest.raises(ValueError, match="third frame"):
        mark_video(write_video(tmp_path / "in.avi", 4), tmp_path / "out.avi", cast(Recogniser, fails))
    assert [path.name for path in tmp_path.iterdir()] == ["in.avi"]


def test_a_camera_that_is_not_there_is_one_clear_error(
    recogniser: Recogniser, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RecognitionError, match=r"camera 93 is not there, .*`repro serve`"):
        LiveFrames(93, recogniser)
    assert capfd.readouterr().err == ""


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
    monkeypatch.setattr(webcam, "_open", lambda source: (camera, np.zeros((60, 80, 3), np.uint8)))


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

"""A video is read frame by frame, into a marked video and into a table; what fails leaves no file."""

from __future__ import annotations

import csv
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
from pictures_of_faces import HEIGHT_PX, WIDTH_PX, write_video

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.use.recognition.capture import next_frame
from repro.use.recognition.detection import open_detector
from repro.use.recognition.errors import RecognitionError
from repro.use.recognition.recogniser import RecognisedFace, Recogniser
from repro.use.recognition.video import TABLE_COLUMNS, read_video

SURE = np.array([0, 0, 0, 1, 0, 0, 0], np.float32)


class AlwaysHappy:
    trained = SimpleNamespace(size=48)

    def __call__(self, faces_NHW: np.ndarray) -> np.ndarray:
        return np.repeat(SURE[None], len(faces_NHW), axis=0)


@pytest.fixture
def recogniser() -> Recogniser:
    return Recogniser(cast(Any, AlwaysHappy()), open_detector())


def frames_in(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (frame := next_frame(capture)) is not None:
        frames.append(frame)
    return frames


@pytest.mark.parametrize(("kind", "into"), [(".avi", ".mp4"), (".mp4", ".avi")])
def test_every_frame_of_a_video_is_marked_and_written(
    tmp_path: Path, recogniser: Recogniser, kind: str, into: str
) -> None:
    video = write_video(tmp_path / f"in{kind}", 6)
    out = tmp_path / f"out{into}"
    assert read_video(video, recogniser, marked=out, table=None) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([video.name, out.name])
    plain, marked = frames_in(video), frames_in(out)
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
            read_video(source, recogniser, marked=out, table=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.avi", "text.avi", "there.mp4"]
    assert there.read_text() == "mine"


def test_a_video_that_fails_halfway_leaves_no_file(tmp_path: Path) -> None:
    calls = count()

    def fails(picture: np.ndarray) -> list[RecognisedFace]:
        if next(calls) == 2:
            raise ValueError("third frame")
        return []

    with pytest.raises(ValueError, match="third frame"):
        read_video(
            write_video(tmp_path / "in.avi", 4),
            cast(Recogniser, fails),
            marked=tmp_path / "out.avi",
            table=tmp_path / "out.csv",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in.avi"]


def test_a_table_has_a_row_per_face_with_its_time_and_place(tmp_path: Path, recogniser: Recogniser) -> None:
    video, table = write_video(tmp_path / "in.mp4", 6), tmp_path / "faces.csv"
    assert read_video(video, recogniser, marked=None, table=table) == 6
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(TABLE_COLUMNS)
    assert [int(row["frame"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    times = [float(row["time_s"]) for row in rows]
    rate = cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FPS)
    np.testing.assert_allclose(times, np.arange(6) / rate, atol=2e-3)
    for number, row in enumerate(rows):
        assert abs(float(row["left"]) - (100 + 4 * number)) < 40, "the box follows the face"
        assert (row["face"], row["emotion"], float(row[EMOTIONS[3]])) == ("1", EMOTIONS[3], 1.0)


def test_a_frame_without_a_face_has_a_row_without_one(tmp_path: Path) -> None:
    video, table = write_video(tmp_path / "in.avi", 2), tmp_path / "faces.csv"
    read_video(video, cast(Recogniser, lambda picture: []), marked=None, table=table)
    lines = table.read_text().splitlines()
    assert len(lines) == 3 and lines[1] == "0.0,1" + "," * (len(TABLE_COLUMNS) - 2)


def test_a_table_that_cannot_be_written_is_one_clear_error(tmp_path: Path, recogniser: Recogniser) -> None:
    video = write_video(tmp_path / "in.avi", 2)
    with pytest.raises(RecognitionError, match="exists already"):
        read_video(video, recogniser, marked=None, table=video)
    with pytest.raises(RecognitionError, match=r"the folder .* is not there"):
        read_video(video, recogniser, marked=None, table=tmp_path / "nowhere" / "x.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.avi"]

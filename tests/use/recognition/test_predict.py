"""From files to rows: in their order, lazily, with an error in the place of what cannot be read."""

import csv
import io
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from repro.text.export import FORMULA
from repro.use.classifier import Classifier
from repro.use.recognition import pictures, predict
from repro.use.recognition.detection import Box
from repro.use.recognition.predict import PictureFile, find_pictures, recognise_files, write_copies
from repro.use.recognition.recogniser import Recogniser
from repro.use.recognition.rows import CSV_COLUMNS, csv_lines, json_lines, table_lines
from repro.use.temperature import FittedTemperature


class ByTone:
    """In a classifier's place: surer of `angry` the darker a face is, else `disgust`."""

    trained = SimpleNamespace(size=48)

    def __call__(self, faces_NHW: np.ndarray) -> np.ndarray:
        tone = faces_NHW.mean((1, 2)) / 255
        return np.stack([1 - tone, tone, *[np.zeros_like(tone)] * 5], axis=1).astype(np.float32)


class Halves:
    """In a detector's place: the left and the right half of a picture, nothing in a black one."""

    def smallest_face(self, width: int, height: int, pixel: float = 1.0) -> float:
        return 7.0

    def find(self, gray_HW: np.ndarray, pixel: float = 1.0) -> list[Box]:
        side = gray_HW.shape[1] // 2
        return [Box(left, 0, side, side, 2.0) for left in (0, side)] if gray_HW.any() else []


T = FittedTemperature(value=2.5, split="validation", n=300, ece=(0.3, 0.1), loss=(2, 1), network_sha256="")


def recogniser(detector: Any = None, unsure_below: float = 0.0) -> Recogniser:
    return Recogniser(cast(Classifier, ByTone()), detector, unsure_below)


def save(path: Path, tone: int, right: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((48, 96), tone, np.uint8)
    picture[:, 48:] = tone if right is None else right
    Image.fromarray(picture).save(path)
    return path


def tones(result: predict.Recognised) -> list[int]:
    return [round(255 * float(face.probabilities[1])) for face in result.faces]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dark and a light picture, one that is half and half, one without a face, one damaged, and no pictures."""
    save(tmp_path / "in" / "b.png", 40)
    save(tmp_path / "in" / "a" / "z.jpg", 200)
    save(tmp_path / "in" / "c.PNG", 20, 220)
    save(tmp_path / "in" / "d.png", 0)
    (tmp_path / "in" / "e.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    save(tmp_path / "in" / ".hidden" / "x.png", 1)
    return tmp_path / "in"


def test_folders_are_walked_in_order_and_what_is_no_picture_is_skipped_unless_named(folder: Path) -> None:
    found = [source.path for source in find_pictures([folder, folder / "notes.txt"])]
    names = ["a/z.jpg", "b.png", "c.PNG", "d.png", "e.png", "notes.txt"]
    assert found == [folder / name for name in names]


def test_a_folder_without_pictures_and_a_named_stranger_are_errors(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    sources = find_pictures([tmp_path / "empty", folder / "notes.txt", tmp_path / "absent.png"])
    errors = [result.error for result in recognise_files(sources, recogniser(), whole=True)]
    assert "holds no picture" in errors[0]
    assert "none of the kinds" in errors[1]
    assert "No such file" in errors[2]


def test_every_face_comes_in_order_and_a_bad_file_stops_nothing(folder: Path) -> None:
    results = list(recognise_files(find_pictures([folder]), recogniser(Halves()), whole=False))
    assert [tones(result) for result in results] == [[200, 200], [40, 40], [20, 220], [], []]
    assert [bool(result.error) for result in results] == [False] * 4 + [True]
    assert (results[1].width, results[1].height) == (96, 48)
    assert [face.box.left for face in results[2].faces] == [0, 48]


def test_boxes_are_in_pixels_of_the_file_and_of_its_copy_if_it_was_reduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 50_000)
    monkeypatch.setattr(pictures.read_picture, "__kwdefaults__", {"max_pixels": 50_000})
    turned = Image.Exif()
    turned[0x0112] = 6  # a telephone held upright
    Image.fromarray(np.full((400, 300), 90, np.uint8)).save(tmp_path / "large.jpg", exif=turned)
    results = list(recognise_files(find_pictures([tmp_path / "large.jpg"]), recogniser(Halves()), whole=False))
    (copied,) = write_copies(results, tmp_path / "out")
    assert (copied.width, copied.height, copied.smallest_face) == (400, 300, 14)
    assert [(face.box.left, face.box.width) for face in copied.faces] == [(0, 200), (200, 200)]
    assert copied.copy is not None
    with Image.open(copied.copy) as copy:
        assert copy.size == (200, 150)
        edges = np.flatnonzero(np.asarray(copy.convert("L"))[70] > 150)  # below the labels
    assert set(edges.tolist()) == {0, 1, 100, 101, 198, 199}, "two boxes, drawn over each other in the middle"


def test_many_files_keep_their_order_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_FILES_WHOLE", 7)
    for number in range(100):
        save(tmp_path / f"{number:03}.png", number)
    results = recognise_files(find_pictures([tmp_path]), recogniser(), whole=True)
    assert [tones(result) for result in results] == [[number] for number in range(100)]


def test_files_are_read_only_as_their_rows_are_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path / "same.png", 50)
    asked = itertools.count()

    def endless() -> Iterator[PictureFile]:
        for number in asked:
            yield PictureFile(path, Path(f"{number}.png"))

    results = recognise_files(endless(), recogniser(), whole=True)
    first = list(itertools.islice(results, 300))
    assert [tones(result) for result in first] == [[50]] * 300
    assert next(asked) <= (predict._AHEAD + 4) * predict._FILES_WHOLE
    cast(Any, results).close()  # what was begun ends; the test would hang otherwise


def test_copies_of_the_same_name_do_not_clash_and_nothing_is_overwritten(tmp_path: Path) -> None:
    one, two = save(tmp_path / "1" / "in" / "x.png", 90), save(tmp_path / "2" / "in" / "x.png", 160)
    three = save(tmp_path / "1" / "in" / "x.gif", 100)
    out = tmp_path / "out"
    occupied = save(out / "x.png", 77)
    before = {path: path.read_bytes() for path in (one, two, three, occupied)}
    named = recognise_files(find_pictures([one.parent, two.parent, one], out), recogniser(), whole=True)
    results = list(write_copies(named, out))
    assert [r.copy and r.copy.relative_to(out).as_posix() for r in results] == [
        *("in/x.png", "in/x-2.png", "in/x-3.png"),
        None,
    ]
    assert "File exists" in results[-1].error
    assert {path: path.read_bytes() for path in before} == before
    for result in results[:3]:
        assert result.copy is not None
        marked = np.asarray(Image.open(result.copy))
        assert marked.shape == (48, 96, 3) and len(np.unique(marked)) > 5


def test_copies_of_an_earlier_run_are_not_read_again(tmp_path: Path) -> None:
    save(tmp_path / "x.png", 90)
    save(tmp_path / "out" / "y.png", 90)
    assert [source.path.name for source in find_pictures([tmp_path], tmp_path / "out")] == ["x.png"]


def test_a_copy_keeps_no_record_of_the_camera(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    Image.new("RGB", (96, 48), "gray").save(tmp_path / "x.jpg", exif=exif)
    named = recognise_files(find_pictures([tmp_path / "x.jpg"]), recogniser(), whole=True)
    (result,) = write_copies(named, tmp_path / "out")
    assert result.copy is not None and b"a maker" not in result.copy.read_bytes()


def test_csv_and_json_hold_every_face_all_probabilities_and_every_error(folder: Path) -> None:
    results = list(recognise_files(find_pictures([folder]), recogniser(Halves()), whole=False))
    rows = list(csv.DictReader(io.StringIO("\n".join(csv_lines(results)))))
    assert [row["face"] for row in rows] == ["1", "2", "1", "2", "1", "2", "", ""]
    assert set(rows[0]) == set(CSV_COLUMNS)
    for row in rows[:6]:
        probabilities = [float(row[name]) for name in ("angry", "disgust", "fear")]
        assert abs(sum(probabilities) - 1) < 1e-5
        assert float(row["probability"]) == max(probabilities)
    assert rows[5]["emotion"] == "disgust" and rows[5]["left"] == "48"
    assert "damaged" in rows[-1]["error"] and not rows[-2]["error"]

    record = SimpleNamespace(paper="p", variant="v", protocol="official", seed=1, data=SimpleNamespace(synthetic=True))
    used = recogniser(Halves())
    used.classifier = cast(Any, SimpleNamespace(trained=SimpleNamespace(folder="runs/p", record=record), temperature=T))
    document = json.loads("\n".join(json_lines(results, used)))
    assert document["run"]["temperature"]["value"] == 2.5 and document["run"]["unsure_below"] == 0.0
    assert document["run"]["synthetic"] is True
    assert [len(picture["faces"]) for picture in document["pictures"]] == [2, 2, 2, 0, 0]
    assert document["pictures"][2]["faces"][1]["probabilities"]["disgust"] == pytest.approx(220 / 255, abs=1e-5)
    assert document["pictures"][4]["error"].startswith(str(folder / "e.png"))
    assert json.loads("\n".join(json_lines([], used)))["pictures"] == []


def test_an_answer_below_the_threshold_is_called_unsure_in_every_form(tmp_path: Path) -> None:
    for tone in (100, 140, 250):
        save(tmp_path / f"{tone}.png", tone)
    used = recogniser(unsure_below=0.56)  # of tone 140 the probabilities are 0.45 and 0.55, of 100 0.61 and 0.39
    results = list(recognise_files(find_pictures([tmp_path]), used, whole=True))
    assert [result.faces[0].unsure for result in results] == [False, True, False]
    words = [line[:17].strip() for line in table_lines(results)][1:]
    assert words == ["angry", "unsure: disgust", "disgust"]
    rows = list(csv.DictReader(io.StringIO("\n".join(csv_lines(results)))))
    assert [(row["emotion"], row["unsure"]) for row in rows] == [("angry", "0"), ("disgust", "1"), ("disgust", "0")]
    assert [result.faces[0].words for result in results][1] == "unsure: disgust 55%"


def test_a_spreadsheet_takes_no_name_of_a_file_for_a_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("=1+1.png", "-2.png", "@a.png", "+b.png"):
        save(Path(name), 10)
    Path("=bad.png").write_bytes(b"no picture")
    named = [PictureFile(Path(name), Path(name)) for name in sorted(os.listdir())]
    rows = list(csv.DictReader(io.StringIO("\n".join(csv_lines(recognise_files(named, recogniser(), whole=True))))))
    assert len(rows) == 5
    for row in rows:
        assert all(not cell.startswith(FORMULA) for cell in row.values()), row
        assert Path(row["file"]).is_file(), "the name still leads to the file"


def test_names_that_are_no_text_are_printed_safely(tmp_path: Path) -> None:
    save(tmp_path / "two\nlines\x1b[31m.png", 10)
    os.rename(save(tmp_path / "x.png", 30), os.path.join(os.fsencode(tmp_path), b"latin-\xe9.png"))
    results = list(recognise_files(find_pictures([tmp_path]), recogniser(), whole=True))
    lines = list(table_lines(results))
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    "\n".join([*lines, *csv_lines(results)]).encode("utf-8")

"""`repro predict` and `repro webcam` with a trained run: standard output alone, exit codes, wrong words."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import PAPER
from pictures_of_faces import picture_of_faces, write_video
from PIL import Image

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.cli.main import main
from repro.cli.predict import predict
from repro.cli.webcam import webcam
from repro.runs.record_files import RecordError
from repro.use.classifier import Classifier
from repro.use.recognition.errors import RecognitionError
from repro.use.trained import load_trained


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One run of a small dense network on synthetic faces."""
    folder = tmp_path_factory.mktemp("trained")
    assumed = 'provenance = [{ kind = "assumed", reason = "a test" }]'
    settings = {"size": 12, "units": 16, "batch_size": 32, "epochs": 1, "learning_rate": 0.05}
    (folder / "tiny.toml").write_text(PAPER.format(assumed=assumed, random_flip="", dropout="", **settings))
    words = ["run", folder / "tiny.toml", "--data", "synthetic", "--device", "cpu", "--results", folder / "results"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repro.runs.dataset.SYNTHETIC_SHARE", 200)
        patch.setattr(
            "fer_jax.network.native.calls.available", lambda: False
        )  # compiling C++ takes longer than all of this
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        yield folder / "results"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two faces in one picture, one in another, none in a third, and a damaged file."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    Image.fromarray(picture_of_faces([(40, 40), (380, 240)])).save(tmp_path / "in" / "two.jpg")
    Image.fromarray(picture_of_faces([(200, 100)])).save(tmp_path / "in" / "deep" / "one.png")
    Image.fromarray(picture_of_faces([])).save(tmp_path / "in" / "none.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"not a picture")
    return tmp_path / "in"


def call(command, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_the_table_has_a_line_for_every_face_and_the_exit_code_tells_of_failures(results: Path, folder: Path) -> None:
    done = call(predict, folder, "--results", results)
    assert done.exit_code == 1
    first_words = [line.split()[0] for line in done.stdout.splitlines()]
    assert first_words[0] == "emotion" and first_words[1] == "error" and first_words[3] == "no"
    assert set(first_words[2:3] + first_words[4:]) <= set(EMOTIONS) and len(first_words) == 6
    assert "SYNTHETIC faces" in done.stderr and "tiny default" in done.stderr
    assert "3 faces in 4 pictures; 1 failed" in done.stderr
    assert call(predict, folder / "two.jpg", folder / "none.png", "--results", results).exit_code == 0


def test_json_stands_alone_on_standard_output_with_copies_named(results: Path, folder: Path, tmp_path: Path) -> None:
    done = call(predict, folder, "--json", "--results", results, "--out", tmp_path / "out")
    document = json.loads(done.stdout)
    assert document["run"]["paper"] == "tiny" and document["run"]["synthetic"] is True
    assert document["run"]["temperature"] is None and "only" in document["run"]["uncalibrated"], "18 samples"
    assert "no calibration (its run predicted only" in done.stderr
    copies = {Path(picture["file"]).name: picture["copy"] for picture in document["pictures"]}
    assert copies.pop("bad.png") is None
    for name, copy in copies.items():
        marked, plain = Image.open(copy), Image.open(next(folder.rglob(name)))
        assert marked.size == plain.size
        difference = np.abs(np.asarray(marked, int) - np.asarray(plain, int)).max()
        assert (difference > 150) == (name != "none.png")


def test_without_detection_each_picture_is_one_face_as_the_network_sees_it(results: Path, tmp_path: Path) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (20, 48, 48), np.uint8)
    for number, face in enumerate(faces):
        Image.fromarray(face).save(tmp_path / f"{number:02}.png")
    done = call(predict, tmp_path, "--no-detect", "--csv", "--results", results, "--paper", "tiny")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    (record,) = results.rglob("run.json")
    expected = Classifier(load_trained(record.parent))(faces)
    found = np.array([[float(row[name]) for name in EMOTIONS] for row in rows])
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert [row["emotion"] for row in rows] == [EMOTIONS[k] for k in expected.argmax(1)]


def test_many_pictures_are_told_to_the_one_who_opens_the_network(results: Path, folder: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr("repro.use.opened.MANY", 3)
    monkeypatch.setattr("repro.cli.predict.open_recogniser", lambda *_, many: asked.append(many) or 1 / 0)
    for words in (["--no-detect"], []):
        call(predict, folder, "--results", results, *words)
    call(predict, folder / "two.jpg", "--results", results, "--no-detect")
    assert asked == [True, False, False]


def test_a_threshold_of_ones_own_applies_without_a_temperature(results: Path, folder: Path) -> None:
    words = (predict, folder / "two.jpg", "--json", "--results", results)
    for given, unsure in (("1", [True, True]), ("0", [False, False])):
        document = json.loads(call(*words, "--unsure-below", given).stdout)
        assert document["run"]["unsure_below"] == float(given)
        assert [face["unsure"] for face in document["pictures"][0]["faces"]] == unsure
    assert call(*words, "--unsure-below", "40").exit_code == 2


def test_a_video_becomes_a_marked_video(results: Path, tmp_path: Path) -> None:
    video, out = write_video(tmp_path / "in.avi", 3), tmp_path / "out.avi"
    done = call(webcam, "--video", video, "--out", out, "--results", results)
    assert done.exit_code == 0, done.output
    assert out.stat().st_size > 10_000
    assert f"read 3 frames; wrote {out}" in done.stderr and "SYNTHETIC" in done.stderr


def test_wrong_words_are_told_before_anything_is_read(results: Path, folder: Path) -> None:
    for command, words, told in (
        (predict, [], "Missing argument"),
        (predict, [folder, "--json", "--csv"], "exclude each other"),
        (predict, [folder, "--run", "x", "--paper", "tiny"], "exclude each other"),
        (predict, [folder, "--out", folder], "is not empty"),
        (webcam, ["--camera", "0", "--video", "x.mp4"], "exclude each other"),
        (webcam, ["--out", "x.mp4"], "--out needs --video"),
        (webcam, ["--camera", "-1"], "-1"),
    ):
        done = call(command, *words)
        assert done.exit_code == 2, words
        assert told in done.stderr and not done.stdout


def test_what_the_user_can_mend_is_told(results: Path, folder: Path, tmp_path: Path) -> None:
    nothing = call(predict, folder, "--results", tmp_path)
    assert isinstance(nothing.exception, RecordError) and "`repro run" in str(nothing.exception)
    other = call(predict, folder, "--results", results, "--paper", "teta2022")
    assert isinstance(other.exception, RecordError) and "teta2022" in str(other.exception)
    absent = call(webcam, "--camera", 93, "--results", results)
    assert isinstance(absent.exception, RecognitionError) and "camera 93 is not there" in str(absent.exception)


@pytest.mark.parametrize("command", [predict, webcam])
def test_help_says_what_is_stored_and_what_the_answer_means(command) -> None:
    told = " ".join(call(command, "--help").stdout.split())
    assert "nothing is sent, and nothing is stored but what --out" in told
    assert "not what a person feels" in told


@pytest.mark.parametrize(
    ("path", "told"),
    [("https://example.org/a.jpg", "nothing is fetched"), ("data:image/png;base64,AA", "nothing is fetched"),
     ("-", "standard input is not read")],
)  # fmt: skip
def test_what_is_no_file_is_said_before_a_network_is_loaded(tmp_path: Path, path: str, told: str) -> None:
    done = call(predict, path, "--results", tmp_path)
    assert done.exit_code == 2 and told in " ".join(done.stderr.split())

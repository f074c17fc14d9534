"""`audit_data` counts what was planted: copies, conflicting labels, empty pictures, no faces."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.ferplus import CHOICES, read_votes
from fer_jax.data.synthetic import draw_faces
from fer_jax.duplicates import search
from fer_jax.duplicates.nearest import SMALL
from fer_jax.duplicates.search import LARGE_THRESHOLD, MIRRORED_MARGIN, THRESHOLD, duplicates_of
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES
from repro.audit.contact_sheet import contact_sheet, worst_first
from repro.audit.data import audit_data, audit_data_document, search_duplicates, write_pairs_csv
from repro.cli.audit import audit_data_command
from repro.cli.main import main
from repro.report.data_section import data_section
from repro.runs.dataset import Dataset
from repro.text.terminal import terminal_blocks

TRAINING, PUBLIC, PRIVATE = range(3)


@pytest.fixture(scope="module")
def faulty() -> Dataset:
    """60 drawn faces (40, 10, 10), then seven more rows with faults."""
    drawn = draw_faces(
        21, {"Training": (6, 6, 6, 6, 6, 5, 5), "PublicTest": (10,) + (0,) * 6, "PrivateTest": (10,) + (0,) * 6}
    )
    images, labels = drawn.images, drawn.labels.copy()
    labels[3] = UNLABELLED
    faint = np.full((48, 48), 90, np.uint8)
    faint[::2] += 1
    other = (labels[5] + 1) % 7
    extra = [  # image, label, split
        (images[0], labels[0], PRIVATE),  # exact, from Training
        (images[1, :, ::-1], labels[1], PRIVATE),  # near, from Training
        (images[5], other, TRAINING),  # exact, within Training, another emotion
        (images[45], labels[45], PUBLIC),  # exact, within PublicTest
        (images[3], 0, PUBLIC),  # exact, from Training; the row of Training has no label
        (np.full((48, 48), 90, np.uint8), 0, TRAINING),
        (faint, 0, PRIVATE),
    ]
    images = np.concatenate([images, np.stack([image for image, _, _ in extra])])
    labels = np.concatenate([labels, np.array([label for _, label, _ in extra], np.uint8)])
    usage = np.concatenate([drawn.usage, np.array([split for _, _, split in extra], np.uint8)])
    return Dataset(Faces(images, labels, usage, np.arange(67, dtype=np.int32), True), "planted")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


def test_counts_are_those_that_were_planted(faulty: Dataset, folder: Path) -> None:
    found = audit_data(faulty, duplicates_of(faulty.faces, folder))
    assert (found.rows, found.split_rows, found.pictures) == (67, (42, 12, 13), 62)
    assert (found.exact.pairs, found.exact.rows) == (4, 8)
    assert found.exact.between == ((1, 1, 1), (1, 1, 0), (1, 0, 0))
    assert (found.near.pairs, found.near.rows) == (1, 2)
    assert found.near.between == ((0, 0, 1), (0, 0, 0), (1, 0, 0))
    public, private = found.copies_in_training
    assert (public.split, public.rows, public.exact, public.exact_or_near, public.repeated) == (
        "PublicTest",
        12,
        1,
        1,
        1,
    )
    assert (private.exact, private.exact_or_near, private.repeated) == (1, 2, 0)
    for conflicts in (found.exact_conflicts, found.conflicts):
        assert (conflicts.pairs, conflicts.pictures, conflicts.rows) == (1, 1, 2)
    assert (found.constant, found.almost_constant) == ((65,), (66,))
    assert found.not_faces is None


def test_clean_faces_pass_without_a_finding(folder: Path) -> None:
    faces = draw_faces(22, {"Training": (8,) * 7, "PrivateTest": (2,) * 7})
    found = audit_data(Dataset(faces, "clean"), duplicates_of(faces, folder))
    assert found.exact.pairs == found.near.pairs == found.conflicts.pictures == 0
    assert found.pictures == len(faces) and not found.constant + found.almost_constant
    assert all(one.exact_or_near == one.repeated == 0 for one in found.copies_in_training)


def test_the_text_and_the_document_say_the_same(faulty: Dataset, folder: Path) -> None:
    found = audit_data(faulty, duplicates_of(faulty.faces, folder))
    document = json.loads(json.dumps(audit_data_document(found)))
    assert document["splits"] == list(USAGES)
    assert document["exact"]["between"][TRAINING][PRIVATE] == 1
    text = terminal_blocks(data_section(found))
    (line,) = [line for line in text.splitlines() if line.split()[:2] == ["PrivateTest", "13"]]
    assert line.split()[2:] == ["1", "(7.7", "%)", "2", "(15.4", "%)", "0", "(0.0", "%)"]
    assert "Constant images: 1 (samples 65)" in text and "FER+" not in text


def test_a_higher_threshold_finds_fewer_near_pairs_and_is_recorded(faulty: Dataset, folder: Path) -> None:
    usual = duplicates_of(faulty.faces, folder)
    near = usual.score[~usual.exact]
    higher = min(float(near.max()) + 1e-3, 1.0)
    found = search_duplicates(faulty.faces, "blocks", threshold=higher)
    assert len(near) and found.exact.all() and len(found) == usual.exact.sum()
    counted = audit_data(faulty, found, threshold=higher)
    assert (counted.threshold, counted.mirrored_threshold) == (higher, higher + MIRRORED_MARGIN)
    assert counted.near.pairs == 0 and counted.exact.pairs == usual.exact.sum()


def test_a_large_data_set_has_a_higher_threshold(
    faulty: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LARGE_THRESHOLD", 0.995)  # mirrored from 1.025: no near pair is left
    usual, counted = duplicates_of(faulty.faces, folder), audit_data(faulty, duplicates_of(faulty.faces, folder))
    monkeypatch.setattr(search, "SMALL", len(faulty.faces) - 1)
    strict = duplicates_of(faulty.faces, folder)
    assert len(strict) < len(usual) and strict.exact.all()
    assert (counted.threshold, audit_data(faulty, strict).threshold) == (THRESHOLD, 0.995)
    assert len(duplicates_of(faulty.faces, folder)) == len(strict), "each search has its own place in the cache"


def test_the_command_has_the_thresholds_of_the_search() -> None:
    """The command line imports nothing that loads NumPy, so it has the numbers once more."""
    (option,) = (one for one in audit_data_command.params if one.name == "threshold")
    assert isinstance(option, click.Option) and option.default is None
    assert option.show_default == f"{THRESHOLD}; {LARGE_THRESHOLD} for more than {SMALL:,} samples"


@pytest.mark.parametrize("given", ["0.5", "0.99"])
def test_the_threshold_stays_where_it_was_measured(given: str) -> None:
    ended = CliRunner().invoke(main, ["audit", "data", "--threshold", given])
    assert ended.exit_code == 2 and "0.91<=x<=0.97" in ended.stderr


def test_every_pair_is_a_line_of_the_csv(faulty: Dataset, folder: Path, tmp_path: Path) -> None:
    pairs = duplicates_of(faulty.faces, folder)
    write_pairs_csv(tmp_path / "new" / "pairs.csv", faulty.faces, pairs)
    with (tmp_path / "new" / "pairs.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["row_a", "row_b", "kind", "score", "split_a", "split_b", "label_a", "label_b"]
    assert [(int(x["row_a"]), int(x["row_b"]), x["kind"]) for x in lines] == [
        *((0, 60, "exact"), (1, 61, "near"), (3, 64, "exact"), (5, 62, "exact"), (45, 63, "exact")),
    ]
    assert lines[0]["split_a"] == "Training" and lines[0]["split_b"] == "PrivateTest" and lines[0]["score"] == "1.0000"
    assert lines[2]["label_a"] == "" and lines[2]["label_b"] == "angry"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="name another folder"):
        write_pairs_csv(tmp_path / "file" / "pairs.csv", faulty.faces, pairs)


def test_the_contact_sheet_shows_the_worst_pairs_first(faulty: Dataset, folder: Path, tmp_path: Path) -> None:
    faces, pairs = faulty.faces, duplicates_of(faulty.faces, folder)
    order = worst_first(faces, pairs)
    across = faces.usage[order.row_a] != faces.usage[order.row_b]
    assert across.tolist() == [True, True, True, False, False]
    assert (order.row_a[0], order.row_b[0]) == (3, 64), "other labels before equal ones"
    assert contact_sheet(tmp_path / "a" / "sheet.png", faces, pairs, count=2) == 2
    with Image.open(tmp_path / "a" / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    shown = faces.images[3].repeat(3, 0).repeat(3, 1)
    assert (pixels[8:152, 8:152] == shown).all() and (pixels[8:152, 160:304] == shown).all()
    assert (pixels[152:] < 128).any(), "there is writing below"
    assert contact_sheet(tmp_path / "none.png", faces, pairs.take(np.zeros(len(pairs), bool))) == 0


def votes_file(path: Path, faces: Faces, change: dict[int, dict[str, str]] | None = None) -> Path:
    """Votes that agree with the labels: 7 for the label's choice, 3 for unknown."""
    names = dict(
        zip(EMOTIONS, ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"), strict=True)
    )
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, ["Usage", "Image name", *CHOICES])
        out.writeheader()
        for row in range(len(faces)):
            line = {"Usage": USAGES[faces.usage[row]], "Image name": f"fer{row:07}.png", **dict.fromkeys(CHOICES, "0")}
            if faces.labels[row] != UNLABELLED:
                line |= {names[EMOTIONS[faces.labels[row]]]: "7", "unknown": "3"}
            out.writerow(line | (change or {}).get(row, {}))
    return path


def test_rows_that_the_votes_call_no_face_are_listed(faulty: Dataset, folder: Path, tmp_path: Path) -> None:
    nothing = dict.fromkeys(CHOICES, "0")
    change = {
        7: nothing | {"NF": "10"},
        50: nothing | {"NF": "6", "sadness": "4"},
        9: nothing | {"NF": "5", "fear": "5"},
    }
    votes = votes_file(tmp_path / "votes.csv", faulty.faces, change)
    found = audit_data(faulty, duplicates_of(faulty.faces, folder), ferplus=votes)
    assert found.not_faces == (7, 50) and found.not_faces_by_split == (1, 0, 1)
    assert "FER+: 2 (Training 1, PublicTest 0, PrivateTest 1)" in " ".join(terminal_blocks(data_section(found)).split())


@pytest.mark.parametrize(
    ("change", "rows", "message"),
    [
        ({4: {"Usage": "PublicTest"}}, 67, "line 6: Usage 'PublicTest', the face is in Training"),
        ({4: {"fear": "many"}}, 67, "line 6: votes must be whole numbers"),
        (None, 66, "66 rows of votes for 67 faces"),
        (None, 0, "has no rows"),
    ],
)
def test_votes_that_do_not_fit_are_refused(
    faulty: Dataset, tmp_path: Path, change: dict[int, dict[str, str]] | None, rows: int, message: str
) -> None:
    path = votes_file(tmp_path / "votes.csv", faulty.faces.take(np.arange(rows)), change)
    with pytest.raises(DataError, match=message) as error:
        read_votes(path, faulty.faces)
    assert str(path) in str(error.value) and "fer2013new.csv" in str(error.value)


def test_votes_of_rows_in_another_order_are_refused(faulty: Dataset, tmp_path: Path) -> None:
    faces = faulty.faces
    moved = Faces(
        faces.images, np.where(faces.labels < 7, (faces.labels + 1) % 7, faces.labels), faces.usage, faces.origin
    )
    with pytest.raises(DataError, match="agree with the labels on 0% of the faces only"):
        read_votes(votes_file(tmp_path / "votes.csv", moved), faces)


@pytest.mark.parametrize("content", [None, "a,b\n1,2\n", "Usage\nTraining\n"])
def test_other_files_are_no_votes(faulty: Dataset, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "votes.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"cannot be read|has no column"):
        read_votes(path, faulty.faces)

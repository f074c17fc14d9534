"""CSV parsing: against a plain-Python reference, against real FER-2013, and every kind of bad row."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_jax.data.faces import DataError
from fer_jax.data.formats import csv_file, read_faces
from fer_jax.data.formats.budget import Reading
from fer_jax.data.formats.csv_file import PIXELS, read_csv
from fer_jax.data.formats.csv_pixels import PlainConverter
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES

REAL = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "fer2013"


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, PIXELS, dtype=np.uint8)


def text(row: np.ndarray) -> str:
    return " ".join(map(str, row.tolist()))


def write(
    path: Path, rows: list[str], header: str = "emotion,pixels,Usage", end: str = "\n", last: bool = True
) -> Path:
    path.write_bytes((end.join([header, *rows]) + (end if last else "")).encode())
    return path


def row(seed: int = 0, label: object = 3, usage: str = "Training") -> str:
    return f"{label},{text(pixels(seed))},{usage}"


def reference(content: str) -> list[tuple[int, list[int], str]] | int:
    """Rows of a CSV with columns emotion, pixels, Usage, or the line number of the first bad one."""
    rows = []
    for number, fields in enumerate(csv.reader(io.StringIO(content, newline="")), start=1):
        if number == 1 or not fields or fields == [""]:
            continue
        try:
            label, values, usage = fields
            numbers = [int(v) for v in values.split() if (v.isascii() and v.isdigit()) or 1 / 0]
            usage = {u.lower(): u for u in USAGES}[usage.strip().lower()]
            if label.strip() not in "0123456" or len(label.strip()) != 1 or len(numbers) != PIXELS:
                return number
            if max(numbers) > 255:
                return number
        except (ValueError, KeyError, ZeroDivisionError):
            return number
        rows.append((int(label), numbers, usage))
    return rows


@st.composite
def faulty_rows(draw: st.DrawFn) -> str:
    """A row that is valid, oddly spaced, or broken in one place."""
    values = [str(v) for v in pixels(draw(st.integers(0, 2**31))).tolist()]
    place = draw(st.integers(0, PIXELS - 1))
    odd = st.sampled_from(["256", "299", "300", "999", "1000", "-1", "3.5", "x", "007", "0255", "", "1 2", "é", "255"])
    if draw(st.booleans()):
        values[place] = draw(odd)
    if draw(st.integers(0, 4)) == 0:
        del values[draw(st.integers(0, PIXELS - 1))]
    between = draw(st.sampled_from([" ", " ", " ", "  "]))
    labels = st.sampled_from([*"0123456", " 6", "7", "-1", "a", ""])
    label = draw(labels if place % 3 == 0 else st.just("2"))
    usages = st.sampled_from([*USAGES, "privatetest", " Training", "Tests", ""])
    usage = draw(usages if place % 5 == 0 else st.just("Training"))
    field = between.join(values)
    return f'{label},"{field}",{usage}' if draw(st.booleans()) else f"{label},{field},{usage}"


QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]  # every example overwrites the same file


@settings(max_examples=100, deadline=None, suppress_health_check=QUIET)
@given(
    rows=st.lists(faulty_rows(), min_size=1, max_size=4), end=st.sampled_from(["\n", "\r\n", "\r"]), last=st.booleans()
)
def test_agrees_with_a_plain_python_parser(tmp_path: Path, rows: list[str], end: str, last: bool) -> None:
    path = write(tmp_path / "a.csv", rows, end=end, last=last)
    expected = reference(path.read_bytes().decode())
    if isinstance(expected, int):
        with pytest.raises(DataError, match=rf"a\.csv, line {expected} \(the header is line 1\)"):
            read_csv(path)
    else:
        faces = read_csv(path).faces
        assert faces.labels.tolist() == [label for label, _, _ in expected]
        assert [USAGES[u] for u in faces.usage] == [usage for _, _, usage in expected]
        np.testing.assert_array_equal(faces.images.reshape(-1, PIXELS), [values for _, values, _ in expected])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=20, max_size=20), st.integers(0, PIXELS - 20))
def test_the_fast_way_takes_exactly_what_is_in_range(values: list[int], at: int) -> None:
    full = pixels(1).astype(int)
    full[at : at + 20] = values
    out = np.empty((2, PIXELS), np.uint8)
    fast = PlainConverter().convert([text(pixels(2)).encode(), text(full).encode()], out)
    assert fast == (max(values) <= 255)
    if fast:
        np.testing.assert_array_equal(out[1], full)


def test_every_value_at_every_neighbourhood() -> None:
    # All pairs of neighbours among lengths of one, two and three digits, and every value from 0 to 255.
    values = np.tile(np.arange(256), 9)
    out = np.empty((2, PIXELS), np.uint8)
    assert PlainConverter().convert([text(values).encode(), text(values[::-1]).encode()], out)
    np.testing.assert_array_equal(out, [values, values[::-1]])


def test_a_surplus_pixel_does_not_make_up_for_a_missing_one() -> None:
    one = text(pixels(3)).encode()
    out = np.empty((2, PIXELS), np.uint8)
    assert not PlainConverter().convert([one + b" 7", one[: one.rindex(b" ")]], out)


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("emotion,pixels,Usage", "{e},{p},{u}"),
        ("Emotion,Pixels,usage", "{e},{p},{u}"),
        ("emotion, Usage, pixels", "{e}, {u}, {p}"),
        ("EMOTION,USAGE,PIXELS", "{e},{u},{p}"),
        ("\ufeffemotion,pixels,Usage", "{e},{p},{u}"),
        ('"emotion","pixels","Usage"', '"{e}","{p}","{u}"'),
        ("emotion;pixels;Usage", "{e};{p};{u}"),
        ("id,emotion,name,pixels,Usage", '1,{e},"Ann, B.é",{p},{u}'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_headers_and_line_ends(tmp_path: Path, header: str, line: str, end: str) -> None:
    expected = [(2, "PrivateTest"), (0, "Training"), (6, "PublicTest")]
    rows = [line.format(e=e, p=text(pixels(i)), u=u) for i, (e, u) in enumerate(expected)]
    faces = read_csv(write(tmp_path / "icml_face_data.csv", rows, header, end)).faces
    assert faces.labels.tolist() == [2, 0, 6]
    assert faces.usage.tolist() == [2, 0, 1]
    assert faces.origin.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(faces.images.reshape(-1, PIXELS), [pixels(i) for i in range(3)])


def as_array(row: np.ndarray) -> str:
    with np.printoptions(threshold=PIXELS, linewidth=75):
        return str(row)


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("sep=;\nemotion;pixels;Usage", "{e};{p};{u}"),
        ("label,pixels,usage", "{e},{p},{u}"),
        ("emotion,pixels,Usage", "{e}.0,{p},{u}"),
        ("# made by hand\n\nemotion|pixels|Usage", "{e}|{p}|{u}"),
        ("expression,pixels,Usage", '{e},"{columns}",{u}'),
        ("emotion,pixels,Usage", "{e},{semicolons},{u}"),
        ("emotion,pixels,Usage", "{e},'{p}',{u}"),
        ("emotion,pixels,Usage", '{e},"{list}",{u}'),
        ("emotion,pixels,Usage", '{e},"{array}",{u}'),
        ("emotion,pixels,Usage", "{name},{p},{short}"),
        ("emotion," + ",".join(f"pixel{i}" for i in range(PIXELS)) + ",Usage", "{e},{columns},{u}"),
        ("Usage,label," + ",".join(map(str, range(PIXELS))), "{u},{e},{floats}"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_programs_write_that_people_use(tmp_path: Path, header: str, line: str, end: str) -> None:
    expected = [(2, "PrivateTest", "test"), (0, "Training", "train"), (6, "PublicTest", "val")]
    lines = []
    for i, (label, usage, short) in enumerate(expected):
        pixel = pixels(i)
        columns = text(pixel).replace(" ", ",")
        words = {"list": pixel.tolist(), "array": as_array(pixel).replace("\n", end), "columns": columns}
        words["semicolons"] = columns.replace(",", "; ")
        words |= {"p": text(pixel), "u": usage, "short": short, "name": EMOTIONS[label], "e": label}
        lines.append(line.format(**words, floats=columns.replace(",", ".0,") + ".0"))
    faces = read_csv(write(tmp_path / "a.csv", lines, header.replace("\n", end), end)).faces
    assert (faces.labels.tolist(), faces.usage.tolist()) == ([2, 0, 6], [2, 0, 1])
    np.testing.assert_array_equal(faces.images.reshape(-1, PIXELS), [pixels(i) for i in range(3)])


def test_rows_that_are_none_are_left_out_on_request(tmp_path: Path) -> None:
    rows = [row(0), "how this was made,a,b,c,d", row(1, 9), f"3,{text(pixels(2))} 7,Training", row(3, 5), '"open']
    path = write(tmp_path / "fer2013.csv", rows)
    with pytest.raises(DataError, match=r"(?s)line 3 .*--skip-bad"):
        read_csv(path)
    reading = Reading(skip_bad=True)
    faces = read_csv(path, reading).faces
    np.testing.assert_array_equal(faces.images.reshape(-1, PIXELS), [pixels(0), pixels(3)])
    assert faces.labels.tolist() == [3, 5]
    assert [line.split(", line ")[1][0] for line in reading.skipped] == ["3", "4", "5", "7"]


@pytest.mark.parametrize(("odd", "says"), [("7", "run from 1, change each by -1"), ("-1", "run from -1")])
def test_labels_that_may_be_counted_otherwise_are_not_left_out(tmp_path: Path, odd: str, says: str) -> None:
    path = write(tmp_path / "a.csv", [row(0), f"{odd},{text(pixels(1))},Training"])
    with pytest.raises(DataError, match=f"line 3 .*{says}") as error:
        read_csv(path, Reading(skip_bad=True))
    assert "--skip-bad" not in str(error.value)


def test_pixels_that_numpy_has_shortened(tmp_path: Path) -> None:
    shortened = np.array2string(pixels(0), threshold=1000)
    with pytest.raises(DataError, match=r"line 2 .*shortened to '...', as NumPy prints .* lost"):
        read_csv(write(tmp_path / "a.csv", [f'3,"{shortened}",Training']))


def test_blocks_are_joined_whatever_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.csv", [row(i, i % 7) for i in range(40)])
    whole = read_csv(path).faces
    for size in (1000, 9001, 1 << 16):
        monkeypatch.setattr(csv_file, "BLOCK_BYTES", size)
        assert read_csv(path).faces.fingerprint == whole.fingerprint
    np.testing.assert_array_equal(whole.images.reshape(-1, PIXELS), [pixels(i) for i in range(40)])


def test_without_usage_and_without_labels(tmp_path: Path) -> None:
    train = read_csv(write(tmp_path / "train.csv", [f"5,{text(pixels(1))}"], "emotion,pixels"))
    assert (train.faces.labels.tolist(), train.faces.usage.tolist()) == ([5], [0])
    assert "Training" in train.notes[0]
    test = read_csv(write(tmp_path / "test.csv", [text(pixels(2)), text(pixels(3))], "pixels"))
    assert (test.faces.labels.tolist(), test.faces.usage.tolist()) == ([UNLABELLED] * 2, [1, 1])
    assert "no labels" in test.notes[0]


GOOD = [row(i) for i in range(3)]
SHORT = " ".join(["1"] * (PIXELS - 1))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (f"3,{SHORT},Training", "2,303 pixels"),
        (f"3,{SHORT} 256,Training", "pixel 2,304 is 256"),
        (f"3,{SHORT} -1,Training", "'-1'"),
        (f"3,{SHORT} x,Training", "'x'"),
        (f"3,{SHORT} 1 1,Training", "2,305 pixels"),
        (f"3,{SHORT} {'9' * 6000},Training", "pixel 2,304 is 999"),
        (f"7,{SHORT} 1,Training", "emotion '7'"),
        (f",{SHORT} 1,Training", "emotion ''"),
        (f"3,{SHORT} 1,Trains", "Usage 'Trains'"),
        (f"3,{SHORT} 1", "2 fields where the header has 3"),
        ("3,,Training", "0 pixels"),
        (f"3,{SHORT} 1\0,Training", "NUL"),
        (f'3,"{SHORT} 1,Training', "quotes"),
        (f"3,{SHORT} 1,Trainingé", "Usage"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, bad: str, says: str) -> None:
    path = write(tmp_path / "fer2013.csv", [*GOOD, bad, *GOOD])
    with pytest.raises(DataError) as error:
        read_faces(path)
    assert f"{path}, line 5 (the header is line 1)" in str(error.value)
    assert says in str(error.value)


def test_the_first_bad_row_is_the_one_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [GOOD[0], f"3,{SHORT},Training", f"9,{SHORT} 1,Training"])
    with pytest.raises(DataError, match=r"line 3 .*2,303 pixels"):
        read_csv(path)


def test_blank_lines_count_as_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 5 "):
        read_csv(write(tmp_path / "a.csv", [GOOD[0], "", "  ", "7" + GOOD[1][1:]]))
    assert len(read_csv(write(tmp_path / "a.csv", [GOOD[0], "", GOOD[1], ""])).faces) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"emotion,pixels,Usage\n", "header and no rows"),
        (b"emotion,pixels,Usage", "header and no rows"),
        (b"emotion,face,Usage\n3,1,Training\n", "columns are emotion, face, usage; expected emotion, pixels"),
        (b"pixels,Usage\n1,Training\n", "columns are pixels, usage"),
        (b"emotion,pixels,pixels\n", "twice"),
        (GOOD[0].encode(), "a row where the header should be"),
        ((",".join(EMOTIONS) + ",pixels\n1,0,0,0,0,0,0,1\n").encode(), "one column emotion"),
        (b"emotion,pixels\n3,images/7.png\n", "the name of a picture where its pixels should be"),
        ("emotion,pixels,Usage\n".encode("utf-16"), "UTF-16"),
        (b"emotion,pix\xe9ls,Usage\n", "not UTF-8"),
        (b"emotion,pixels,Usage,\xe9\n"[:-2] + b"x\n3,1,Training,\xe9\n", "not UTF-8"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_faces(path)
    assert "fer2013.csv" in str(error.value)
    assert says in str(error.value)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"emotion,pixels,Usage\n3," + b"1 " * (2 << 20))
    with pytest.raises(DataError, match=r"line 2 .*longer than"):
        read_csv(path)


@pytest.mark.skipif(not (REAL / "mosaic-0.png").exists(), reason=f"real FER-2013 is not at {REAL}")
def test_real_rows_come_back_as_they_are_in_the_mosaic(tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(REAL / "mosaic-0.png") as mosaic:
        tiles = np.asarray(mosaic.crop((0, 0, 64 * 48, 4 * 48)))
    faces = tiles.reshape(4, 48, 64, 48).swapaxes(1, 2).reshape(256, 48, 48)
    with (REAL / "labels.csv").open(newline="") as stream:
        about = [line for _, line in zip(range(256), csv.DictReader(stream), strict=False)]
    rows = [f"{a['emotion']},{text(f.ravel())},{a['Usage']}" for a, f in zip(about, faces, strict=True)]
    read = read_csv(write(tmp_path / "fer2013.csv", rows)).faces
    np.testing.assert_array_equal(read.images, faces)
    assert read.labels.tolist() == [int(a["emotion"]) for a in about]
    assert read.images[0, 0, :5].tolist() == [70, 80, 82, 72, 58]  # the first pixels of the published fer2013.csv

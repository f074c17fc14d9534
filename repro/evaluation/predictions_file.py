"""Predictions per sample from a CSV or NPZ file, matched to the samples of a dataset.

Without a column that says which sample a line is about, the lines are in the order of fer2013.csv: of one split, of
PublicTest and PrivateTest together, or of the whole dataset. `row` (also `index`, `sample`) is the number of the sample
in the dataset, from 0; `hash` (also `sha256`, `pixel_hash`) the SHA-256 of its 48 x 48 bytes, or so many of its first
digits, at least 8, that no two images of the dataset share them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_jax.data.faces import Faces, pixel_hash
from fer_jax.data.formats.names import emotion_label, unknown_emotion
from fer_jax.data.formats.npz_file import load_arrays
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from repro.evaluation.errors import EvaluationError, words_of

ROW, HASH = ("row", "index", "sample", "origin"), ("hash", "sha256", "pixel_hash")
ANSWER, TRUTH = ("predicted", "prediction", "pred", "answer"), ("label", "true", "target", "truth", "emotion")
LARGEST = 200_000_000  # bytes
LARGEST_ROWS = 2_000_000
FEWEST_DIGITS = 8  # as in results/splits/fer2013-clean.csv
_ORDERS = (*((one,) for one in USAGES), USAGES[1:], USAGES)


@dataclass(frozen=True)
class FilePredictions:
    """sample: int64 (N,), row of the dataset. outputs: float64 (N, K) as in the file, or None; answered: int64 (N,),
    index into EMOTIONS, where only the answer is known. labels: names of the columns, if the file has them."""

    sample: np.ndarray
    outputs: np.ndarray | None
    answered: np.ndarray | None
    labels: tuple[str, ...] | None


@dataclass(frozen=True)
class _Columns:
    """Columns of a file before they are matched. Any may be None."""

    outputs: np.ndarray | None
    answered: np.ndarray | None
    labels: tuple[str, ...] | None
    row: np.ndarray | None
    hash: Sequence[str] | None
    truth: np.ndarray | None
    split: str | None = None


def read_predictions_file(path: Path, faces: Faces, split: str) -> FilePredictions:
    """split: the one that is evaluated, whose samples must all be there. Raises EvaluationError."""
    tables = [_csv(path)] if path.suffix.lower() == ".csv" else _npz(path)
    parts = [_matched(path, table, faces, split) for table in tables]
    sample = np.concatenate([part.sample for part in parts])
    if len(np.unique(sample)) < len(sample):
        numbers, counts = np.unique(sample, return_counts=True)
        raise EvaluationError(f"{path}: sample {numbers[counts > 1][0]:,} is predicted twice")
    wanted = np.flatnonzero(faces.usage == USAGES.index(split))
    missing = np.setdiff1d(wanted, sample)
    if len(missing):
        raise EvaluationError(
            f"{path}: {len(missing):,} of the {counted(len(wanted), 'sample')} of {split} have no "
            "prediction, the first is row "
            f"{missing[0]:,} of the dataset; {sizes(faces)}"
        )
    kinds = {
        (part.outputs is None, part.labels, None if part.outputs is None else part.outputs.shape[1]) for part in parts
    }
    if len(kinds) > 1:
        raise EvaluationError(f"{path}: its arrays are of different kinds; give probabilities or labels for all splits")
    outputs = (
        None if parts[0].outputs is None else np.concatenate([one.outputs for one in parts if one.outputs is not None])
    )
    answers = [one.answered for one in parts if one.answered is not None]
    return FilePredictions(sample, outputs, np.concatenate(answers) if answers else None, parts[0].labels)


def sizes(faces: Faces) -> str:
    """The numbers of samples of the splits, and of their usual combinations, in words."""
    counts = np.bincount(faces.usage, minlength=len(USAGES)).tolist()
    single = [f"{name} has {counted(count, 'sample')}" for name, count in zip(USAGES, counts, strict=True)]
    return f"{', '.join(single)}, PublicTest and PrivateTest together {sum(counts[1:]):,}, all {sum(counts):,}"


def _matched(path: Path, table: _Columns, faces: Faces, evaluated: str) -> FilePredictions:
    n = len(table.outputs) if table.outputs is not None else len(table.answered if table.answered is not None else ())
    if table.row is not None:
        sample = table.row
        outside = (sample < 0) | (sample >= len(faces))
        if outside.any():
            raise EvaluationError(
                f"{path}: sample {sample[outside][0]:,} is outside the dataset of {len(faces):,} samples"
            )
    elif table.hash is not None:
        return _by_hash(path, table, faces)
    else:
        sample = _in_order(path, n, faces, table.split, evaluated)
    _check_truth(path, table.truth, sample, faces)
    return FilePredictions(sample, table.outputs, table.answered, table.labels)


def _in_order(path: Path, n: int, faces: Faces, split: str | None, evaluated: str) -> np.ndarray:
    """Rows of n predictions in the order of the dataset. split: that the file names. evaluated: the split that is asked
    for, which counts if another has as many samples, as PublicTest and PrivateTest have in FER-2013."""
    orders = ((evaluated,), *_ORDERS) if split is None else ((split,),)
    for names in orders:
        rows = np.concatenate([np.flatnonzero(faces.usage == USAGES.index(name)) for name in names])
        if len(rows) == n:
            return rows if names != USAGES else np.arange(len(faces))
    what = f"its array {split!r} has {counted(n, 'prediction')}" if split else counted(n, "prediction")
    raise EvaluationError(
        f"{path}: {what}, but {sizes(faces)}. Predictions of other samples need a column `row` (the number of the "
        "sample in fer2013.csv, from 0) or `hash`"
    )


def _by_hash(path: Path, table: _Columns, faces: Faces) -> FilePredictions:
    """One line may answer for several samples, because samples with equal pixels have one hash."""
    assert table.hash is not None
    places: dict[str, int] = {}
    digits = min((len(one) for one in table.hash), default=0)
    if digits < FEWEST_DIGITS:
        raise EvaluationError(f"{path}: a hash of {digits} digits; {FEWEST_DIGITS} to 64 of SHA-256 are needed")
    for line, one in enumerate(one[:digits].lower() for one in table.hash):
        if places.setdefault(one, line) != line:
            raise EvaluationError(f"{path}: the hash {one} appears twice, in lines {places[one]} and {line}")
    found: list[tuple[int, int]] = []
    image_of: dict[str, str] = {}
    for row, image in enumerate(faces.images):
        full = pixel_hash(image)
        if (key := full[:digits]) in places:
            if image_of.setdefault(key, full) != full:
                raise EvaluationError(f"{path}: two images of the dataset begin with the hash {key}; give more digits")
            found.append((row, places[key]))
    unknown = len(places) - len({line for _, line in found})
    if unknown:
        raise EvaluationError(
            f"{path}: {unknown:,} of {len(places):,} hashes are of no sample of the dataset; a hash is the SHA-256 "
            "of the 48 x 48 bytes of an image"
        )
    sample, line = (np.array(one, np.int64) for one in zip(*found, strict=True))
    truth = None if table.truth is None else table.truth[line]
    _check_truth(path, truth, sample, faces)
    return FilePredictions(
        sample,
        None if table.outputs is None else table.outputs[line],
        None if table.answered is None else table.answered[line],
        table.labels,
    )


def _check_truth(path: Path, truth: np.ndarray | None, sample: np.ndarray, faces: Faces) -> None:
    if truth is None:
        return
    other = truth != faces.labels[sample]
    if other.any():
        at = int(other.argmax())
        raise EvaluationError(
            f"{path}: {int(other.sum()):,} of {len(sample):,} labels in it are not those of the dataset, the first "
            f"for row {sample[at]:,} ({EMOTIONS[truth[at]]}, in the dataset {EMOTIONS[faces.labels[sample[at]]]}); the "
            "samples are in another order, or the labels were numbered in another"
        )


# --- NPZ --------------------------------------------------------------------------------------------------------------


def _npz(path: Path) -> list[_Columns]:
    """Arrays named after splits, or `probabilities` or `predicted`, perhaps with `row`, `label` and `labels`."""
    try:
        if path.stat().st_size > LARGEST:
            raise EvaluationError(f"{path}: more than {LARGEST:,} bytes")
        arrays = load_arrays(path, LARGEST)
    except EvaluationError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for a damaged file
        raise EvaluationError(f"{path}: cannot be read as .npz ({words_of(error)})") from None
    by_split = {name: arrays[name] for name in USAGES if name in arrays}
    labels = None if "labels" not in arrays else tuple(str(one) for one in arrays["labels"].tolist())
    if by_split:
        return [_of_array(path, name, array, labels, {}, name) for name, array in by_split.items()]
    for name in ("probabilities", "probability", "outputs", "logits", *ANSWER):
        if name in arrays:
            return [_of_array(path, name, arrays[name], labels, arrays, None)]
    raise EvaluationError(
        f"{path}: holds {', '.join(sorted(arrays)[:10]) or 'nothing'}; expected an array named after a split "
        f"({', '.join(USAGES)}), or `probabilities` (N, 7) or `predicted` (N,)"
    )


def _of_array(
    path: Path,
    name: str,
    array: np.ndarray,
    labels: tuple[str, ...] | None,
    others: Mapping[str, np.ndarray],
    split: str | None,
) -> _Columns:
    if array.ndim not in (1, 2) or (array.dtype.kind not in "fiu" and array.ndim == 2) or len(array) > LARGEST_ROWS:
        raise EvaluationError(f"{path}: {name} is {array.dtype} of shape {array.shape}; (N, 7) or (N,) is needed")
    row = next((_whole(path, key, others[key]) for key in ROW if key in others), None)
    truth = next((_emotions(path, key, others[key]) for key in TRUTH if key in others), None)
    for key, column in (("row", row), ("label", truth)):
        if column is not None and len(column) != len(array):
            raise EvaluationError(
                f"{path}: {counted(len(column), 'number')} in {key} for {counted(len(array), 'prediction')}"
            )
    if array.ndim == 2:
        return _Columns(array.astype(np.float64), None, labels, row, None, truth, split)
    return _Columns(None, _emotions(path, name, array), None, row, None, truth, split)


def _whole(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise EvaluationError(f"{path}: {name} is {array.dtype} of shape {array.shape}; whole numbers (N,) are needed")
    return array.astype(np.int64)


def _emotions(path: Path, name: str, values: np.ndarray | Sequence[str], first: int | None = None) -> np.ndarray:
    """Index into EMOTIONS of numbers from 0 to 6, or of names. first: the line of the first value, if they are lines of
    a file."""
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        if len(array) and not (array.min() >= 0 and array.max() < len(EMOTIONS)):
            raise EvaluationError(f"{path}: {name} holds {array.min()} to {array.max()}; 0 to 6 are the emotions")
        return array.astype(np.int64)
    if array.dtype.kind != "U":
        raise EvaluationError(f"{path}: {name} is {array.dtype}; names of emotions or whole numbers are needed")
    known: dict[str, int] = {}
    for text in np.unique(array).tolist():
        number = int(text) if text.strip().isdecimal() and len(text.strip()) == 1 else emotion_label(text)
        if number is None or number >= len(EMOTIONS):
            place = name if first is None else f"line {first + int((array == text).argmax())}"
            raise EvaluationError(f"{path}: {place}: {unknown_emotion(text)}")
        known[text] = number
    return np.array([known[text] for text in array.tolist()], np.int64)


# --- CSV --------------------------------------------------------------------------------------------------------------


def _csv(path: Path) -> _Columns:
    """With names of columns in the first line, or without: then one answer or seven outputs per line."""
    try:
        if path.stat().st_size > LARGEST:
            raise EvaluationError(f"{path}: more than {LARGEST:,} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            lines = [line for line in csv.reader(file, delimiter=_delimiter(first)) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path}: cannot be read as CSV ({words_of(error)})") from None
    if not lines:
        raise EvaluationError(f"{path}: is empty")
    head = [cell.strip().lower() for cell in lines[0]]
    named = any(cell in (*ROW, *HASH, *ANSWER, *TRUTH) for cell in head) or (len(head) > 1 and not _is_number(head[0]))
    body = lines[1:] if named else lines
    for number, line in enumerate(body, start=2 if named else 1):
        if len(line) != len(head):
            raise EvaluationError(f"{path}: line {number} has {counted(len(line), 'cell')}, the first line {len(head)}")
    columns = {name: [line[place].strip() for line in body] for place, name in enumerate(head)} if named else {}
    return _named(path, head, columns) if named else _unnamed(path, body)


def _delimiter(first: str) -> str:
    """What separates the cells of the first line: spreadsheets of countries with decimal commas write semicolons."""
    return next((one for one in (";", "\t") if one in first), ",")


def _unnamed(path: Path, body: list[list[str]]) -> _Columns:
    if len(body[0]) == 1:
        return _Columns(
            None, _emotions(path, "its column", [line[0] for line in body], first=1), None, None, None, None
        )
    return _Columns(_numbers(path, body, first=1), None, None, None, None, None)


def _named(path: Path, head: list[str], columns: dict[str, list[str]]) -> _Columns:
    def one(names: Sequence[str]) -> list[str] | None:
        return next((columns[name] for name in names if name in columns), None)

    row, hashes, answer, truth = map(one, (ROW, HASH, ANSWER, TRUTH))
    special = {*ROW, *HASH, *ANSWER, *TRUTH, "split", "usage", "confidence"}
    rest = [name for name in head if name not in special]
    if rest and (answer is None or len(rest) >= len(EMOTIONS)):
        outputs = _numbers(path, list(zip(*(columns[name] for name in rest), strict=True)), first=2)
        answered = None
    elif answer is not None or truth is not None:
        # A lone column `emotion` or `label` is the answer.
        given = answer if answer is not None else truth or ()
        outputs, answered = None, _emotions(path, "its predictions", given, first=2)
        rest, truth = [], truth if answer is not None else None
    else:
        raise EvaluationError(
            f"{path}: columns {', '.join(head[:12])}; expected `predicted`, or one column per emotion"
        )
    numbers = None if row is None else _numbers(path, [[cell] for cell in row], first=2)[:, 0]
    if numbers is not None and (numbers != np.rint(numbers)).any():
        raise EvaluationError(f"{path}: the numbers of its samples are not whole")
    return _Columns(
        outputs,
        answered,
        tuple(rest) or None,
        None if numbers is None else numbers.astype(np.int64),
        hashes,
        None if truth is None else _emotions(path, "its labels", truth, first=2),
    )


def _numbers(path: Path, cells: Sequence[Sequence[str]], first: int) -> np.ndarray:
    try:
        return np.array(cells, np.float64)
    except ValueError:
        for number, line in enumerate(cells, start=first):
            if bad := next((cell for cell in line if not _is_number(cell)), None):
                comma = "; decimals need a point" if _is_number(bad.replace(",", ".")) else ""
                raise EvaluationError(f"{path}: line {number}: {bad[:40]!r} is not a number{comma}") from None
        raise EvaluationError(f"{path}: a cell is not a number") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

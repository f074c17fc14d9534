"""Results of `repro predict` as a table, as CSV and as JSON, each written while the images are read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.text.export import FORMULA
from repro.use.recognition.predict import Recognised
from repro.use.recognition.recogniser import RecognisedFace, Recogniser
from repro.use.temperature import temperature_document
from repro.use.trained import RunNetwork

_TABLE = "{:<17}{:>6} {:>5}  {:<21} {}"
_DECIMALS = 6  # of probabilities and scores: float32 has no more
CSV_COLUMNS = (
    "file",
    "face",
    "left",
    "top",
    "width",
    "height",
    "emotion",
    "probability",
    *EMOTIONS,
    "copy",
    "error",
    "smallest_face",
    "unsure",
)


def table_lines(results: Iterable[Recognised]) -> Iterator[str]:
    """One line per face, and one per image without a face or with an error."""
    yield _TABLE.format("emotion", "prob.", "face", "left,top width×height", "file")
    for result in results:
        name = _printable(_name(result))
        if result.error:
            yield _TABLE.format("error", "", "", "", _printable(_text(result.error)))
        elif not result.faces:
            yield _TABLE.format("no face", "", "", f"of {result.smallest_face} px or more", name)
        for number, face in enumerate(result.faces, 1):
            emotion, probability = _best(face)
            box = face.box
            place = f"{box.left},{box.top} {box.width}×{box.height}"
            yield _TABLE.format(
                f"unsure: {emotion}" if face.unsure else emotion, f"{probability:.1%}", number, place, name
            )


def csv_lines(results: Iterable[Recognised]) -> Iterator[str]:
    """A header and one line per face. An image without a face, or with an error, has a line without a face. unsure: 1
    or 0."""
    line = _Line()
    writer = csv.writer(line, lineterminator="")
    writer.writerow(CSV_COLUMNS)
    yield line.text
    for result in results:
        name, *ends = (_no_formula(text) for text in (_name(result), _text(result.copy or ""), _text(result.error)))
        rows = [
            ((name, number, *_place(face), *_best(face), *_seven(face)), int(face.unsure))
            for number, face in enumerate(result.faces, 1)
        ]
        for row, unsure in rows or [((name, *[""] * (len(CSV_COLUMNS) - 5)), "")]:
            writer.writerow((*row, *ends, "" if result.smallest_face is None else result.smallest_face, unsure))
            yield line.text


def _no_formula(text: str) -> str:
    """A path that no spreadsheet takes for a formula, and that leads to the same file."""
    return f"./{text}" if text.startswith(FORMULA) else text


def json_lines(results: Iterable[Recognised], recogniser: Recogniser) -> Iterator[str]:
    """One JSON document: the run used with its temperature and threshold, and the images in their order, one per
    line."""
    run = run_document(recogniser.classifier.trained)
    run |= temperature_document(recogniser.classifier.temperature, recogniser.unsure_below)
    yield '{"run": ' + json.dumps(run, ensure_ascii=False) + ',\n "pictures": ['
    before = "  "
    for result in results:
        yield before + json.dumps(_document(result), ensure_ascii=False)
        before = " ,"
    yield " ]}"


def run_document(run: RunNetwork) -> dict[str, Any]:
    """Which run's network answered."""
    return {
        "folder": str(run.folder),
        "paper": run.record.paper,
        "variant": run.record.variant,
        "protocol": run.record.protocol,
        "seed": run.record.seed,
        "synthetic": run.record.data.synthetic,
    }


def _document(result: Recognised) -> dict[str, Any]:
    return {
        "file": _name(result),
        "width": result.width or None,
        "height": result.height or None,
        "faces": [face_document(face) for face in result.faces],
        "smallest_face": result.smallest_face,
        "copy": _text(result.copy) if result.copy else None,
        "error": _text(result.error) or None,
    }


def face_document(face: RecognisedFace) -> dict[str, Any]:
    """Of a face: its box in pixels, the detector's score, the most probable emotion, and all probabilities."""
    return {
        **dict(zip(("left", "top", "width", "height"), _place(face), strict=True)),
        "score": round(face.box.score, _DECIMALS),
        "emotion": _best(face)[0],
        "unsure": bool(face.unsure),
        "probabilities": dict(zip(EMOTIONS, _seven(face), strict=True)),
    }


class _Line:
    """A target for a csv.writer that keeps the one row it writes."""

    def write(self, text: str) -> None:
        self.text = text


def _name(result: Recognised) -> str:
    return _text(result.source.path)


def _text(value: object) -> str:
    """The value as valid Unicode: file names need not be Unicode, but printed text must be."""
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _printable(text: str) -> str:
    """The text without line breaks and control codes: a file name may hold them, and a terminal would obey them."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _place(face: RecognisedFace) -> tuple[int, int, int, int]:
    return face.box.left, face.box.top, face.box.width, face.box.height


def _seven(face: RecognisedFace) -> tuple[float, ...]:
    return tuple(round(p, _DECIMALS) for p in face.probabilities.tolist())


def _best(face: RecognisedFace) -> tuple[str, float]:
    seven = _seven(face)
    return EMOTIONS[seven.index(max(seven))], max(seven)

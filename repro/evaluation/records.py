"""The record of an evaluation: ``results/evaluations/<name>/evaluation.json``, and ``predictions.npz`` beside it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np

from fer_jax.machine.atomic_write import placed_whole
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from repro.evaluation.label_order import LEFT_OUT
from repro.evaluation.outputs import OutputKind
from repro.evaluation.preprocessing import Preprocessing, Source
from repro.evaluation.scores import Answers, Confusion, SplitScore, SubsetScore
from repro.runs.predictions import PREDICTIONS_NAME, pack_predictions, read_predictions
from repro.runs.record_files import RecordError, read_digested, write_digested
from repro.runs.records import Git

EVALUATION_FORMAT = 1
EVALUATION_NAME = "evaluation.json"
FOLDER = "evaluations"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_REMEDY = "run `repro evaluate` again"


class EvaluatedModel(msgspec.Struct, frozen=True, kw_only=True):
    """What was evaluated. form: kind of file. file: its name without folders, or module:function. sha256: of its
    content, empty for a function. runtime: empty for a file of predictions."""

    form: str
    file: str
    sha256: str = ""
    bytes: int = 0
    parameters: int | None = None
    runtime: str = ""
    notes: tuple[str, ...] = ()


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate of the search for the preprocessing, with the order of labels that fits it best."""

    preprocessing: Preprocessing
    labels: tuple[str, ...]
    accuracy: float


class PreprocessingSearch(msgspec.Struct, frozen=True, kw_only=True):
    """samples: of Training, the only split that was looked at. tried: the best first."""

    samples: int
    tried: tuple[Tried, ...]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """preprocessing: None for a file of predictions. labels: order of the outputs. sources: where each setting is from;
    labels too. outputs: what the network gives. search: None unless asked for."""

    preprocessing: Preprocessing | None
    labels: tuple[str, ...]
    sources: dict[str, Source]
    outputs: OutputKind
    search: PreprocessingSearch | None = None


class EvaluatedData(msgspec.Struct, frozen=True, kw_only=True):
    """The dataset, and the splits that the network is said to be trained on. duplicates_version: of the search for
    copies (`fer_jax.duplicates.search`)."""

    name: str
    fingerprint: str
    synthetic: bool
    rows: int
    trained_on: tuple[str, ...]
    duplicates_version: int
    notes: tuple[str, ...] = ()


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """Images per second of the network alone, without reading and preparing. load_average: of the machine when it
    began."""

    images_per_s: float
    batch: int
    device: str
    cores: int
    load_average: float


class ClaimedAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """As the user gave it: a fraction, the worth of its last digit, and the tolerance, if any."""

    value: float
    resolution: float
    split: str
    tolerance: float | None = None


class FerPlus(msgspec.Struct, frozen=True, kw_only=True):
    """Against the labels of FER+. samples: whose most frequent vote is one of the seven emotions, alone. left_out: the
    others of the split. agreement: samples whose two labels are the same."""

    score: SubsetScore
    clean: SubsetScore
    left_out: int
    agreement: int


class EvaluationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One network or file of predictions on one dataset. split: the one that was asked for. splits: by USAGES.

    temperature: fitted on PublicTest; None without probabilities or PublicTest. training: accuracy on Training, None if
    it was not predicted.
    """

    format: int
    name: str
    model: EvaluatedModel
    settings: Settings
    data: EvaluatedData
    split: str
    splits: dict[str, SplitScore]
    training: SubsetScore | None = None
    training_confusion: Confusion | None = None
    temperature: float | None = None
    ferplus: dict[str, FerPlus] = {}
    speed: Speed | None = None
    claim: ClaimedAccuracy | None = None
    predictions_sha256: str
    started: str
    versions: dict[str, str]
    git: Git
    command: str


def evaluation_folder(results: Path, name: str) -> Path:
    return results / FOLDER / name


def write_evaluation(folder: Path, record: EvaluationRecord, answers: dict[str, Answers]) -> EvaluationRecord:
    """Write predictions and record, and read both back. Returns the record as it is on the disk.

    answers: of PublicTest and PrivateTest, as far as they were predicted. Raises OSError, or RecordError if the files
    do not hold what was written.
    """
    packed = io.BytesIO()
    np.savez_compressed(packed, **pack_answers(answers))  # pyright: ignore[reportArgumentType]
    content = packed.getvalue()
    record = msgspec.structs.replace(record, predictions_sha256=sha256(content).hexdigest())
    with placed_whole(folder / PREDICTIONS_NAME) as aside:
        aside.write_bytes(content)
        aside.chmod(0o644)
        (folder / EVALUATION_NAME).unlink(missing_ok=True)  # a record is never beside another's predictions
    write_digested(folder / EVALUATION_NAME, record)
    found = read_evaluation(folder)
    read_answers(folder, found)
    return found


def pack_answers(answers: dict[str, Answers]) -> dict[str, np.ndarray]:
    """As the predictions of a run (`repro.runs.predictions`). Only answers: as a probability of 1."""
    return pack_predictions(
        {
            name: {
                "probability": np.eye(len(EMOTIONS))[one.predicted] if one.probability is None else one.probability,
                "label": one.label,
                "origin": one.sample,
            }
            for name, one in answers.items()
        }
    )


def read_answers(folder: Path, record: EvaluationRecord) -> dict[str, Answers]:
    """The answers beside a record, without probabilities. Raises RecordError if they are not the record's."""
    path = folder / PREDICTIONS_NAME
    arrays = read_predictions(path, record.predictions_sha256)
    found = {}
    for name, score in record.splits.items():
        try:
            sample = np.cumsum(arrays[f"{name}.origin_delta"], dtype=np.int64)
            one = Answers(sample, arrays[f"{name}.label"], arrays[f"{name}.predicted"], None)
        except KeyError as error:
            raise RecordError(f"{path}: holds no {error}; {_REMEDY}") from None
        if int(one.right.sum()) != score.official.hits or len(sample) != score.official.n:
            raise RecordError(f"{path}: its answers on {name} do not give the record's accuracy; {_REMEDY}")
        found[name] = one
    return found


def read_evaluation(folder: Path) -> EvaluationRecord:
    """Raises RecordError for a file that is not such a record, was changed, or cannot be true; FileNotFoundError."""
    path = folder / EVALUATION_NAME
    record = read_digested(path, EvaluationRecord, f"record of an evaluation of format {EVALUATION_FORMAT}", _REMEDY)
    if mistake := next(_mistakes(record), None):
        raise RecordError(f"{path}: {mistake}; delete it and {_REMEDY}")
    return record


# --- what a record must hold beyond its types -------------------------------------------------------------------------


def _mistakes(record: EvaluationRecord) -> Iterator[str]:
    if record.format != EVALUATION_FORMAT:
        yield f"format {record.format} is of another version of the suite"
    if not NAME.fullmatch(record.name):
        yield f"{record.name[:40]!r} is not a name"
    hashes = (record.data.fingerprint, record.predictions_sha256, *filter(None, (record.model.sha256,)))
    if not all(map(_HASH.fullmatch, hashes)):
        yield "a hash is not 64 hexadecimal digits"
    if record.split not in record.splits or not set(record.splits) <= set(USAGES):
        yield f"its splits are {', '.join(record.splits)[:60]}, not {record.split[:20]}"
    if sorted(name for name in record.settings.labels if name != LEFT_OUT) != sorted(EMOTIONS):
        yield "its order of labels does not name each emotion once"
    for name, score in record.splits.items():
        yield from (f"{name[:20]}: {mistake}" for mistake in _of_split(score))
    others = [record.training, *(one for found in record.ferplus.values() for one in (found.score, found.clean))]
    yield from (mistake for one in others if one is not None for mistake in _of_subset(one))
    counts = (record.model.bytes, record.model.parameters or 0, record.data.rows)
    if min(counts) < 0 or (record.speed is not None and record.speed.images_per_s < 0):
        yield "a count below 0"


def _of_split(score: SplitScore) -> Iterator[str]:
    if not {"official", "without copies", "copies only", "clean"} <= set(score.subsets):
        yield "a subset is missing"
        return
    for one in score.subsets.values():
        yield from _of_subset(one)
    parts = [score.subsets[name] for name in ("without copies", "copies only")]
    for one, table in zip(parts, (score.others, score.copies), strict=True):
        if len(table) != len(EMOTIONS) or (sum(h for h, _ in table), sum(n for _, n in table)) != (one.hits, one.n):
            yield "the samples per emotion are not those with and without copies"
        if any(not 0 <= hits <= n for hits, n in table):
            yield "more hits than samples of an emotion"
    if (sum(one.n for one in parts), sum(one.hits for one in parts)) != (score.official.n, score.official.hits):
        yield "samples with and without copies are not all samples"
    for name, confusion in (("official", score.confusion), ("clean", score.clean_confusion)):
        square = len(confusion) == len(EMOTIONS) and all(len(line) == len(EMOTIONS) for line in confusion)
        if not square or min(map(min, confusion)) < 0:
            yield "a confusion matrix is not one number of samples per pair of emotions"
            return
        hits = sum(confusion[k][k] for k in range(len(EMOTIONS)))
        if (hits, sum(map(sum, confusion))) != (score.subsets[name].hits, score.subsets[name].n):
            yield f"the confusion matrix of {name} does not give its accuracy"
    for one in filter(None, (score.calibration, score.tempered)):
        if sum(found.n for found in one.bins) != score.official.n:
            yield "the bins of its calibration do not hold all samples"


def _of_subset(one: SubsetScore) -> Iterator[str]:
    if not (0 <= one.hits <= one.n and 0 <= one.images <= one.n and 0 <= one.low <= one.high <= 1):
        yield f"{one.hits} of {one.n} samples, {counted(one.images, 'image')}, {one.low:g} to {one.high:g}: cannot be"

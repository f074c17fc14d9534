"""One evaluation: open what was named, predict, score, and put everything into a record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.duplicates.search import DUPLICATES_VERSION
from fer_jax.machine.digests import file_sha256
from fer_jax.machine.processor import host_cores, processor_name
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import UNLABELLED, USAGES
from repro.evaluation.answers import AnsweredSplits, from_model, from_predictions
from repro.evaluation.errors import EvaluationError
from repro.evaluation.ferplus import score_ferplus
from repro.evaluation.label_order import parse_order
from repro.evaluation.models.onnx_model import external_files
from repro.evaluation.models.open import PREDICTIONS, is_function, open_model
from repro.evaluation.models.recognise import NAMES, recognise
from repro.evaluation.prediction import BATCH
from repro.evaluation.records import (
    EVALUATION_FORMAT,
    NAME,
    ClaimedAccuracy,
    EvaluatedData,
    EvaluatedModel,
    EvaluationRecord,
    Speed,
)
from repro.evaluation.scores import Answers, confusion_of, split_score, subset_score
from repro.evaluation.subsets import TRAINING, copy_pairs, evaluated_samples
from repro.runs.dataset import Dataset
from repro.runs.environment import command_line, git_state, load_average, versions
from repro.statistics.calibration import fitted_temperature, with_temperature

PUBLIC_TEST, PRIVATE_TEST = USAGES[1], USAGES[2]


@dataclass(frozen=True)
class EvaluationRequest:
    """What the user asked for. model: a path or module:function. given: settings of `Preprocessing` by name. labels: as
    `--labels` takes it. training: whether to predict Training too. batch: faces per call."""

    model: str
    split: str = PRIVATE_TEST
    name: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    labels: str = ""
    find: bool = False
    training: bool = True
    trained_on: tuple[str, ...] = (TRAINING,)
    claim: ClaimedAccuracy | None = None
    ferplus: Path | None = None
    batch: int = BATCH

    @property
    def record_name(self) -> str:
        """The name that was given, else the file's, or the function's."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.name or Path(self.model.replace(":", "-")).name).strip("-.")
        if not NAME.fullmatch(plain):
            raise EvaluationError(f"--name {self.name or self.model!r}: letters, digits, _, - and ., at most 64")
        return plain


def evaluate_dataset(
    request: EvaluationRequest, dataset: Dataset, results: Path, say: Callable[[str], None]
) -> tuple[EvaluationRecord, dict[str, Answers]]:
    """The record, without the digest of its predictions, and the answers on PublicTest and PrivateTest.

    results: holds the audit with the copies, if it is of this dataset. say: is called with progress, in words.
    Raises UserError for whatever cannot be evaluated.
    """
    name, started, load = request.record_name, datetime.now(UTC), load_average()
    faces = dataset.faces
    if not (faces.usage == USAGES.index(request.split)).any():
        raise EvaluationError(f"the dataset {dataset.name} has no samples of {request.split}")
    found, model = _answers(request, faces, say)
    model = msgspec.structs.replace(model, notes=(*model.notes, *found.notes))
    say("looking for copies")
    pairs = copy_pairs(faces, results)
    splits = {split: _labelled(faces, split, found) for split in found.splits}
    training = splits.pop(TRAINING, None) if request.split != TRAINING else splits.get(TRAINING)
    temperature, tempered = _temperature(splits)
    seen = {
        split: evaluated_samples(one.sample, one.label, split, pairs, request.trained_on)
        for split, one in splits.items()
    }
    scores = {split: split_score(one, seen[split], tempered.get(split)) for split, one in splits.items()}
    record = EvaluationRecord(
        format=EVALUATION_FORMAT,
        name=name,
        model=model,
        settings=found.settings,
        data=EvaluatedData(
            name=dataset.name,
            fingerprint=faces.fingerprint,
            synthetic=faces.synthetic,
            rows=len(faces),
            trained_on=request.trained_on,
            duplicates_version=DUPLICATES_VERSION,
            notes=dataset.notes,
        ),
        split=request.split,
        splits=scores,
        training=None if training is None else subset_score(training.right, training.sample),
        training_confusion=None if training is None else confusion_of(training.label, training.predicted),
        temperature=temperature,
        ferplus=score_ferplus(request.ferplus, faces, splits, seen) if request.ferplus else {},
        speed=_speed(found, load),
        claim=request.claim,
        predictions_sha256="",
        started=started.isoformat(timespec="seconds"),
        versions=versions(),
        git=git_state(),
        command=command_line(),
    )
    return record, splits


def _answers(
    request: EvaluationRequest, faces: Faces, say: Callable[[str], None]
) -> tuple[AnsweredSplits, EvaluatedModel]:
    order = parse_order(request.labels) if request.labels else None
    if is_function(request.model):
        say(f"running {request.model}, which is your own code")
        opened = open_model(request.model)
        about = EvaluatedModel(form=opened.form, file=request.model, runtime=opened.runtime, notes=opened.notes)
        return _by_model(request, opened, about, order, faces, say)
    path = Path(request.model)
    form = recognise(path)
    about = EvaluatedModel(form=NAMES[form], file=path.name, sha256=file_sha256(path), bytes=path.stat().st_size)
    if form in PREDICTIONS:
        if request.given or request.find:
            raise EvaluationError(f"{path}: holds predictions, so that no preprocessing is left to be set or found")
        return from_predictions(path, faces, request.split, order), about
    opened = open_model(request.model, form)
    beside = external_files(path) if form == "onnx" else []
    about = msgspec.structs.replace(
        about,
        bytes=about.bytes + sum(one.stat().st_size for one in beside),
        parameters=opened.parameters,
        runtime=opened.runtime,
        notes=opened.notes,
    )
    return _by_model(request, opened, about, order, faces, say)


def _by_model(
    request: EvaluationRequest,
    opened: Any,
    about: EvaluatedModel,
    order: tuple[str, ...] | None,
    faces: Faces,
    say: Callable[[str], None],
) -> tuple[AnsweredSplits, EvaluatedModel]:
    wanted = [PUBLIC_TEST, PRIVATE_TEST, *([TRAINING] if request.training else []), request.split]
    splits = [split for split in dict.fromkeys(wanted) if (faces.usage == USAGES.index(split)).any()]
    found = from_model(
        opened,
        faces,
        request.split,
        splits,
        given=request.given,
        order=order,
        find=request.find,
        where=request.model,
        batch=request.batch,
        say=say,
    )
    return found, about


def _labelled(faces: Faces, split: str, found: AnsweredSplits) -> Answers:
    part = found.splits[split]
    label = faces.labels[part.sample]
    if (label == UNLABELLED).any():
        raise EvaluationError(
            f"{split} has {counted(int((label == UNLABELLED).sum()), 'sample')} without a label in this dataset"
        )
    return Answers(part.sample, label.astype(np.int64), part.predicted, part.probability)


def _temperature(splits: dict[str, Answers]) -> tuple[float | None, dict[str, np.ndarray]]:
    """Fitted on PublicTest; and the probabilities of the other splits with it."""
    fitted = splits.get(PUBLIC_TEST)
    if fitted is None or fitted.probability is None:
        return None, {}
    temperature = fitted_temperature(fitted.probability, fitted.label)
    others = {name: one.probability for name, one in splits.items() if name != PUBLIC_TEST}
    return temperature, {
        name: with_temperature(probability, temperature)
        for name, probability in others.items()
        if probability is not None
    }


def _speed(found: AnsweredSplits, load: float) -> Speed | None:
    if not found.images_per_s:
        return None
    return Speed(
        images_per_s=round(found.images_per_s, 1),
        batch=found.batch,
        device=processor_name(),
        cores=host_cores(),
        load_average=load,
    )

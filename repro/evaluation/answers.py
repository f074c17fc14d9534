"""The answers of a network, or of a file of predictions, for each sample of each split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES
from repro.evaluation.errors import EvaluationError
from repro.evaluation.label_order import NAMED_ORDERS, accuracy_in, best_order, checked_order, order_words
from repro.evaluation.models.opened import OpenedModel
from repro.evaluation.network_settings import network_settings
from repro.evaluation.outputs import OutputKind, check_count, checked_outputs, kind_of, of_percentages, probabilities
from repro.evaluation.prediction import predict
from repro.evaluation.predictions_file import read_predictions_file
from repro.evaluation.preprocessing import Source
from repro.evaluation.records import PreprocessingSearch, Settings
from repro.evaluation.search import search_preprocessing
from repro.evaluation.subsets import TRAINING

CLEARLY = 0.10  # another order of labels that gives so much more accuracy is the right one


@dataclass(frozen=True)
class AnsweredSplit:
    """sample: sorted numbers of all samples of the split, (N,). predicted: (N,), index into EMOTIONS. probability:
    float64 (N, 7), or None."""

    sample: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray | None


@dataclass(frozen=True)
class AnsweredSplits:
    """splits: by USAGES. images_per_s: 0 for a file of predictions; batch: faces per call. notes: what is odd."""

    splits: dict[str, AnsweredSplit]
    settings: Settings
    images_per_s: float = 0.0
    batch: int = 0
    notes: tuple[str, ...] = ()


def from_model(
    opened: OpenedModel,
    faces: Faces,
    split: str,
    splits: Sequence[str],
    *,
    given: dict[str, Any],
    order: tuple[str, ...] | None,
    find: bool,
    where: str,
    batch: int,
    say: Callable[[str], None],
) -> AnsweredSplits:
    """splits: those to predict. find: whether to search for the preprocessing. Raises EvaluationError."""
    settings = network_settings(opened, given, order, where)
    search: PreprocessingSearch | None = None
    if find:
        rows = np.flatnonzero((faces.usage == USAGES.index(TRAINING)) & (faces.labels != UNLABELLED))
        if not len(rows):
            raise EvaluationError("--find-preprocessing needs samples of Training, and the dataset has none")
        say("trying preprocessings on samples of Training")
        settings, search = search_preprocessing(opened, settings, faces.images[rows], faces.labels[rows], where)
    outputs: dict[str, np.ndarray] = {}
    speed = 0.0
    for name in splits:
        rows = np.flatnonzero(faces.usage == USAGES.index(name))
        say(f"predicting {counted(len(rows), 'sample')} of {name}")
        found = predict(opened, faces.images[rows], settings.preprocessing, settings.dtype, where, batch)
        check_count(found.outputs.shape[1], where)
        outputs[name] = found.outputs
        speed = found.images_per_s if name == split else speed
    labels = settings.labels
    notes = _odd(labels, settings.sources["labels"], outputs, faces, split, where, WRONG_PREPROCESSING)
    kind: OutputKind = "probabilities" if all(kind_of(one) == "probabilities" for one in outputs.values()) else "scores"
    return AnsweredSplits(
        {
            name: _answered(np.flatnonzero(faces.usage == USAGES.index(name)), probabilities(one, kind, labels))
            for name, one in outputs.items()
        },
        Settings(
            preprocessing=settings.preprocessing, labels=labels, sources=settings.sources, outputs=kind, search=search
        ),
        speed,
        opened.batch or batch,
        notes,
    )


def from_predictions(path: Path, faces: Faces, split: str, order: tuple[str, ...] | None) -> AnsweredSplits:
    """Of each split whose samples are all in the file. Raises EvaluationError."""
    held = read_predictions_file(path, faces, split)
    sort = np.argsort(held.sample, kind="stable")
    sample = held.sample[sort]
    source: Source = "given" if order else "metadata" if held.labels else "assumed"
    try:
        labels = order or (checked_order(held.labels) if held.labels else EMOTIONS)
    except EvaluationError as error:
        raise EvaluationError(f"{path}: its columns: {error}; rename them, or name their order with --labels") from None
    parts = {
        name: place
        for number, name in enumerate(USAGES)
        if len(place := np.flatnonzero(faces.usage[sample] == number)) == int((faces.usage == number).sum()) > 0
    }
    kind: OutputKind = "labels"
    scaled: tuple[str, ...] = ()
    if held.outputs is None:
        assert held.answered is not None
        raw: dict[str, np.ndarray] = {
            name: np.eye(len(EMOTIONS))[held.answered[sort][place]] for name, place in parts.items()
        }
    else:
        outputs = checked_outputs(held.outputs[sort], len(sample), str(path))
        check_count(outputs.shape[1], str(path))
        if (divided := of_percentages(outputs)) is not None:
            outputs, scaled = (
                divided,
                ("The outputs are percentages: each line adds up to 100. They were divided by 100",),
            )
        raw, kind = {name: outputs[place] for name, place in parts.items()}, kind_of(outputs)
    notes = _odd(labels, source, raw, faces, split, str(path), WRONG_SAMPLES)
    found = {
        name: _answered(sample[place], probabilities(raw[name], "probabilities" if kind == "labels" else kind, labels))
        for name, place in parts.items()
    }
    if kind == "labels":
        found = {name: AnsweredSplit(one.sample, one.predicted, None) for name, one in found.items()}
    settings = Settings(preprocessing=None, labels=labels, sources={"labels": source}, outputs=kind)
    return AnsweredSplits(found, settings, notes=(*scaled, *notes))


def _answered(sample: np.ndarray, probability: np.ndarray) -> AnsweredSplit:
    return AnsweredSplit(sample, probability.argmax(1), probability)


def _odd(
    labels: tuple[str, ...],
    source: Source,
    outputs: dict[str, np.ndarray],
    faces: Faces,
    split: str,
    where: str,
    suspicion: str,
) -> tuple[str, ...]:
    """What speaks against the order of labels, or against the preprocessing, in words.

    Looked for on Training if that was predicted, so that the accuracy elsewhere chooses nothing. Raises EvaluationError
    that names the other order, if this one was not given by the user.
    """
    count = next(iter(outputs.values())).shape[1]
    if len(labels) != count:
        if source == "assumed":
            raise EvaluationError(
                f"{where}: {counted(count, 'output')}; name their order by --labels: "
                f"{', '.join(NAMED_ORDERS)}, or their names"
            )
        raise EvaluationError(
            f"{where}: {counted(count, 'output')}, but {counted(len(labels), 'label')}: {', '.join(labels)}"
        )
    name = TRAINING if TRAINING in outputs else split
    label = faces.labels[faces.usage == USAGES.index(name)]
    known = label != UNLABELLED
    answered, label = outputs[name].argmax(1)[known], label[known]
    now, (other, best) = accuracy_in(labels, answered, label), best_order(answered, label, count)
    frequent = np.bincount(label, minlength=len(EMOTIONS)).max() / max(1, len(label))
    constant = f"always answering the most frequent emotion gives {frequent:.1%}"
    if best - now > CLEARLY and source != "given":
        raise EvaluationError(
            f"{where}: {now:.1%} of {name} with the order of labels that {_SOURCE[source]} ({order_words(labels)}); "
            f"{constant}. The order {order_words(other)} would give {best:.1%}: choose one with --labels "
            f"{order_words(other)} or --labels {order_words(labels)}"
        )
    if best - now > CLEARLY:
        return (f"On {name}, the order of labels {order_words(other)} would give {best:.1%} instead of {now:.1%}",)
    if now <= frequent:
        return (f"{now:.1%} of {name}, but {constant}: {suspicion}",)
    return ()


# What to ask where a network is no better than a constant answer.
WRONG_PREPROCESSING = "is the preprocessing right? Try --find-preprocessing"
WRONG_SAMPLES = "are these the samples of that split (--split), in the order of fer2013.csv?"

_SOURCE = {"assumed": "is assumed", "metadata": "is in the file", "search": "was found", "shape": "is assumed"}

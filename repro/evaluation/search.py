"""`--find-preprocessing`: the settings and the order of labels with the highest accuracy on samples of Training.

No sample of PublicTest or PrivateTest is looked at, so that the accuracy there stays that of settings which were fixed
before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from repro.evaluation.label_order import accuracy_in, best_order
from repro.evaluation.models.opened import OpenedModel
from repro.evaluation.network_settings import NORMALISATION, NetworkSettings, changed
from repro.evaluation.outputs import check_count
from repro.evaluation.prediction import predict
from repro.evaluation.preprocessing import BYTE, FER_SIZE, Interpolation, Preprocessing
from repro.evaluation.records import PreprocessingSearch, Tried

SAMPLES = 1000  # of Training; the best of some ten candidates is then at most a few points too high, on Training
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's models
CAFFE_MEAN = (103.939, 116.779, 123.68)  # of Keras' preprocess_input, mode "caffe"
INTERPOLATIONS: tuple[Interpolation, ...] = ("bilinear", "nearest", "bicubic", "area")


def search_preprocessing(
    opened: OpenedModel, start: NetworkSettings, faces_NHW: np.ndarray, label: np.ndarray, where: str
) -> tuple[NetworkSettings, PreprocessingSearch]:
    """faces_NHW, label: samples of Training, of which SAMPLES are taken at equal distances.

    First the normalisation is looked for, then the interpolation. What the user gave stays. Of equals the first counts.
    Raises EvaluationError if the network cannot be computed.
    """
    rows = np.linspace(0, len(faces_NHW) - 1, min(SAMPLES, len(faces_NHW))).astype(np.int64)
    faces, labels = faces_NHW[rows], label[rows]
    tried: list[Tried] = []

    def best_of(candidates: Iterator[Preprocessing]) -> None:
        for one in candidates:
            if all(one != other.preprocessing for other in tried):
                tried.append(_tried(opened, one, start, faces, labels, where))
        tried.sort(key=lambda found: -found.accuracy)  # stable: of equals the first

    best_of(_normalisations(start, faces))
    best_of(_interpolations(start, tried[0].preprocessing))
    found = start.with_search(tried[0].preprocessing, tried[0].labels)
    return found, PreprocessingSearch(samples=len(rows), tried=tuple(tried))


def _tried(
    opened: OpenedModel,
    one: Preprocessing,
    start: NetworkSettings,
    faces: np.ndarray,
    labels: np.ndarray,
    where: str,
) -> Tried:
    outputs = predict(opened, faces, one, start.dtype, where).outputs
    check_count(outputs.shape[1], where)
    answered = outputs.argmax(1)
    if start.sources["labels"] != "assumed":
        return Tried(preprocessing=one, labels=start.labels, accuracy=accuracy_in(start.labels, answered, labels))
    order, accuracy = best_order(answered, labels, outputs.shape[1])
    plain = accuracy_in(start.labels, answered, labels) if len(start.labels) == outputs.shape[1] else -1.0
    order = start.labels if plain >= accuracy else order
    return Tried(preprocessing=one, labels=order, accuracy=max(plain, accuracy))


def _normalisations(start: NetworkSettings, faces: np.ndarray) -> Iterator[Preprocessing]:
    base = start.preprocessing
    yield base
    if any(start.sources[name] in ("given", "metadata") for name in NORMALISATION):
        return
    pixels = faces.astype(np.float64) / 255
    yield changed(base, scale=BYTE, mean=(0.0,), deviation=(1.0,))
    yield changed(base, scale=BYTE, mean=(0.5,), deviation=(0.5,))
    yield changed(base, scale=1.0, mean=(0.0,), deviation=(1.0,))
    yield changed(base, scale=BYTE, mean=(round(float(pixels.mean()), 4),), deviation=(round(float(pixels.std()), 4),))
    if base.channels == 3:
        yield changed(base, scale=BYTE, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION)
        yield changed(base, scale=1.0, mean=CAFFE_MEAN, deviation=(1.0,))


def _interpolations(start: NetworkSettings, best: Preprocessing) -> Iterator[Preprocessing]:
    if start.sources["interpolation"] == "given" or (best.height, best.width) == (FER_SIZE, FER_SIZE):
        return
    for one in INTERPOLATIONS:
        yield changed(best, interpolation=one)

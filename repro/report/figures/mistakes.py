"""The most confident mistakes of a run. A sheet shows faces of the dataset, so it stays with the user's results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.report.figures.figure_data import Face, FaceSheet, FigureData
from repro.report.figures.shown_runs import held_out_split
from repro.runs.dataset import Dataset
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.records import RunRecord
from repro.runs.stored_records import find_records
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import PROTOCOLS

COUNT = 12
CAPTION = (
    "Of {wrong:,} mistakes among {rows:,} samples of {split} those {shown} that the network was surest of, in order. "
    "Below each: its answer with its probability, the label, the number of the sample in the dataset. Labels may be "
    "wrong too. {data}, {device}, n = 1 run."
)
SYNTHETIC = "SYNTHETIC faces, drawn by this suite, not FER-2013"


class Mistakes(NamedTuple):
    """The most confident wrong answers, in order: index in the dataset, label, answer and its probability.

    wrong: number of wrong answers among `rows` evaluated samples.
    """

    rows: int
    wrong: int
    origin: np.ndarray  # int32 (K,), K at most COUNT
    label: np.ndarray  # uint8 (K,)
    predicted: np.ndarray  # uint8 (K,)
    probability: np.ndarray  # float64 (K,), to 1/255


def mistake_figures(results: Path, specs: Sequence[LoadedSpec], dataset: Dataset) -> tuple[list[FigureData], list[str]]:
    """A sheet for each full run of a paper's main variant on this dataset, and in words why other runs have none.

    Raises RecordError for a record that cannot be read.
    """
    main = {spec.id: spec.spec.headline for spec in specs if spec.spec.headline}
    found: dict[str, FigureData] = {}
    left_out = []
    for path, record in find_records(results):
        claim, name = main.get(record.paper), f"{record.paper}-{record.protocol}-seed{record.seed}"
        if claim is None or record.variant != claim.variant or record.protocol not in PROTOCOLS or name in found:
            continue
        if record.status != "done" or record.data.fingerprint != dataset.faces.fingerprint:
            continue
        split = held_out_split(claim.split, record.protocol)
        chosen = confident_mistakes(path.parent / PREDICTIONS_NAME, split, record.predictions_sha256)
        if chosen is None:
            left_out.append(f"{name}: no probabilities of {split} were kept, which large runs leave out")
        elif not chosen.wrong:
            left_out.append(f"{name}: no mistake among {counted(chosen.rows, 'sample')} of {split}")
        else:
            found[name] = _figure(name, record, split, chosen)
    return list(found.values()), left_out


def confident_mistakes(path: Path, split: str, written: str = "") -> Mistakes | None:
    """From a predictions.npz (see `repro.runs.predictions.pack_predictions`); None if it keeps no probabilities of the
    split.

    Ties are sorted by index in the dataset; an image that was copied is shown once. written: the file's digest, as in
    `read_predictions`. Raises RecordError for a damaged file.
    """
    kept = read_predictions(path, written)
    arrays = {name.removeprefix(f"{split}."): kept[name] for name in kept if name.startswith(f"{split}.")}
    if not {"probability", "confidence"} & arrays.keys():
        return None
    predicted, label, origin = arrays["predicted"], arrays["label"], np.cumsum(arrays["origin_delta"])
    surety = arrays["probability"].max(1) if "probability" in arrays else arrays["confidence"]
    wrong = np.flatnonzero(predicted != label)
    order = wrong[np.lexsort((origin[wrong], -surety[wrong].astype(np.int32)))]
    _, first = np.unique(origin[order], return_index=True)
    chosen = order[np.sort(first)][:COUNT]
    return Mistakes(
        len(label), len(wrong), origin[chosen], label[chosen], predicted[chosen], surety[chosen].astype(float) / 255
    )


def _figure(name: str, record: RunRecord, split: str, mistakes: Mistakes) -> FigureData:
    answers = [
        (int(origin), f"{EMOTIONS[predicted]} {100 * probability:.0f} %", EMOTIONS[label])
        for origin, label, predicted, probability in zip(*mistakes[2:], strict=True)
    ]
    data = f"{SYNTHETIC} ({record.data.fingerprint[:8]})" if record.data.synthetic else f"{record.data.name}"
    faces = tuple(
        Face(origin=origin, words=f"{answer}\nlabel: {label}\nrow {origin:,}") for origin, answer, label in answers
    )
    return FigureData(
        name=name,
        title=f"{record.paper}, {record.protocol}, seed {record.seed}: the most confident mistakes",
        paper=record.paper,
        alternative=(
            f"{counted(len(faces), 'face')} that the network got wrong, each with its answer and its label. The first: "
            f"{answers[0][1]}, labelled {answers[0][2]}."
        ),
        caption=CAPTION.format(
            shown=len(faces),
            wrong=mistakes.wrong,
            rows=mistakes.rows,
            split=split,
            data=data,
            device=f"{record.device.kind}: {record.device.name}",
        ),
        legend={},
        panels=((FaceSheet(fingerprint=record.data.fingerprint, faces=faces),),),
    )

"""What a network or predictions from elsewhere are worth, as `repro evaluate` says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from repro.api.shown import Plot, Shown
from repro.evaluation.claim import parse_fraction
from repro.evaluation.evaluate import EvaluationRequest, evaluate_dataset
from repro.evaluation.record_folder import write_folder
from repro.evaluation.records import ClaimedAccuracy, EvaluationRecord, evaluation_folder
from repro.evaluation.reliability import reliability_figure
from repro.evaluation.text import evaluation_document
from repro.runs.dataset import Dataset
from repro.text.document import Block


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """Accuracy with and without copies, per emotion, calibration, and the verdict on a claim. record: all numbers."""

    record: EvaluationRecord

    @property
    def accuracy(self) -> float:
        """On all samples of the split that was judged."""
        return self.record.splits[self.record.split].official.accuracy

    @property
    def clean_accuracy(self) -> float:
        """On its samples without a copy in training, repeats counted once."""
        return self.record.splits[self.record.split].clean.accuracy

    def plot_reliability(self) -> Plot | None:
        """Accuracy by confidence; None for answers without probabilities."""
        figure = reliability_figure(self.record)
        return None if figure is None else Plot(figure)

    def blocks(self) -> Sequence[Block]:
        return evaluation_document(self.record).blocks


def evaluate(
    model: str | Path,
    data: Dataset,
    *,
    split: Literal["PublicTest", "PrivateTest"] = "PrivateTest",
    labels: str = "",
    claim: str = "",
    trained_on: Sequence[str] = ("Training",),
    training: bool = True,
    find_preprocessing: bool = False,
    results: str | Path | None = None,
    name: str = "",
    **preprocessing: Any,
) -> Evaluation:
    """Judge a trained network, or predictions, without training.

    model: an ONNX, Keras, TFLite or PyTorch file, a CSV or NPZ file of predictions, or "module:function". data: from
    `load_data`. labels: the order of the outputs, such as "alphabetical". claim: an accuracy to judge, such as "66%".
    trained_on: splits that the network was trained on; their copies count as seen. training: whether to predict
    Training too. find_preprocessing: search on samples of Training how the pixels were prepared. results: the folder to
    keep the record in; None writes nothing. preprocessing: height, width, channels, layout, interpolation, scale, mean,
    deviation; what is left out is read from the file, or assumed.

    Raises UserError for whatever cannot be evaluated.
    """
    claimed = None
    if claim:
        value, resolution = parse_fraction(claim, "claim")
        claimed = ClaimedAccuracy(value=value, resolution=resolution, split=split)
    request = EvaluationRequest(
        model=str(model),
        split=split,
        name=name,
        given=preprocessing,
        labels=labels,
        find=find_preprocessing,
        training=training,
        trained_on=tuple(trained_on),
        claim=claimed,
    )
    folder = Path("results" if results is None else results)
    record, answers = evaluate_dataset(request, data, folder, lambda words: None)
    if results is not None:
        record = write_folder(evaluation_folder(folder, record.name), record, answers)
    return Evaluation(record)

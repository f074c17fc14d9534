"""Which emotions are mistaken for which: confusion matrices and the recall of each emotion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.judge.headline_runs import HeadlineRuns
from repro.report.figures.figure_data import AxisRow, ConfusionMatrix, Dots, FigureData, Mark
from repro.report.figures.shown_runs import counted, end_metrics, end_split, protocol_runs, spread
from repro.runs.records import Metrics
from repro.specs.protocols import PROTOCOLS

COLUMNS = 2  # matrices side by side; with three, their numbers would be too small to read
CONFUSION_CAPTION = (
    "Row: the label. Column: what was predicted. In each cell, as means over n runs, the number of samples and below "
    "it their share of the label's samples; the shade is the share, in steps of ten per cent. "
)
RECALL_CAPTION = (
    "Recall: share of an emotion's samples that were predicted as it. Marker: mean over n runs; bar: ± sample standard "
    "deviation; ticks: single runs. "
)


def confusion_figure(runs: HeadlineRuns) -> FigureData | None:
    """One matrix per protocol, over the samples behind its accuracy; None if no run recorded one."""
    panels, described = [], []
    for protocol, counts in _confusions(runs).items():
        shares = [recalls(one) for one in counts]
        mean = np.mean(shares, axis=0)
        name = f"{protocol}, {end_split(runs, protocol)} (n = {len(counts)})"
        panels.append(
            ConfusionMatrix(
                title=name,
                labels=EMOTIONS,
                counts=_tuples(np.mean(counts, axis=0)),
                percentages=_tuples(100 * mean),
            )
        )
        described.append(f"{name}: {_worst(mean)}")
    if not panels:
        return None
    return FigureData(
        name=f"{runs.paper.id}-confusion",
        title=f"{runs.paper.id}: confusion matrices",
        paper=runs.paper.id,
        alternative=f"Confusion matrices of the seven emotions. {'; '.join(described)}.",
        caption=CONFUSION_CAPTION + counted(runs),
        legend={},
        panels=tuple(tuple(panels[at : at + COLUMNS]) for at in range(0, len(panels), COLUMNS)),
    )


def recall_figure(runs: HeadlineRuns) -> FigureData | None:
    """Recall of each emotion under each protocol, and the paper's own recall if it prints true positives."""
    confusions = _confusions(runs)
    if not confusions:
        return None
    reported = reported_recalls(runs)
    rows, described = [], []
    for emotion, name in enumerate(EMOTIONS):
        marks = []
        if name in reported:
            marks.append(
                Mark(series="reported", value=100 * reported[name], note=f"{100 * reported[name]:.0f} % reported")
            )
        for protocol, counts in confusions.items():
            values = [100 * float(recalls(one)[emotion, emotion]) for one in counts]
            mean, std = spread(values)
            words = f"{mean:.0f} %" if std is None else f"{mean:.0f} ± {std:.0f} %"
            low, high = (None, None) if std is None else (mean - std, mean + std)
            marks.append(Mark(series=protocol, value=mean, low=low, high=high, runs=tuple(values), note=words))
        rows.append(AxisRow(label=name, marks=tuple(marks)))
        described.append(f"{name} {', '.join(f'{mark.value:.0f}' for mark in marks)}")
    legend = {protocol: f"{protocol}, {end_split(runs, protocol)}" for protocol in confusions}
    if reported:
        legend = {"reported": f"reported, {runs.claim.split}"} | legend
    return FigureData(
        name=f"{runs.paper.id}-recall",
        title=f"{runs.paper.id}: recall of each emotion",
        paper=runs.paper.id,
        alternative=f"Recall of each emotion in per cent, {', then '.join(legend.values())}: {'; '.join(described)}.",
        caption=f"{RECALL_CAPTION}{_row_counts(confusions)} {counted(runs)}",
        legend=legend,
        panels=((Dots(title="", axis="recall (%)", scale="percent", rows=tuple(rows)),),),
    )


def recalls(confusion: np.ndarray) -> np.ndarray:
    """confusion[label][predicted] as shares of each label's samples; 0 for a label without samples."""
    return confusion / np.maximum(confusion.sum(1, keepdims=True), 1)


def reported_recalls(runs: HeadlineRuns) -> dict[str, float]:
    """By emotion: the paper's true positives / its samples of the emotion, on the headline's split."""
    assert runs.paper.loaded is not None
    found: dict[tuple[str, str], float] = {
        (claim.quantity, claim.emotion): claim.value
        for claim in runs.paper.loaded.spec.single_claims
        if claim.emotion and (claim.variant, claim.split) == (runs.claim.variant, runs.claim.split)
    }
    return {
        emotion: found["true_positives", emotion] / found["rows", emotion]
        for emotion in EMOTIONS
        if ("true_positives", emotion) in found and found.get(("rows", emotion))
    }


def _confusions(runs: HeadlineRuns) -> dict[str, list[np.ndarray]]:
    """The recorded matrices of the runs by protocol, float64 (7, 7) each."""
    found = {protocol: _matrices(end_metrics(runs, protocol)) for protocol in protocol_runs(runs)}
    return {protocol: found[protocol] for protocol in PROTOCOLS if found.get(protocol)}


def _matrices(metrics: Sequence[Metrics]) -> list[np.ndarray]:
    return [np.array(one.confusion, np.float64) for one in metrics if one.confusion is not None]


def _tuples(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in matrix)


def _worst(shares: np.ndarray) -> str:
    """The most frequent mistake, in words."""
    wrong = shares * (1 - np.eye(len(shares)))
    label, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
    share = 100 * float(wrong[label, predicted])
    return f"{EMOTIONS[label]} taken for {EMOTIONS[predicted]} most often, in {share:.0f} % of its samples"


def _row_counts(confusions: dict[str, list[np.ndarray]]) -> str:
    """The number of samples behind each recall, so that nobody reads much into the 55 faces of disgust."""
    described = []
    for protocol, counts in confusions.items():
        rows = np.mean([one.sum(1) for one in counts], axis=0)
        described.append(f"{protocol} {', '.join(f'{count:,.0f}' for count in rows)}")
    return f"Rows from {EMOTIONS[0]} to {EMOTIONS[-1]}: {'; '.join(described)}."

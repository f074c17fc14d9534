"""The reliability plot of an evaluation: stated probability against accuracy, before and after the temperature."""

from __future__ import annotations

from pathlib import Path

from repro.evaluation.records import EvaluationRecord
from repro.report.figures.figure_data import Curves, FigureData, Line
from repro.report.figures.folder import write_figure
from repro.statistics.calibration import Calibration

FIGURE_NAME = "reliability"
FORMS = ("svg",)


def reliability_figure(record: EvaluationRecord) -> FigureData | None:
    """Of the split that was asked for; None without probabilities."""
    score = record.splits[record.split]
    if score.calibration is None:
        return None
    lines = [
        Line(series="reported-evaluated-line", x=(0.0, 100.0), y=(0.0, 100.0)),
        _line("evaluated", score.calibration),
    ]
    legend = {"reported-evaluated-line": "calibrated probabilities", "evaluated": "as the network gives them"}
    if score.tempered is not None:
        lines.append(_line("clean", score.tempered))
        legend["clean"] = f"with temperature {record.temperature:.2f}, fitted on PublicTest"
    panel = Curves(
        title="",
        x_axis="mean predicted probability of a bin (%)",
        y_axis="accuracy (%)",
        scale="linear",
        lines=tuple(lines),
    )
    return FigureData(
        name=FIGURE_NAME,
        title=f"{record.name}: are its probabilities calibrated?",
        paper=None,
        alternative=(
            f"Accuracy by predicted probability on {record.split}: expected calibration error "
            f"{100 * score.calibration.ece:.1f} points."
        ),
        caption="Each point is a bin of samples by the probability of their answer. Below the diagonal, the network is "
        "right less often than it says.",
        legend=legend,
        panels=((panel,),),
    )


def _line(series: str, found: Calibration) -> Line:
    return Line(
        series=series,
        x=tuple(100 * one.confidence for one in found.bins),
        y=tuple(100 * one.accuracy for one in found.bins),
    )


def write_reliability(folder: Path, record: EvaluationRecord) -> list[Path]:
    """Needs matplotlib. An older plot is removed if there is nothing to show."""
    figure = reliability_figure(record)
    if figure is None:
        (folder / f"{FIGURE_NAME}.svg").unlink(missing_ok=True)
        return []
    return write_figure(folder, figure, FORMS)

"""The plots of a paper that prints values by step, with our values added."""

from __future__ import annotations

from repro.judge.headline_runs import HeadlineRuns
from repro.report.figures.curves import (
    AXES,
    BAND,
    band,
    claims_of,
    evaluated_split,
    figure_of,
    points,
    printed,
    step_of,
)
from repro.report.figures.figure_data import Curves, FigureData, Line
from repro.specs.protocols import AS_PUBLISHED
from repro.text import units

MINIBATCH = "minibatch"
TITLES = {"accuracy": "Accuracy by step", "loss": "Loss of the minibatch by step"}
CAPTION = (
    "{band} A minibatch is the {batch} samples of the step alone, before its update. n = {n} as-published. {place}."
)


def steps_figure(runs: HeadlineRuns) -> FigureData | None:
    """Accuracy of the minibatch and of the evaluated split, and loss of the minibatch. None if the paper prints fewer
    than two minibatch values by step, or if its own protocol was not run in full."""
    records = runs.by_protocol.get(AS_PUBLISHED, ())
    steps = {claim.step for claim in claims_of(runs) if claim.split == MINIBATCH and claim.step is not None}
    if len(steps) < 2 or not records:
        return None
    split = evaluated_split(runs, records)
    panels = tuple(_panel(runs, quantity, split) for quantity in AXES)
    drawn = {line.series for panel in panels for line in panel.lines}
    legend = {
        "minibatch": "minibatch, here",
        "reported-minibatch-line": "minibatch, reported",
        "evaluated": f"{split}, here",
        "reported-evaluated-line": f"{split}, reported",
    }
    last = max(printed(runs, "accuracy", split), key=lambda claim: claim.step or 0, default=None)
    ends = units.percentage_of([record.history[-1].splits[split].accuracy for record in records]) if split else ""
    described = f" Here {split} accuracy ends at {ends}" + (f", there at {units.reported(last)}." if last else ".")
    return FigureData(
        name=f"{runs.paper.id}-steps",
        title=f"{runs.paper.id}: the paper's plots by step, and ours",
        paper=runs.paper.id,
        alternative=f"Two plots by step, of accuracy and of loss, reported and measured.{described if split else ''}",
        caption=CAPTION.format(
            band=BAND, batch=records[0].spec["training"]["batch_size"], n=len(records), place=runs.place
        ),
        legend={name: label for name, label in legend.items() if name in drawn},
        panels=(panels,),
    )


def _panel(runs: HeadlineRuns, quantity: str, split: str) -> Curves:
    lines: list[Line] = []
    shown = {"minibatch": MINIBATCH} | ({"evaluated": split} if quantity == "accuracy" else {})
    for series, of in shown.items():
        lines.append(band(series, runs.by_protocol[AS_PUBLISHED], figure_of(quantity, of), step_of))
        claims = [claim for claim in printed(runs, quantity, of) if claim.step is not None]
        lines.append(points(f"reported-{series}-line", claims))
    least = [c for c in claims_of(runs) if (c.quantity, c.unit) == ("least_loss", "step") and quantity == "loss"]
    return Curves(
        title=TITLES[quantity],
        x_axis="step",
        y_axis=AXES[quantity],
        scale="linear",
        lines=tuple(line for line in lines if line.x),
        verticals=tuple((claim.value, "least, says the text") for claim in least),
    )

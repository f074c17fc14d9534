"""Learning curves of a paper under each protocol, overlaid with the values that the paper prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repro.judge.headline_runs import HeadlineRuns
from repro.report.figures.curves import AXES, BAND, band, epoch_of, evaluated_split, figure_of, points, printed, step_of
from repro.report.figures.figure_data import Curves, FigureData, Line
from repro.report.figures.shown_runs import counted, protocol_runs
from repro.runs.records import RunRecord
from repro.specs.protocols import AS_PUBLISHED
from repro.text import units

TRAINING = (
    "Training samples: running mean over the {stretch} while the parameters moved, dropout included, as Keras prints "
    "it; the other split was evaluated at its end."
)
REPORTED = "Marks: what the paper prints."
SAME = "'=': both protocols have the same runs."


def learning_figure(runs: HeadlineRuns) -> FigureData:
    """Accuracy above, loss below, one column per protocol; protocols with the same runs share a column."""
    columns = _columns(runs)
    splits = {protocol: evaluated_split(runs, records) for protocol, records in columns.items()}
    by_steps = _by_steps(runs)
    panels = tuple(
        tuple(
            Curves(
                title=_title(protocol, runs),
                x_axis="step" if by_steps else "epoch",
                y_axis=axis,
                scale="linear",
                lines=tuple(_lines(runs, protocol, quantity, splits[protocol])),
            )
            for protocol in columns
        )
        for quantity, axis in AXES.items()
    )
    drawn = {line.series for row in panels for panel in row for line in panel.lines}
    legend = {
        "train": "training samples",
        "evaluated": " or ".join(dict.fromkeys(splits.values())),
        "reported-train": "training samples, reported",
        "reported-evaluated": f"{splits.get(AS_PUBLISHED)}, reported",
    }
    caption = [BAND, TRAINING.format(stretch="stretch between two evaluations" if by_steps else "epoch")]
    caption += [REPORTED] if any(name.startswith("reported") for name in drawn) else []
    caption += [SAME] if len(columns) < len(protocol_runs(runs)) else []
    return FigureData(
        name=f"{runs.paper.id}-learning",
        title=f"{runs.paper.id}: learning curves",
        paper=runs.paper.id,
        alternative=f"Curves of accuracy and loss. {_told(runs, columns, splits)}",
        caption=" ".join([*caption, counted(runs)]),
        legend={name: label for name, label in legend.items() if name in drawn},
        panels=panels,
    )


def _by_steps(runs: HeadlineRuns) -> bool:
    assert runs.paper.loaded is not None
    return runs.paper.loaded.resolve(runs.claim.variant).training.steps is not None


def _columns(runs: HeadlineRuns) -> dict[str, Sequence[RunRecord]]:
    """Runs by protocol, without protocols whose records say that they were not run again."""
    found = protocol_runs(runs)
    return {protocol: of for protocol, of in found.items() if not all(r.same_run_as in found for r in of)}


def _title(protocol: str, runs: HeadlineRuns) -> str:
    found = protocol_runs(runs)
    same = [other for other, records in found.items() if all(r.same_run_as == protocol for r in records)]
    return f"{' = '.join([protocol, *same])} (n = {len(found[protocol])})"


def _lines(runs: HeadlineRuns, protocol: str, quantity: str, split: str) -> list[Line]:
    """Our lines and, as published, the paper's points. split: the split that was evaluated during training."""
    records, place = runs.by_protocol[protocol], step_of if _by_steps(runs) else epoch_of
    lines = []
    for series, shown in {"train": "train", "evaluated": split}.items():
        lines.append(band(series, records, figure_of(quantity, shown), place))
        claims = printed(runs, quantity, shown) if protocol == AS_PUBLISHED else []
        if claims:
            lines.append(points(f"reported-{series}", claims, place(records[0].history[-1])))
    return [line for line in lines if line.x]


def _told(runs: HeadlineRuns, columns: Mapping[str, Sequence[RunRecord]], splits: Mapping[str, str]) -> str:
    described = []
    for protocol, records in columns.items():
        ends, split = [record.history[-1] for record in records], splits[protocol]
        train = units.percentage_of([entry.train.accuracy for entry in ends])
        held = units.percentage_of([entry.splits[split].accuracy for entry in ends]) if split else ""
        described.append(
            f"{protocol}: training accuracy ends at {train}" + (f", {split} accuracy at {held}" if held else "")
        )
    count = sum(len(printed(runs, "accuracy", split)) for split in ("train", splits.get(AS_PUBLISHED, "")) if split)
    laid = f" The paper prints {count} such accurac{'ies' if count > 1 else 'y'}." if count else ""
    return f"{'; '.join(described)}.{laid}"

"""Do networks recall the copies of test images? Accuracy by the label of the copies in Training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fer_jax.vocabulary.counted import counted
from repro.audit.copies import Estimate
from repro.judge.copies import CopiesFinding
from repro.report.figures.figure_data import AxisRow, Dots, FigureData, Mark
from repro.specs.protocols import CLEAN, OFFICIAL
from repro.text.units import number

NAME = "copies"
WORDS = {
    "none": "no copy",
    "same label": "copies with the same label",
    "mixed labels": "copies with mixed labels",
    "other label": "copies with another label",
}
CAPTION = (
    "Accuracy on test samples of PrivateTest, by the labels of their copies in Training. Square: official, trained "
    "with the copies. Triangle: clean, trained without them. Bars: 95 % intervals, bootstrap over images and seeds. "
    "A network that recalls the copies is right where these carry the sample's label and wrong where they carry "
    "another. {counts}"
)


def copies_figure(findings: Sequence[CopiesFinding]) -> FigureData | None:
    """A panel per paper; None if no paper has the runs."""
    if not findings:
        return None
    described = [
        f"{one.paper}: " + "; ".join(f"{WORDS[part.copies]}, {_words(part.accuracy)}" for part in one.response)
        for one in findings
    ]
    counts = " ".join(
        f"{one.paper}: {', '.join(f'{count} {name}' for name, count in one.seeds.items())} seeds, {one.place}."
        for one in findings
    )
    return FigureData(
        name=NAME,
        title="Do networks recall the copies of test images?",
        paper=None,
        alternative=f"Dot plots of accuracy, one per paper. {'. '.join(described)}.",
        caption=CAPTION.format(counts=counts),
        legend={OFFICIAL: "official", CLEAN: "clean"},
        panels=tuple((_panel(one),) for one in findings),
    )


def _panel(finding: CopiesFinding) -> Dots:
    rows = tuple(
        AxisRow(
            label=f"{WORDS[part.copies]}\n{counted(part.samples, 'sample')}",
            marks=tuple(_mark(name, part.accuracy[name]) for name in (OFFICIAL, CLEAN)),
        )
        for part in finding.response
    )
    return Dots(title=finding.paper, axis="accuracy (%)", scale="percent", rows=rows)


def _mark(series: str, estimate: Estimate) -> Mark:
    value, low, high = (100 * one for one in estimate)
    return Mark(series=series, value=value, low=low, high=high, note=f"{number(value, 1)} %")


def _words(accuracy: Mapping[str, Estimate]) -> str:
    return " against ".join(f"{number(100 * accuracy[name].value, 1)} % {name}" for name in (OFFICIAL, CLEAN))

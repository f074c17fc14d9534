"""A paper's figures that compare settings, rebuilt from runs of the variants with those settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from repro.judge.groups import Group, PaperRuns
from repro.judge.judgements import done
from repro.report.figures.curves import BAND, band, epoch_of, figure_of
from repro.report.figures.figure_data import Curves, FigureData
from repro.runs.records import RunRecord
from repro.text import units

CAPTION = "{band} Validation rows were evaluated after each epoch. n = {n}. {place}."


class Sweep(NamedTuple):
    """One figure: its number in the paper, what it compares, the settings by variant, and what is drawn beside it."""

    figure: int
    about: str
    variants: dict[str, str]
    beside: str = ""


# No values can be read from the paper's plots; its text says which settings they compare.
SWEEPS = {
    "onghena": (
        Sweep(
            2,
            "filter sets",
            {
                "default": "64, 128, 1028, 512",
                "filters_64_256_256_512": "64, 256, 256, 512",
                "filters_1024": "64, 128, 1024, 512",
                "filters_128_first": "128, 128, 1028, 512",
            },
        ),
        Sweep(3, "dropout", {"default": "25 %", "dropout_0": "none", "dropout_50": "50 %"}),
        Sweep(
            4,
            "learning rate",
            {"default": "0.0005", "lr_0_005": "0.005", "lr_0_001": "0.001", "lr_0_0001": "0.0001"},
        ),
        Sweep(
            5,
            "plateau",
            {"default": "falls with the loss", "plateau_accuracy": "with the accuracy", "no_plateau": "constant"},
            "rate",
        ),
        Sweep(6, "loss", {"default": "cross-entropy", "mse": "mean squared error"}, "loss"),
    )
}
SPLIT = "validation"
LEAST_SETTINGS = 2  # one alone compares nothing


def sweep_figures(paper: PaperRuns) -> tuple[list[FigureData], list[str]]:
    """The figures with at least two settings run in full on one device and dataset, and in words what the others
    lack."""
    found, missing = [], []
    for sweep in SWEEPS.get(paper.id, ()):
        runs = _fullest(paper, sweep)
        if len(runs) < LEAST_SETTINGS:
            wanted = next((v for v in sweep.variants if v not in runs and v != "default"), "default")
            missing.append(
                f"{paper.id}, figure {sweep.figure} ({sweep.about}): full runs of {len(runs)} of its "
                f"{len(sweep.variants)} settings; `repro run {paper.id} --variant {wanted}` makes one"
            )
        else:
            found.append(_figure(paper, sweep, runs))
    return found, missing


def _fullest(paper: PaperRuns, sweep: Sweep) -> dict[str, Group]:
    """By variant, in the order of the sweep, on the device and dataset with the most settings run."""
    places: dict[object, dict[str, Group]] = {}
    for group in paper.comparable:
        if group.variant in sweep.variants and done(group):
            places.setdefault(group.key._replace(settings=""), {})[group.variant] = group
    best = max(places.values(), key=len, default={})
    return {variant: best[variant] for variant in sweep.variants if variant in best}


def _figure(paper: PaperRuns, sweep: Sweep, runs: dict[str, Group]) -> FigureData:
    series = {variant: f"setting-{k}" for k, variant in enumerate(runs, start=1)}
    lines = tuple(band(series[v], done(group), figure_of("accuracy", SPLIT), epoch_of) for v, group in runs.items())
    panels = [Curves(title="", x_axis="epoch", y_axis="validation accuracy (%)", scale="linear", lines=lines)]
    legend = {series[v]: f"{sweep.variants[v]} (n = {len(done(group))})" for v, group in runs.items()}
    if sweep.beside == "rate":
        # Only the mean: if runs lower their rates at different epochs, a band would reach below zero.
        found = (band(series[v], done(group), lambda e: e.learning_rate, epoch_of) for v, group in runs.items())
        rates = tuple(msgspec.structs.replace(line, low=(), high=()) for line in found)
        panels.append(Curves(title="", x_axis="epoch", y_axis="learning rate", scale="log", lines=rates))
    elif sweep.beside == "loss" and "default" in runs:
        panels.append(_losses(done(runs["default"])))
        legend |= {"train": "cross-entropy of the training rows", "evaluated": "cross-entropy of validation"}
    ends = {
        v: units.percentage_of([r.history[-1].splits[SPLIT].accuracy for r in done(group)]) for v, group in runs.items()
    }
    place = next(iter(runs.values())).key
    return FigureData(
        name=f"{paper.id}-figure-{sweep.figure}",
        title=f"{paper.id}: figure {sweep.figure}, {sweep.about}",
        paper=paper.id,
        alternative=(
            f"Curves of validation accuracy for each setting ({sweep.about}). At the end: "
            f"{'; '.join(f'{sweep.variants[v]}: {described}' for v, described in ends.items())}."
        ),
        caption=CAPTION.format(
            band=BAND,
            n=", ".join(f"{len(done(group))} {variant}" for variant, group in runs.items()),
            place=f"{place.device_label}, {place.data_label}",
        ),
        legend=legend,
        panels=(tuple(panels),),
    )


def _losses(records: Sequence[RunRecord]) -> Curves:
    lines = (
        band("train", records, figure_of("loss", "train"), epoch_of),
        band("evaluated", records, figure_of("loss", SPLIT), epoch_of),
    )
    return Curves(title="", x_axis="epoch", y_axis="cross-entropy (nat)", scale="linear", lines=lines)

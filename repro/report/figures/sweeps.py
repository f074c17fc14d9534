"""A paper's figures that compare settings, rebuilt from runs of the variants with those settings."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.judge.groups import Group, PaperRuns
from repro.judge.judgements import done
from repro.report.figures.curves import BAND, band, epoch_of, figure_of
from repro.report.figures.figure_data import Curves, FigureData
from repro.runs.records import RunRecord
from repro.specs.spec import Sweep
from repro.text import units

CAPTION = "{band} Validation samples were evaluated after each epoch. n = {n}. {place}."


SPLIT = "validation"
LEAST_SETTINGS = 2  # one alone compares nothing


def sweep_figures(paper: PaperRuns) -> tuple[list[FigureData], list[str]]:
    """The figures with at least two settings run in full on one device and dataset, and in words what the others
    lack."""
    found, missing = [], []
    for sweep in paper.loaded.spec.sweeps if paper.loaded else ():
        runs = _fullest(paper, sweep)
        if len(runs) < LEAST_SETTINGS:
            wanted = next((v for v in sweep.settings if v not in runs and v != "default"), "default")
            missing.append(
                f"{paper.id}, figure {sweep.figure} ({sweep.about}): full runs of {len(runs)} of its "
                f"{counted(len(sweep.settings), 'setting')}; `repro run {paper.id} --variant {wanted}` makes one"
            )
        else:
            found.append(_figure(paper, sweep, runs))
    return found, missing


def _fullest(paper: PaperRuns, sweep: Sweep) -> dict[str, Group]:
    """By variant, in the order of the sweep, on the device and dataset with the most settings run."""
    places: dict[object, dict[str, Group]] = {}
    for group in paper.comparable:
        if group.variant in sweep.settings and done(group):
            places.setdefault(group.key._replace(settings=""), {})[group.variant] = group
    best = max(places.values(), key=len, default={})
    return {variant: best[variant] for variant in sweep.settings if variant in best}


def _figure(paper: PaperRuns, sweep: Sweep, runs: dict[str, Group]) -> FigureData:
    series = {variant: f"setting-{k}" for k, variant in enumerate(runs, start=1)}
    lines = tuple(band(series[v], done(group), figure_of("accuracy", SPLIT), epoch_of) for v, group in runs.items())
    panels = [Curves(title="", x_axis="epoch", y_axis="validation accuracy (%)", scale="linear", lines=lines)]
    legend = {series[v]: f"{sweep.settings[v]} (n = {len(done(group))})" for v, group in runs.items()}
    if sweep.beside == "learning_rate":
        # Only the mean: if runs lower their rates at different epochs, a band would reach below zero.
        found = (band(series[v], done(group), lambda e: e.learning_rate, epoch_of) for v, group in runs.items())
        rates = tuple(msgspec.structs.replace(line, low=(), high=()) for line in found)
        panels.append(Curves(title="", x_axis="epoch", y_axis="learning rate", scale="log", lines=rates))
    elif sweep.beside == "loss" and "default" in runs:
        panels.append(_losses(done(runs["default"])))
        legend |= {"train": "cross-entropy of the training samples", "evaluated": "cross-entropy of validation"}
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
            f"{'; '.join(f'{sweep.settings[v]}: {described}' for v, described in ends.items())}."
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

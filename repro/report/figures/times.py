"""Time of an epoch and training images per second, here and in the papers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.judge.groups import Group, PaperRuns
from repro.judge.judgements import done
from repro.judge.main_claim import headline
from repro.judge.measured import SECONDS_PER_UNIT, measure
from repro.report.figures.figure_data import AxisRow, Curves, Dots, FigureData, Line, Mark
from repro.runs.records import RunRecord
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.spec import Claim
from repro.text import units

NAME = "times"
LEGEND = {
    "cpu-here": "CPU, here",
    "gpu-here": "GPU, here",
    "cpu-there": "CPU, in the document",
    "gpu-there": "GPU, in the document",
}
CAPTION = (
    "Runs as published: training and evaluation, without compilation and checkpoints. Marker: the fastest of n runs, "
    "because other work on the machine only ever makes a run slower; ticks: single runs. Hollow: in the document; of "
    "an epoch, that of its longest run. Here: {places}. The hardware differs: a ratio says what to expect today, not "
    "which code is better.{shared}"
)
SHARED = " Where seeds shared one program, the time is one seed's share of it, and images/s are those of all of them."


def times_figure(papers: Sequence[PaperRuns]) -> FigureData | None:
    """Time of an epoch and images/s of every paper; below them, the papers' own tables of times with ours. None if
    nothing was run in full."""
    epoch_rows, rate_rows, tables, ends = [], [], [], []
    ran: list[Group] = []
    for paper in papers:
        groups, claims = _groups(paper), _times(paper)
        ran += groups
        here, there = [_epoch_mark(group) for group in groups], list(_reported_marks(claims))
        if here or there:
            epoch_rows.append(AxisRow(label=_label(paper, groups), marks=(*here, *there)))
        if groups:
            rate_rows.append(AxisRow(label=paper.id, marks=tuple(_rate_mark(group) for group in groups)))
            ends.append(f"{paper.id} {', '.join(f'{units.duration(mark.value)} on a {_kind(mark)}' for mark in here)}")
        tables += _table(paper, groups, claims)
    if not ran:
        return None
    top = (
        Dots(title="Time of an epoch", axis="wall time", scale="duration", rows=tuple(epoch_rows)),
        Dots(title="Training images per second", axis="images/s", scale="log", rows=tuple(rate_rows)),
    )
    panels = (top, tuple(tables)) if tables else (top,)
    marks = [mark for row in (*epoch_rows, *rate_rows) for mark in row.marks]
    drawn = {mark.series for mark in marks} | {line.series for panel in tables for line in panel.lines}
    shared = any(record.seeds_at_once > 1 for group in ran for record in done(group))
    return FigureData(
        name=NAME,
        title="Time: in the documents and here",
        paper=None,
        alternative=f"Time of an epoch, images/s, and time up to an epoch. Here an epoch takes: {'; '.join(ends)}.",
        caption=CAPTION.format(
            places="; ".join(dict.fromkeys(group.key.device_label for group in ran)), shared=SHARED if shared else ""
        ),
        legend={name: label for name, label in LEGEND.items() if name in drawn},
        panels=panels,
    )


def epoch_seconds(record: RunRecord) -> float:
    """Mean seconds of an epoch; in a run by steps, of the steps between two evaluations."""
    total = sum(epoch.train_s + epoch.eval_s for epoch in record.time.epochs)
    every = record.spec["training"].get("evaluate_every_steps")
    return total / (record.history[-1].step / every if every else len(record.time.epochs))


def _variant(paper: PaperRuns) -> str:
    claim = headline(paper)
    return claim.variant if claim else DEFAULT_VARIANT


def _groups(paper: PaperRuns) -> list[Group]:
    """Groups with full as-published runs of the headline's variant, one per device and dataset."""
    if paper.loaded is None:
        return []
    return [group for group in paper.comparable if group.variant == _variant(paper) and done(group)]


def _times(paper: PaperRuns) -> list[Claim]:
    """The times that the paper gives for a number of epochs on a kind of device."""
    claims = paper.loaded.spec.claims if paper.loaded else ()
    return [c for c in claims if c.quantity == "time" and c.variant == _variant(paper) and c.epoch and c.device]


def _label(paper: PaperRuns, groups: Sequence[Group]) -> str:
    every = groups[0].records[0].spec["training"].get("evaluate_every_steps") if groups else None
    return f"{paper.id}\n({counted(every, 'step')})" if every else paper.id


def _kind(mark: Mark) -> str:
    return mark.series.partition("-")[0].upper()


def _epoch_mark(group: Group) -> Mark:
    seconds = tuple(epoch_seconds(record) for record in done(group))
    words = f"{units.duration(min(seconds))} (n = {len(seconds)})"
    return Mark(series=f"{group.key.device_kind}-here", value=min(seconds), runs=seconds, note=words)


def _rate_mark(group: Group) -> Mark:
    rates = tuple(record.images_per_s for record in done(group))
    words = f"{units.rate(max(rates))} (n = {len(rates)})"
    return Mark(series=f"{group.key.device_kind}-here", value=max(rates), runs=rates, note=words)


def _seconds(claim: Claim) -> float:
    return claim.value * SECONDS_PER_UNIT[claim.unit]


def _reported_marks(claims: Sequence[Claim]) -> Iterator[Mark]:
    """One mark per kind of device, from the longest run that the paper gives a time for."""
    for kind in ("cpu", "gpu"):
        mine = [claim for claim in claims if claim.device == kind]
        if mine:
            longest = max(mine, key=lambda claim: claim.epoch or 0)
            seconds = _seconds(longest) / (longest.epoch or 1)
            words = f"{units.duration(seconds)}, {longest.hardware.partition(',')[0]}"
            yield Mark(series=f"{kind}-there", value=seconds, note=words)


def _table(paper: PaperRuns, groups: Sequence[Group], claims: Sequence[Claim]) -> list[Curves]:
    """The times of a paper that gives them for several numbers of epochs, with ours for the same numbers."""
    lines = []
    for kind in ("cpu", "gpu"):
        mine = sorted((claim for claim in claims if claim.device == kind), key=lambda claim: claim.epoch or 0)
        if len({claim.epoch for claim in mine}) > 1:
            x = tuple(float(claim.epoch or 0) for claim in mine)
            lines.append(Line(series=f"{kind}-there", x=x, y=tuple(_seconds(claim) for claim in mine)))
    if not lines:
        return []
    by_epoch = {claim.epoch: claim for claim in sorted(claims, key=lambda claim: claim.epoch or 0)}
    for group in groups:
        kind = group.key.device_kind
        here = {
            float(epoch): found.low * SECONDS_PER_UNIT[claim.unit]
            for epoch, claim in by_epoch.items()
            if epoch and (found := measure(msgspec.structs.replace(claim, device=kind), done(group)))
        }
        lines.append(Line(series=f"{kind}-here", x=tuple(here), y=tuple(here.values())))
    places = {claim.place.partition(",")[0] for claim in claims}
    place = places.pop() if len(places) == 1 else "times"
    title = f"{paper.id}: {place}"
    return [Curves(title=title, x_axis="epochs", y_axis="wall time", scale="duration", lines=tuple(lines))]

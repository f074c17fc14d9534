"""Times that the papers report and times measured here, each with its hardware."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro.judge.groups import PaperRuns, devices
from repro.judge.measured import SECONDS_PER_UNIT, measure
from repro.report.tables import NOTHING, QUANTITY_NAMES, measured_cell
from repro.runs.records import RunRecord
from repro.specs.spec import Claim
from repro.text import units
from repro.text.document import Block, Cell, Column, Inline, Paragraph, Section, code, count, say, strong, table

TITLE = "Times"
LEGEND = """\
Training and evaluation up to the named epoch, without compilation and checkpoints. Here: the fastest of n runs, because
other processes can only make a run slower. Ratio: the paper's time divided by ours. The hardware differs, so a ratio
says what to expect today, not which code is better; see BENCH.md for that."""

TIME_COLUMNS = (
    Column("What"),
    Column("Hardware in the paper"),
    Column("Paper", "right"),
    Column("Here", "right"),
    Column("Ratio", "right"),
    Column("Hardware here"),
)


def times_section(paper: PaperRuns) -> list[Block]:
    """One section; empty if the paper gives no time."""
    rows = [row for claim in _times(paper) for row in _time_rows(paper, claim)]
    if not rows:
        return []
    return [Section(TITLE, (Paragraph(say(LEGEND)), table(TIME_COLUMNS, rows), *_rebuilt(paper)))]


def _times(paper: PaperRuns) -> list[Claim]:
    claims = paper.loaded.spec.claims if paper.loaded else ()
    return [claim for claim in claims if claim.quantity == "time"]


def _time_rows(paper: PaperRuns, claim: Claim) -> Iterator[list[Cell | Inline]]:
    """One row for each device that measured the time, or a single row if none did."""
    upto = "" if claim.epoch is None else f", {claim.epoch} epoch{'s' if claim.epoch > 1 else ''}"
    theirs = Cell(units.reported(claim), claim.value * SECONDS_PER_UNIT[claim.unit])
    first: list[Cell | Inline] = [(code(claim.variant), upto), f"{claim.device}: {claim.hardware}", theirs]
    measured = [
        (group.key.device_label, found)
        for group in paper.comparable
        if (found := measure(claim, group.records)) is not None
    ]
    for label, found in measured:
        seconds = found.low * SECONDS_PER_UNIT[claim.unit]
        partial: Inline = (", ", strong("partial")) if found.partial else ""
        here = Cell((f"{units.duration(seconds)} (n = {found.n}", partial, ")"), seconds)
        ratio = claim.value / found.low
        yield [*first, here, Cell(_ratio(ratio), ratio), label]
    if not measured:
        yield [*first, "not run", NOTHING, NOTHING]


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


# --- a paper's own table of times, with ours beside it ----------------------------------------------------------------


def _rebuilt(paper: PaperRuns) -> Iterator[Block]:
    """The table of a paper that gives times for several kinds of device and several numbers of epochs."""
    times = [claim for claim in _times(paper) if claim.epoch is not None]
    epochs = sorted({claim.epoch for claim in times if claim.epoch is not None})
    kinds = [kind for kind in ("cpu", "gpu") if any(claim.device == kind for claim in times)]
    if len(epochs) < 2 or len(kinds) < 2:
        return
    claims = paper.loaded.spec.claims if paper.loaded else ()
    records = [record for group in paper.comparable for record in group.records]
    names = [f"time, {kind}" for kind in kinds] + [QUANTITY_NAMES["speedup"], "accuracy"]
    columns = [Column("Epochs", "right")]
    columns += [Column(f"{name}: {side}", "right") for name in names for side in ("paper", "here")]
    rows: list[list[Cell | Inline]] = []
    for epoch in epochs:
        of_epoch = [_find(claims, "time", epoch, kind) for kind in kinds]
        of_epoch += [_find(claims, "speedup", epoch), _accuracy(claims, epoch)]
        rows.append([count(epoch), *(cell for claim in of_epoch for cell in _both_sides(claim, records))])
    hardware = {kind: sorted({c.hardware for c in times if c.device == kind and c.hardware}) for kind in kinds}
    there = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in hardware.items())
    found = {f"{r.device.kind}: {devices(r.device.name, r.device.count)}" for r in records}
    places = f"Paper: {there}. Here: {'; '.join(sorted(found)) or 'not run'}."
    yield Section("The paper's table of times, rebuilt", (table(columns, rows), Paragraph(places)))


def _find(claims: Sequence[Claim], quantity: str, epoch: int, device: str = "") -> Claim | None:
    found = [c for c in claims if c.quantity == quantity and c.epoch == epoch and c.device == device]
    return next((claim for claim in found if claim.variant == "default"), None)


def _accuracy(claims: Sequence[Claim], epoch: int) -> Claim | None:
    """The accuracy of that epoch; else the headline, which such a table gives for the last number of epochs."""
    headline = next((claim for claim in claims if claim.headline and claim.quantity == "accuracy"), None)
    same = [c for c in claims if c.quantity == "accuracy" and c.epoch == epoch and c.variant == "default"]
    if headline is not None:
        same = [claim for claim in same if claim.split == headline.split]
    # The paper's text may give another value for the same epoch. The table's claims are in the order of its rows, so
    # its value is the last one here.
    return same[-1] if same else headline


def _both_sides(claim: Claim | None, records: Sequence[RunRecord]) -> tuple[Cell, Cell]:
    if claim is None:
        return Cell(NOTHING), Cell(NOTHING)
    theirs, measured = Cell(units.reported(claim), claim.value), measure(claim, records)
    if measured is None:
        return theirs, Cell("not run")
    if claim.quantity == "time":
        seconds = measured.low * SECONDS_PER_UNIT[claim.unit]
        return Cell(theirs.text, claim.value * SECONDS_PER_UNIT[claim.unit]), Cell(units.duration(seconds), seconds)
    return theirs, measured_cell(claim, measured)

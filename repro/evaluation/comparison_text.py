"""A comparison of two networks as a document."""

from __future__ import annotations

from collections.abc import Iterator

from fer_jax.vocabulary.counted import counted
from repro.evaluation.claim import percent
from repro.evaluation.comparison import NetworkComparison, SubsetDifference
from repro.evaluation.text import SUBSETS
from repro.statistics import LEVEL, holm
from repro.text import units
from repro.text.document import Block, Cell, Column, Document, Inline, Paragraph, Section, say, table

ONE_NETWORK = """\
One network of each side is compared. The interval is for other images, not for other seeds: another seed of the same
recipe often differs by a point or more."""


def comparison_document(found: NetworkComparison) -> Document:
    return Document(f"{found.names[0]} against {found.names[1]}", tuple(_blocks(found)))


def _blocks(found: NetworkComparison) -> Iterator[Block]:
    yield Paragraph(_summary(found))
    several = max(found.networks) > 1
    heads = [f"A ({found.networks[0]})", f"B ({found.networks[1]})", "A minus B", "95 % interval, images"]
    heads += ["95 % interval, seeds"] if all(one.seeds for one in found.subsets) else []
    rows = [_row(one, len(heads)) for one in found.subsets]
    columns = [Column("Samples"), Column("n", "right"), *(Column(head, "right") for head in heads)]
    yield table(columns, rows)
    drawn = "images, with all samples that show them" if found.known_copies else "samples"
    words = f"Intervals over images: bootstrap of {drawn}{' and of seeds' if several else ''}, 2,000 draws."
    yield Paragraph(words)
    if min(found.networks) == 1:
        yield Paragraph(say(ONE_NETWORK))
    yield Section("Paired by sample (McNemar's exact test)", tuple(_paired(found)))


def _summary(found: NetworkComparison) -> Inline:
    """What the difference on all samples shows."""
    whole = found.subsets[0]
    side = (
        "A is better" if whole.images.low > 0 else "B is better" if whole.images.high < 0 else "No difference is shown"
    )
    half = whole.seeds.half_width if whole.seeds else None
    if whole.seeds is not None and half is not None and abs(whole.seeds.mean) <= half:
        side = "No difference is shown between the recipes"
    return say(
        "A is {a}, B is {b}. A minus B on the {n} samples that both predicted: {value}. {side}.",
        a=found.names[0],
        b=found.names[1],
        n=f"{found.samples:,}",
        value=_points(whole.images.value),
        side=side,
    )


def _points(value: float) -> str:
    return f"{units.signed(100 * value, 1)} points"


def _row(one: SubsetDifference, heads: int) -> list[Cell | Inline]:
    low, high = (units.number(100 * value, 1) for value in (one.images.low, one.images.high))
    cells: list[Cell | Inline] = [
        SUBSETS[one.subset],
        Cell(f"{one.samples:,}", one.samples),
        Cell(percent(one.first), one.first),
        Cell(percent(one.second), one.second),
        Cell(_points(one.images.value), one.images.value),
        f"{low} to {high}",
    ]
    if heads > 4:
        assert one.seeds is not None
        half = one.seeds.half_width
        ends = () if half is None else (one.seeds.mean - half, one.seeds.mean + half)
        cells.append(" to ".join(units.number(100 * value, 1) for value in ends) or "unknown")
    return cells


def _paired(found: NetworkComparison) -> Iterator[Block]:
    if not found.pairs:
        yield Paragraph("The two sides have no seed in common.")
        return
    adjusted = holm({str(place): pair.table.p for place, pair in enumerate(found.pairs)})
    rows: list[list[Cell | Inline]] = []
    for place, pair in enumerate(found.pairs):
        counts = [pair.table.both, pair.table.only_first, pair.table.only_second, pair.table.neither]
        p = adjusted[str(place)]
        rows.append(
            [
                "" if pair.seed is None else Cell(str(pair.seed), pair.seed),
                *(Cell(f"{one:,}", one) for one in counts),
                Cell(f"{p:.2g}", p),
            ]
        )
    heads = ("Seed", "Both right", "A alone", "B alone", "Neither", "p")
    yield table([Column(head, "right") for head in heads], rows)
    corrected = f", corrected for {counted(len(found.pairs), 'test')} (Holm)" if len(found.pairs) > 1 else ""
    yield Paragraph(
        f"p is that both are right equally often, given these two networks{corrected}; below {LEVEL:g} they differ."
    )

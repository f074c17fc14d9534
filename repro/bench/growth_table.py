"""The tables of BENCH.md that show how cost grows."""

from __future__ import annotations

from repro.bench.records import Axis, BenchRecord, GrowthPoint
from repro.text.document import Block, Cell, Column, Inline, Paragraph, count, strong, table
from repro.text.units import number, rate

NOTHING = "—"
TITLES = {
    "batch_size": "Batch size",
    "image_size": "Image size, pixels",
    "images": "Images",
    "devices": "Devices",
    "seeds": "Seeds at once",
}
NOTES = {
    "images": "Beyond the samples that there are, faces are repeated under other noise.",
    "devices": "On a CPU the devices are virtual and share its cores, so this is what sharing a batch costs there.",
    "seeds": "Images per second of all seeds together.",
}


def growth_tables(record: BenchRecord) -> list[Block]:
    """One table per axis, after a line that describes the run."""
    growth = record.growth
    assert growth is not None
    mark: Inline = (" ", strong("SYNTHETIC"), " faces.") if record.data.synthetic else ""
    versions = ", ".join(f"{name} {record.versions[name]}" for name in ("jax", "jaxlib") if name in record.versions)
    words = f"{growth.paper}'s network, this suite alone, every point in a fresh process; {versions}."
    return [Paragraph((words, mark)), *(block for axis in growth.axes if axis.points for block in _axis_blocks(axis))]


def _axis_blocks(axis: Axis) -> list[Block]:
    note = NOTES.get(axis.name, "")
    if axis.name != "batch_size":
        note = f"Batches of {axis.batch_size}. {note}".strip()
    with_prediction = any(point.predict for point in axis.points)
    columns = [Column(TITLES.get(axis.name, axis.name), "right"), Column("Training, images/s", "right")]
    if with_prediction:
        columns.append(Column("Prediction, images/s", "right"))
    columns += [Column("Memory, MiB", "right"), Column("Compile, s", "right"), Column("Remark")]
    shown = table(columns, [_row(point, with_prediction) for point in axis.points])
    return [Paragraph(note), shown] if note else [shown]


def _row(point: GrowthPoint, with_prediction: bool) -> list[Cell | Inline]:
    speeds = [Cell(rate(t.images_per_s), t.images_per_s) if t else Cell(NOTHING) for t in (point.train, point.predict)]
    held = point.peak_memory_bytes if point.device_memory_bytes is None else point.device_memory_bytes
    memory = Cell(number(held / 2**20, 0), held) if point.train else NOTHING
    compile_s = Cell(number(point.compile_s, 1), point.compile_s) if point.train else NOTHING
    return [count(point.value), *speeds[: 1 + with_prediction], memory, compile_s, point.error]

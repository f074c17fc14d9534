"""The tables of BENCH.md that show how cost grows."""

from __future__ import annotations

from repro.bench.records import Axis, BenchRecord, Point
from repro.report.markdown import Column, escape, table
from repro.report.units import number, rate

NOTHING = "—"
TITLES = {
    "batch_size": "Batch size",
    "image_size": "Image size, pixels",
    "images": "Images",
    "devices": "Devices",
    "seeds": "Seeds at once",
}
NOTES = {
    "images": "Beyond the rows that there are, faces are repeated under other noise.",
    "devices": "On a CPU the devices are virtual and share its cores, so this is what sharing a batch costs there.",
    "seeds": "Images per second of all seeds together.",
}


def growth_tables(record: BenchRecord) -> list[str]:
    """One block per axis, after a line on what was run."""
    growth = record.growth
    assert growth is not None
    mark = " **SYNTHETIC** faces." if record.data.synthetic else ""
    versions = ", ".join(f"{name} {record.versions[name]}" for name in ("jax", "jaxlib") if name in record.versions)
    words = f"{escape(growth.paper)}'s network, this suite alone, every point in a fresh process; {versions}.{mark}"
    return [words, *(block for axis in growth.axes if axis.points for block in _axis_blocks(axis))]


def _axis_blocks(axis: Axis) -> list[str]:
    note = NOTES.get(axis.name, "")
    if axis.name != "batch_size":
        note = f"Batches of {axis.batch_size}. {note}".strip()
    with_prediction = any(point.predict for point in axis.points)
    columns = [Column(TITLES.get(axis.name, axis.name), "right"), Column("Training, images/s", "right")]
    if with_prediction:
        columns.append(Column("Prediction, images/s", "right"))
    columns += [Column("Memory, MiB", "right"), Column("Compile, s", "right"), Column("Remark")]
    text = table(columns, [_row(point, with_prediction) for point in axis.points])
    return [note, text] if note else [text]


def _row(point: Point, with_prediction: bool) -> list[str]:
    speeds = [rate(t.images_per_s) if t else NOTHING for t in (point.train, point.predict)]
    held = point.peak_memory_bytes if point.device_memory_bytes is None else point.device_memory_bytes
    memory = number(held / 2**20, 0) if point.train else NOTHING
    compile_s = number(point.compile_s, 1) if point.train else NOTHING
    return [f"{point.value:,}", *speeds[: 1 + with_prediction], memory, compile_s, escape(point.error)]

"""`repro data export`: write the splits of a protocol for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fer_jax.data.faces import DataError
from fer_jax.data.steps import StepError
from fer_jax.duplicates.search import DUPLICATES_VERSION, default_threshold, pictures_of
from repro.runs.dataset import open_dataset
from repro.splits.formats import check_new, write_split
from repro.splits.table import split_table


def export_split(path: Path, *, protocol: str, form: str, data: str | None) -> dict[str, Any]:
    """Write the splits and return what was written, as plain values. Raises DataError if that is not possible."""
    check_new(path)  # before the search for duplicates, which may take a minute
    dataset = open_dataset(data)
    faces = dataset.faces
    try:
        table = split_table(faces, protocol, lambda: pictures_of(faces))
    except StepError as error:
        raise DataError(f"{dataset.name}: protocol {protocol} cannot split this dataset: {error}") from error
    write_split(table, path, form)
    left_out: dict[str, int] = {}
    for reason in filter(None, table.reason):
        left_out[reason] = left_out.get(reason, 0) + 1
    return {
        "path": str(path),
        "form": form,
        "protocol": protocol,
        "dataset": dataset.name,
        "fingerprint": faces.fingerprint,
        "synthetic": faces.synthetic,
        "samples": table.counts(),
        "left_out": left_out,
        "duplicates": {"threshold": default_threshold(len(faces)), "version": DUPLICATES_VERSION},
    }


def export_text(written: dict[str, Any]) -> str:
    """What was written, for a terminal."""
    counts = ", ".join(f"{name} {count:,}" for name, count in written["samples"].items())
    lines = [f"wrote {written['path']} ({written['form']}): {written['dataset']} under {written['protocol']}: {counts}"]
    lines += [f"  left out: {count:,} ({reason})" for reason, count in sorted(written["left_out"].items())]
    if written["synthetic"]:
        lines.append(
            "SYNTHETIC faces, drawn by this suite, not FER-2013. `repro data import PATH` brings the real ones."
        )
    elif written["form"] == "rows":
        lines.append("It holds no image. `pixel_hash` is the start of the SHA-256 of an image's 48 x 48 bytes.")
    else:
        lines.append("It holds the dataset's images, whose terms apply: do not publish it.")
    return "\n".join(lines)

"""Where a run lies in a results folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from repro.runs.record_files import RecordError
from repro.runs.records import CHECKPOINTS_NAME, Overrides, RunRecord


def run_folder(
    results: Path,
    *,
    paper: str,
    variant: str,
    device: str,
    protocol: str,
    data: str,
    overrides: Overrides,
    seed: int,
    precision: str | None = None,
    switches: Mapping[str, str] | None = None,
) -> Path:
    """The folder of a run. A shortened or changed run has a separate folder, so that it never replaces a full one. So
    has a run in a `precision` that is not the device's default, and one with `switches`."""
    short = "".join(
        f"-{name}{value}" for name, value in (("epochs", overrides.epochs), ("limit", overrides.limit_train)) if value
    )
    if overrides.settings:
        short += f"-set-{_digest(overrides.settings)}"
    other = f"-{precision}" if precision else ""
    if switches:
        other += f"-switches-{_digest(switches)}"
    return results / "runs" / paper / variant / device / protocol / f"{data}{short}{other}" / f"seed-{seed}"


def _digest(values: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()[:8]


def refuse_links(results: Path, folder: Path) -> None:
    """Before a run's folder is changed: nothing that is written or removed there may lie elsewhere.

    Raises RecordError if a link leads out of it below ``results/runs``: another one's results folder may hold any link.
    The results folder and ``runs`` in it may be links as a whole.
    """
    runs = results / "runs"
    checkpoints = folder / CHECKPOINTS_NAME
    below = [*reversed(checkpoints.relative_to(runs).parents[:-1]), checkpoints.relative_to(runs)]
    inside = checkpoints.iterdir() if checkpoints.is_dir() and not checkpoints.is_symlink() else ()
    for place in (*(runs / part for part in below), *inside):
        if place.is_symlink():
            raise RecordError(
                f"{place}: a link; what is in it would be changed or removed with the run. Remove the link (the folder "
                f"{runs} may be one)"
            )


def record_folder(results: Path, record: RunRecord) -> Path:
    """`run_folder` of a record in the default precision of its device."""
    return run_folder(
        results,
        paper=record.paper,
        variant=record.variant,
        device=record.device.kind,
        protocol=record.protocol,
        data=f"{record.data.name}-{record.data.fingerprint[:8]}",
        overrides=record.overrides,
        seed=record.seed,
        switches=record.switches,
    )

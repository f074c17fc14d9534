"""Where a run lies in a results folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from repro.runs.records import Overrides, RunRecord


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
    """The folder of a run. A shortened run has a separate folder, so that it never replaces a full one. So has a run in
    a `precision` that is not the device's default, and one with `switches`."""
    short = "".join(
        f"-{name}{value}" for name, value in (("epochs", overrides.epochs), ("limit", overrides.limit_train)) if value
    )
    other = f"-{precision}" if precision else ""
    if switches:
        other += f"-switches-{hashlib.sha256(msgspec.json.encode(switches, order='sorted')).hexdigest()[:8]}"
    return results / "runs" / paper / variant / device / protocol / f"{data}{short}{other}" / f"seed-{seed}"


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

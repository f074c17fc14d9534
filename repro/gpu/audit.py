"""``python -m repro.gpu.audit``: how long the search for duplicates takes on a device, and whether it finds the same.

JAX chooses the device: a GPU if there is one. The result stays in the cache for later runs.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from fer_jax.duplicates.search import duplicates_of, find_duplicates
from repro.runs.dataset import open_dataset
from repro.runs.record_files import write_atomically

REPEATS = 3


def time_command(data: str, scratch: Path) -> float:
    """Seconds of the whole `repro audit data` command, with the dataset imported and nothing else cached."""
    environment = {**os.environ, "FER_JAX_CACHE": str(scratch / "audit-cache")}
    words = [sys.executable, "-m", "repro"]
    subprocess.run([*words, "data", "import", data], env=environment, stdout=subprocess.DEVNULL, check=True)
    begin = time.perf_counter()
    command = [*words, "audit", "data", "--data", data, "--out", str(scratch / "audit")]
    subprocess.run(command, env=environment, check=True)
    return time.perf_counter() - begin


def known_pairs(path: Path) -> set[tuple[int, int]] | None:
    """The pairs in a duplicates.csv; None if the file is missing."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return {(int(line["row_a"]), int(line["row_b"])) for line in csv.DictReader(file)}


def measure(data: str, scratch: Path, known: Path) -> dict[str, Any]:
    """Times of the command and of the search, and the differences between its pairs and those of a duplicates.csv."""
    report: dict[str, Any] = {"command_s": time_command(data, scratch)}
    import jax

    faces = open_dataset(data).faces
    seconds = []
    for _ in range(1 + REPEATS):
        begin = time.perf_counter()
        pairs = find_duplicates(faces.images)
        seconds.append(time.perf_counter() - begin)
    duplicates_of(faces)  # kept in the cache from now on
    found = set(zip(pairs.row_a.tolist(), pairs.row_b.tolist(), strict=True))
    report |= {
        "device": jax.local_devices()[0].device_kind,
        "rows": len(faces),
        "first_s": seconds[0],
        "search_s": seconds[1:],
        "pairs": len(found),
    }
    before = known_pairs(known)
    if before is not None:
        report["known"] = {"pairs": len(before), "missing": len(before - found), "added": len(found - before)}
    return report


@click.command()
@click.option("--data", required=True)
@click.option("--scratch", type=click.Path(path_type=Path), required=True)
@click.option("--known", type=click.Path(path_type=Path), required=True, help="A duplicates.csv to compare with.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(data: str, scratch: Path, known: Path, out: Path) -> None:
    """Time the search for duplicates, and compare what it finds with a list."""
    report = measure(data, scratch, known)
    write_atomically(out, json.dumps(report, indent=1).encode() + b"\n")
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

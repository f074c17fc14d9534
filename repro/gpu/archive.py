"""The results to bring back: records of runs and benchmarks, checks and logs, in archives of limited size."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from fer_jax.vocabulary.counted import counted
from repro.gpu.jobs import REPORTS

NAME = "results"
# Archives stay below 16 MiB each. There are at most six, so that two of eight files are left for other output.
MOST_BYTES = 15 << 20
MOST_PARTS = 6
# Checkpoints are large; locks and half-written files are useless.
LEFT_OUT = "checkpoints", "run.lock", "claim-*.json", "history.jsonl"


class ArchiveError(Exception):
    """The records do not fit into the archives; the message gives their size in bytes."""


def recorded_files(results: Path, device: str) -> Iterator[Path]:
    """All files that a kind of device has written to a results folder, sorted by path."""
    folders = [*results.glob(f"runs/*/*/{device}"), *results.glob(f"bench/{device}-*"), results / REPORTS]
    for folder in sorted(folders):
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(results).parts
            if path.is_file() and not any(_is_left_out(part) for part in parts):
                yield path


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or any(fnmatch(name, pattern) for pattern in LEFT_OUT)


def save(out: Path, results: Path, device: str) -> list[Path]:
    """Write `results.tgz`, and `results-2.tgz` and so on if it gets too large; each atomically.

    Raises ArchiveError if the files still do not fit; those that fit are written first.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts: list[list[Path]] = [[]]
    filled = 0
    for path in recorded_files(results, device):
        size = len(zlib.compress(path.read_bytes(), 1)) + 1024  # tar's header and padding
        if filled + size > MOST_BYTES and parts[-1]:
            parts.append([])
            filled = 0
        parts[-1].append(path)
        filled += size
    written = [_write(out, results, number, paths) for number, paths in enumerate(parts[:MOST_PARTS], 1)]
    if len(parts) > MOST_PARTS:
        left = sum(path.stat().st_size for part in parts[MOST_PARTS:] for path in part)
        raise ArchiveError(
            f"{counted(len(parts), 'archive')} would be needed: {counted(left, 'byte')} of records are left out"
        )
    return written


def _write(out: Path, results: Path, number: int, paths: list[Path]) -> Path:
    final = out / (f"{NAME}.tgz" if number == 1 else f"{NAME}-{number}.tgz")
    aside = out / f"{final.name}.part"
    with tarfile.open(aside, "w:gz", compresslevel=6) as archive:
        for path in paths:
            archive.add(path, arcname=f"{NAME}/{path.relative_to(results).as_posix()}")
    os.replace(aside, final)
    return final


def restore(archives: list[Path], results: Path) -> int:
    """Extract the records of earlier calls into a results folder and return their number. Existing files are kept."""
    count = 0
    for path in archives:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.removeprefix("./").removeprefix(f"{NAME}/")
                target = results / name
                if not member.isfile() or ".." in Path(name).parts or Path(name).is_absolute() or target.exists():
                    continue
                content = archive.extractfile(member)
                assert content is not None
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
                count += 1
    return count

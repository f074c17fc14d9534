"""The specs of own papers, kept in the results folder: ``specs/<id>.toml`` is the latest, with the exact bytes of the
user's file. From it follow the claims, verdicts and pages of the runs, also where the user's file is not.

An earlier version is kept as ``specs/<id>.<digest>.toml`` if a record or a begun run names its SHA-256.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from fer_jax.machine.atomic_write import write_atomically
from repro.runs.record_files import record_bytes
from repro.specs.catalog import is_bundled, kept_path

DIGITS = 16  # of the SHA-256, in the name of an earlier version


def earlier_path(results: Path, paper: str, sha256: str) -> Path:
    """Where the version of an own spec with this SHA-256 is kept, once a later one has replaced it."""
    latest = kept_path(results, paper)
    return latest.with_name(f"{paper}.{sha256[:DIGITS]}.toml")


def keep_spec(results: Path, paper: str, content: bytes) -> Path | None:
    """Keep the spec of an own paper in the results folder, and return its path; None for a bundled paper and for a spec
    that was made without a file.

    Writes nothing if the folder has it already. Raises OSError.
    """
    if not content or is_bundled(paper):
        return None
    path = kept_path(results, paper)
    try:
        before = record_bytes(path)
    except (OSError, ValueError):  # none, or what no run wrote
        before = None
    if before == content:
        return path
    if before is not None:
        digest = hashlib.sha256(before).hexdigest()
        if _is_named(digest, results / "runs" / paper):
            write_atomically(earlier_path(results, paper, digest), before)
    return write_atomically(path, content)


def _is_named(digest: str, runs: Path) -> bool:
    """Whether a record, or the request of a run that has not ended, names this digest."""
    for path in runs.rglob("*.json"):
        try:
            if digest.encode() in record_bytes(path):
                return True
        except (OSError, ValueError):
            continue
    return False

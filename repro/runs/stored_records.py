"""Run records on the disk: writing, reading and finding. `records` has their schema. No JAX here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from repro.runs.record_checks import record_mistake
from repro.runs.record_files import (
    DIGEST,
    RecordError,
    UnreadableError,
    check_digest,
    decoded_record,
    leave_out,
    write_digested,
)
from repro.runs.records import FAILURE_NAME, RECORD_FORMAT, RECORD_NAME, RunRecord

_REMEDY = "run again, or run with --fresh"


def write_record(folder: Path, record: RunRecord, name: str = RECORD_NAME) -> Path:
    """Write a record in one piece: a reader sees the old file or the new one, never half of one."""
    return write_digested(folder / name, record)


def read_record(path: Path, content: bytes | None = None) -> RunRecord:
    """Raises RecordError for a file that is not a run record of this format, or whose content is not what was written.

    Older records carry no digest, and are taken as they are. content: of a record that is inside the file `path`.
    """
    name = f"run record of format {RECORD_FORMAT}"
    document, record = decoded_record(path, RunRecord, name, _REMEDY, content)
    if mistake := record_mistake(record, RECORD_FORMAT):
        raise UnreadableError(f"{path}: not a {name}: {mistake}", _REMEDY)
    # A record with one of these fields was written with its digest.
    if DIGEST in document or record.predictions_sha256 or record.network_sha256:
        check_digest(path, document, _REMEDY)
    return record


def scan_records(
    results: Path, *, failures: bool = False, within: str = ""
) -> Iterator[tuple[Path, RunRecord | RecordError]]:
    """All records under a results folder in the order of their paths, or why one cannot be used. failures: those of
    later attempts that failed (`FAILURE_NAME`) too. within: only those of a paper, or of paper/variant."""
    names = (RECORD_NAME, FAILURE_NAME) if failures else (RECORD_NAME,)
    for path in sorted(path for name in names for path in (results / "runs" / within).rglob(name)):
        try:
            path.as_posix().encode()  # no report can hold a name that is not UTF-8
            yield path, read_record(path)
        except UnicodeEncodeError:
            shown = path.as_posix().encode(errors="backslashreplace").decode()
            yield Path(shown), RecordError(f"{shown}: the name of its folder is not UTF-8; rename it")
        except RecordError as error:
            yield path, error


def find_records(results: Path, within: str = "") -> Iterator[tuple[Path, RunRecord]]:
    """The records under a results folder that can be used, in the order of their paths; a warning names each other.
    within: see `scan_records`."""
    for path, found in scan_records(results, within=within):
        if isinstance(found, RecordError):
            leave_out(found)
        else:
            yield path, found

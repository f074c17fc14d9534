"""The results of audits, kept in the results folder, so that the report needs neither the data nor the time.

``results/audit/<paper>/<variant>.json`` holds every protocol of one variant, ``results/audit/data.json`` the dataset.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from repro.audit.data import DataAudit
from repro.audit.leakage import LeakageAudit
from repro.runs.record_files import decode_record, write_json

AUDIT_FORMAT = 1
DATA_NAME = "data.json"


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Audits of one paper's variant on one dataset. settings: `settings_sha256` per protocol, as audited.
    duplicates_version: version of the search for duplicates (`fer_jax.duplicates.search`)."""

    format: int
    paper: str
    variant: str
    data: str
    fingerprint: str
    settings: dict[str, str]
    duplicates_version: int
    audits: tuple[LeakageAudit, ...]


def audit_path(results: Path, paper: str, variant: str) -> Path:
    return results / "audit" / paper / f"{variant}.json"


def write_audit(results: Path, record: AuditRecord) -> Path:
    return write_json(audit_path(results, record.paper, record.variant), record)


def read_audit(results: Path, paper: str, variant: str) -> AuditRecord | None:
    """None if there is no audit.

    Raises RecordError for a file that is not an audit.
    """
    path = audit_path(results, paper, variant)
    if not path.exists():
        return None
    return decode_record(path, AuditRecord, f"paper's audit of format {AUDIT_FORMAT}", "run `repro audit` again")


def write_data_audit(folder: Path, audit: DataAudit) -> Path:
    """``data.json`` in the folder of the audits."""
    return write_json(folder / DATA_NAME, audit)


def read_data_audit(results: Path) -> DataAudit | None:
    """None if the results folder has none.

    Raises RecordError for a file that is not an audit of a dataset.
    """
    path = results / "audit" / DATA_NAME
    if not path.exists():
        return None
    return decode_record(path, DataAudit, "dataset's audit", "run `repro audit data` again")

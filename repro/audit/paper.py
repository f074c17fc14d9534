"""`repro audit PAPER`: the leakage of one paper under its protocols, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fer_jax.duplicates.search import DUPLICATES_VERSION, pictures_of
from fer_jax.machine.cache_folder import cache_folder
from repro.audit.leakage import LeakageAudit, audit_leakage, groups_of_equal_pixels
from repro.audit.records import AUDIT_FORMAT, AuditRecord
from repro.runs.dataset import Dataset
from repro.runs.plan import make_plan
from repro.runs.preparation import prepare
from repro.runs.records import Overrides
from repro.specs.decode import LoadedSpec

SEED = 0  # of the random splits: another seed changes a count only by chance


def audit_paper(loaded: LoadedSpec, dataset: Dataset, *, variant: str, protocols: Sequence[str]) -> AuditRecord:
    """One audit per protocol. The samples are those that `repro run` would train on with seed 0.

    Raises SpecError for an unknown variant and for a spec without data steps, StepError if they do not fit the data.
    """
    pictures = pictures_of(dataset.faces, cache_folder())
    identical = groups_of_equal_pixels(dataset.faces.images)
    audits: list[LeakageAudit] = []
    settings: dict[str, str] = {}
    for protocol in protocols:
        plan = make_plan(loaded, variant=variant, seed=SEED, overrides=Overrides(), protocol=protocol, data_alone=True)
        settings[protocol] = plan.sha256
        audits.append(audit_leakage(plan, prepare(plan, dataset), identical, pictures))
    return AuditRecord(
        format=AUDIT_FORMAT,
        paper=loaded.id,
        variant=variant,
        data=dataset.name,
        fingerprint=dataset.faces.fingerprint,
        settings=settings,
        duplicates_version=DUPLICATES_VERSION,
        audits=tuple(audits),
    )


def audit_document(audit: LeakageAudit) -> dict[str, Any]:
    """One audit of `repro audit PAPER --json`."""
    shared = {
        split: {"rows": audit.shared(split), "share": audit.share(split)} for split in audit.rows if split != "train"
    }
    return {**msgspec.to_builtins(audit), "shared": shared}

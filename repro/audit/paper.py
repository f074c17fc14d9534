"""`repro audit PAPER`: the leakage of one paper under its protocols, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fer_jax.duplicates.search import DUPLICATES_VERSION, pictures_of
from fer_jax.machine.cache_folder import cache_folder
from repro.audit.leakage import DATA_SET, LeakageAudit, Overlap, audit_leakage, groups_of_equal_pixels
from repro.audit.records import AUDIT_FORMAT, AuditRecord
from repro.runs.dataset import Dataset
from repro.runs.plan import make_plan
from repro.runs.preparation import prepare
from repro.runs.records import Overrides
from repro.specs.decode import LoadedSpec

SEED = 0  # of the random splits: another seed changes a count only by chance


def audit_paper(loaded: LoadedSpec, dataset: Dataset, *, variant: str, protocols: Sequence[str]) -> AuditRecord:
    """One audit per protocol. The samples are those that `repro run` would train on with seed 0.

    Raises SpecError for an unknown variant, StepError if the data steps do not fit the data.
    """
    pictures = pictures_of(dataset.faces, cache_folder())
    identical = groups_of_equal_pixels(dataset.faces.images)
    audits: list[LeakageAudit] = []
    settings: dict[str, str] = {}
    for protocol in protocols:
        plan = make_plan(loaded, variant=variant, seed=SEED, overrides=Overrides(), protocol=protocol)
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
    shared = {split: {"rows": audit.shared(split), "share": audit.share(split)} for split in evaluated(audit)}
    return {**msgspec.to_builtins(audit), "shared": shared}


def evaluated(audit: LeakageAudit) -> list[str]:
    return [split for split in audit.rows if split != "train"]


def audit_text(audit: LeakageAudit) -> str:
    """One audit on a terminal."""
    about = f"{audit.paper}, variant {audit.variant}, protocol {audit.protocol}, seed {audit.seed}"
    lines = [about, f"  {audit.rows['train']:,} training rows"]
    for split in evaluated(audit):
        of_split = [overlap for overlap in audit.overlaps if overlap.split == split]
        total = f"{audit.shared(split):,} of {audit.rows[split]:,} rows ({audit.share(split):.1%})"
        lines.append(f"  {split}: {total if of_split else f'none of {audit.rows[split]:,} rows'} trained on")
        lines += [f"    {overlap_line(overlap)}" for overlap in of_split]
    lines += [f"  {selection.split}: decides {selection.decides}" for selection in audit.selections]
    return "\n".join(lines)


def overlap_line(overlap: Overlap) -> str:
    """How many samples, in which way, and which step caused it."""
    if overlap.cause == DATA_SET:
        why = f"twice in the data set, put on both sides by {overlap.separated_by}"
    elif overlap.separated_by != overlap.cause:
        why = f"copied by {overlap.cause}, divided afterwards by {overlap.separated_by}"
    else:
        why = f"copied by {overlap.cause}"
    return f"{overlap.rows:,} ({overlap.share:.1%}) {overlap.kind}: {why}"

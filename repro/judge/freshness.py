"""Which kept audits match the current spec. Outdated audits must not be shown as current."""

from __future__ import annotations

import msgspec

from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.audit.records import AuditRecord
from repro.judge.groups import settings_now
from repro.specs.decode import LoadedSpec


def current_audit(loaded: LoadedSpec, found: AuditRecord) -> AuditRecord:
    """The record with only those audits whose protocol settings the spec still has; with none if another search for
    duplicates was used."""
    if found.duplicates_version != DUPLICATES_VERSION:
        return msgspec.structs.replace(found, audits=())
    kept = (
        one
        for one in found.audits
        if found.settings.get(one.protocol) == settings_now(loaded, found.variant, one.protocol)
    )
    return msgspec.structs.replace(found, audits=tuple(kept))

"""The searches of a paper's settings (`repro sweep`) on its page."""

from __future__ import annotations

from collections.abc import Sequence

from repro.judge.groups import settings_now
from repro.specs.decode import LoadedSpec
from repro.sweep.records import SweepRecord
from repro.sweep.table import sweep_blocks, sweep_title
from repro.text.document import Block, Details, Paragraph, Section, strong

OUTDATED = "Outdated: the spec has other settings now."


def sweep_section(loaded: LoadedSpec, sweeps: Sequence[SweepRecord]) -> list[Block]:
    """Nothing without sweeps. What each found is hidden until the reader opens it."""
    shown = []
    for record in sweeps:
        blocks = sweep_blocks(record)
        if record.spec_sha256 != settings_now(loaded, record.variant, record.protocol):
            blocks.insert(0, Paragraph(strong(OUTDATED)))
        shown.append(Details(sweep_title(record), tuple(blocks)))
    return [Section("Searches of settings", tuple(shown))] if shown else []

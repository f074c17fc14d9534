"""One paper: its claims, the checks without training, its audit and its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from repro.api.runs import RecordedRuns, recorded_runs, run
from repro.api.shown import Shown
from repro.audit.paper import audit_paper
from repro.audit.records import AuditRecord
from repro.forensics import Finding, examine
from repro.report.audit_section import audit_blocks
from repro.report.forensics_section import findings_section, summary
from repro.runs.dataset import Dataset
from repro.specs.catalog import find_paper
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import PROTOCOLS
from repro.text import units
from repro.text.document import Block, Paragraph

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Findings(Shown):
    """What `repro forensics` finds in a paper's printed numbers."""

    loaded: LoadedSpec
    findings: tuple[Finding, ...]

    @property
    def impossible(self) -> tuple[Finding, ...]:
        """Numbers that no known convention gives, with all premises stated in the paper."""
        return tuple(one for one in self.findings if one.outcome == "impossible")

    def to_frame(self) -> pd.DataFrame:
        """One row per check: check, outcome, claims, arithmetic, meaning."""
        import pandas as pd

        rows = [msgspec.to_builtins(one) for one in self.findings]
        return pd.DataFrame(rows, columns=["check", "outcome", "claims", "arithmetic", "meaning"])

    def blocks(self) -> Sequence[Block]:
        passages = self.loaded.spec.passages
        return (
            Paragraph(summary(passages, self.findings)),
            *findings_section(passages, self.findings, undecided=False),
        )


@dataclass(frozen=True, repr=False)
class PaperAudit(Shown):
    """The overlap of a paper's own splits, by protocol."""

    record: AuditRecord
    variant: str

    def blocks(self) -> Sequence[Block]:
        return audit_blocks(self.record.audits[0].paper, self.variant, self.record)


@dataclass(frozen=True, repr=False)
class ReproducedPaper(Shown):
    """A paper by its spec."""

    loaded: LoadedSpec

    @property
    def id(self) -> str:
        return self.loaded.id

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.loaded.variant_names())

    def claims(self) -> pd.DataFrame:
        """Every number that the paper reports: one row per claim, with quote and place."""
        import pandas as pd

        names = ("id", "variant", "quantity", "value", "unit", "resolution", "split", "quote", "place")
        return pd.DataFrame([{name: getattr(c, name) for name in names} for c in self.loaded.spec.single_claims])

    def forensics(self) -> Findings:
        """Check whether the printed numbers are consistent. Needs no data and no training."""
        return Findings(self.loaded, examine(self.loaded))

    def audit(self, data: Dataset, variant: str = "default") -> PaperAudit:
        """Count the evaluated samples that are also in training, and name the step that put them there."""
        return PaperAudit(audit_paper(self.loaded, data, variant=variant, protocols=PROTOCOLS), variant)

    def run(self, **options: object) -> RecordedRuns:
        """Train it: `repro.run` with this paper."""
        return run(self, **options)  # type: ignore[arg-type]

    def runs(self, results: str | Path = "results") -> RecordedRuns:
        """Its recorded runs."""
        return recorded_runs(self.loaded, Path(results))

    def blocks(self) -> Sequence[Block]:
        main = self.loaded.spec.headline
        reported = f" It reports {units.reported(main)}." if main else ""
        of = f"{len(self.loaded.spec.passages):,} reported numbers; variants: {', '.join(self.variants)}."
        return (Paragraph(f"{self.id}: {self.loaded.spec.paper.title}.{reported} {of}"),)


def paper(name: str | Path) -> ReproducedPaper:
    """A bundled paper by its id, or an own one by the path of its TOML file. Raises SpecError if there is none."""
    return ReproducedPaper(find_paper(str(name)))

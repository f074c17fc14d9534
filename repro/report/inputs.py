"""Everything that a report is made from, read once per command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from repro.audit.data import DataAudit
from repro.audit.records import AuditRecord, read_audit, read_data_audit
from repro.bench.records import BenchRecord, bench_folder, find_bench
from repro.bench.table import BENCH_NAME
from repro.explain.freshness import is_current
from repro.explain.records import Explanation, read_explanation
from repro.judge.copies import CopiesFinding, copies_findings
from repro.judge.freshness import current_audit
from repro.judge.groups import PaperRuns, RecordedRun, collect
from repro.report.figures.folder import Gallery, gallery_of
from repro.runs.rankings import with_rankings
from repro.runs.records import find_records
from repro.specs.decode import LoadedSpec


@dataclass(frozen=True)
class ReportInput:
    """Records, audits, explanations and measurements of a results folder, and the specs.

    runs: by path relative to the results folder. audits: by paper, only current ones. explanations: by paper; None if
    outdated. bench: None if there is neither a folder of measurements nor a page of benchmarks.
    """

    results: Path
    specs: tuple[LoadedSpec, ...]
    runs: tuple[RecordedRun, ...]
    audits: dict[str, tuple[AuditRecord, ...]]
    data: DataAudit | None
    explanations: dict[str, Explanation | None]
    bench: tuple[BenchRecord, ...] | None

    @cached_property
    def papers(self) -> list[PaperRuns]:
        return collect(self.specs, self.runs)

    @property
    def all_audits(self) -> tuple[AuditRecord, ...]:
        return sum(self.audits.values(), ())

    @cached_property
    def copies(self) -> list[CopiesFinding]:
        return list(copies_findings(self.papers, self.results))

    @cached_property
    def gallery(self) -> Gallery:
        return gallery_of(self.papers, self.all_audits, self.copies)


def read_input(results: Path, specs: Sequence[LoadedSpec]) -> ReportInput:
    """Raises RecordError for a record that cannot be read."""
    has_bench = bench_folder(results).is_dir() or (results / BENCH_NAME).exists()
    return ReportInput(
        results=results,
        specs=tuple(specs),
        runs=_recorded(results, specs),
        audits={spec.id: paper_audits(spec, results) for spec in specs},
        data=read_data_audit(results),
        explanations=_explanations(results, specs),
        bench=tuple(find_bench(results)) if has_bench else None,
    )


def paper_audits(spec: LoadedSpec, results: Path) -> tuple[AuditRecord, ...]:
    """The current audits of the paper's variants."""
    found = (read_audit(results, spec.id, variant) for variant in spec.variant_names())
    return tuple(current_audit(spec, audit) for audit in found if audit)


def paper_runs(spec: LoadedSpec, results: Path) -> PaperRuns:
    """One paper with its records.

    Raises RecordError for a record that cannot be read.
    """
    return next(paper for paper in collect([spec], _recorded(results, [spec])) if paper.id == spec.id)


def _recorded(results: Path, specs: Sequence[LoadedSpec]) -> tuple[RecordedRun, ...]:
    found = with_rankings(find_records(results), specs)
    return tuple(RecordedRun(PurePosixPath(path.relative_to(results).as_posix()), record) for path, record in found)


def _explanations(results: Path, specs: Sequence[LoadedSpec]) -> dict[str, Explanation | None]:
    found: dict[str, Explanation | None] = {}
    for spec in specs:
        explanation = read_explanation(results, spec.id)
        if explanation is not None:
            found[spec.id] = None
            if isinstance(explanation, Explanation) and is_current(spec, explanation):
                found[spec.id] = explanation
    return found

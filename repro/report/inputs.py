"""Everything that a report is made from, read once per command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from repro.audit.data import DataAudit
from repro.audit.known_pairs import read_known_pairs
from repro.audit.records import AuditRecord, read_audit, read_data_audit
from repro.bench.records import BenchRecord, bench_folder, scan_bench
from repro.bench.table import BENCH_NAME
from repro.explain.freshness import is_current
from repro.explain.records import Explanation, read_explanation
from repro.judge.copies import CopiesFinding, copies_findings
from repro.judge.freshness import current_audit
from repro.judge.groups import PaperRuns, RecordedRun, collect
from repro.report.figures.folder import Gallery, gallery_of
from repro.runs.rankings import with_rankings
from repro.runs.record_files import RecordError, leave_out
from repro.runs.records import RunRecord
from repro.runs.stored_records import find_records, scan_records
from repro.specs.catalog import is_model, own_papers, recorded_models
from repro.specs.decode import LoadedSpec
from repro.sweep.records import SweepRecord, read_sweep, sweep_paths

Found = TypeVar("Found")


@dataclass(frozen=True)
class ReportInput:
    """Records, audits, explanations and measurements of a results folder, and the specs.

    runs: by path relative to the results folder. audits: by paper, only current ones. explanations: by paper; None if
    outdated. bench: None if there is neither a folder of measurements nor a page of benchmarks. unusable: the records
    of any kind that were left out, each with the reason. sweeps: by paper, of those that have any.
    """

    results: Path
    specs: tuple[LoadedSpec, ...]
    runs: tuple[RecordedRun, ...]
    audits: dict[str, tuple[AuditRecord, ...]]
    data: DataAudit | None
    explanations: dict[str, Explanation | None]
    bench: tuple[BenchRecord, ...] | None
    unusable: tuple[str, ...] = ()
    sweeps: dict[str, tuple[SweepRecord, ...]] = field(default_factory=dict)

    @cached_property
    def papers(self) -> list[PaperRuns]:
        return collect(self.specs, self.runs)

    @cached_property
    def without_models(self) -> list[PaperRuns]:
        """The papers, and runs without a spec. What compares all papers with each other takes these."""
        return [paper for paper in self.papers if not is_model(paper.id)]

    @cached_property
    def models(self) -> list[PaperRuns]:
        """The bundled models that there are records of."""
        return [paper for paper in self.papers if is_model(paper.id)]

    @property
    def all_audits(self) -> tuple[AuditRecord, ...]:
        return sum(self.audits.values(), ())

    @cached_property
    def copies(self) -> list[CopiesFinding]:
        try:
            return list(copies_findings(self.papers, self.results))
        except RecordError:  # the list of pairs, or predictions: said in `unusable`
            return []

    @cached_property
    def gallery(self) -> Gallery:
        return gallery_of(self.papers, self.without_models, self.all_audits, self.copies)


def read_input(results: Path, specs: Sequence[LoadedSpec]) -> ReportInput:
    """specs: to which the own papers of the folder are added, and the bundled models that it has records of, unless
    they are among them; own papers come first.

    A record or a spec that cannot be read stops nothing: it is listed in `unusable`.
    """
    own = own_papers(results)
    given = {spec.id for spec in specs}
    models = recorded_models(results)
    specs = [
        *(spec for spec in own.papers if spec.id not in given),
        *specs,
        *(spec for spec in models if spec.id not in given),
    ]
    has_bench = bench_folder(results).is_dir() or (results / BENCH_NAME).exists()
    unusable = [_within(text, results) for text in own.unusable]

    def read(one: Callable[[], Found], otherwise: Found) -> Found:
        try:
            return one()
        except RecordError as error:
            unusable.append(_within(str(error), results))
            return otherwise

    found = list(scan_records(results, failures=True))
    unusable += [_within(str(record), results) for _, record in found if isinstance(record, RecordError)]
    runs: list[RecordedRun] = []
    for path, record in found:
        if not isinstance(record, RecordError):
            runs += read(lambda path=path, record=record: _recorded(results, specs, [(path, record)]), [])
    explanations: dict[str, Explanation | None] = {}
    for spec in specs:
        explanations |= read(lambda spec=spec: _explanations(results, [spec]), {})
    data = read(lambda: read_data_audit(results), None)
    if data is not None:
        read(lambda: read_known_pairs(results), None)
    bench: list[BenchRecord] = []
    for measured in scan_bench(results):
        if isinstance(measured, RecordError):
            unusable.append(_within(str(measured), results))
        else:
            bench.append(measured)
    return ReportInput(
        results=results,
        specs=tuple(specs),
        runs=tuple(runs),
        audits={spec.id: read(lambda spec=spec: paper_audits(spec, results), ()) for spec in specs},
        data=data,
        explanations=explanations,
        bench=tuple(bench) if has_bench else None,
        sweeps={spec.id: sweeps for spec in specs if (sweeps := _sweeps(spec.id, results, read))},
        unusable=tuple(unusable),
    )


def _sweeps(paper: str, results: Path, read: Callable[..., Any]) -> tuple[SweepRecord, ...]:
    found = (read(lambda path=path: read_sweep(path), None) for path in sweep_paths(results, paper))
    return tuple(record for record in found if record is not None)


def _within(message: str, results: Path) -> str:
    """A message with paths relative to the results folder, so that a report is the same wherever that lies."""
    return message.replace(f"{results}/", "")


def paper_audits(spec: LoadedSpec, results: Path) -> tuple[AuditRecord, ...]:
    """The current audits of the paper's variants. Raises RecordError for one that cannot be read."""
    found = (read_audit(results, spec.id, variant) for variant in spec.variant_names())
    return tuple(current_audit(spec, audit) for audit in found if audit)


def paper_records(spec: LoadedSpec, results: Path) -> tuple[PaperRuns, tuple[AuditRecord, ...]]:
    """One paper with its runs, and its current audits. What cannot be read is left out, with a warning."""
    runs: list[RecordedRun] = []
    for one in find_records(results):
        try:
            runs += _recorded(results, [spec], [one])
        except RecordError as error:  # its predictions
            leave_out(error)
    try:
        audits = paper_audits(spec, results)
    except RecordError as error:
        leave_out(error)
        audits = ()
    return next(paper for paper in collect([spec], runs) if paper.id == spec.id), audits


def _recorded(
    results: Path, specs: Sequence[LoadedSpec], records: Iterable[tuple[Path, RunRecord]]
) -> list[RecordedRun]:
    found = with_rankings(records, specs)
    return [RecordedRun(PurePosixPath(path.relative_to(results).as_posix()), record) for path, record in found]


def _explanations(results: Path, specs: Sequence[LoadedSpec]) -> dict[str, Explanation | None]:
    found: dict[str, Explanation | None] = {}
    for spec in specs:
        explanation = read_explanation(results, spec.id)
        if explanation is not None:
            found[spec.id] = None
            if isinstance(explanation, Explanation) and is_current(spec, explanation):
                found[spec.id] = explanation
    return found

"""The main table: what each document reports, beside the same network under the published and the honest protocols."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from repro.audit.records import AuditRecord
from repro.protocols import AS_PUBLISHED, CLEAN, HONEST, OFFICIAL, REPORTED_SPLIT
from repro.records import RunRecord
from repro.report import units
from repro.report.claims import measure
from repro.report.groups import Group, GroupKey, PaperRuns
from repro.report.judgements import done
from repro.report.markdown import Column, escape, table
from repro.report.tables import NOTHING, describe, headline, measured_cell, reported_cell
from repro.spec import Claim
from repro.verdict import Judgement, judge

LEGEND = """\
As published: the document's own order of data steps and its own evaluation. Official: the same network trained on the
Training rows, any selection on PublicTest, the figure on PrivateTest. Clean: official, without pictures that stand on
two sides or twice. Each mean ± sample standard deviation over n seeds. Inflation: as published minus clean, seed by
seed. Verdict: whether the figure as published reproduces the reported one; the paper's page has the interval."""

COLUMNS = (
    Column("Paper"),
    Column("Figure"),
    Column("Reported", "right"),
    Column("As published", "right"),
    Column("Official", "right"),
    Column("Clean", "right"),
    Column("Inflation", "right"),
    Column("Verdict"),
    Column("Device and data set"),
)
NOT_RUN = "not run"


@dataclass(frozen=True)
class HeadlineRuns:
    """The full runs of a paper's headline variant on one device and data set, by protocol, in the order of their seeds.

    leaky: the audit found evaluated rows of the claim's split among the training rows as published.
    """

    claim: Claim
    place: str
    by_protocol: Mapping[str, Sequence[RunRecord]]
    leaky: bool

    def accuracies(self, protocol: str) -> dict[int, float]:
        """By seed: as published, of the claim's split; under an honest protocol, of PrivateTest."""
        if protocol == AS_PUBLISHED:
            measured = {r.seed: measure(self.claim, [r]) for r in self.by_protocol.get(protocol, ())}
            return {seed: one.mean for seed, one in measured.items() if one}
        return {r.seed: r.metrics[REPORTED_SPLIT].accuracy for r in self.by_protocol.get(protocol, ())}

    def rows(self, protocol: str) -> int | None:
        """Evaluated rows behind the figure."""
        split = self.claim.split if protocol == AS_PUBLISHED else REPORTED_SPLIT
        found = [r.metrics[split].n for r in self.by_protocol.get(protocol, ()) if split in r.metrics]
        return found[0] if found else None

    @property
    def honest(self) -> str:
        """The cleanest protocol that was run."""
        return CLEAN if self.by_protocol.get(CLEAN) else OFFICIAL

    def inflation(self) -> list[float]:
        """As published minus clean, of the seeds that ran under both."""
        published, clean = self.accuracies(AS_PUBLISHED), self.accuracies(CLEAN)
        return [published[seed] - clean[seed] for seed in sorted(published.keys() & clean.keys())]

    def judgement(self) -> Judgement:
        return judge(
            self.claim,
            list(self.accuracies(AS_PUBLISHED).values()),
            list(self.accuracies(self.honest).values()),
            rows=self.rows(AS_PUBLISHED),
            honest_rows=self.rows(self.honest),
            leaky=self.leaky,
        )


def headline_leaks(paper: PaperRuns, audit: AuditRecord | None) -> bool:
    """Whether rows of the headline's split were trained on, as published."""
    claim = headline(paper)
    published = [one for one in audit.audits if one.protocol == AS_PUBLISHED] if audit else []
    return any(claim is not None and claim.split in one.rows and one.shared(claim.split) > 0 for one in published)


def headline_runs(paper: PaperRuns, leaky: bool) -> list[HeadlineRuns]:
    """One per device and data set on which the headline was run in full; empty where no claim is the headline."""
    claim = headline(paper)
    if claim is None:
        return []
    found: dict[tuple[object, ...], list[Group]] = {}
    for group in paper.groups:
        if group.variant == claim.variant and not group.synthetic and not group.key.outdated:
            found.setdefault(_place(group.key), []).append(group)
    return [
        HeadlineRuns(claim, f"{groups[0].key.device_label}, {groups[0].key.data_label}", by_protocol, leaky)
        for _, groups in sorted(found.items(), key=lambda item: str(item[0]))
        if (by_protocol := {group.key.protocol: full for group in groups if (full := done(group))})
    ]


def _place(key: GroupKey) -> tuple[object, ...]:
    """What the figures of a row must share."""
    return key._replace(protocol="", settings="", outdated=False)


def protocol_table(papers: Sequence[PaperRuns], leaky: Mapping[str, bool]) -> str:
    """leaky: by paper id, whether the audit of its published protocol found shared rows."""
    return table(COLUMNS, [row for paper in papers for row in _rows(paper, leaky.get(paper.id, False))])


def _rows(paper: PaperRuns, leaky: bool) -> Iterator[list[str]]:
    claim = headline(paper)
    if claim is None:
        return
    first = [f"[{paper.id}]({paper.id}.md)", describe(claim), reported_cell(claim)]
    runs = headline_runs(paper, leaky)
    for one in runs:
        yield [
            *first,
            _published_cell(one),
            *(_honest_cell(one, protocol) for protocol in HONEST),
            _inflation_cell(one),
            one.judgement().verdict if one.by_protocol.get(AS_PUBLISHED) else NOTHING,
            escape(one.place),
        ]
    if not runs:
        yield [*first, NOT_RUN, *[NOTHING] * 5]


def _published_cell(one: HeadlineRuns) -> str:
    measured = measure(one.claim, one.by_protocol.get(AS_PUBLISHED, ()))
    return measured_cell(one.claim, measured) if measured else NOT_RUN


def _honest_cell(one: HeadlineRuns, protocol: str) -> str:
    values = list(one.accuracies(protocol).values())
    return f"{units.percentage(*_spread(values))} (n = {len(values)})" if values else NOT_RUN


def _inflation_cell(one: HeadlineRuns) -> str:
    values = one.inflation()
    if not values:
        return NOTHING
    mean, std = _spread(values)
    spread = "" if std is None else f" ± {units.number(100 * std, 1)}"
    return f"{units.signed(100 * mean, 1)}{spread} points (n = {len(values)})"


def _spread(values: Sequence[float]) -> tuple[float, float | None]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None

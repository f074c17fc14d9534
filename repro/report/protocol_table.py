"""The main table: what each document reports, beside the same network under the published and the honest protocols."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from repro.audit.records import AuditRecord
from repro.protocols import AS_PUBLISHED, CLEAN, HONEST, PROTOCOLS, REPORTED_SPLIT
from repro.records import RunRecord
from repro.report import units
from repro.report.claims import figure, measure, why_unmeasured
from repro.report.groups import Group, GroupKey, PaperRuns, remarks
from repro.report.judgements import done, is_at_end, judge_runs, leaks
from repro.report.markdown import Column, escape, table
from repro.report.tables import NOTHING, describe, headline, measured_cell, reported_cell
from repro.spec import Claim
from repro.verdict import Judgement

LEGEND = """\
As published: the document's own order of data steps and its own evaluation. Official: the same network trained on the
Training rows, any selection on PublicTest, the figure on PrivateTest. Clean: official, without pictures that stand on
two sides or twice. Each mean ± sample standard deviation over n seeds. Inflation: as published minus clean, seed by
seed. Verdict: whether the figure as published reproduces the reported one; the paper's page has the interval. *It
leaks*: the audit found evaluated rows as published, or their duplicates, among the training rows."""

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

    leaky: see `leaks`.
    """

    paper: PaperRuns
    claim: Claim
    place: str
    by_protocol: Mapping[str, Sequence[RunRecord]]
    leaky: bool | None

    def figures(self, protocol: str) -> dict[int, float]:
        """By seed: as published, of the claim's split; under an honest protocol, the same quantity of PrivateTest."""
        runs = self.by_protocol.get(protocol, ())
        if protocol == AS_PUBLISHED:
            measured = {r.seed: measure(self.claim, [r]) for r in runs}
            return {seed: one.mean for seed, one in measured.items() if one}
        if self.claim.quantity not in ("accuracy", "loss"):
            return {}
        found = {r.seed: figure(self.claim, r.metrics[REPORTED_SPLIT]) for r in runs}
        return {seed: value for seed, value in found.items() if value is not None}

    def inflation(self) -> list[float]:
        """As published minus clean, of the seeds that ran under both; of the accuracy at the end alone."""
        if self.claim.quantity != "accuracy" or not is_at_end(self.claim, self.paper):
            return []
        published, clean = self.figures(AS_PUBLISHED), self.figures(CLEAN)
        return [published[seed] - clean[seed] for seed in sorted(published.keys() & clean.keys())]

    def judgement(self) -> Judgement | None:
        return judge_runs(self.claim, self.by_protocol, self.paper, leaky=self.leaky)


def headline_runs(paper: PaperRuns, audits: Sequence[AuditRecord]) -> list[HeadlineRuns]:
    """One per device and data set on which the headline was run in full; empty where no claim is the headline."""
    claim = headline(paper)
    if claim is None:
        return []
    found: dict[tuple[object, ...], list[Group]] = {}
    for group in paper.groups:
        if group.variant == claim.variant and not group.synthetic and not group.key.outdated:
            found.setdefault(_place(group.key), []).append(group)
    return [
        HeadlineRuns(paper, claim, _place_label(groups[0].key), by_protocol, leaks(claim, fingerprint, audits))
        for _, groups in sorted(found.items(), key=lambda item: str(item[0]))
        for fingerprint in [groups[0].key.fingerprint]
        if (by_protocol := {group.key.protocol: full for group in groups if (full := done(group))})
        and not by_protocol.keys().isdisjoint(PROTOCOLS)
    ]


def _place(key: GroupKey) -> tuple[object, ...]:
    """What the figures of a row must share."""
    return key._replace(protocol="", settings="", outdated=False)


def _place_label(key: GroupKey) -> str:
    return "; ".join([f"{key.device_label}, {key.data_label}", *remarks(key._replace(protocol=AS_PUBLISHED))])


def protocol_table(papers: Sequence[PaperRuns], audits: Sequence[AuditRecord]) -> str:
    """audits: of any papers, variants and data sets."""
    return table(COLUMNS, [row for paper in papers for row in _rows(paper, audits)])


def _rows(paper: PaperRuns, audits: Sequence[AuditRecord]) -> Iterator[list[str]]:
    claim = headline(paper)
    if claim is None:
        if paper.loaded is not None:
            yield [f"[{paper.id}]({paper.id}.md)", "no figure is claimed", *[NOTHING] * 7]
        return
    first = [f"[{paper.id}]({paper.id}.md)", describe(claim), reported_cell(claim)]
    runs = headline_runs(paper, [audit for audit in audits if audit.paper == paper.id])
    for one in runs:
        judged = one.judgement()
        yield [
            *first,
            _published_cell(one),
            *(_honest_cell(one, protocol) for protocol in HONEST),
            _inflation_cell(one),
            verdict_cell(judged, "") if judged else NOTHING,
            escape(one.place),
        ]
    if not runs:
        yield [*first, NOT_RUN, *[NOTHING] * 5]


def verdict_cell(judged: Judgement, mark: str = "**") -> str:
    """The verdict, with what it leaves open."""
    return f"{mark}{judged.verdict}{mark}" + (f" ({judged.caveat})" if judged.caveat else "")


def _published_cell(one: HeadlineRuns) -> str:
    runs = one.by_protocol.get(AS_PUBLISHED, ())
    measured = measure(one.claim, runs)
    return measured_cell(one.claim, measured) if measured else why_unmeasured(one.claim, runs)


def _honest_cell(one: HeadlineRuns, protocol: str) -> str:
    values = list(one.figures(protocol).values())
    if not values:
        return NOTHING if one.by_protocol.get(protocol) else NOT_RUN
    mean, std = _spread(values)
    shown = units.percentage(mean, std) if one.claim.unit == "fraction" else units.mean_and_spread(one.claim, mean, std)
    return f"{shown} (n = {len(values)})"


def _inflation_cell(one: HeadlineRuns) -> str:
    values = one.inflation()
    if not values:
        return NOTHING
    mean, std = _spread(values)
    spread = "" if std is None else f" ± {units.number(100 * std, 1)}"
    return f"{units.signed(100 * mean, 1)}{spread} points (n = {len(values)})"


def _spread(values: Sequence[float]) -> tuple[float, float | None]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None

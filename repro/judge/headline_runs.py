"""The full runs of a paper's headline, by protocol, with the judgement on them and the inflation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from repro.audit.records import AuditRecord
from repro.judge.designs import design_of
from repro.judge.groups import Group, GroupKey, PaperRuns, remarks
from repro.judge.inflation import Difference, difference
from repro.judge.judgements import done, is_at_end, judge_runs, leaks
from repro.judge.main_claim import headline
from repro.judge.measured import figure, measure, samples_behind
from repro.judge.readings import better_reading, readings
from repro.judge.verdicts import Judgement
from repro.runs.records import RunRecord
from repro.specs.protocols import AS_PUBLISHED, CLEAN, COMPLETE_SPLIT, OFFICIAL, PROTOCOLS, REPORTED_SPLIT
from repro.specs.spec import Claim
from repro.statistics import NOT_SAMPLED, Design, Samples


@dataclass(frozen=True)
class HeadlineRuns:
    """The full runs of a paper's headline variant on one device and dataset, by protocol, in the order of their seeds.

    leaky: see `leaks`.
    """

    paper: PaperRuns
    claim: Claim
    place: str
    by_protocol: Mapping[str, Sequence[RunRecord]]
    leaky: bool | None

    def figures(self, protocol: str, split: str = REPORTED_SPLIT) -> dict[int, float]:
        """By seed: as published, of the claim's split; without overlap, the same quantity of `split`."""
        runs = self.by_protocol.get(protocol, ())
        if protocol == AS_PUBLISHED:
            measured = {r.seed: measure(self.claim, [r]) for r in runs}
            return {seed: one.mean for seed, one in measured.items() if one}
        if self.claim.quantity not in ("accuracy", "loss"):
            return {}
        found = {r.seed: figure(self.claim, r.metrics[split]) for r in runs if split in r.metrics}
        return {seed: value for seed, value in found.items() if value is not None}

    @cached_property
    def judgement(self) -> Judgement | None:
        return judge_runs(self.claim, self.by_protocol, self.paper, leaky=self.leaky)

    @cached_property
    def better_reading(self) -> str:
        """The variant that the paper's other numbers support better, if there is one; else empty."""
        better = better_reading(readings(self.paper), self.claim)
        return better[0].variant if better else ""

    @property
    def same_runs(self) -> bool:
        """Whether the runs as published and official are the same."""
        return self.judgement is not None and self.judgement.same_runs

    def inflation_of_paper(self) -> Difference | None:
        """As published minus official; of the accuracy at the end alone."""
        return None if self.same_runs else self._difference(AS_PUBLISHED, OFFICIAL, REPORTED_SPLIT, same_samples=False)

    def inflation_of_dataset(self) -> Difference | None:
        """Official minus clean, on all PrivateTest samples if the clean runs predicted them."""
        complete = self.figures(CLEAN, COMPLETE_SPLIT)
        whole = bool(complete) and complete.keys() == self.figures(CLEAN).keys()
        split = COMPLETE_SPLIT if whole else REPORTED_SPLIT
        same = whole or self._design(OFFICIAL).ours == self._design(CLEAN).ours
        return self._difference(OFFICIAL, CLEAN, split, same_samples=same)

    def _difference(self, first: str, second: str, split: str, *, same_samples: bool) -> Difference | None:
        if self.claim.quantity != "accuracy" or not is_at_end(self.claim, self.paper):
            return None
        runs = [self.by_protocol.get(protocol, ()) for protocol in (first, second)]
        priors = [self.paper.usual.without(records) for records in runs]
        values = [list(self.figures(first).values()), list(self.figures(second, split).values())]
        return difference(
            values[0],
            values[1],
            priors=(priors[0], priors[1]),
            designs=(self._design(first), self._design(second)),
            same_samples=same_samples,
        )

    def _design(self, protocol: str) -> Design:
        runs = self.by_protocol.get(protocol, ())
        if not runs or self.paper.loaded is None:
            return NOT_SAMPLED
        if protocol == AS_PUBLISHED:
            return design_of(self.claim, self.paper.loaded, runs)
        ours = min(samples_behind(self.claim, record.metrics[REPORTED_SPLIT]) for record in runs)
        return Design(Samples.FIXED_OWN, ours, ours, max(runs[0].data.rows, ours)) if ours else NOT_SAMPLED


def headline_runs(paper: PaperRuns, audits: Sequence[AuditRecord], claim: Claim | None = None) -> list[HeadlineRuns]:
    """One per device and dataset on which the headline was run in full; empty if no claim is the headline. claim: in
    place of the headline, the number of another variant."""
    claim = claim or headline(paper)
    if claim is None:
        return []
    found: dict[tuple[object, ...], list[Group]] = {}
    for group in paper.groups:
        if group.variant == claim.variant and group.is_fer2013 and not group.key.outdated:
            found.setdefault(place(group.key), []).append(group)
    return [
        HeadlineRuns(paper, claim, place_label(groups[0].key), by_protocol, leaks(claim, fingerprint, audits))
        for _, groups in sorted(found.items(), key=lambda item: str(item[0]))
        for fingerprint in [groups[0].key.fingerprint]
        if (by_protocol := {group.key.protocol: full for group in groups if (full := done(group))})
        and not by_protocol.keys().isdisjoint(PROTOCOLS)
    ]


def place(key: GroupKey) -> tuple[object, ...]:
    """The properties that the values of a row must share."""
    return key._replace(protocol="", settings="", outdated=False)


def place_label(key: GroupKey) -> str:
    return "; ".join([f"{key.device_label}, {key.data_label}", *remarks(key._replace(protocol=AS_PUBLISHED))])

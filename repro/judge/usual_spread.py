"""The usual spread of single runs over all papers, from which small groups borrow strength.

Runs of the bundled models are left out: everybody trains other models, and a verdict on a paper must not
depend on which. Verdicts on models borrow the spread of the papers too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from repro.judge.dead_runs import dead_run
from repro.runs.records import RunRecord, switch_words
from repro.specs.catalog import paper_files
from repro.specs.protocols import CLEAN, OFFICIAL, PLACEBO, REPORTED_SPLIT
from repro.statistics import Prior, estimate_prior
from repro.statistics.scale import EXTREME

FIXED = (OFFICIAL, CLEAN, PLACEBO)  # protocols that evaluate the same samples in every run


@dataclass(frozen=True)
class UsualSpread:
    """Groups of accuracies at the end of a run on the same samples, by the properties that a group shares.

    Only protocols with fixed samples (`FIXED`), on PrivateTest, between 5 and 95 %. Dead runs are left out, because a
    network that learned nothing varies in its own way. Runs under two protocols count once.
    """

    groups: dict[tuple[object, ...], tuple[float, ...]] = field(default_factory=dict)

    @cached_property
    def prior(self) -> Prior | None:
        return estimate_prior(list(self.groups.values()))

    def without(self, records: Iterable[RunRecord]) -> Prior | None:
        """The prior from all groups but that of these runs."""
        own = {_settings(record) for record in records}
        if own.isdisjoint(self.groups):
            return self.prior
        return estimate_prior([values for key, values in self.groups.items() if key not in own])


def usual_spread(records: Iterable[RunRecord]) -> UsualSpread:
    """From records of any papers. Shortened and failed runs, synthetic faces and models are not used."""
    models = {path.stem for path in paper_files("models")}
    found: dict[tuple[object, ...], dict[int, float]] = {}
    for record in records:
        end = record.metrics.get(REPORTED_SPLIT)
        if record.protocol not in FIXED or record.status != "done" or record.data.synthetic or end is None:
            continue
        if record.paper in models:
            continue
        if 1 - EXTREME <= end.accuracy <= EXTREME and not dead_run(record):
            found.setdefault(_settings(record), {}).setdefault(record.seed, end.accuracy)
    return UsualSpread({key: tuple(one[seed] for seed in sorted(one)) for key, one in found.items() if len(one) > 1})


def _settings(record: RunRecord) -> tuple[object, ...]:
    return (
        record.paper,
        record.variant,
        record.spec_sha256,
        record.data.fingerprint,
        record.data.duplicates_version,
        record.device.kind,
        record.matmul_precision,
        record.training_version,
        switch_words(record.switches),
    )

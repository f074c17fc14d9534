"""The runs that `repro explain` can use: those in the results folder that have the settings of the spec."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from fer_jax import TRAINING_VERSION
from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.judge.groups import settings_now
from repro.runs.records import Overrides, RunRecord, switch_words
from repro.runs.stored_records import find_records
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import AS_PUBLISHED, CLEAN


class Place(NamedTuple):
    """What runs must share to be compared: kind of device, precision of products, dataset, switches of the process."""

    device: str
    precision: str
    fingerprint: str
    switches: str


@dataclass(frozen=True)
class KnownRuns:
    """Complete runs of one variant of a paper at one place."""

    loaded: LoadedSpec
    variant: str
    records: tuple[RunRecord, ...]

    def settings(self, protocol: str) -> str:
        return settings_now(self.loaded, self.variant, protocol)

    def of(self, protocol: str) -> list[RunRecord]:
        """The runs with the protocol's present settings, one per seed. Runs under another protocol with the same
        settings are the same runs."""
        wanted = self.settings(protocol)
        found: dict[int, RunRecord] = {}
        for record in sorted(self.records, key=lambda one: (one.protocol != protocol, one.protocol)):
            if record.spec_sha256 == wanted and record.data.duplicates_version in (None, DUPLICATES_VERSION):
                found.setdefault(record.seed, record)
        return [found[seed] for seed in sorted(found)]

    def outdated(self, protocol: str) -> int:
        """Number of runs with older settings of the protocol, which say nothing about the present ones."""
        current = {(one.protocol, one.seed) for one in self.of(protocol)}
        return sum(one.protocol == protocol and (protocol, one.seed) not in current for one in self.records)

    @cached_property
    def minutes_per_run(self) -> float | None:
        """Mean over the runs of this variant under any protocol; None if there are none."""
        seconds = [record.time.without_pauses_s for record in self.records if not record.same_run_as]
        return statistics.fmean(seconds) / 60 if seconds else None


def known_runs(
    results: Path, loaded: LoadedSpec, variant: str, *, device: str | None = None, fingerprint: str | None = None
) -> KnownRuns:
    """From the results folder. device: cpu or gpu; fingerprint: of the dataset. If None, take the place with the most
    runs of protocol clean, then as published, then any; synthetic data only if it is named. A record that cannot be
    read is left out, with a warning.
    """
    by_place: dict[Place, list[RunRecord]] = {}
    for _, record in find_records(results, within=f"{loaded.id}/{variant}"):
        place = Place(
            record.device.kind, record.matmul_precision, record.data.fingerprint, switch_words(record.switches)
        )
        usable = record.status == "done" and record.overrides == Overrides()
        usable = usable and record.training_version == TRAINING_VERSION
        wanted = device in (None, place.device) and fingerprint in (None, place.fingerprint)
        if usable and wanted and (fingerprint or not record.data.synthetic):
            by_place.setdefault(place, []).append(record)
    groups = [KnownRuns(loaded, variant, tuple(records)) for _, records in sorted(by_place.items())]
    groups.append(KnownRuns(loaded, variant, ()))
    return max(groups, key=lambda runs: (*(len(runs.of(p)) for p in (CLEAN, AS_PUBLISHED)), len(runs.records)))


def accuracies(records: Sequence[RunRecord], split: str) -> tuple[float, ...]:
    return tuple(record.metrics[split].accuracy for record in records)

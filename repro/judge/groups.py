"""Groups of records that may be averaged: same settings, data, device, precision and version of the training
code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple

from fer_jax import TRAINING_VERSION
from fer_jax.duplicates.search import DUPLICATES_VERSION
from fer_jax.vocabulary.counted import counted
from repro.judge.usual_spread import UsualSpread, usual_spread
from repro.runs.data_names import NOT_FER2013
from repro.runs.plan import settings_sha256
from repro.runs.records import Overrides, RunRecord, switch_words
from repro.specs.catalog import place_in_lists
from repro.specs.decode import LoadedSpec, SpecError
from repro.specs.protocols import ALL_PROTOCOLS, AS_PUBLISHED, under_protocol


@dataclass(frozen=True)
class RecordedRun:
    """A record and the path of its run.json, relative to the results folder."""

    path: PurePosixPath
    record: RunRecord


class GroupKey(NamedTuple):
    """The properties that two runs must share to be averaged; only the seed may differ. Sorts in the report's order.

    outdated: the spec's settings, or the search for duplicates that its data steps rely on, were changed after the run,
        so that it is not a run of the current spec.
    settings: `settings_sha256` of what was run.
    switches: `RunRecord.switches` in words.
    """

    device_kind: str
    device_name: str
    device_count: int
    matmul_precision: str
    data_name: str
    fingerprint: str
    protocol: str
    training_version: int
    outdated: bool
    settings: str
    switches: str

    @property
    def data_label(self) -> str:
        return f"{self.data_name} ({self.fingerprint[:8]})"

    @property
    def device_label(self) -> str:
        label = f"{self.device_kind}: {devices(self.device_name, self.device_count)}"
        label = label if self.matmul_precision == "float32" else f"{label}, {self.matmul_precision}"
        return f"{label}, {self.switches}" if self.switches else label


def devices(name: str, count: int) -> str:
    return f"{counted(count, 'device')} {name}" if count > 1 else name


def group_key(record: RunRecord, settings: str | None) -> GroupKey:
    """settings: `settings_sha256` of the record's variant and protocol in the current spec; None if there is no such
    spec."""
    same_pictures = record.data.duplicates_version in (None, DUPLICATES_VERSION)
    changed = settings is not None and (record.spec_sha256 != settings or not same_pictures)
    return GroupKey(
        record.device.kind,
        record.device.name,
        record.device.count,
        record.matmul_precision,
        record.data.shown_name,
        record.data.fingerprint,
        record.protocol,
        record.training_version,
        changed,
        record.spec_sha256,
        switch_words(record.switches),
    )


@dataclass(frozen=True)
class Group:
    """Runs of one paper that differ in nothing but the seed."""

    variant: str
    key: GroupKey
    overrides: Overrides
    runs: tuple[RecordedRun, ...]

    @property
    def records(self) -> list[RunRecord]:
        return [run.record for run in self.runs]

    @property
    def synthetic(self) -> bool:
        return self.runs[0].record.data.synthetic

    @property
    def is_fer2013(self) -> bool:
        """Whether the dataset is the papers', as far as its counts say."""
        return not self.synthetic and self.key.data_name != NOT_FER2013


@dataclass(frozen=True)
class PaperRuns:
    """All runs of one paper. `loaded` is None for a paper without a spec here (`repro run ./my-paper.toml`).

    usual: the spread of single runs over all papers, which the verdicts borrow from.
    """

    id: str
    loaded: LoadedSpec | None
    runs: tuple[RecordedRun, ...]
    usual: UsualSpread = field(default_factory=UsualSpread)

    @cached_property
    def variants(self) -> list[str]:
        """As in the spec, then those that only records name."""
        known = list(self.loaded.variant_names()) if self.loaded else []
        return known + sorted({run.record.variant for run in self.runs} - set(known))

    @cached_property
    def groups(self) -> list[Group]:
        """In the report's order: variants as in the spec, by device, data and protocol, full runs before shortened."""
        ran = {(run.record.variant, run.record.protocol) for run in self.runs}
        settings = {one: settings_now(self.loaded, *one) if self.loaded else None for one in ran}
        found: dict[tuple[int, GroupKey, int, int], list[RecordedRun]] = {}
        for run in self.runs:
            record, short = run.record, run.record.overrides
            key = group_key(record, settings[record.variant, record.protocol])
            place = (self.variants.index(record.variant), key, short.limit_train or 0, short.epochs or 0)
            found.setdefault(place, []).append(run)
        return [
            Group(
                self.variants[place[0]],
                place[1],
                runs[0].record.overrides,
                tuple(sorted(runs, key=lambda run: (run.record.seed, run.path.as_posix()))),
            )
            for place, runs in sorted(found.items(), key=lambda item: item[0])
        ]

    @cached_property
    def comparable(self) -> list[Group]:
        """Groups that can measure claims: the faces of FER-2013, the published protocol, the current spec."""
        return [
            group
            for group in self.groups
            if group.is_fer2013 and group.key.protocol == AS_PUBLISHED and not group.key.outdated
        ]


def settings_now(loaded: LoadedSpec, variant: str, protocol: str) -> str:
    """`settings_sha256` of a variant under a protocol in the current spec. If the variant does not exist, or the
    protocol does not exist or apply, a word that equals no hash."""
    gone = ""
    if variant not in loaded.variant_names() or protocol not in ALL_PROTOCOLS:
        return gone
    try:
        return settings_sha256(under_protocol(loaded.resolve_data(variant), protocol))
    except (ValueError, SpecError):  # a suspect that no longer applies, or a spec without data steps
        return gone


def collect(specs: Sequence[LoadedSpec], runs: Iterable[RecordedRun]) -> list[PaperRuns]:
    """The papers by id with their runs, own papers first; papers found only in records come last.

    runs: of all papers, because each verdict borrows the spread of all (`repro.judge.usual_spread`).
    """
    found: dict[str, list[RecordedRun]] = {}
    runs = list(runs)
    usual = usual_spread(run.record for run in runs)
    for run in runs:
        found.setdefault(run.record.paper, []).append(run)
    loaded = {spec.id: spec for spec in specs}
    own_first = sorted(loaded, key=lambda id: (place_in_lists(id), id))
    ids = [*own_first, *sorted(set(found) - set(loaded))]
    return [PaperRuns(id, loaded.get(id), tuple(found.get(id, ())), usual) for id in ids]


def remarks(key: GroupKey) -> list[str]:
    """What a reader must know before comparing this group's results with others."""
    found = ["not the FER-2013 of the papers: other numbers of samples"] if key.data_name == NOT_FER2013 else []
    if key.outdated:
        found.append("outdated: the spec or the search for duplicates changed after the run")
    if key.training_version != TRAINING_VERSION:
        found.append(f"training code version {key.training_version}, now {TRAINING_VERSION}")
    if key.protocol != AS_PUBLISHED:
        found.append(f"protocol {key.protocol}")
    return found


def distinguish(key: GroupKey, keys: Sequence[GroupKey]) -> str:
    """The kind of device, and the name, precision, dataset and version if they distinguish this group from the paper's
    other groups."""
    parts = [key.device_kind]
    alike = [other for other in keys if other.device_kind == key.device_kind]
    if len({(other.device_name, other.device_count) for other in alike}) > 1:
        parts.append(devices(key.device_name, key.device_count))
    if len({other.matmul_precision for other in alike}) > 1:
        parts.append(key.matmul_precision)
    if len({other.fingerprint for other in keys}) > 1:
        parts.append(key.data_label)
    if key.training_version != TRAINING_VERSION:
        parts.append(f"training code version {key.training_version}")
    if key.switches:
        parts.append(key.switches)
    return ", ".join(parts)

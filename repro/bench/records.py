"""Records of comparisons: their schema, their location, how they are written and read. No JAX here.

``results/bench/<machine>/<paper>-<what>.json``; on a GPU also ``<paper>-<what>-<precision>.json``. A repeated
comparison replaces its record. BENCH.md is computed from the records alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from repro.bench.machine import slug
from repro.runs.record_files import RecordError, decode_record, leave_out, write_atomically
from repro.runs.records import Device, Git

BENCH_FORMAT = 1

What = Literal["train", "predict", "import", "audit", "growth", "seeds"]


class BenchStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base class of all tables in a record."""


class BenchData(BenchStruct, frozen=True, kw_only=True):
    """The rows used. `fingerprint` is that of the whole dataset they come from."""

    name: str
    fingerprint: str
    synthetic: bool
    rows: int
    image_size: int


class Timing(BenchStruct, frozen=True, kw_only=True):
    """One timing. other_cores: cores kept busy by other processes meanwhile; None if the system does not report it."""

    images_per_s: float
    elapsed_s: float
    other_cores: float | None = None


class Round(BenchStruct, frozen=True, kw_only=True):
    """Ours and the rival in direct succession. load: of the machine, averaged over a minute, before and after.
    disturbed: another process used a large share of the cores."""

    own: Timing
    rival: Timing
    load: tuple[float, float]
    disturbed: bool

    @property
    def ratio(self) -> float:
        return self.own.images_per_s / self.rival.images_per_s


class Candidate(BenchStruct, frozen=True, kw_only=True):
    """A contender in one mode with one batch size, as found in scouting; `error` says why it could not run.

    compile_s: the first call minus a later one with the same shapes. peak_memory_bytes: of its process, which may
    also have run other batch sizes; device_memory_bytes on an accelerator.
    """

    name: str
    mode: str
    batch_size: int
    timings: tuple[Timing, ...] = ()
    compile_s: float = 0.0
    peak_memory_bytes: int = 0
    device_memory_bytes: int | None = None
    versions: dict[str, str] = {}
    error: str = ""

    @property
    def images_per_s(self) -> float:
        return statistics.median(t.images_per_s for t in self.timings) if self.timings else 0.0


class Duel(BenchStruct, frozen=True, kw_only=True):
    """Alternating rounds of ours and one rival. Memory and compile times are those at the end of the duel."""

    own: Candidate
    rival: Candidate
    rounds: tuple[Round, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(r.ratio for r in self.rounds)

    @property
    def ratio_range(self) -> tuple[float, float]:
        ratios = [r.ratio for r in self.rounds]
        return min(ratios), max(ratios)

    @property
    def own_images_per_s(self) -> float:
        return statistics.median(r.own.images_per_s for r in self.rounds)

    @property
    def rival_images_per_s(self) -> float:
        return statistics.median(r.rival.images_per_s for r in self.rounds)


class LearningAgreement(BenchStruct, frozen=True, kw_only=True):
    """Whether a rival learns as this suite does, checked before any timing. `key` is a hash of network, precision,
    starting weights and versions: the result holds while it is unchanged. `summary` gives the result in a line,
    `figures` the measured values."""

    rival: str
    key: str
    agrees: bool
    summary: str
    figures: dict[str, Any]


class RivalComparison(BenchStruct, frozen=True, kw_only=True):
    """Training or prediction of one paper's network. multiply_adds: per image, see `arithmetic`."""

    paper: str
    precision: str
    parameters: int
    multiply_adds: int
    seconds: float
    agreements: tuple[LearningAgreement, ...]
    scouted: tuple[Candidate, ...]
    duels: tuple[Duel, ...]

    @property
    def hardest(self) -> Duel | None:
        """The duel against the best rival, by the lowest ratio."""
        return min(self.duels, key=lambda duel: duel.ratio, default=None)


class Way(BenchStruct, frozen=True, kw_only=True):
    """One method of a task on the host; each timing in a fresh process. `images_per_s` counts rows."""

    name: str
    timings: tuple[Timing, ...]
    peak_memory_bytes: int

    @property
    def seconds(self) -> float:
        return statistics.median(t.elapsed_s for t in self.timings)

    def ratios(self, other: Way) -> tuple[float, ...]:
        """The other's time divided by ours, round by round."""
        pairs = zip(other.timings, self.timings, strict=True)
        return tuple(theirs.elapsed_s / ours.elapsed_s for theirs, ours in pairs)


class ImportComparison(BenchStruct, frozen=True, kw_only=True):
    """Our import, the idioms, and opening from the cache, in rounds."""

    file_bytes: int
    own: Way
    idioms: tuple[Way, ...]
    cached: Way

    @property
    def best_idiom(self) -> Way:
        return min(self.idioms, key=lambda idiom: idiom.seconds)


class AuditWay(Way, frozen=True, kw_only=True):
    """One method of searching for duplicates. pairs: found by it; pairs_of_ours: found by it and by our search."""

    pairs: int
    pairs_of_ours: int


class AuditComparison(BenchStruct, frozen=True, kw_only=True):
    """Our search for duplicates and others, in rounds."""

    own: AuditWay
    others: tuple[AuditWay, ...]


class GrowthPoint(BenchStruct, frozen=True, kw_only=True):
    """One value on one axis of growth; `error` says why it could not be measured."""

    value: int
    train: Timing | None = None
    predict: Timing | None = None
    compile_s: float = 0.0
    peak_memory_bytes: int = 0
    device_memory_bytes: int | None = None
    error: str = ""


class Axis(BenchStruct, frozen=True, kw_only=True):
    """How cost grows along one axis: batch_size, image_size, images, devices or seeds."""

    name: str
    batch_size: int
    points: tuple[GrowthPoint, ...]


class Growth(BenchStruct, frozen=True, kw_only=True):
    """The cost of this suite alone, with one paper's network."""

    paper: str
    precision: str = "float32"
    seconds: float
    axes: tuple[Axis, ...]


class BenchRecord(BenchStruct, frozen=True, kw_only=True):
    """One comparison on one machine. `what` decides which of `comparison`, `imported`, `audited` and `growth` is set.

    matmul_flops_per_s: the best rate of a large matrix product between the timings, 0 if none was measured.
    """

    format: int
    what: What
    device: Device
    threads: int
    data: BenchData
    matmul_flops_per_s: float
    load_at_start: float
    comparison: RivalComparison | None = None
    imported: ImportComparison | None = None
    audited: AuditComparison | None = None
    growth: Growth | None = None
    versions: dict[str, str]
    git: Git
    started: str
    finished: str
    command: str

    def __post_init__(self) -> None:
        if self.format != BENCH_FORMAT:
            raise ValueError(f"format is {self.format}, this version reads {BENCH_FORMAT}")
        held = [name for name in ("comparison", "imported", "audited", "growth") if getattr(self, name) is not None]
        if held != [_PART[self.what]]:
            raise ValueError(f"a record of `{self.what}` holds {_PART[self.what]}, this one {held}")

    @property
    def machine(self) -> str:
        return slug(self.device)

    @property
    def file_name(self) -> str:
        if self.what in ("import", "audit"):
            return f"fer2013-{self.what}.json"
        if self.growth is not None:
            return f"{self.growth.paper}-{self.what}{_precision(self.growth.precision)}.json"
        assert self.comparison is not None
        return f"{self.comparison.paper}-{self.what}{_precision(self.comparison.precision)}.json"


_PART: dict[What, str] = {
    "train": "comparison",
    "predict": "comparison",
    "import": "imported",
    "audit": "audited",
    "growth": "growth",
    "seeds": "growth",
}


def _precision(precision: str) -> str:
    """The precision's part of a file name; empty for the default."""
    return "" if precision == "float32" else f"-{precision}"


def bench_folder(results: Path) -> Path:
    return results / "bench"


def bench_path(results: Path, record: BenchRecord) -> Path:
    """The path of a record."""
    return bench_folder(results) / record.machine / record.file_name


def write_bench(results: Path, record: BenchRecord) -> Path:
    """Write a record atomically, replacing an older one of the same comparison."""
    content = _shortened(msgspec.to_builtins(record))
    payload = msgspec.json.format(msgspec.json.encode(content), indent=1)
    return write_atomically(bench_path(results, record), payload + b"\n")


def read_bench(path: Path) -> BenchRecord:
    """Read one record. Raises RecordError for a file that is not a record of this format."""
    return decode_record(path, BenchRecord, f"bench record of format {BENCH_FORMAT}", "measure again")


def scan_bench(results: Path) -> Iterator[BenchRecord | RecordError]:
    """All bench records under a results folder, in the order of their paths, or why one cannot be used."""
    for path in sorted(bench_folder(results).glob("*/*.json")):
        try:
            yield read_bench(path)
        except RecordError as error:
            yield error


def find_bench(results: Path) -> Iterator[BenchRecord]:
    """The bench records under a results folder that can be used; a warning names each other."""
    for found in scan_bench(results):
        if isinstance(found, RecordError):
            leave_out(found)
        else:
            yield found


def _shortened(value: Any) -> Any:
    """Round floats to six significant digits: the rest is noise, and people and diffs read the records."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value

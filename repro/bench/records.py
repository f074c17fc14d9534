"""Records of comparisons: their schema, where they stand, how they are written and read. No JAX here.

``results/bench/<machine>/<paper>-<what>.json``; on a GPU also ``<paper>-<what>-<precision>.json``. A comparison that is
done again replaces its record. BENCH.md is computed from them and from nothing else.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from repro.bench.machine import slug
from repro.runs.records import Device, Git, decode_record, write_atomically

BENCH_FORMAT = 1

What = Literal["train", "predict", "import", "audit", "growth", "seeds"]


class BenchStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all tables of a record share."""


class BenchData(BenchStruct, frozen=True, kw_only=True):
    """The rows that were worked on. `fingerprint` is that of the whole data set they were taken from."""

    name: str
    fingerprint: str
    synthetic: bool
    rows: int
    image_size: int


class Timing(BenchStruct, frozen=True, kw_only=True):
    """One timing. other_cores: cores that other processes kept busy meanwhile; None where the system does not tell."""

    images_per_s: float
    elapsed_s: float
    other_cores: float | None = None


class Round(BenchStruct, frozen=True, kw_only=True):
    """Ours and the rival right after one another. load: of the machine, averaged over a minute, before and after.
    disturbed: another process took a good part of the cores."""

    own: Timing
    rival: Timing
    load: tuple[float, float]
    disturbed: bool

    @property
    def ratio(self) -> float:
        return self.own.images_per_s / self.rival.images_per_s


class Candidate(BenchStruct, frozen=True, kw_only=True):
    """A contender in one mode with one batch size, as it was found in scouting; `error` says why it could not run.

    compile_s: the first call minus a later one with the same shapes. peak_memory_bytes: of its process, which may
    have run other batch sizes too; device_memory_bytes on an accelerator.
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
    """Alternating rounds of ours and one rival. Memory and compile times as they were when the duel was over."""

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
    """Whether a rival learns as this suite does, checked before anything is timed. `key` is a hash of network,
    precision, starting weights and versions: as long as it is the same the result holds. `summary` says what was found
    in a line, `figures` what was measured."""

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
        """Against the best rival: the duel with the lowest ratio."""
        return min(self.duels, key=lambda duel: duel.ratio, default=None)


class Way(BenchStruct, frozen=True, kw_only=True):
    """One way of doing something on the host; each timing in a fresh process. `images_per_s` counts rows."""

    name: str
    timings: tuple[Timing, ...]
    peak_memory_bytes: int

    @property
    def seconds(self) -> float:
        return statistics.median(t.elapsed_s for t in self.timings)

    def ratios(self, other: Way) -> tuple[float, ...]:
        """How many times as long the other took, round by round."""
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
    """One way of searching for duplicates. pairs: that it found; pairs_of_ours: of those that our search finds."""

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
    """Our cost alone, with one paper's network."""

    paper: str
    precision: str = "float32"
    seconds: float
    axes: tuple[Axis, ...]


class BenchRecord(BenchStruct, frozen=True, kw_only=True):
    """One comparison on one machine. Of `comparison`, `imported`, `audited` and `growth` it has the one of its `what`.

    matmul_flops_per_s: the best rate of a large matrix product seen between the timings, 0 where none was measured.
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
    """What a file name says about it: nothing of the default."""
    return "" if precision == "float32" else f"-{precision}"


def bench_folder(results: Path) -> Path:
    return results / "bench"


def bench_path(results: Path, record: BenchRecord) -> Path:
    """Where a record stands."""
    return bench_folder(results) / record.machine / record.file_name


def write_bench(results: Path, record: BenchRecord) -> Path:
    """Write a record in one piece, in the place of an older one of the same comparison."""
    content = _shortened(msgspec.to_builtins(record))
    payload = msgspec.json.format(msgspec.json.encode(content), indent=1)
    return write_atomically(bench_path(results, record), payload + b"\n")


def read_bench(path: Path) -> BenchRecord:
    """Raises RecordError for a file that is not a record of this format."""
    return decode_record(path, BenchRecord, f"bench record of format {BENCH_FORMAT}", "measure again")


def find_bench(results: Path) -> Iterator[BenchRecord]:
    """All bench records under a results folder, in the order of their paths. Raises RecordError."""
    for path in sorted(bench_folder(results).glob("*/*.json")):
        yield read_bench(path)


def _shortened(value: Any) -> Any:
    """Floats to six significant digits: more are noise, and records are read by people and by diffs."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value

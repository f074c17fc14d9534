"""What a sweep tried and found, kept as ``results/sweeps/<paper>/<name>/sweep.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from repro.runs.record_files import read_digested, write_digested

SWEEP_FORMAT = 1
SWEEP_NAME = "sweep.json"


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """number: from 1. settings: lines as for `--set`. accuracy: on the samples that choose, mean over the seeds; None
    for a trial that did not end. epochs: of the first seed. runs: folders below ``results/runs``, by seed."""

    number: int
    variant: str
    settings: tuple[str, ...]
    state: Literal["running", "done", "pruned", "failed"]
    accuracy: float | None
    epochs: int
    runs: tuple[str, ...]


class BestSetting(msgspec.Struct, frozen=True, kw_only=True):
    """trial: its number. chosen_by: accuracy on the samples that chose. reported: accuracies on the reported split, by
    seed, over `samples` of it."""

    trial: int
    chosen_by: float
    reported: tuple[float, ...]
    samples: int


class SweepVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """against: what the best setting is compared with: the paper's own setting, or a claim. word: the answer. tries:
    the best of so many counts. n: runs. p: that the best of so many tries differs; None without a test."""

    against: Literal["own setting", "claim"]
    word: str
    reason: str
    tries: int
    n: int
    p: float | None = None


class SweepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One sweep so far.

    spec_sha256: of the paper's own setting under the protocol. settings_tried: different ones among all trials, pruned
    and failed ones included: each could have been the best. selected_on: the split whose accuracy chose;
    selected_samples: its size, 0 if no trial ended. leakage: why the best setting's accuracy is too high; empty if it
    is not. asked: trials that were asked for.
    """

    format: int
    paper: str
    variant: str
    protocol: str
    spec_sha256: str
    figure: int | None
    data: str
    device: str
    sampler: str
    space: tuple[str, ...]
    seeds: tuple[int, ...]
    asked: int
    pruning: bool
    settings_tried: int
    selected_on: str
    selected_samples: int
    reported_on: str
    leakage: str
    trials: tuple[TrialRecord, ...]
    best: BestSetting | None
    verdicts: tuple[SweepVerdict, ...]


def write_sweep(folder: Path, record: SweepRecord) -> Path:
    return write_digested(folder / SWEEP_NAME, record)


def sweep_paths(results: Path, paper: str) -> list[Path]:
    """The records of a paper's sweeps in a results folder."""
    return sorted((results / "sweeps" / paper).glob(f"*/{SWEEP_NAME}"))


def read_sweep(path: Path) -> SweepRecord:
    """Raises RecordError for a file that is not the record of a sweep, and FileNotFoundError."""
    return read_digested(path, SweepRecord, f"sweep record of format {SWEEP_FORMAT}", "run the same `repro sweep`")

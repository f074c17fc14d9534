"""A job is one command and the files it makes; a stage is a list of jobs with a time limit. No JAX here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fer_jax import TRAINING_VERSION
from repro.runs.plan import RunPlan, make_plan
from repro.runs.records import RECORD_NAME, Overrides
from repro.specs.catalog import COLLECTIONS, bundled_papers
from repro.specs.decode import LoadedSpec

# This folder of the results holds everything except runs and benchmarks: checks, profiles, times, logs.
REPORTS = "gpu"


@dataclass(frozen=True)
class CallSettings:
    """Settings of the whole call. data: as `repro run --data` takes it. seconds: for all stages together. scratch: a
    temporary folder. seeds, variant_seeds: of a paper's default and optimizer variants, and of other variants.
    jobs: parallel commands in the stages whose times do not count. limits: seconds by stage, instead of its default.
    """

    out: Path
    data: str
    seconds: float
    results: Path
    scratch: Path
    device: str = "gpu"
    papers: tuple[str, ...] = ()
    seeds: int = 5
    variant_seeds: int = 3
    epochs: int | None = None
    limit_train: int | None = None
    jobs: int = 4
    stages: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    bench_rounds: int = 3
    bench_seconds: float = 1.0

    @cached_property
    def loaded(self) -> tuple[LoadedSpec, ...]:
        if not self.papers:
            return tuple(bundled_papers())
        return tuple(paper for paper in bundled_papers(*COLLECTIONS) if paper.id in self.papers)

    @property
    def overrides(self) -> Overrides:
        return Overrides(epochs=self.epochs, limit_train=self.limit_train)

    @property
    def reports(self) -> Path:
        return self.results / REPORTS


@dataclass(frozen=True)
class Job:
    """One command.

    name: of its log. command: the words after `python`. plans: the runs it makes; makes: other files it makes, below
    the results folder, as glob patterns. If all exist, the job is done. least: seconds that must be left
    for it to start. environment: variables that differ. beside: runs beside the others of its stage, at the lowest
    priority, and is not waited for.
    """

    name: str
    command: tuple[str, ...]
    plans: tuple[RunPlan, ...] = ()
    makes: tuple[str, ...] = ()
    least: float = 10.0
    environment: dict[str, str] = field(default_factory=dict)
    beside: bool = False

    def done(self, settings: CallSettings) -> bool:
        """Whether all results of the job are in the results folder."""
        if not self.plans and not self.makes:
            return False
        runs = all(_recorded(plan, settings) for plan in self.plans)
        return runs and all(any(settings.results.glob(pattern)) for pattern in self.makes)


@dataclass(frozen=True)
class Stage:
    """Jobs that belong together. seconds: the most they may take. at_once: number of parallel jobs."""

    name: str
    about: str
    seconds: float
    jobs: tuple[Job, ...]
    at_once: int = 1


def run_job(
    settings: CallSettings,
    loaded: LoadedSpec,
    *,
    variant: str = "default",
    protocol: str = "as-published",
    seeds: int,
    more: Sequence[str] = (),
) -> Job:
    """`repro run` of one paper under one protocol."""
    plans = tuple(
        make_plan(loaded, variant=variant, seed=seed, overrides=settings.overrides, protocol=protocol)
        for seed in range(seeds)
    )
    words = ["-m", "repro", "run", loaded.id, "--variant", variant, "--protocol", protocol, "--seeds", str(seeds)]
    return Job(
        name=f"{loaded.id}-{variant}-{protocol}",
        command=(*words, *common_options(settings), *more),
        plans=plans,
    )


def common_options(settings: CallSettings) -> list[str]:
    """Options shared by `repro run` and `repro run-all`."""
    words = ["--device", settings.device, "--data", settings.data, "--results", str(settings.results)]
    for flag, value in (("--epochs", settings.epochs), ("--limit-train", settings.limit_train)):
        words += [flag, str(value)] if value else []
    return words


def records_of(plans: Sequence[RunPlan], settings: CallSettings) -> list[dict[str, Any]]:
    """The records of the finished plans, in the order of the plans."""
    return [record for plan in plans if (record := _recorded(plan, settings))]


def _recorded(plan: RunPlan, settings: CallSettings) -> dict[str, Any] | None:
    """The record of exactly this run in the default precision of the device, if it went as far as it was asked to."""
    place = settings.results / "runs" / plan.paper / plan.variant / settings.device / plan.protocol
    for path in sorted(place.glob(f"*/seed-{plan.seed}/{RECORD_NAME}")):
        try:
            record = json.loads(path.read_bytes())
        except ValueError:
            continue
        wanted = {"epochs": plan.overrides.epochs, "limit_train": plan.overrides.limit_train}
        found = {"epochs": None, "limit_train": None, **record.get("overrides", {})}
        same = record.get("spec_sha256") == plan.sha256 and record.get("training_version") == TRAINING_VERSION
        precise = not path.parent.parent.name.endswith(("-float32", "-bfloat16"))
        if same and precise and found == wanted and record["status"] in ("done", "partial"):
            return record
    return None

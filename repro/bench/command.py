"""The work of `repro bench`: every requested comparison, one record each, and BENCH.md from all records."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from fer_jax.data.faces import DataError
from fer_jax.machine.processor import host_cores
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.settings import Precision
from fer_jax.vocabulary.step_kinds import StepError
from repro.bench import growth
from repro.bench.audit import compare_audits
from repro.bench.comparison import BenchError, ComparisonSettings, choose_rivals, chosen_modes, compare
from repro.bench.import_csv import compare_imports, write_csv
from repro.bench.known_agreements import agreements_with, stored_agreements
from repro.bench.machine import MatmulRate
from repro.bench.measure import SEED
from repro.bench.records import BENCH_FORMAT, BenchData, BenchRecord, LearningAgreement, What, find_bench, write_bench
from repro.bench.table import machine_section, render_bench_folder
from repro.bench.worker import WorkerError, thread_environment
from repro.bench.workload import Workload, make_workload
from repro.runs.dataset import SYNTHETIC_WARNING, Dataset, open_dataset
from repro.runs.environment import command_line, git_state, load_average, versions
from repro.runs.record_files import write_atomically
from repro.runs.records import Device
from repro.specs.decode import LoadedSpec
from repro.text.markdown import block_markdown

# If other processes used this share of the cores over the last minute, the measured rates will be too low.
HIGH_LOAD_SHARE = 0.25


@dataclass(frozen=True)
class Request:
    """The user's request. against: None means every installed rival. device: auto, cpu or gpu. modes: of the rivals;
    None means all. agreements: a second folder with records of which rivals learn alike."""

    papers: tuple[LoadedSpec, ...]
    what: tuple[What, ...]
    device: Any
    against: tuple[str, ...] | None
    rounds: int
    seconds: float
    precision: Precision
    data: str | None
    results: Path
    modes: tuple[str, ...] | None = None
    agreements: Path | None = None


@dataclass(frozen=True)
class BenchOutcome:
    """The records that were written, and a description of each failure."""

    records: tuple[BenchRecord, ...]
    failures: tuple[str, ...]

    def table(self) -> str:
        """Markdown of this call's measurements."""
        return block_markdown([machine_section(self.records)]) if self.records else ""


def say(line: str) -> None:
    """Print progress to standard error."""
    click.echo(line, err=True)


def bench(request: Request) -> BenchOutcome:
    """Make all comparisons. If one fails, report it and continue with the others.

    Raises errors that the user can fix before anything is timed (BenchError, DataError, DeviceError).
    """
    compared = any(what in ("train", "predict") for what in request.what)
    rivals = choose_rivals(request.against) if compared else ()
    place = _Place.find(request)
    folders = [folder for folder in (request.results, request.agreements) if folder is not None]
    records_there = (record for folder in folders for record in find_bench(folder))
    known = stored_agreements(record for record in records_there if record.device == place.device)
    settings = ComparisonSettings(
        place.device.kind,
        rivals,
        request.rounds,
        request.seconds,
        threads=place.device.host_cores,
        modes=chosen_modes(request.modes, rivals, place.device.kind),
    )
    jobs: list[tuple[str, Callable[[], BenchRecord]]] = []
    for what in request.what:
        if what == "import":
            jobs.append((what, partial(_import, request, place)))
        elif what == "audit":
            jobs.append((what, partial(_audit, request, place)))
        elif what in ("growth", "seeds"):
            jobs += [
                (f"{what}, {loaded.id}", partial(_growth, request, place, loaded, what)) for loaded in request.papers
            ]
        else:
            for loaded in request.papers:
                job = partial(_compare, request, place, settings, loaded, what, known)
                jobs.append((f"{what}, {loaded.id}", job))
    records, failures = [], []
    for number, (title, job) in enumerate(jobs, 1):
        say(f"[{number}/{len(jobs)}] {title}")
        try:
            record = job()
        except (BenchError, WorkerError, StepError, DataError) as error:
            failures.append(f"{title}: {error}")
            click.secho(f"{title}: FAILED: {error}", fg="red", err=True)
            continue
        say(f"  wrote {write_bench(request.results, record)}")
        records.append(record)
    for name, text in render_bench_folder(request.results).items():
        write_atomically(request.results / name, text.encode())
    return BenchOutcome(tuple(records), tuple(failures))


@dataclass(frozen=True)
class _Place:
    """The device and dataset of all comparisons of one call."""

    device: Device
    jax_device: Any
    dataset: Dataset
    load: float

    @staticmethod
    def find(request: Request) -> _Place:
        # Before JAX takes its devices here: it computes starting weights and the matmul rate, on the rivals' threads.
        for name, value in thread_environment(host_cores(), "").items():
            os.environ.setdefault(name, value)
        from fer_jax.machine.devices import choose_devices, device_kind, device_name

        devices = choose_devices(request.device)
        kind = device_kind(devices[0])
        if kind == "cpu" and request.precision != "float32":
            raise BenchError(f"--precision {request.precision}: a CPU computes in float32; use --device gpu")
        # One device is timed, however many virtual devices a CPU was divided into.
        device = Device(
            kind=kind,
            name=device_name(devices[0]),
            count=1 if kind == "cpu" else len(devices),
            host_cores=host_cores(),
        )
        dataset = open_dataset(request.data)
        if dataset.faces.synthetic:
            click.secho(f"WARNING: {SYNTHETIC_WARNING}", fg="yellow", err=True)
        load = load_average()
        if load > HIGH_LOAD_SHARE * device.host_cores:
            click.secho(
                f"WARNING: the load average is {load:.2f} on {counted(device.host_cores, 'core')}: "
                "other work runs on this "
                "machine, and rounds that it disturbs will be marked.",
                fg="yellow",
                err=True,
            )
        return _Place(device, devices[0], dataset, load)

    def record(
        self, what: What, *, started: datetime, rows: int, image_size: int, matmul: float, **part: Any
    ) -> BenchRecord:
        faces = self.dataset.faces
        return BenchRecord(
            format=BENCH_FORMAT,
            what=what,
            device=self.device,
            threads=self.device.host_cores,
            data=BenchData(
                name=self.dataset.name,
                fingerprint=faces.fingerprint,
                synthetic=faces.synthetic,
                rows=rows,
                image_size=image_size,
            ),
            matmul_flops_per_s=matmul,
            load_at_start=self.load,
            versions=versions(),
            git=git_state(),
            started=started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command_line(),
            **part,
        )


def _workload(loaded: LoadedSpec, place: _Place, precision: Precision) -> Workload:
    return make_workload(loaded, place.dataset.faces, seeds=(SEED,), precision=precision)


def _compare(
    request: Request,
    place: _Place,
    settings: ComparisonSettings,
    loaded: LoadedSpec,
    what: Any,
    known: list[LearningAgreement],
) -> BenchRecord:
    """known: verdicts so far; new ones are added to this list."""
    started = datetime.now(UTC)
    workload = _workload(loaded, place, request.precision)
    # In float32 whatever is timed: coarser rounding drives two frameworks apart even if they follow the same rule.
    agreements = agreements_with(dataclasses.replace(workload, precision="float32"), settings, known, say)
    known += agreements
    agreeing = tuple(a.rival for a in agreements if a.agrees)
    if not agreeing:
        found = "; ".join(f"{a.rival}: {a.summary}" for a in agreements)
        raise BenchError(f"{loaded.id}: no rival learns as this suite does, so nothing was timed ({found})")
    matmul = MatmulRate(place.jax_device, place.device.kind, request.precision)
    settings = ComparisonSettings(**{**vars(settings), "rivals": agreeing})
    comparison = compare(workload, what, settings, agreements=agreements, between=matmul.measure, say=say)
    rows, size = workload.images.shape[:2]
    return place.record(
        what, started=started, rows=rows, image_size=size, matmul=matmul.flops_per_s, comparison=comparison
    )


def _import(request: Request, place: _Place) -> BenchRecord:
    started = datetime.now(UTC)
    faces = place.dataset.faces
    with tempfile.TemporaryDirectory(prefix="bench-csv-") as folder:
        given = Path(request.data) if request.data and request.data.endswith(".csv") else None
        path = given or write_csv(faces, Path(folder) / "fer2013.csv")
        threads = place.device.host_cores
        imported = compare_imports(path, rounds=request.rounds, threads=threads, say=say)
    rows, size = faces.images.shape[:2]
    return place.record("import", started=started, rows=rows, image_size=size, matmul=0.0, imported=imported)


def _audit(request: Request, place: _Place) -> BenchRecord:
    started = datetime.now(UTC)
    images = place.dataset.faces.images
    audited = compare_audits(images, rounds=request.rounds, threads=place.device.host_cores, say=say)
    rows, size = images.shape[:2]
    return place.record("audit", started=started, rows=rows, image_size=size, matmul=0.0, audited=audited)


def _growth(request: Request, place: _Place, loaded: LoadedSpec, what: What) -> BenchRecord:
    """Measure every axis, or for "seeds" that axis alone."""
    started = datetime.now(UTC)
    workload = _workload(loaded, place, request.precision)
    device = place.device
    settings = growth.GrowthSettings(device.kind, device.host_cores, request.seconds, devices=device.count)
    measured = growth.measure_growth(workload, growth.seeds_alone(settings) if what == "seeds" else settings, say)
    rows, size = workload.images.shape[:2]
    return place.record(what, started=started, rows=rows, image_size=size, matmul=0.0, growth=measured)

"""``python -m repro.gpu.profile PAPER``: how a device spends the time of a training step.

Speed is measured without the profiler, then some updates are traced with it. On a GPU every kernel and copy is an event
of a stream. Time in which no stream is busy is spent waiting for launches and for the host.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import click
import jax

from fer_jax.machine.devices import choose_devices, device_kind, device_name
from fer_jax.machine.precision import default_precision
from repro.bench.contenders.own import Own
from repro.bench.workload import draw_batches, make_workload
from repro.runs.dataset import open_dataset
from repro.runs.record_files import write_atomically
from repro.specs.catalog import find_paper

STEPS, TRACED_STEPS, REPEATS = 400, 50, 3
TINY_STEPS = 4
SHOWN = 8


class Event(NamedTuple):
    """An operation of a device; times in nanoseconds."""

    name: str
    start: float
    end: float


def profile(paper: str, data: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Seconds of an update, its events, and the share of the time that the device was busy."""
    devices = choose_devices("gpu" if device == "gpu" else "cpu")
    precision = default_precision(devices[0])
    workload = make_workload(find_paper(paper), open_dataset(data).faces, precision=precision)
    own = Own("default", workload, device_kind(devices[0]))
    steps, traced = (TINY_STEPS, TINY_STEPS) if tiny else (STEPS, TRACED_STEPS)
    batch = workload.network.training.batch_size
    rows, few = (draw_batches(len(workload.labels), batch, count) for count in (steps, traced))
    own.reset(0)
    own.train(rows)
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        own.train(rows)
        seconds.append((time.perf_counter() - begin) / steps)
    own.train(few)  # compiles before the trace
    with tempfile.TemporaryDirectory(prefix="repro-trace-") as folder:
        with jax.profiler.trace(folder):
            begin = time.perf_counter()
            own.train(few)
            traced_s = (time.perf_counter() - begin) / traced
        events = device_events(Path(folder), device_kind(devices[0]))
    return {
        "paper": paper,
        "device": device_name(devices[0]),
        "precision": precision,
        "flags": os.environ.get("XLA_FLAGS", ""),
        "batch": batch,
        "step_us": 1e6 * min(seconds),
        "images_per_s": batch / min(seconds),
        "traced_step_us": 1e6 * traced_s,
        **summary(events, traced),
    }


def device_events(folder: Path, kind: str) -> list[Event]:
    """The events of all streams of the GPUs; on a CPU those of XLA's own threads."""
    found = []
    for path in sorted(folder.rglob("*.xplane.pb")):
        data = jax.profiler.ProfileData.from_file(str(path))
        for plane in data.planes:
            of_gpu = plane.name.startswith("/device:GPU")
            if of_gpu != (kind == "gpu") or (kind == "cpu" and plane.name != "/host:CPU"):
                continue
            for line in plane.lines:
                if line.name.startswith("Stream") if of_gpu else "xla" in line.name.lower():
                    found += [Event(e.name, e.start_ns, e.start_ns + e.duration_ns) for e in line.events]
    return found


def summary(events: Iterable[Event], steps: int) -> dict[str, Any]:
    """Per update: the number of events, how long at least one was running, and the kinds that took the most time."""
    events = sorted(events, key=lambda event: event.start)
    if not events:
        return {"events_per_step": 0.0, "busy_us": 0.0, "busy_share": None, "kinds": []}
    busy, until = 0.0, events[0].start
    by_kind: dict[str, list[float]] = defaultdict(list)
    for event in events:
        busy += max(0.0, event.end - max(event.start, until))
        until = max(until, event.end)
        by_kind[kind_of(event.name)].append(event.end - event.start)
    span = until - events[0].start
    largest = sorted(by_kind.items(), key=lambda item: -sum(item[1]))[:SHOWN]
    return {
        "events_per_step": len(events) / steps,
        "busy_us": busy / steps / 1e3,
        "busy_share": busy / span if span else None,
        "kinds": [
            {"name": name, "us_per_step": sum(times) / steps / 1e3, "per_step": len(times) / steps}
            for name, times in largest
        ],
    }


def kind_of(name: str) -> str:
    """A kernel's name without the numbers that distinguish its copies, cut to 100 characters."""
    return re.sub(r"[._]\d+", "", name)[:100]


@click.command()
@click.argument("paper")
@click.option("--data", required=True)
@click.option("--device", type=click.Choice(["gpu", "cpu"]), default="gpu")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--tiny", is_flag=True, help="A few updates only.")
def main(paper: str, data: str, device: str, out: Path, tiny: bool) -> None:
    """Measure an update of one paper's network, and say what it consists of."""
    report = profile(paper, data, device, tiny=tiny)
    write_atomically(out, json.dumps(report, indent=1).encode() + b"\n")
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

"""``python -m repro.gpu.reruns killed|first-epoch PAPER``: the same run twice, by ordinary `repro run` commands.

killed: a run that is killed after a checkpoint and restarted, against one that was never interrupted.
first-epoch: the first epochs on the device in float32, against the CPU.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from fer_jax.train.checkpoint import is_written
from repro.runs.record_files import write_atomically
from repro.runs.records import CHECKPOINTS_NAME, RunRecord
from repro.runs.stored_records import find_records

# Absolute errors of the training loss. After a kill the same updates follow, but a GPU adds up sums in no fixed order,
# and training amplifies such rounding.
FIRST_EPOCH_ERROR = 1e-3
KILLED_ERROR = 0.05
EPOCHS = {"killed": 4, "first-epoch": 2}
SHORT_KILLED_EPOCHS = 10  # of few samples: long enough to be killed before the end
POLL_S = 0.002
SEEDS = 2


class Rerun:
    """`repro run` of a few epochs into a separate results folder."""

    def __init__(self, paper: str, results: Path, *, epochs: int, data: str, device: str, more: list[str]) -> None:
        self.results = results
        words = ["run", paper, "--epochs", str(epochs), "--data", data, "--device", device, "--results", str(results)]
        self.command = [sys.executable, "-m", "repro", *words, *more]
        shutil.rmtree(results, ignore_errors=True)

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, stdin=subprocess.DEVNULL)

    def finish(self) -> list[RunRecord]:
        """The records, seed by seed. Raises CalledProcessError."""
        subprocess.run(self.command, stdin=subprocess.DEVNULL, check=True)
        return [record for _, record in find_records(self.results)]

    def checkpoints(self) -> int:
        """The number of runs with a finished checkpoint."""
        try:
            folders = list(self.results.glob(f"runs/**/{CHECKPOINTS_NAME}"))
        except FileNotFoundError:  # a run that has just ended deletes its checkpoints
            return 0
        return sum(is_written(folder, "last") for folder in folders)


def killed(paper: str, scratch: Path, *, epochs: int, data: str, device: str, more: list[str]) -> list[dict[str, Any]]:
    """Kill once every seed has a checkpoint, restart, and compare the losses with an uninterrupted run."""
    settings: dict[str, Any] = {"epochs": epochs, "data": data, "device": device}
    seeds = ["--seeds", str(SEEDS), "--seeds-at-once", str(SEEDS), "--checkpoint-every", "0", "--keep-going", *more]
    cut = Rerun(paper, scratch / "cut", **settings, more=seeds)
    process = cut.start()
    try:
        while process.poll() is None and cut.checkpoints() < SEEDS:
            time.sleep(POLL_S)
        ended = process.poll() is not None
    finally:
        process.kill()
        process.wait()
    resumed = cut.finish()
    whole = Rerun(paper, scratch / "whole", **settings, more=seeds).finish()
    apart = [_apart(a, b) for a, b in zip(resumed, whole, strict=True)]
    passed = not ended and all(r.resumed == 1 for r in resumed) and max(apart) <= KILLED_ERROR
    return [
        {
            "name": "killed and resumed",
            "passed": passed,
            "ended_before_the_kill": ended,
            "resumed": [record.resumed for record in resumed],
            "losses_apart": apart,
        }
    ]


def first_epoch(
    paper: str, scratch: Path, *, epochs: int, data: str, device: str, more: list[str]
) -> list[dict[str, Any]]:
    """The losses of the first epochs on the device and on the CPU."""
    settings: dict[str, Any] = {"epochs": epochs, "data": data}
    precise = ["--precision", "float32", *more]
    (here,) = Rerun(paper, scratch / "device", **settings, device=device, more=precise).finish()
    (there,) = Rerun(paper, scratch / "cpu", **settings, device="cpu", more=precise).finish()
    apart = _apart(here, there)
    return [
        {
            "name": f"first epochs on {here.device.kind} and CPU",
            "passed": apart <= FIRST_EPOCH_ERROR,
            "loss": [entry.train.loss for entry in here.history],
            "loss_on_cpu": [entry.train.loss for entry in there.history],
            "loss_apart": apart,
        }
    ]


def _apart(one: RunRecord, other: RunRecord) -> float:
    """The largest difference between the training losses of two runs; infinite if their numbers of epochs differ."""
    if len(one.history) != len(other.history) or not one.history:
        return math.inf
    return max(abs(a.train.loss - b.train.loss) for a, b in zip(one.history, other.history, strict=True))


@click.command()
@click.argument("what", type=click.Choice(sorted(EPOCHS)))
@click.argument("paper")
@click.option("--data", required=True)
@click.option("--device", type=click.Choice(["gpu", "cpu"]), default="gpu")
@click.option("--scratch", type=click.Path(path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--limit-train", type=int)
def main(what: str, paper: str, data: str, device: str, scratch: Path, out: Path, limit_train: int | None) -> None:
    """Do one of the two checks; exit 1 where it failed."""
    check = killed if what == "killed" else first_epoch
    more = ["--limit-train", str(limit_train)] if limit_train else []
    begin = time.perf_counter()
    epochs = SHORT_KILLED_EPOCHS if limit_train and what == "killed" else EPOCHS[what]
    found = check(paper, scratch / what, epochs=epochs, data=data, device=device, more=more)
    report = {"paper": paper, "checks": found, "seconds": time.perf_counter() - begin}
    write_atomically(out, json.dumps(report, indent=1).encode() + b"\n")
    click.echo(json.dumps(report, indent=1))
    raise SystemExit(0 if all(one["passed"] for one in found) else 1)


if __name__ == "__main__":
    main()

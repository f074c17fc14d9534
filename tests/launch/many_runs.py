"""Many short runs of real data on a real engine, with workers killed at random, held against one process.

    python tests/launch/many_runs.py --on slurm --runs 200 --workers 4 --kills 20 --data fer2013.csv

Prints one line and ends with exit code 1 unless each run was made exactly once, every record equals that of a single
process bit for bit, and nothing is left behind. With --kills 0 the line's efficiency says what the engine costs: the
seconds of all runs, divided by the seconds for which there were workers. --on slurm wants SLURM_CONF
(`one_machine_slurm.sh`).
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from runs_shared_out import mistakes, records_in  # noqa: E402

from repro.runs.claim import holder_of  # noqa: E402

SHORT = ("--epochs", "1", "--limit-train", "500", "--device", "cpu")


def repro(*words: str, cwd: Path) -> subprocess.Popen[bytes]:
    with (cwd / f"{words[0]}.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "repro", *words], cwd=cwd, stdout=log, stderr=log)


def cluster_of(workers: int) -> str:
    """The address of a Ray with a place for each worker, however few cores there are: like the Slurm of these tests. It
    ends with this process, and its nodes have this environment."""
    import ray  # pyright: ignore[reportMissingImports]

    ray.init(num_cpus=workers, log_to_driver=False, logging_level=logging.ERROR)
    return ray.get_runtime_context().gcs_address


def kill_some(results: Path, process: subprocess.Popen[bytes], runs: int, kills: int, chance: random.Random) -> int:
    """Kill workers that hold a run, at random moments all over the launch. Returns how many."""
    killed = 0
    due = sorted(chance.uniform(0, runs - 1) for _ in range(kills))  # runs that are finished by then
    while process.poll() is None:
        time.sleep(chance.uniform(0.05, 1.0))
        finished = sum(1 for _ in results.glob("runs/*/*/*/*/*/seed-*/run.json"))
        if killed == kills or finished < due[killed]:
            continue
        holders = [holder_of(path.parent) for path in results.glob("runs/*/*/*/*/*/seed-*/claim-*.json")]
        working = [one.pid for one in holders if one is not None]
        if working:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(working), signal.SIGKILL)
                killed += 1
    return killed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=("local", "slurm", "ray"), default="local")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--alone", type=Path, help="results folder of the single process, if it is there already")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ |= {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    folder = Path(tempfile.mkdtemp(prefix="many-runs-"))
    words = ("basani2017", "--seeds", str(asked.runs), *SHORT, "--data", asked.data)
    alone_in = (asked.alone or folder / "alone").absolute()
    # Local workers have a share of the cores each; how one process rounds depends on their number.
    cores = sorted(os.sched_getaffinity(0))
    used = max(1, len(cores) // asked.workers) if asked.on == "local" else len(cores)
    os.sched_setaffinity(0, cores[:used])
    if repro("run", *words, "--results", str(alone_in), cwd=folder).wait():
        print(f"the single process failed; see {folder}")
        return 1
    os.sched_setaffinity(0, cores)
    had = {record.device.host_cores for record in records_in(alone_in).values()}
    if had != {used}:
        print(f"{alone_in}: made on {sorted(had)} cores, the workers have {used}: rounding differs with their number")
        return 1
    results = folder / "shared"
    begin = time.monotonic()
    launched = ("--on", asked.on, "--workers", str(asked.workers), "--results", str(results))
    if asked.on == "ray":
        os.environ["RAY_ADDRESS"] = cluster_of(asked.workers)
    process = repro("launch", *words, *launched, cwd=folder)
    killed = kill_some(results, process, asked.runs, asked.kills, random.Random(asked.seed))
    wall_s = time.monotonic() - begin
    alone, shared = records_in(alone_in), records_in(results)
    wrong = mistakes(alone, shared, results)
    if process.returncode:
        wrong.append(f"the launch ended with {process.returncode}")
    run_s = sum(record.time.total_s for record in shared.values())
    print(
        f"{asked.on}: {len(shared)} runs, {asked.workers} workers, {killed} killed, {wall_s:.0f} s, "
        f"efficiency {run_s / (asked.workers * wall_s):.2f}; {len(wrong)} mistakes ({folder})"
    )
    for mistake in wrong[:20]:
        print(mistake)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Options of an engine that starts workers, shared by `launch` and `sweep`, and the workers. Imports nothing slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.run_options import is_given
from repro.cli.run_selection import SeedChoice
from repro.decide.duration import Duration
from repro.launch.executor import LOGS_FOLDER, EngineName, Executor, LaunchError, Resources, Workers, is_over

if TYPE_CHECKING:
    from repro.runs.status import RunStatus

POLL_S = 2.0
SAY_S = 30.0  # between lines if nothing changes
ENGINE_OPTIONS = ("cores", "gpus", "longest", "at_most", "engine_options", "no_shared_disk", "detach")
_ONLY_ON = {"longest": "slurm", "at_most": "slurm", "detach": "slurm", "no_shared_disk": "ray"}
_FLAGS = {
    "engine_options": "--engine-option",
    "longest": "--time",
    "at_most": "--at-most",
    "detach": "--detach",
    "no_shared_disk": "--no-shared-disk",
}


def engine_options(default: EngineName | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The flags that choose an engine and what each worker gets. default: of --on; None: this process does the work."""
    options = (
        click.option(
            "--on",
            "engine",
            type=click.Choice(get_args(EngineName)),
            default=default,
            show_default=default is not None,
            help="`local`: processes on this machine. `slurm`: an array of jobs (extra `slurm`). `ray`: tasks of the "
            "cluster that RAY_ADDRESS names, else of one on this machine (extra `ray`).",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            help="Processes that share the work. Default: one per GPU, or per two cores, of this machine; 4 elsewhere.",
        ),
        click.option("--cores", type=click.IntRange(min=1), help="Cores of each worker."),
        click.option(
            "--gpus", type=click.FloatRange(min=0), help="GPUs of each worker; a fraction shares a card (Ray)."
        ),
        click.option(
            "--time",
            "longest",
            type=Duration(),
            metavar="TIME",
            help="Slurm: longest time of a job. Before it ends the job is put into the queue again.",
        ),
        click.option("--at-most", type=click.IntRange(min=1), help="Slurm: jobs that may run at the same time."),
        click.option(
            "--engine-option",
            "engine_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="Passed on to Slurm, such as partition=gpu. May be repeated.",
        ),
        click.option(
            "--no-shared-disk",
            is_flag=True,
            help="Ray: nodes do not see the results folder. Records are sent back; networks and checkpoints are not.",
        ),
        click.option(
            "--detach", is_flag=True, help="Slurm: return at once; `repro status` shows how far the runs are."
        ),
    )

    def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return with_options


def refuse_other_options(engine: EngineName | None, given: dict[str, Any]) -> None:
    """For commands that need no engine, and whose workers share a folder. Raises click.UsageError for an option of an
    engine where none is asked for, and for --no-shared-disk."""
    if engine is None:
        for name in ("workers", *ENGINE_OPTIONS):
            if is_given(name):
                raise click.UsageError(f"{_FLAGS.get(name, '--' + name.replace('_', '-'))}: only with --on")
    elif given["no_shared_disk"]:
        raise click.UsageError("--no-shared-disk: the workers of this command share a folder")


def start_workers(
    engine: EngineName, command: list[str], workers: int | None, results: Path, device: str, given: dict[str, Any]
) -> Workers:
    """Start workers with the same ``repro COMMAND``. given: the values of `ENGINE_OPTIONS`.

    Raises click.UsageError for a flag of another engine, and LaunchError.
    """
    for name, only in _ONLY_ON.items():
        if given[name] and engine != only:
            raise click.UsageError(f"{_FLAGS[name]}: only with --on {only}")
    cards = _cards() if engine == "local" and device != "cpu" else []
    gpus = given["gpus"] if given["gpus"] is not None else float(bool(cards))
    count = workers or (4 if engine != "local" else len(cards) or max(1, len(os.sched_getaffinity(0)) // 2))
    minutes = None if given["longest"] is None else -(-given["longest"] // 60)
    resources = Resources(given["cores"], gpus, minutes, tuple(given["engine_options"]))
    started = _executor(engine, results, cards, given).start(command, count, resources)
    click.echo(
        f"{counted(count, 'worker')} on {engine}: repro {' '.join(command)}; messages in {started.logs}", err=True
    )
    return started


def given_words(skip: set[str]) -> list[str]:
    """The options that the user gave to the present command, as words, and the results folder in any case. skip: names
    of options that are left out."""
    context = click.get_current_context()
    words: list[str] = []
    for param in context.command.params:
        if isinstance(param, click.Option) and param.name not in skip and is_given(param.name or ""):
            words += _words(param, context.params[param.name or ""])
    if not is_given("results"):
        words += ["--results", str(context.params["results"].absolute())]
    return words


def for_workers(word: str) -> str:
    """A paper or sweep for the command of workers, whose working folder may be another: a file by its full path."""
    path = Path(word)
    return str(path.absolute()) if path.suffix == ".toml" or path.name != word else word


def _words(option: click.Option, value: Any) -> list[str]:
    flag = max(option.opts, key=len)
    if option.is_flag:
        return [flag]
    values = value if option.multiple else (value,)
    return [word for one in values for word in (flag, _text(option, one))]


def _text(option: click.Option, value: Any) -> str:
    if isinstance(value, SeedChoice):
        return str(len(value.seeds)) if value.counted else ",".join(map(str, value.seeds)) + ","
    if isinstance(value, Path):
        return str(value.absolute())
    if option.name == "data" and Path(value).exists():
        return str(Path(value).absolute())
    return f"{value}s" if isinstance(option.type, Duration) else str(value)


def _executor(engine: EngineName, results: Path, cards: list[str], given: dict[str, Any]) -> Executor:
    logs = results / LOGS_FOLDER / f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    if engine == "local":
        from repro.launch.local import LocalExecutor

        return LocalExecutor(logs, cards)
    if engine == "slurm":
        from repro.launch.slurm import SlurmExecutor

        return SlurmExecutor(logs, given["at_most"])
    from repro.launch.ray_cluster import RayExecutor

    return RayExecutor(results, logs.name, shared=not given["no_shared_disk"])


def _cards() -> list[str]:
    """The numbers of this machine's GPUs that this process may use."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [card for card in visible.split(",") if card.strip()]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = subprocess.run([tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return asked.stdout.split() if asked.returncode == 0 else []


def wait_for_runs(started: Workers, results: Path) -> dict[str, int]:
    """Wait for workers that make the runs of a results folder. Returns how many ended in which state."""
    from repro.runs.status import run_statuses

    return wait_for(started, lambda: f"runs: {_totals(run_statuses(results))}")


def wait_for(started: Workers, how_far: Callable[[], str]) -> dict[str, int]:
    """Wait for the workers, and report their progress at intervals. Returns how many ended in which state."""
    said: tuple[str, float] = "", 0.0
    try:
        while not is_over(states := started.poll()):
            text = f"workers: {_counts(states)}"
            if text != said[0] or time.monotonic() - said[1] > SAY_S:
                click.echo(f"{text}; {how_far()}", err=True)
                said = text, time.monotonic()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        click.echo("ending the workers; what they had begun can be resumed", err=True)
        started.cancel()
        raise
    return states


def refuse_failed(started: Workers, states: dict[str, int]) -> None:
    """Raises LaunchError if a worker failed."""
    if states.get("failed"):
        raise LaunchError(
            f"{counted(states['failed'], 'worker')} failed ({getattr(started, 'error', '') or started.logs})"
        )


def _counts(states: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def _totals(found: list[RunStatus]) -> str:
    return _counts(dict(Counter(one.state for one in found))) or "none yet"

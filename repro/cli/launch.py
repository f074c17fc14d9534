"""The command-line interface of `repro launch`. Imports nothing slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.options import example, print_json
from repro.cli.run_options import is_given, run_options
from repro.cli.run_selection import SeedChoice
from repro.decide.duration import Duration
from repro.launch.executor import EngineName, Executor, LaunchError, Resources, Workers, is_over
from repro.specs.catalog import find_paper

if TYPE_CHECKING:
    from repro.runs.status import RunStatus

POLL_S = 2.0
SAY_S = 30.0  # between lines if nothing changes

EXAMPLE = example(
    "repro launch --seeds 5 --protocol all --on local --workers 4",
    "repro launch teta2022 --seeds 20 --on slurm --workers 10 --time 4h --engine-option partition=gpu --gpus 1",
    "repro launch --seeds 5 --on ray --workers 8 --gpus 0.25",
)


@click.command(epilog=EXAMPLE)
@click.argument("paper", required=False)
@click.option("--variants", is_flag=True, help="Every variant too, not only the default of each paper.")
@run_options
@click.option("--on", "engine", type=click.Choice(get_args(EngineName)), default="local", show_default=True,
              help="`local`: processes on this machine. `slurm`: an array of jobs (extra `slurm`). `ray`: tasks of the "
              "cluster that RAY_ADDRESS names, else of one on this machine (extra `ray`).")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), help="Processes that share the runs. Default: one per GPU, or "
              "per two cores, of this machine; 4 elsewhere.")  # fmt: skip
@click.option("--cores", type=click.IntRange(min=1), help="Cores of each worker.")
@click.option("--gpus", type=click.FloatRange(min=0), help="GPUs of each worker; a fraction shares a card (Ray).")
@click.option("--time", "longest", type=Duration(), metavar="TIME",
              help="Slurm: longest time of a job. Before it ends the job is put into the queue again.")  # fmt: skip
@click.option("--at-most", type=click.IntRange(min=1), help="Slurm: jobs that may run at the same time.")
@click.option("--engine-option", "engine_options", multiple=True, metavar="KEY=VALUE",
              help="Passed on to Slurm, such as partition=gpu. May be repeated.")  # fmt: skip
@click.option("--no-shared-disk", is_flag=True, help="Ray: nodes do not see the results folder. Records are sent back; "
              "networks and checkpoints are not.")  # fmt: skip
@click.option("--detach", is_flag=True, help="Slurm: return at once; `repro status` shows how far the runs are.")
def launch(paper: str | None, variants: bool, engine: EngineName, workers: int | None, **options: Any) -> None:
    """Make the runs of `repro run-all`, or of one PAPER, with several workers, and wait for them.

    Workers share the results folder: each takes the next free run, and resumes what a dead one had begun. `repro plan
    --all` lists the runs before; `repro status --watch` shows them meanwhile.
    """
    given = {name: options.pop(name) for name in _ENGINE_OPTIONS}
    results: Path = options["results"]
    _refuse(engine, given)
    command = _command(paper, variants)
    cards = _cards() if engine == "local" and options["device"] != "cpu" else []
    gpus = given["gpus"] if given["gpus"] is not None else float(bool(cards))
    count = workers or (4 if engine != "local" else len(cards) or max(1, len(os.sched_getaffinity(0)) // 2))
    minutes = None if given["longest"] is None else -(-given["longest"] // 60)
    resources = Resources(given["cores"], gpus, minutes, tuple(given["engine_options"]))
    started = _executor(engine, results, cards, given).start(command, count, resources)
    click.echo(f"{count} workers on {engine}: repro {' '.join(command)}; messages in {started.logs}", err=True)
    if given["detach"]:
        click.echo(f"repro status --results {results} --watch shows how far they are", err=True)
        return
    _finish(started, results, as_json=options["as_json"])


_ENGINE_OPTIONS = ("cores", "gpus", "longest", "at_most", "engine_options", "no_shared_disk", "detach")
_OF_LAUNCH = {"paper", "variants", "engine", "workers", "as_json", *_ENGINE_OPTIONS}
_ONLY_ON = {"longest": "slurm", "at_most": "slurm", "detach": "slurm", "no_shared_disk": "ray"}
_FLAGS = {"longest": "--time", "at_most": "--at-most", "detach": "--detach", "no_shared_disk": "--no-shared-disk"}


def _refuse(engine: EngineName, given: dict[str, Any]) -> None:
    for name, only in _ONLY_ON.items():
        if given[name] and engine != only:
            raise click.UsageError(f"{_FLAGS[name]}: only with --on {only}")
    if is_given("fresh"):
        raise click.UsageError("--fresh: every worker would train every run again; delete the results first")
    if is_given("shard"):
        raise click.UsageError("--shard: the workers share the runs by themselves")


def _command(paper: str | None, variants: bool) -> list[str]:
    """The words of `repro run` or `repro run-all` that each worker gets: those that the user gave."""
    if paper is None:
        words = ["run-all", *(["--variants"] if variants else [])]
    else:
        find_paper(paper, click.get_current_context().params["results"])  # an unknown paper is an error here already
        words = ["run", paper, *(["--variant", "all"] if variants else [])]
    context = click.get_current_context()
    for param in context.command.params:
        if isinstance(param, click.Option) and param.name not in _OF_LAUNCH and is_given(param.name or ""):
            words += _words(param, context.params[param.name or ""])
    if not is_given("results"):
        words += ["--results", str(context.params["results"].absolute())]
    return words


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
    logs = results / "launch" / f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    if engine == "local":
        from repro.launch.local import LocalExecutor

        return LocalExecutor(logs, cards)
    if engine == "slurm":
        from repro.launch.slurm import SlurmExecutor

        return SlurmExecutor(logs, given["at_most"])
    from repro.launch.ray_cluster import RayExecutor

    return RayExecutor(results, shared=not given["no_shared_disk"])


def _cards() -> list[str]:
    """The numbers of this machine's GPUs that this process may use."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [card for card in visible.split(",") if card.strip()]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = subprocess.run([tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return asked.stdout.split() if asked.returncode == 0 else []


def _finish(started: Workers, results: Path, *, as_json: bool) -> None:
    """Wait for the workers, say now and then how far they are, and show what became of the runs."""
    from repro.report.run_status import status_builtins, status_document
    from repro.runs.status import run_statuses
    from repro.text.terminal import terminal

    said: tuple[str, float] = "", 0.0
    try:
        while not is_over(states := started.poll()):
            text = f"workers: {_counts(states)}"
            if text != said[0] or time.monotonic() - said[1] > SAY_S:
                click.echo(f"{text}; runs: {_totals(run_statuses(results))}", err=True)
                said = text, time.monotonic()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        click.echo("ending the workers; what they had begun can be resumed", err=True)
        started.cancel()
        raise
    found = run_statuses(results)
    if as_json:
        print_json({"workers": states, "runs": status_builtins(found)})
    else:
        click.echo(terminal(status_document(results, found)))
    if states.get("failed"):
        raise LaunchError(
            f"{counted(states['failed'], 'worker')} failed ({getattr(started, 'error', '') or started.logs})"
        )
    if any(one.state == "failed" for one in found):
        sys.exit(1)


def _counts(states: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def _totals(found: list[RunStatus]) -> str:
    return _counts(dict(Counter(one.state for one in found))) or "none yet"

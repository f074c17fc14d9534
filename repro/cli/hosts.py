"""`repro run` on several hosts: the options, and what each process does. Imports nothing slow."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.errors import HostLost
from repro.cli.guard import guard_against_jax, note_ended, note_joined
from repro.cli.last_resort import show_error
from repro.cli.starting import begin_kernels, sign_of_life

Place = tuple[str, int | None, int | None]  # the fields of `fer_jax.machine.hosts.Coordinator`
AUTO = "auto"
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):(\d{1,5})")

_OPTIONS = (
    click.option(
        "--coordinator",
        metavar="auto|HOST:PORT",
        help="One run on several hosts: start the same command on each. `auto`: as Slurm (srun), Open MPI or "
        "Kubernetes started them. HOST:PORT: where process 0 listens, with --processes and --process-id.",
    ),
    click.option("--processes", type=click.IntRange(min=1), metavar="N", help="With --coordinator HOST:PORT."),
    click.option(
        "--process-id",
        type=click.IntRange(min=0),
        metavar="K",
        help="With --coordinator HOST:PORT: this one, from 0. Process 0 alone reads and writes results.",
    ),
)


def host_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of a run on several hosts: the arguments of `run_place`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def run_place(coordinator: str | None, processes: int | None, process_id: int | None) -> Place | None:
    """Which process of how many this is; None for a run on this machine alone. Raises click.UsageError."""
    if coordinator is None:
        if processes is not None or process_id is not None:
            raise click.UsageError("--processes and --process-id need --coordinator HOST:PORT")
        return None
    if coordinator == AUTO:
        if processes is not None or process_id is not None:
            raise click.UsageError("--coordinator auto: omit --processes and --process-id")
    else:
        found = _ADDRESS.fullmatch(coordinator)
        if found is None or not 0 < int(found[2]) < 65536:
            raise click.UsageError(f"--coordinator {coordinator}: write auto, or HOST:PORT, such as gpu1:9911")
        if processes is None or process_id is None:
            raise click.UsageError("--coordinator HOST:PORT needs --processes N and --process-id K")
        if process_id >= processes:
            raise click.UsageError(f"--process-id {process_id}: --processes {processes} are numbered from 0")
    return coordinator, processes, process_id


def with_other_hosts(place: Place, work: Callable[[], None], options: dict[str, Any]) -> None:
    """Process 0 does `work`; the others train with it, and end when it ends, with its exit code.

    options: of the command. If a process ends with an error, all end with one.
    """
    address = "" if place[0] == AUTO else f" at {place[0]}"
    guard_against_jax(
        f"the hosts could not join{address}: start the same command on every host, each with its own --process-id, and "
        "open the port of process 0"
    )
    with sign_of_life("waiting for the other hosts"):
        from fer_jax.machine import hosts
        from repro.runs.orders import equal_on_all_hosts

        try:
            hosts.join(hosts.Coordinator(*place), device=options["device"], card=equal_on_all_hosts())
        except hosts.HostError as error:
            _leave_at_once(show_error(error))
    note_joined()
    if not hosts.several():
        work()
    elif hosts.leads():
        click.echo(f"{_number_of_hosts()}; if one ends, all end, and the same command resumes", err=True)
        _lead(work)
    else:
        click.echo(f"{_number_of_hosts()}; the first one reads and writes the results", err=True)
        _follow(options)


def _number_of_hosts() -> str:
    import jax

    return f"process {jax.process_index()} of {jax.process_count()}, {counted(len(jax.devices()), 'device')} in all"


def _lead(work: Callable[[], None]) -> None:
    from fer_jax.machine import hosts

    why, code = "", 0
    try:
        work()
    except HostLost as error:
        _leave_at_once(show_error(error))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except click.ClickException as error:
        error.show()
        why, code = error.format_message(), error.exit_code
    except Exception as error:
        code = show_error(error)
        why = str(error)
    except BaseException:  # Ctrl-C, perhaps in the middle of what all compute
        click.echo("Aborted!", err=True)
        _leave_at_once(1)
    sys.stdout.flush()
    try:
        hosts.leave(why[:500], code)
    except HostLost as error:
        # Nothing is lost if the work was done. Otherwise its own error is shown already.
        _leave_at_once(code or show_error(error))
    note_ended(code)
    hosts.disconnect()
    sys.exit(code)


def _follow(options: dict[str, Any]) -> None:
    from fer_jax.machine import hosts

    try:
        with sign_of_life():
            from repro.runs.batch import open_context
            from repro.runs.follower import follow

        begin_kernels(options["device"])
        names = ("device", "data", "results", "fresh")
        ended = follow(lambda: open_context((), **{name: options[name] for name in names}), _say)
    except Exception as error:
        _leave_at_once(show_error(error))
    except BaseException:
        click.echo("Aborted!", err=True)
        _leave_at_once(1)
    if str(ended):
        click.echo(f"the first host ended: {ended}", err=True)
    note_ended(ended.code)
    hosts.disconnect()
    sys.exit(ended.code)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _leave_at_once(code: int) -> NoReturn:
    """Without the clean-up of JAX, which waits for minutes for hosts that are gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

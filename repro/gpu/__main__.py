"""``python -m repro.gpu OUT DATA SECONDS``: runs all stages, each within its time. Saves records after each job."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tarfile
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import click

from fer_jax.vocabulary.counted import counted
from repro.gpu.archive import ArchiveError, restore, save
from repro.gpu.jobs import CallSettings, Stage
from repro.gpu.reports import key_figures
from repro.gpu.schedule import DONE, DONE_BEFORE, FAILED, OUT_OF_TIME, SKIPPED, JobResult, Running, run_stage
from repro.gpu.stages import LIMITS, stages
from repro.text.markdown import Column, escape, table

# Reserved for the last archive and the table.
TAIL_S = 6.0
SAVE_EVERY_S = 15.0
EXIT_FAILED = 1


def _words(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _limits(ctx: click.Context, parameter: click.Parameter, value: str) -> dict[str, float]:
    found = {}
    for part in _words(ctx, parameter, value):
        name, _, seconds = part.partition("=")
        if name not in LIMITS or not seconds.replace(".", "", 1).isdigit():
            raise click.BadParameter(f"{part!r}: as in works=60,published=300; stages: {', '.join(LIMITS)}")
        found[name] = float(seconds)
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "GPU"})
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.argument("data")
@click.argument("seconds", type=click.FloatRange(min=1))
@click.option("--device", type=click.Choice(["gpu", "cpu"]), default="gpu", show_default=True, envvar="DEVICE")
@click.option("--results", type=click.Path(path_type=Path, file_okay=False), default=Path("results"), show_default=True)
@click.option("--archive", "archives", multiple=True, type=click.Path(path_type=Path), help="Records of earlier calls.")
@click.option("--stages", default="", callback=_words, help=f"Only these, separated by commas: {', '.join(LIMITS)}.")
@click.option("--papers", default="", callback=_words, help="Only these, separated by commas.")
@click.option("--seeds", default=5, show_default=True, help="Seeds of each paper and protocol.")
@click.option("--variant-seeds", default=3, show_default=True, help="Seeds of each variant.")
@click.option("--epochs", type=int, help="Shorten every run.")
@click.option("--limit-train", type=int, help="Shorten every run, and the checks too.")
@click.option("--jobs", default=4, show_default=True, help="Commands side by side where times do not count.")
@click.option("--limits", default="", callback=_limits, help="Seconds by stage, such as works=60,published=300.")
@click.option("--bench-seconds", default=1.0, show_default=True, help="Of one timing beside PyTorch.")
@click.option("--bench-rounds", default=3, show_default=True, help="Rounds beside PyTorch.")
@click.option("--dry-run", is_flag=True, help="Only list the commands.")
def main(out: Path, archives: tuple[Path, ...], dry_run: bool, **options: Any) -> None:
    """Do everything that a GPU is asked for, in SECONDS at most, and leave the records in OUT/results.tgz.

    DATA is FER-2013 in any form. Every option is also an environment variable: GPU_SEEDS, GPU_STAGES and so on; DEVICE
    for --device. What is in the results folder, or in an archive of an earlier call, is not done again.
    """
    begin = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that jobs are ended too
    with tempfile.TemporaryDirectory(prefix="repro-gpu-", ignore_cleanup_errors=True) as scratch:
        settings = CallSettings(out=out, scratch=Path(scratch), **options)
        unknown = [name for name in settings.stages if name not in LIMITS]
        if unknown or len(settings.papers or settings.loaded) != len(settings.loaded):
            raise click.UsageError(f"no such stage or paper: {', '.join(unknown or settings.papers)}")
        if dry_run:
            _list(settings)
            return
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share the device
        for path in (*archives, *sorted(out.glob("results*.tgz"))):
            try:
                _say(f"{path}: {counted(restore([path], settings.results), 'file')} of an earlier call")
            except (OSError, tarfile.TarError, EOFError, zlib.error) as error:  # costs time, but no result
                _say(f"{path}: nothing taken from it ({error})")
        failed = _run(settings, begin)
    sys.exit(EXIT_FAILED if failed else 0)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _list(settings: CallSettings) -> None:
    for stage in stages(settings):
        click.echo(f"# {stage.name}: {stage.about}; at most {stage.seconds:.0f} s, {stage.at_once} at once")
        for job in stage.jobs:
            variables = "".join(f"{name}={shlex.quote(value)} " for name, value in job.environment.items())
            done = "  # done before" if job.done(settings) else ""
            click.echo(f"{variables}python {shlex.join(job.command)}{done}")


class _Saver:
    """Writes the archives, at most once every few seconds unless forced."""

    def __init__(self, settings: CallSettings) -> None:
        self.settings, self.at = settings, time.monotonic()

    def __call__(self, *, now: bool = False) -> None:
        if not now and time.monotonic() - self.at < SAVE_EVERY_S:
            return
        try:
            save(self.settings.out, self.settings.results, self.settings.device)
        except (ArchiveError, OSError) as error:
            _say(f"the archive: {error}")
        self.at = time.monotonic()


def _run(settings: CallSettings, begin: float) -> bool:
    """Run all stages, then print the table; returns whether anything failed."""
    rows, errors, beside = [], [], []
    saver = _Saver(settings)
    try:
        for stage in stages(settings):
            left = settings.seconds - (time.monotonic() - begin) - TAIL_S
            _say(f"{stage.name}: {stage.about}; {counted(len(stage.jobs), 'command')}, {left:.0f} s left in all")
            if stage.name == "speed":
                _stop(beside)  # this stage's times count
            started = time.monotonic()
            limit = min(stage.seconds, left)
            results = run_stage(stage, settings, seconds=limit, kept=saver, say=_say, beside=beside)
            saver(now=True)
            rows.append(_row(settings, stage, results, time.monotonic() - started))
            errors += [one for one in results if one.error]
    finally:
        _stop(beside)
    text = table([Column("Stage"), Column("Status"), Column("Seconds", "right"), Column("Key figures")], rows)
    failures = [f"{one.job.name}: {one.status} after {one.seconds:.0f} s\n{_indented(one.error)}" for one in errors]
    whole = "\n\n".join([text, *failures, f"{time.monotonic() - begin:.0f} s in all, of {settings.seconds:.0f}"])
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "table.md").write_text(whole + "\n", "utf-8")
    saver(now=True)
    click.echo(whole)
    return any(one.status == FAILED for one in errors)


def _stop(beside: list[Running]) -> None:
    while beside:
        beside.pop().stop()


def _row(settings: CallSettings, stage: Stage, results: list[JobResult], seconds: float) -> list[str]:
    counts = {
        word: sum(one.status == word for one in results) for word in (DONE, DONE_BEFORE, FAILED, OUT_OF_TIME, SKIPPED)
    }
    status = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing to do"
    try:
        figures = key_figures(settings, stage)
    except (KeyError, ValueError, TypeError) as error:  # an unreadable value must not cost a record
        figures = f"not readable: {error!r}"
    return [stage.name, status, f"{seconds:.0f}", escape(figures)]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


if __name__ == "__main__":
    main()

"""The command line. Thin: it reads words, calls one function per command, prints. Only commands that run import JAX."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from fer_jax.settings import PRECISIONS
from repro import __version__
from repro.catalog import all_papers, find_paper, paper_files
from repro.decode import DEFAULT_VARIANT, LoadedSpec, SpecError
from repro.options import device_option, json_option, results_option
from repro.protocols import AS_PUBLISHED, RUNNABLE

EXIT_RUN_FAILED = 1
EXIT_BAD_INPUT = 2
ALL = "all"


# Commands in files of their own, imported when they are called for.
ELSEWHERE = {
    "audit": "repro.audit.cli",
    "bench": "repro.bench.cli",
    "explain": "repro.explain.cli",
    "export": "repro.export.cli",
    "forensics": "repro.forensics.cli",
    "plan": "repro.report.cli",
    "predict": "repro.recognition.cli",
    "report": "repro.report.cli",
    "serve": "repro.serve.cli",
    "webcam": "repro.recognition.cli",
}


class _Commands(click.Group):
    """Turns every error that the user can mend into one message and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ELSEWHERE:
            return getattr(importlib.import_module(ELSEWHERE[cmd_name]), cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not _is_users(error):
                raise
            click.echo(f"error: {error}", err=True)
            ctx.exit(EXIT_BAD_INPUT)


def _is_users(error: Exception) -> bool:
    """By name, because importing the module of DeviceError would import JAX."""
    return type(error).__name__ in {
        "SpecError",
        "DataError",
        "DeviceError",
        "RecordError",
        "StepError",
        "CheckpointError",
        "TooFewRows",
        "PrecisionError",
        "BenchError",
        "ExportError",
        "RecognitionError",
        "PictureError",
        "ServeError",
        "PageError",
    }


def _example(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="repro")
def main() -> None:
    """Reproduce the numbers of facial-expression-recognition papers on FER-2013."""


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


# --- papers ---------------------------------------------------------------------------------------------------------


@main.command("list", epilog=_example("repro list", "repro list --json"))
@json_option
def list_papers(as_json: bool) -> None:
    """The papers, their headline and their variants."""
    from repro.describe import paper_row, papers_table

    papers = all_papers()
    if as_json:
        _print_json([paper_row(paper) for paper in papers])
    else:
        click.echo(papers_table(papers))


@main.command(
    epilog=_example("repro show teta2022", "repro show chavan2020 --variant fig4", "repro show ./my-paper.toml")
)
@click.argument("paper")
@click.option("--variant", default=DEFAULT_VARIANT, show_default=True, help="Show the settings of this variant.")
@json_option
def show(paper: str, variant: str, as_json: bool) -> None:
    """What one paper says: settings with their provenance, claims, contradictions."""
    from repro.describe import paper_document, paper_text

    loaded = find_paper(paper)
    if as_json:
        _print_json(paper_document(loaded, variant))
    else:
        click.echo(paper_text(loaded, variant))


@main.command(epilog=_example("repro validate", "repro validate ./my-paper.toml"))
@click.argument("papers", nargs=-1)
def validate(papers: tuple[str, ...]) -> None:
    """Check specs: all that come with the suite, or the named papers and files."""
    wrong = 0
    for name in papers or tuple(str(path) for path in paper_files()):
        try:
            loaded = find_paper(name)
        except SpecError as error:
            wrong += 1
            click.echo(f"error: {error}", err=True)
            continue
        spec = loaded.spec
        parts = f"{len(spec.claims)} claims, {len(spec.curves)} curves, {len(spec.tables)} tables"
        click.echo(f"{loaded.id}: valid; {parts}, {len(spec.variants)} variants besides the default")
    if wrong:
        sys.exit(EXIT_BAD_INPUT)


# --- runs -----------------------------------------------------------------------------------------------------------


def _run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that `run` and `run-all` share."""
    for option in reversed(
        [
            click.option(
                "--protocol",
                type=click.Choice([*RUNNABLE, ALL]),
                default=AS_PUBLISHED,
                show_default=True,
                help="`as-published`: the paper's own data steps. `official`: train on Training, report PrivateTest. "
                "`clean`: official without train/test overlap. "
                "`placebo`: official with as few samples as clean. `all`: each.",
            ),
            click.option(
                "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Runs seeds 0 to N-1."
            ),
            click.option(
                "--seeds-at-once",
                type=click.IntRange(min=1),
                help="Trains up to N seeds side by side in one program. Default: all on a GPU, 1 on a CPU.",
            ),
            device_option,
            click.option(
                "--precision",
                type=click.Choice(PRECISIONS),
                help="In which a GPU multiplies. Default: tensorfloat32 on one that has it. A CPU has float32 alone.",
            ),
            click.option(
                "--data",
                help="FER-2013: a csv, zip, tar, npz, parquet file or a folder; or the word `synthetic`. "
                "Default: the data set imported last, else synthetic faces.",
            ),
            click.option("--epochs", type=click.IntRange(min=1), help="Stop after N epochs; the record is 'partial'."),
            click.option("--limit-train", type=click.IntRange(min=1), help="Train on N rows; the record is 'partial'."),
            results_option,
            click.option("--fresh", is_flag=True, help="Ignore existing results and train from scratch."),
            click.option(
                "--checkpoint-every",
                type=click.FloatRange(min=0),
                help="Least seconds between checkpoints. Default: 0 on a CPU (one after each epoch), 30 on a GPU.",
            ),
            click.option(
                "--keep-going",
                is_flag=True,
                help="Train to the end even if the network learns nothing. By default a run fails if after 10 passes "
                "over the training samples and a fifth of its updates no epoch beats the constant answer (the most "
                "frequent class).",
            ),
            json_option,
        ]
    ):
        function = option(function)
    return function


@main.command(
    epilog=_example(
        "repro run chavan2020",
        "repro run teta2022 --data fer2013.csv --seeds 3",
        "repro run ./my-paper.toml --epochs 1",
    )
)
@click.argument("paper")
@click.option("--variant", default=DEFAULT_VARIANT, show_default=True, help="`repro list` names them; `all` runs each.")
@_run_options
def run(paper: str, variant: str, **options: Any) -> None:
    """Train and evaluate one paper, as it was published or under an honest protocol; go on where a run was stopped."""
    loaded = find_paper(paper)
    names = loaded.variant_names() if variant == ALL else (variant,)
    _run_plans([(loaded, name) for name in names], **options)


@main.command(
    "run-all", epilog=_example("repro run-all --data fer2013.csv --seeds 3", "repro run-all --device gpu --seeds 5")
)
@click.option("--variants", is_flag=True, help="Every variant too, not only the default of each paper.")
@_run_options
def run_all(variants: bool, **options: Any) -> None:
    """Every paper that comes with the suite. Goes on after a failed run and exits 1 at the end."""
    jobs = [(p, name) for p in all_papers() for name in (p.variant_names() if variants else (DEFAULT_VARIANT,))]
    _run_plans(jobs, **options)


def _run_plans(
    jobs: list[tuple[LoadedSpec, str]],
    *,
    protocol: str,
    seeds: int,
    seeds_at_once: int | None,
    device: Any,
    precision: Any,
    data: str | None,
    epochs: int | None,
    limit_train: int | None,
    results: Path,
    fresh: bool,
    checkpoint_every: float | None,
    keep_going: bool,
    as_json: bool,
) -> None:
    from repro.plan import make_plan
    from repro.records import Overrides

    overrides = Overrides(epochs=epochs, limit_train=limit_train)
    plans = [
        make_plan(
            loaded,
            variant=v,
            seed=s,
            overrides=overrides,
            protocol=p,
            precision=precision,
            keep_going=keep_going,
        )
        for loaded, v in jobs
        for p in _protocols(protocol)
        for s in range(seeds)
    ]

    from repro.batch import run_plans

    records = run_plans(
        plans,
        device=device,
        data=data,
        results=results,
        fresh=fresh,
        seeds_at_once=seeds_at_once,
        checkpoint_every_s=checkpoint_every,
    )
    if as_json:
        _print_json([msgspec.to_builtins(record) for record in records])
    if any(record.status == "failed" for record in records):
        sys.exit(EXIT_RUN_FAILED)


def _protocols(word: str) -> tuple[str, ...]:
    """Those that `--protocol` names."""
    return tuple(protocol for protocol in RUNNABLE if word in (protocol, ALL))


# --- data -----------------------------------------------------------------------------------------------------------


@main.group(epilog=_example("repro data status", "repro data import fer2013.csv", "repro data get --from kaggle"))
def data() -> None:
    """Bring FER-2013, and see what is there."""


@data.command(epilog=_example("repro data status", "repro data status --json"))
@json_option
def status(as_json: bool) -> None:
    """The imported data sets, and which one runs use by default."""
    from repro.data_commands import status_document, status_text

    if as_json:
        _print_json(status_document())
    else:
        click.echo(status_text())


@data.command("import", epilog=_example("repro data import fer2013.csv", "repro data import ~/Downloads/archive.zip"))
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def import_data(path: Path, as_json: bool) -> None:
    """Read FER-2013 in any form, cache it, and make it the default of later runs."""
    from repro.data_commands import import_document, import_text

    if as_json:
        _print_json(import_document(path))
    else:
        click.echo(import_text(path))


@data.command(epilog=_example("repro data get --from kaggle", "repro data get --from huggingface"))
@click.option(
    "--from",
    "source",
    type=click.Choice(["kaggle", "huggingface"]),
    default="kaggle",
    show_default=True,
    help="Whose client downloads it. Needs the extra `get`.",
)
def get(source: Any) -> None:
    """Download FER-2013 with the official client, and import it."""
    from repro.data_commands import get_text

    click.echo(get_text(source))

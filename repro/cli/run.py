"""The command-line interface of `repro run` and `repro run-all`. Imports nothing slow."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fer_jax.vocabulary.settings import PRECISIONS, Precision
from repro.cli.options import device_option, json_option, results_option
from repro.cli.starting import begin_kernels, sign_of_life
from repro.decide.duration import Duration
from repro.specs.catalog import find_paper
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec, SpecError
from repro.specs.protocols import AS_PUBLISHED, RUNNABLE

if TYPE_CHECKING:
    from repro.decide.question import Question
    from repro.report.verdict_card import VerdictCard

EXIT_RUN_FAILED = 1
ALL = "all"
LOOKS = "3, 5, 8, 12 and 20"
EXAMPLE = """\
\b
Example:
  repro run chavan2020
  repro run teta2022 --data fer2013.csv --seeds 3
  repro run ./my-paper.toml --epochs 1
  repro run teta2022 --until-decided --budget 2h"""


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
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
                "--seeds",
                type=click.IntRange(min=1),
                default=1,
                show_default=True,
                help="Run seeds 0 to N-1. With --until-decided: at most N seeds.",
            ),
            click.option(
                "--until-decided",
                is_flag=True,
                help="Add seeds until the main claim is decided: same, lower or higher. Looks after "
                f"{LOOKS} seeds, at levels that keep the error rates although it looks several times.",
            ),
            click.option(
                "--budget",
                type=Duration(),
                metavar="TIME",
                help="With --until-decided: stop before the next look would take longer. 90s, 20m, 2h or 1h30m.",
            ),
            click.option(
                "--seeds-at-once",
                type=click.IntRange(min=1),
                help="Train up to N seeds side by side in one program. Default: all on a GPU, 1 on a CPU.",
            ),
            device_option,
            click.option(
                "--precision",
                type=click.Choice(PRECISIONS),
                help="Precision of matrix multiplication and convolution on a GPU. Default: tensorfloat32 if the GPU "
                "supports it. CPUs always use float32.",
            ),
            click.option(
                "--data",
                help="FER-2013: a csv, zip, tar, npz, parquet file or a folder; or the word `synthetic`. "
                "Default: the dataset imported last, else synthetic faces.",
            ),
            click.option("--epochs", type=click.IntRange(min=1), help="Stop after N epochs; the record is 'partial'."),
            click.option(
                "--limit-train", type=click.IntRange(min=1), help="Train on N samples; the record is 'partial'."
            ),
            results_option,
            click.option("--fresh", is_flag=True, help="Ignore existing results and train from scratch."),
            click.option(
                "--with-network",
                is_flag=True,
                help="Also train runs whose record is here but whose network is not, as in a checkout. Their records "
                "stay.",
            ),
            click.option(
                "--checkpoint-every",
                "checkpoint_every_s",
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


@click.command(epilog=EXAMPLE)
@click.argument("paper")
@click.option("--variant", default=DEFAULT_VARIANT, show_default=True, help="`repro list` names them; `all` runs each.")
@run_options
def run(paper: str, variant: str, **options: Any) -> None:
    """Train and evaluate one paper, as published or under a corrected protocol. Resume a run that was stopped.

    With --until-decided, say how long it may take, then add seeds until the main claim is decided, the last look is
    over, or the next look does not fit in the budget. Runs that exist count. Standard output holds the answer.
    """
    loaded = find_paper(paper, options["results"])
    names = loaded.variant_names() if variant == ALL else (variant,)
    run_jobs([(loaded, name) for name in names], **options)


def run_jobs(
    jobs: list[tuple[LoadedSpec, str]], *, until_decided: bool, budget: int | None, seeds: int, **options: Any
) -> None:
    begin_kernels(options["device"])
    if until_decided:
        source = click.get_current_context().get_parameter_source("seeds")
        most = None if source is ParameterSource.DEFAULT else seeds
        _run_until_decided(jobs, budget=budget, most=most, **options)
    elif budget is not None:
        raise click.UsageError("--budget needs --until-decided")
    else:
        _run_seeds(jobs, seeds=seeds, **options)


def _run_seeds(
    jobs: list[tuple[LoadedSpec, str]],
    *,
    protocol: str,
    seeds: int,
    precision: Precision | None,
    epochs: int | None,
    limit_train: int | None,
    keep_going: bool,
    as_json: bool,
    **setting: Any,
) -> None:
    """setting: arguments of `repro.runs.batch.open_context`."""
    import msgspec

    from repro.runs.plan import make_plan
    from repro.runs.records import Overrides

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

    with sign_of_life():
        from repro.report.verdict_card import card_builtins, run_cards
        from repro.runs.batch import open_context, run_in

        context = open_context({precision}, **setting)
    records = run_in(context, plans)
    cards = run_cards({loaded.id: loaded for loaded, _ in jobs}, plans, records, context.dataset, context.results)
    _show_cards(cards)
    if as_json:
        document = {
            "runs": [msgspec.to_builtins(record) for record in records],
            "cards": [card_builtins(card) for card in cards],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    if any(record.status == "failed" for record in records):
        sys.exit(EXIT_RUN_FAILED)


def _run_until_decided(
    jobs: list[tuple[LoadedSpec, str]],
    *,
    budget: int | None,
    most: int | None,
    protocol: str,
    precision: Precision | None,
    epochs: int | None,
    limit_train: int | None,
    results: Path,
    keep_going: bool,
    as_json: bool,
    **setting: Any,
) -> None:
    """setting: arguments of `repro.runs.batch.open_context` besides `results`."""
    began = time.monotonic()
    if epochs is not None or limit_train is not None:
        raise click.UsageError("--until-decided judges full runs: leave --epochs and --limit-train away")
    questions = _questions(jobs, protocol, precision=precision, keep_going=keep_going)

    from repro.decide.verdicts import judge_in, looks_up_to

    if most is not None and most < looks_up_to(None)[0]:
        raise click.UsageError(f"--until-decided looks after {LOOKS} seeds: --seeds, its maximum, must be 3 or more")
    looks = looks_up_to(most)

    with sign_of_life():
        from repro.decide.trainer import document, until_decided
        from repro.report.verdict_card import card_builtins, verdict_card
        from repro.runs.batch import open_context

        opened = open_context({precision}, results=results, **setting)
        judge = judge_in(results)
    courses = until_decided(questions, opened, judge, looks=looks, budget_s=budget, began=began, json=as_json)
    cards = [
        verdict_card(question.loaded, question.variant, results, dataset=opened.dataset)
        for question in {(one.paper, one.variant): one for one in questions}.values()
    ]
    _show_cards(cards)
    if as_json:
        shown = {**document(courses, budget), "cards": [card_builtins(card) for card in cards]}
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    if any(course.failed for course in courses):
        sys.exit(EXIT_RUN_FAILED)


def _show_cards(cards: list[VerdictCard]) -> None:
    """On standard error: standard output holds the answers, or one JSON document."""
    from repro.report.verdict_card import card_document
    from repro.text.terminal import terminal

    for card in cards:
        click.echo(f"\n{terminal(card_document(card))}", err=True)


def _questions(
    jobs: list[tuple[LoadedSpec, str]], protocol: str, *, precision: Precision | None, keep_going: bool
) -> list[Question]:
    """One per variant and protocol. If there are several, those without a decidable claim are skipped with a message.

    Raises SpecError if none is left.
    """
    from repro.decide.question import question_of

    asked = [(loaded, variant, one) for loaded, variant in jobs for one in _protocols(protocol)]
    found: list[Question] = []
    for loaded, variant, one in asked:
        try:
            found.append(question_of(loaded, variant, one, precision=precision, keep_going=keep_going))
        except SpecError as error:
            if len(asked) == 1:
                raise
            click.echo(f"left out: {error}", err=True)
    if not found:
        raise SpecError("--until-decided: no claim that runs can decide")
    return found


def _protocols(word: str) -> tuple[str, ...]:
    """The protocols selected by `--protocol`."""
    return tuple(protocol for protocol in RUNNABLE if word in (protocol, ALL))

"""The command-line interface of `repro run` and `repro run-all`. Imports nothing slow."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fer_jax.vocabulary.settings import Precision
from repro.cli.hosts import host_options, run_place, with_other_hosts
from repro.cli.recogniser import ready_for_use
from repro.cli.run_options import ALL, LOOKS, asked_plans, is_given, protocols_of, run_options
from repro.cli.run_selection import SeedChoice, ShareOfRuns
from repro.cli.starting import begin_kernels, open_run_context, resumable, sign_of_life
from repro.specs.catalog import find_paper
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec, SpecError

if TYPE_CHECKING:
    from repro.decide.question import Question
    from repro.report.verdict_card import VerdictCard

EXIT_RUN_FAILED = 1
EXAMPLE = """\
\b
Example:
  repro run chavan2020
  repro run teta2022 --data fer2013.csv --seeds 3
  repro run ./my-paper.toml --epochs 1
  repro run teta2022 --until-decided --budget 2h"""


@click.command(epilog=EXAMPLE)
@click.argument("paper")
@click.option("--variant", default=DEFAULT_VARIANT, show_default=True, help="`repro list` names them; `all` runs each.")
@run_options
@host_options
def run(paper: str, variant: str, **options: Any) -> None:
    """Train and evaluate one paper, as published or under a corrected protocol. Resume a run that was stopped.

    With --until-decided, say how long it may take, then add seeds until the main claim is decided, the last look is
    over, or the next look does not fit in the budget. Runs that exist count. Standard output holds the answer.
    """

    def jobs() -> list[tuple[LoadedSpec, str]]:
        loaded = find_paper(paper, options["results"])
        return [(loaded, name) for name in (loaded.variant_names() if variant == ALL else (variant,))]

    run_jobs(jobs, **options)


def run_jobs(jobs: Callable[[], list[tuple[LoadedSpec, str]]], **options: Any) -> None:
    """Run them here, or with other hosts. jobs: called where the runs are decided, which one host alone does."""
    place = run_place(**{name: options.pop(name) for name in ("coordinator", "processes", "process_id")})
    if place is None:
        with resumable(fresh=options["fresh"]):
            _run_jobs(jobs(), **options)
    else:
        with_other_hosts(place, lambda: _run_jobs(jobs(), **options), options)


def _run_jobs(
    jobs: list[tuple[LoadedSpec, str]],
    *,
    until_decided: bool,
    budget: int | None,
    seeds: SeedChoice,
    seed: int | None,
    shard: ShareOfRuns | None,
    settings: tuple[str, ...],
    **options: Any,
) -> None:
    if until_decided:
        if seed is not None or shard is not None or settings or not seeds.counted:
            raise click.UsageError(
                "--until-decided chooses seeds itself and judges the paper's settings: leave --seed, --shard, --set "
                "and lists of seeds away; --seeds N is the most it may take"
            )
        begin_kernels(options["device"])
        _run_until_decided(jobs, budget=budget, most=len(seeds.seeds) if is_given("seeds") else None, **options)
    elif budget is not None:
        raise click.UsageError("--budget needs --until-decided")
    else:
        begin_kernels(options["device"])
        _run_seeds(jobs, seeds=seeds, seed=seed, shard=shard, settings=settings, **options)


def _run_seeds(
    jobs: list[tuple[LoadedSpec, str]],
    *,
    protocol: str,
    seeds: SeedChoice,
    seed: int | None,
    shard: ShareOfRuns | None,
    settings: tuple[str, ...],
    precision: Precision | None,
    epochs: int | None,
    limit_train: int | None,
    keep_going: bool,
    as_json: bool,
    **setting: Any,
) -> None:
    """setting: arguments of `open_run_context`. The others are those of `asked_plans`."""
    import msgspec

    plans = asked_plans(
        jobs,
        protocol=protocol,
        seeds=seeds,
        seed=seed,
        shard=shard,
        settings=settings,
        precision=precision,
        epochs=epochs,
        limit_train=limit_train,
        keep_going=keep_going,
    )
    with sign_of_life():
        from repro.report.verdict_card import card_builtins, run_cards
        from repro.runs.batch import run_in

        context = open_run_context({precision}, ready=ready_for_use(), **setting)
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
    """setting: arguments of `open_run_context` besides `results`."""
    began = time.monotonic()
    if epochs is not None or limit_train is not None:
        raise click.UsageError("--until-decided judges full runs: omit --epochs and --limit-train")
    questions = _questions(jobs, protocol, precision=precision, keep_going=keep_going)

    from repro.decide.verdicts import judge_in, looks_up_to

    if most is not None and most < looks_up_to(None)[0]:
        raise click.UsageError(f"--until-decided looks after {LOOKS} seeds: --seeds, its maximum, must be 3 or more")
    looks = looks_up_to(most)

    with sign_of_life():
        from repro.decide.trainer import document, until_decided
        from repro.report.verdict_card import card_builtins, verdict_card

        opened = open_run_context({precision}, results=results, ready=ready_for_use(), **setting)
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

    asked = [(loaded, variant, one) for loaded, variant in jobs for one in protocols_of(protocol)]
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

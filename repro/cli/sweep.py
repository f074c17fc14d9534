"""The command-line interface of `repro sweep`. Imports nothing slow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from repro.cli.engines import (
    ENGINE_OPTIONS,
    engine_options,
    for_workers,
    given_words,
    refuse_failed,
    refuse_other_options,
    start_workers,
    wait_for_runs,
)
from repro.cli.options import example, print_json
from repro.cli.run_options import is_given, sweep_run_options
from repro.cli.run_selection import SeedChoice, Seeds
from repro.cli.starting import begin_kernels, open_run_context, resumable, sign_of_life
from repro.launch.executor import EngineName
from repro.specs.catalog import find_paper
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.protocols import OFFICIAL, RUNNABLE
from repro.sweep.dimension import SamplerName

if TYPE_CHECKING:
    from repro.runs.run_context import RunContext
    from repro.sweep.search import SettingSearch

EXAMPLE = example(
    "repro sweep teta2022 --set training.optimizer.learning_rate=1e-4,1e-3,1e-2",
    "repro sweep teta2022 --set training.optimizer.learning_rate=1e-5..1e-2:log --sampler tpe --trials 30 --prune",
    "repro sweep basani2017 --set 'model.layers.dropout*.rate=0,0.25,0.5' --on local --workers 4",
    "repro sweep onghena-figure-2 --plan",
)


@click.command(epilog=EXAMPLE)
@click.argument("paper")
@click.option("--set", "dimensions", multiple=True, metavar="KEY=VALUES",
              help="A setting of the spec and the values to try: KEY=a,b,c, or KEY=LOW..HIGH with :log for evenly "
              "spread logarithms; between whole numbers, whole numbers. `*` in a name matches several layers, which "
              "change together. variant=a,b,c tries variants. May be repeated.")  # fmt: skip
@click.option("--sampler", type=click.Choice(get_args(SamplerName)), default="grid", show_default=True,
              help="`grid`: every combination of lists. `random`. `tpe`: where earlier trials were good.")  # fmt: skip
@click.option(
    "--trials",
    type=int,
    help="Number of settings to try. Default: the whole grid. A higher number continues an earlier search.",
)
@click.option("--variant", default=DEFAULT_VARIANT, show_default=True, help="The variant whose settings are changed.")
@click.option("--protocol", type=click.Choice(RUNNABLE), default=OFFICIAL, show_default=True,
              help="Of every trial. Under `official` and `clean`, PublicTest chooses and PrivateTest is "
              "reported.")  # fmt: skip
@click.option(
    "--select",
    metavar="SPLIT",
    help="The split whose accuracy chooses. Default: PublicTest. A test split is marked as leakage.",
)
@click.option("--seeds", type=Seeds(), default="1", show_default=True, metavar="N|LIST",
              help="Runs of each setting; their mean accuracy counts.")  # fmt: skip
@click.option("--prune", is_flag=True, help="Stop a trial whose best accuracy so far is below the median of the "
              "finished trials at the same epoch, once 5 have finished. Its record is 'pruned'.")  # fmt: skip
@click.option("--plan", "only_plan", is_flag=True, help="Show the search and its time; train nothing.")
@engine_options(None)
@sweep_run_options
def sweep(paper: str, engine: EngineName | None, workers: int | None, only_plan: bool, **options: Any) -> None:
    """Search settings of a PAPER, or carry out a sweep FILE, and say what the best setting shows.

    Each trial is an ordinary run with --set, so `repro status` shows it and a killed one is resumed. Processes with the
    same command, on machines that share the results folder, share the trials. The record,
    results/sweeps/PAPER/NAME/sweep.json, says how many settings were tried and which samples chose.
    """
    given = {name: options.pop(name) for name in ENGINE_OPTIONS}
    results: Path = options["results"]
    search = _search(paper, options)
    as_json, log = options["as_json"], options["log"]
    refuse_other_options(engine, given)
    if engine is None:
        begin_kernels(options["device"])
    setting = {name: options[name] for name in _OF_CONTEXT}
    with sign_of_life():
        from repro.sweep.trials import optuna_module

        optuna_module()
        context = open_run_context({search.precision}, results=results, fresh=False, log=log, **setting)
    _show_plan(search, context, as_json=as_json and only_plan, on_error=not only_plan)
    if only_plan:
        return
    if engine is None:
        from repro.sweep.work import work

        with resumable():
            work(search, context)
    else:
        command = ["sweep", for_workers(paper), *given_words(_OF_SWEEP)]
        started = start_workers(engine, command, workers, results, options["device"], given)
        if given["detach"]:
            click.echo(f"repro status --results {results} --watch shows how far they are", err=True)
            return
        refuse_failed(started, wait_for_runs(started, results))
    _finish(search, context, as_json=as_json)


_OF_CONTEXT = ("device", "data", "seeds_at_once", "checkpoint_every_s", "with_network")
_OF_SWEEP = {"paper", "engine", "workers", "as_json", "only_plan", *ENGINE_OPTIONS}
_OF_FILE = {"sampler": "--sampler", "variant": "--variant", "protocol": "--protocol", "select": "--select"}


def _search(word: str, options: dict[str, Any]) -> SettingSearch:
    """The search of the flags, or of a sweep file, of which only --trials and what says how to train may differ."""
    from repro.sweep.dimension import parse_dimension
    from repro.sweep.files import find_sweep_file, read_sweep_file
    from repro.sweep.search import make_search

    path = find_sweep_file(word)
    lines = options["dimensions"]
    chosen = {name: options[name] for name in _OF_FILE}
    trials, name, figure = options["trials"], "", None
    if path is not None:
        for option, flag in {**_OF_FILE, "dimensions": "--set"}.items():
            if is_given(option):
                raise click.UsageError(f"{flag}: {path.name} says what is searched; change it there")
        file = read_sweep_file(path)
        lines = tuple(one.set for one in file.settings)
        chosen = {name: getattr(file, name) for name in _OF_FILE}
        trials = file.trials if trials is None else trials
        word, name, figure = file.paper, path.stem, file.figure
    seeds: SeedChoice = options["seeds"]
    return make_search(
        find_paper(word, options["results"]),
        tuple(parse_dimension(line) for line in lines),
        trials=trials,
        seeds=seeds.seeds,
        prune=options["prune"],
        epochs=options["epochs"],
        limit_train=options["limit_train"],
        precision=options["precision"],
        keep_going=options["keep_going"],
        name=name,
        figure=figure,
        **chosen,
    )


def _show_plan(search: SettingSearch, context: RunContext, *, as_json: bool, on_error: bool) -> None:
    from repro.decide.planned_runs import planned_runs
    from repro.runs.stored_records import find_records
    from repro.sweep.plan_text import plan_builtins, plan_document
    from repro.sweep.trials import read_trials
    from repro.sweep.work import sweep_folder
    from repro.text.terminal import terminal

    search.check_grid()
    records = [record for _, record in find_records(context.results, search.loaded.id)]
    (planned, *_) = planned_runs(search.plans(search.own_setting())[:1], context, records)
    trials = read_trials(sweep_folder(search, context))
    if as_json:
        print_json(plan_builtins(search, planned, trials))
    else:
        click.echo(terminal(plan_document(search, planned, trials)), err=on_error)


def _finish(search: SettingSearch, context: RunContext, *, as_json: bool) -> None:
    """Write the record, show it, and exit 1 if no trial has a result."""
    import msgspec

    from repro.runs.stored_records import find_records
    from repro.sweep.outcome import sweep_record
    from repro.sweep.records import write_sweep
    from repro.sweep.table import sweep_document
    from repro.sweep.trials import read_trials
    from repro.sweep.work import sweep_folder
    from repro.text.terminal import terminal

    folder = sweep_folder(search, context)
    records = (record for _, record in find_records(context.results))
    record = sweep_record(search, context, read_trials(folder), records)
    path = write_sweep(folder, record)
    if as_json:
        print_json(msgspec.to_builtins(record))
    else:
        click.echo(terminal(sweep_document(record)))
    click.echo(f"wrote {path}", err=True)
    if record.best is None:
        sys.exit(1)

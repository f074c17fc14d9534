"""The command-line interface of `repro audit data` and `repro audit PAPER`. Imports nothing slow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.engines import engine_options, refuse_failed, refuse_other_options, start_workers, wait_for
from repro.cli.options import json_option, results_option
from repro.cli.starting import sign_of_life
from repro.launch.executor import EngineName, Workers
from repro.specs.catalog import find_paper
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.protocols import PROTOCOLS

PAPER_EXAMPLE = """\
\b
Example:
  repro audit data --data fer2013.csv
  repro audit teta2022
  repro audit ./my-paper.toml --protocol clean --json"""
DATA_EXAMPLE = """\
\b
Example:
  repro audit data
  repro audit data --data fer2013.csv --ferplus fer2013new.csv --json
  repro audit data --data large.npz --candidates index --on slurm --workers 20"""

DATA_HELP = "FER-2013 in any form, or the word `synthetic`. Default: the dataset imported last, else synthetic faces."


class _DataOrPaper(click.Group):
    """Every word that is not a command of the group is a paper."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "paper", self.commands["paper"], args


@click.group("audit", cls=_DataOrPaper, epilog=PAPER_EXAMPLE, subcommand_metavar="data|PAPER [OPTIONS]")
def audit() -> None:
    """Find test samples that are also in training (PAPER), or duplicates and other defects of a dataset (data).

    Needs no training. `repro audit data --help` and `repro audit PAPER --help` list the options.
    """


@audit.command("paper", hidden=True, epilog=PAPER_EXAMPLE)
@click.argument("paper")
@click.option(
    "--protocol",
    type=click.Choice([*PROTOCOLS, "all"]),
    default="all",
    show_default=True,
    help="The protocols to audit.",
)
@click.option(
    "--variant", default=DEFAULT_VARIANT, show_default=True, help="Settings of this variant; `repro list` names them."
)
@click.option("--data", "source", help=DATA_HELP)
@results_option
@json_option
def audit_paper_command(
    paper: str, protocol: str, variant: str, source: str | None, results: Path, as_json: bool
) -> None:
    """Count the evaluated samples that are also in training, and name the data step that caused each overlap.

    On real data with all protocols, the result is kept in the results folder for `repro report`.
    """
    with sign_of_life():
        from repro.audit.paper import audit_document, audit_paper
        from repro.audit.records import write_audit
        from repro.report.audit_section import audit_blocks
        from repro.runs.dataset import open_dataset
        from repro.runs.kept_specs import keep_spec
        from repro.text.document import Document
        from repro.text.terminal import terminal

        loaded = find_paper(paper, results)
        loaded.resolve_data(variant)
        dataset = open_dataset(source)
    _say_synthetic(dataset.faces.synthetic)
    protocols = [one for one in PROTOCOLS if protocol in (one, "all")]
    with sign_of_life("comparing the images of the splits"):
        record = audit_paper(loaded, dataset, variant=variant, protocols=protocols)
    if as_json:
        click.echo(json.dumps([audit_document(one) for one in record.audits], indent=2))
    else:
        click.echo(terminal(Document(loaded.id, tuple(audit_blocks(loaded.id, variant, record)))))
    if protocol == "all" and not dataset.faces.synthetic:
        keep_spec(results, loaded.id, loaded.content)
        click.echo(f"wrote {write_audit(results, record)}", err=True)


@audit.command("data", epilog=DATA_EXAMPLE)
@click.option("--data", "source", help=DATA_HELP)
@click.option("--ferplus", type=click.Path(path_type=Path, dir_okay=False), help="The votes of FER+: fer2013new.csv.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results/audit"),
    show_default=True,
    help="Folder for data.json, duplicates.csv and duplicates.png, which shows faces: not to be published.",
)
@click.option(
    "--candidates",
    type=click.Choice(["blocks", "index"]),
    default="blocks",
    show_default=True,
    help="`index` (extra audit-large) is faster above about 30,000 samples, and may miss a few pairs.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0.91, 0.97),
    default=None,
    show_default="0.91; 0.93 for more than 100,000 samples",
    help="Least score of a near pair. The larger the dataset, the more false alarms a low one gives.",
)
@click.option(
    "--shared",
    is_flag=True,
    help="Share the search with every process that has the same command: each takes the next free part, and a stopped "
    "search resumes. The parts are kept in OUT/parts.",
)
@click.option("--search-only", is_flag=True, hidden=True, help="Write no tables: for workers of --on.")
@engine_options(None)
@json_option
def audit_data_command(
    source: str | None,
    ferplus: Path | None,
    out: Path,
    candidates: Any,
    threshold: float | None,
    shared: bool,
    search_only: bool,
    engine: EngineName | None,
    workers: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Find duplicates within and across splits, conflicting labels and constant images. Write every pair to a CSV.

    The first search of a dataset compares all pairs of its samples. The result is kept in the cache. With --on, several
    workers share the search; this pays for datasets much larger than FER-2013.
    """
    refuse_other_options(engine, given)
    with sign_of_life():
        from repro.audit.contact_sheet import contact_sheet
        from repro.audit.data import audit_data, audit_data_document, search_duplicates, write_pairs_csv
        from repro.audit.records import write_data_audit
        from repro.audit.shared_search import SharedSearch, search_folder, searched_parts
        from repro.report.data_section import data_section
        from repro.runs.dataset import open_dataset
        from repro.text.terminal import terminal_blocks

        dataset = open_dataset(source)
    _say_synthetic(dataset.faces.synthetic)
    folder = search_folder(out, dataset.faces.fingerprint, candidates)
    if engine is not None:
        started = _search_on(engine, source, candidates, out, workers, given)
        if given["detach"]:
            click.echo(
                "the same command with --shared in place of --on writes the tables when they have ended", err=True
            )
            return
        refuse_failed(started, wait_for(started, lambda: f"{counted(searched_parts(folder), 'part')} searched"))
    with sign_of_life("searching for duplicates"):
        carry_out = SharedSearch(folder, _say) if shared or engine is not None else None
        pairs = search_duplicates(dataset.faces, candidates, carry_out, threshold=threshold)
    if search_only:
        return
    found = audit_data(dataset, pairs, candidates=candidates, threshold=threshold, ferplus=ferplus)
    write_pairs_csv(out / "duplicates.csv", dataset.faces, pairs)
    shown = contact_sheet(out / "duplicates.png", dataset.faces, pairs)
    if as_json:
        click.echo(json.dumps(audit_data_document(found), indent=2))
    else:
        click.echo(terminal_blocks(data_section(found)))
    written = write_data_audit(out, found)
    click.echo(
        f"wrote {written}, duplicates.csv ({counted(len(pairs), 'pair')}) and duplicates.png (the worst {shown})",
        err=True,
    )


def _search_on(
    engine: EngineName, source: str | None, candidates: str, out: Path, workers: int | None, given: dict[str, Any]
) -> Workers:
    """Workers of an engine that share the search and write no tables. Raises LaunchError."""
    named = [] if source is None else ["--data", str(Path(source).absolute() if Path(source).exists() else source)]
    command = ["audit", "data", *named, "--out", str(out.absolute()), "--candidates", candidates]
    return start_workers(engine, [*command, "--shared", "--search-only"], workers, out, "auto", given)


def _say(words: str) -> None:
    click.echo(words, err=True)


def _say_synthetic(synthetic: bool) -> None:
    from repro.runs.dataset import SYNTHETIC_WARNING

    if synthetic:
        click.secho(f"WARNING: {SYNTHETIC_WARNING}", fg="yellow", err=True)

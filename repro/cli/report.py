"""The command-line interface of `repro report`. Imports nothing slow."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from fer_jax.machine.atomic_write import write_atomically
from repro.cli.options import must_exist, results_option
from repro.specs.catalog import all_papers, bundled_papers, find_paper
from repro.specs.decode import DEFAULT_VARIANT

EXIT_STALE = 1
REPORT_EXAMPLE = """\
\b
Example:
  repro report
  repro report --check
  repro report --html report.html
  repro report --csv
  repro report --mistakes --data fer2013.csv
  repro report --paper teta2022 --format pdf
  repro report --results elsewhere/results"""


@click.command(epilog=REPORT_EXAMPLE)
@results_option
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the report does not match the records.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write one HTML page that needs no network, and the benchmarks as a page beside it.",
)
@click.option(
    "--mistakes",
    is_flag=True,
    help="Draw the most confident mistakes of each run, too: faces, in a folder that git ignores.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every page as JSON; write nothing.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the main table as CSV; write nothing.")
@click.option("--data", help="The dataset that --mistakes takes faces from. Default: the one imported last.")
@click.option(
    "--paper",
    metavar="PAPER",
    help="One paper alone, for a review: what was checked, found, and not checked, and questions to the authors.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "pdf", "mlrc"]),
    help="With --paper: Markdown (default), PDF (extra `pdf`), or the summary of the ML Reproducibility Challenge.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --paper: write it here.",
)
def report(
    results: Path,
    check: bool,
    html: Path | None,
    mistakes: bool,
    as_json: bool,
    as_csv: bool,
    data: str | None,
    paper: str | None,
    form: str | None,
    out: Path | None,
) -> None:
    """Write RESULTS.md, a page per paper, figures, results.csv and BENCH.md from the records; or one paper's review."""
    if paper is not None:
        if check or html or mistakes or as_csv:
            raise click.UsageError("--paper makes a review: omit --check, --html, --mistakes and --csv")
        _review(paper, results, form or "md", out, as_json)
        return
    if form or out:
        raise click.UsageError("--format and --out need --paper")
    from repro.report.figures.folder import NOT_INSTALLED, figures_available
    from repro.report.folder import check_report, write_input
    from repro.report.front import front_tables
    from repro.report.inputs import read_input
    from repro.text.terminal import terminal_blocks

    must_exist(results)
    if (check or as_json or as_csv) and (html or mistakes):
        raise click.UsageError("--check, --json and --csv write nothing: omit --html and --mistakes")
    if as_json + as_csv + check > 1:
        raise click.UsageError("choose one of --check, --json and --csv")
    if as_json or as_csv:
        click.echo(_printed(results, as_json), nl=False)
        return
    if check:
        difference = check_report(results, bundled_papers())
        for line in difference:
            click.echo(line, err=True)
        if difference:
            click.echo(f"error: the report in {results} does not match the records; run `repro report`", err=True)
            sys.exit(EXIT_STALE)
        click.echo(f"the report in {results} matches the records")
        return
    given = read_input(results, bundled_papers())
    for path in write_input(given):
        click.echo(f"wrote {path}")
    if not figures_available():
        click.echo(NOT_INSTALLED, err=True)
    click.echo(f"\n{terminal_blocks(front_tables(given))}")
    if mistakes:
        _write_mistakes(results, data)
    if html:
        _write_html(html, results)


def _review(name: str, results: Path, form: str, out: Path | None, as_json: bool) -> None:
    """Print or write the review of one paper. Without a results folder its printed numbers are checked anyway."""
    from repro.report.inputs import read_input
    from repro.report.review import mlrc_document, read_review, review_document
    from repro.report.verdict_card import verdict_card
    from repro.text.export import as_builtins
    from repro.text.markdown import markdown
    from repro.text.pdf import pdf

    loaded = find_paper(name, results)
    given = read_input(results, [*(one for one in bundled_papers() if one.id != loaded.id), loaded])
    variant = loaded.spec.headline.variant if loaded.spec.headline else DEFAULT_VARIANT
    paper = next(one for one in given.papers if one.id == loaded.id)
    review = read_review(paper, given, verdict_card(loaded, variant, results))
    document = mlrc_document(review) if form == "mlrc" else review_document(review)
    if as_json:
        click.echo(json.dumps(as_builtins(document), indent=2, ensure_ascii=False))
        return
    if form == "pdf" and out is None:
        out = Path(f"{loaded.id}-review.pdf")
    if out is None:
        click.echo(markdown(document), nl=False)
        return
    write_atomically(out, pdf(document) if form == "pdf" else markdown(document).encode())
    click.echo(f"wrote {out}")


def _printed(results: Path, as_json: bool) -> str:
    from repro.report.folder import documents
    from repro.report.front import front_table
    from repro.report.inputs import read_input
    from repro.text.export import as_builtins, table_csv

    given = read_input(results, bundled_papers())
    if as_json:
        pages = {name: as_builtins(document) for name, document in documents(given).items()}
        return json.dumps(pages, indent=2, ensure_ascii=False) + "\n"
    return table_csv(front_table(given.papers, given.all_audits))


def _write_html(path: Path, results: Path) -> None:
    from repro.report.page.document import write_page

    for written in write_page(path, results, bundled_papers()):
        click.echo(f"wrote {written}")


def _write_mistakes(results: Path, data: str | None) -> None:
    from repro.report.figures.folder import NOT_INSTALLED, figures_available, write_mistakes
    from repro.runs.dataset import open_dataset
    from repro.runs.record_files import RecordError

    if not figures_available():
        raise RecordError(NOT_INSTALLED)
    written, left_out = write_mistakes(results, all_papers(results), open_dataset(data))
    for path in written:
        click.echo(f"wrote {path}")
    for why in left_out:
        click.echo(why, err=True)

"""The command-line interface of `repro data`. What the commands do is imported when they are called: it is slow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from repro.cli.options import example, json_option, print_json
from repro.cli.starting import sign_of_life


@click.group(epilog=example("repro data status", "repro data import fer2013.csv", "repro data get --from kaggle"))
def data() -> None:
    """Import FER-2013, and list the imported datasets."""


@data.command(epilog=example("repro data status", "repro data status --json"))
@json_option
def status(as_json: bool) -> None:
    """List the imported datasets, and show which one runs use by default."""
    from repro.cli.imported_data import status_document, status_text

    if as_json:
        print_json(status_document())
    else:
        click.echo(status_text())


@data.command("import", epilog=example("repro data import fer2013.csv", "repro data import ~/Downloads/archive.zip"))
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--skip-bad", is_flag=True, help="Skip images and rows that cannot be used, and list them.")
@json_option
def import_data(path: Path, skip_bad: bool, as_json: bool) -> None:
    """Read FER-2013 in any form, cache it, and make it the default of later runs."""
    from repro.cli.imported_data import import_document, import_text

    if as_json:
        print_json(import_document(path, skip_bad))
    else:
        click.echo(import_text(path, skip_bad))


@data.command(epilog=example("repro data get --from kaggle", "repro data get --from huggingface"))
@click.option(
    "--from",
    "source",
    type=click.Choice(["kaggle", "huggingface"]),
    default="kaggle",
    show_default=True,
    help="The site whose client downloads it. Needs the extra `get`.",
)
def get(source: Any) -> None:
    """Download FER-2013 with the official client, and import it."""
    from repro.cli.imported_data import get_text

    click.echo(get_text(source))


@data.command(
    epilog=example(
        "repro data export clean.csv --format rows",
        "repro data export fer2013-clean.npz",
        "repro data export fer2013/ --protocol official --format folder",
    )
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    type=click.Choice(["official", "clean"]),
    default="clean",
    show_default=True,
    help="official: the splits of FER-2013. clean: without images that another split or an earlier sample shows.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["rows", "csv", "npz", "folder", "parquet", "torch"]),
    help="rows: the list without images. folder: SPLIT/EMOTION/ROW.png. Default: by the ending of PATH.",
)
@click.option("--data", "dataset", help="A dataset other than the default: a path, or the word `synthetic`.")
@json_option
def export(path: Path, protocol: str, form: str | None, dataset: str | None, as_json: bool) -> None:
    """Write the train, validation and test split for other programs, as a list of rows or with the images."""
    known = {".csv": "csv", ".npz": "npz", ".pt": "torch", "": "folder"}
    form = form or known.get(path.suffix)
    if form is None:
        endings = ", ".join(filter(None, known))
        raise click.UsageError(f"{path}: its ending names no format ({endings}, none for a folder); give --format")
    with sign_of_life("preparing the splits"):
        from repro.splits.export import export_split, export_text

        written = export_split(path, protocol=protocol, form=form, data=dataset)
    if as_json:
        print_json(written)
    else:
        click.echo(export_text(written))


class _Share(click.ParamType):
    """A share such as 8% or 0.08, as a number from 0 to 1."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r}: write a share such as 8% or 0.08", param, ctx)
        return share


@data.command(
    epilog=example(
        "repro data synthesise lesson.npz",
        "repro data synthesise lesson.csv --duplicates 30% --conflicts 5% --samples 9000",
    )
)
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--samples",
    type=click.IntRange(100, 200_000),
    default=4486,
    show_default=True,
    help="About so many samples, in the proportions of FER-2013. Default: an eighth of it.",
)
@click.option(
    "--duplicates",
    type=_Share(),
    default="8%",
    show_default=True,
    metavar="SHARE",
    help="Share of the samples of PublicTest and PrivateTest that are copies of a Training image, half of them exact.",
)
@click.option(
    "--conflicts",
    type=_Share(),
    default="2%",
    show_default=True,
    metavar="SHARE",
    help="Share of the samples that are copies with another label than the original; part of --duplicates.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the drawing.")
@json_option
def synthesise(path: Path, samples: int, duplicates: float, conflicts: float, seed: int, as_json: bool) -> None:
    """Write synthetic faces with planted copies, and the list of the copies beside them (PATH.planted.csv).

    For lessons and tests: what there is to find is known. PATH ends with .npz or .csv (as fer2013.csv). Accuracies on
    these faces compare with no paper.
    """
    if conflicts > duplicates:
        raise click.UsageError("--conflicts is a share of --duplicates and cannot be larger")

    from repro.audit.planted import synthesise as write

    with sign_of_life("drawing faces"):
        written = write(path, samples=samples, duplicates=duplicates, conflicts=conflicts, seed=seed)
    if as_json:
        print_json(written)
        return
    splits = ", ".join(f"{usage} {count:,}" for usage, count in written["samples"].items())
    copies = " and ".join(f"{count:,} of {usage}" for usage, count in written["copies"].items())
    click.echo(f"wrote {written['path']}: {splits}")
    click.echo(
        f"wrote {written['list']}: {copies} are copies of Training images, {written['exact']:,} of them exact, "
        f"{written['conflicts']:,} with another label"
    )

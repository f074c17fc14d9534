"""The command-line interface of `repro predict`. Imports nothing slow."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.options import face_options, json_option, network_options, unsure_option
from repro.cli.recogniser import open_recogniser
from repro.cli.starting import sign_of_life

if TYPE_CHECKING:
    from repro.use.recognition.predict import Recognised

EXIT_PICTURE_FAILED = 1
EXAMPLE = """\
\b
Example:
  repro predict party.jpg
  repro predict holidays/ portrait.png --out marked
  repro predict faces/ --no-detect --paper teta2022 --csv > faces.csv"""


@click.command(epilog=EXAMPLE)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@network_options
@unsure_option
@click.option("--no-detect", is_flag=True, help="Each picture is one face, cut as in FER-2013: search for none.")
@face_options("default: a twentieth of the longer side, at most 64")
@json_option
@click.option(
    "--csv", "as_csv", is_flag=True, help="CSV on standard output: one line per face, all seven probabilities."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write copies with boxes and labels into this folder, which must be new or empty.",
)
def predict(
    paths: tuple[Path, ...],
    run: str | None,
    paper: str | None,
    results: Path,
    unsure_below: float | None,
    no_detect: bool,
    min_face: int | None,
    min_score: float,
    as_json: bool,
    as_csv: bool,
    out: Path | None,
) -> None:
    """Predict the emotions of the faces in pictures and in folders of pictures.

    The answer is what crowd workers would have called the picture, not what a person feels. Pictures are read on this
    machine, nothing is sent, and nothing is stored but what --out names. A picture that cannot be read is a row with
    an error, and the exit code is then 1.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if out is not None and out.is_dir() and os.listdir(out):
        raise click.BadParameter(f"{out} is not empty; name a new folder: no file is overwritten", param_hint="--out")

    for path in paths:
        _refuse_what_is_no_file(path)
    if no_detect and min_face is not None:
        raise click.UsageError("--no-detect and --min-face exclude each other: no face is searched for")

    from repro.use.recognition.detection import PHOTOGRAPH_FACE_PX, open_detector

    detector = None
    if not no_detect:
        detector = open_detector(photograph_face_px=PHOTOGRAPH_FACE_PX, min_face=min_face, min_score=min_score)
    from repro.use.opened import MANY
    from repro.use.recognition import predict as files
    from repro.use.recognition import rows

    # Where faces are searched for, that takes longer than the network.
    many = no_detect and sum(1 for _ in islice(files.find_pictures(paths, out), MANY)) == MANY
    with sign_of_life("loading the network"):
        recogniser = open_recogniser(results, run, paper, detector, unsure_below, many=many)
    found = files.recognise_files(files.find_pictures(paths, out), recogniser, whole=no_detect)
    if out is not None:
        found = files.write_copies(found, out)
    count = _Count()
    results_seen = count.of(found)
    if as_json:
        lines = rows.json_lines(results_seen, recogniser)
    else:
        lines = rows.csv_lines(results_seen) if as_csv else rows.table_lines(results_seen)
    for line in lines:
        click.echo(line)
    click.echo(
        f"{counted(count.faces, 'face')} in {counted(count.pictures, 'picture')}; {count.failed:,} failed", err=True
    )
    if count.failed:
        sys.exit(EXIT_PICTURE_FAILED)


class _Count:
    def __init__(self) -> None:
        self.pictures = self.faces = self.failed = 0

    def of(self, results: Iterator[Recognised]) -> Iterator[Recognised]:
        for result in results:
            self.pictures += 1
            self.faces += len(result.faces)
            self.failed += bool(result.error)
            yield result


def _refuse_what_is_no_file(path: Path) -> None:
    """An address or standard input, before anything is loaded. A file of that name is read."""
    if path.exists():
        return
    first = path.parts[0] if path.parts else ""
    if first.lower() in ("http:", "https:", "ftp:") or first.lower().startswith("data:"):
        raise click.BadParameter(
            f"{first}//... is an address, and nothing is fetched; download the picture and give the file",
            param_hint="PATH",
        )
    if str(path) == "-":
        raise click.BadParameter(
            "standard input is not read; give a file, or post the picture to `repro serve`", param_hint="PATH"
        )

"""The command-line interface of `repro evaluate`. Imports nothing slow."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from repro.cli.options import json_option, print_json, results_option

EXAMPLE = """\
\b
Example:
  repro evaluate predictions.csv --split PrivateTest
  repro evaluate network.onnx --claim 66%
  repro evaluate emotion.hdf5 --find-preprocessing
  repro evaluate my_network:predict --labels alphabetical --no-training"""
SPLITS = ("Training", "PublicTest", "PrivateTest")


def _preprocessing_options(function: Any) -> Any:
    """How faces become what the network takes. Left out, they are taken from its file, or assumed."""
    for option in reversed(
        [
            click.option("--size", metavar="S|HxW", help="Height and width in pixels."),
            click.option(
                "--interpolation",
                type=click.Choice(["nearest", "bilinear", "bicubic", "area", "lanczos"]),
                help="How faces are resized. Default: bilinear.",
            ),
            click.option("--channels", type=click.Choice(["1", "3"]), help="1: gray. 3: gray, three times."),
            click.option("--layout", type=click.Choice(["nhwc", "nchw", "nhw", "flat"]), help="The order of the axes."),
            click.option(
                "--scale", help="Factor of the pixels, such as 1/255 (default for floating-point inputs) or 1."
            ),
            click.option("--mean", help="Subtracted after scaling: a number, or three with commas."),
            click.option("--deviation", help="Divided by after that: a number, or three with commas."),
        ]
    ):
        function = option(function)
    return function


@click.command("evaluate", epilog=EXAMPLE)
@click.argument("model", metavar="MODEL|PREDICTIONS")
@click.option(
    "--split", type=click.Choice(SPLITS), default="PrivateTest", show_default=True, help="The split to judge by."
)
@click.option("--labels", default="", help="Order of the outputs: emotions with commas, or fer2013, alphabetical, ...")
@_preprocessing_options
@click.option(
    "--find-preprocessing",
    "find",
    is_flag=True,
    help="Search scale, mean, deviation, interpolation and order of labels, on samples of Training only.",
)
@click.option("--training/--no-training", default=True, show_default=True, help="Predict the Training samples too.")
@click.option(
    "--trained-on",
    default="Training",
    show_default=True,
    help="Splits that the network was trained on, with commas, or `none`. Their copies count as seen.",
)
@click.option("--claim", help="A claimed accuracy, such as 66% or 0.657, to be judged.")
@click.option("--tolerance", help="How far the claim may be off, such as 1%. Default: its last digit.")
@click.option("--ferplus", type=click.Path(path_type=Path, dir_okay=False), help="Votes of FER+ (fer2013new.csv).")
@click.option("--name", default="", help="Folder of the record below results/evaluations. Default: the file's name.")
@click.option("--batch", type=click.IntRange(1, 4096), default=64, show_default=True, help="Faces per call.")
@click.option("--data", "source", help="FER-2013 in any form. Default: the dataset imported last.")
@results_option
@click.option("--no-record", is_flag=True, help="Keep no record.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write one HTML page that needs no network.",
)
@json_option
def evaluate(
    model: str,
    source: str | None,
    results: Path,
    no_record: bool,
    html: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge a trained network, or predictions, on FER-2013, without training.

    MODEL is an ONNX, Keras (.keras, .h5, .hdf5), TFLite, torch.export (.pt2) or TorchScript file, or module:function,
    which is your own code and is run. PREDICTIONS is a CSV or NPZ file with one line per sample. No pickle is opened.

    Prints accuracy with and without copies of training images, with intervals, per emotion, and calibration. Writes a
    record to results/evaluations.
    """
    from repro.evaluation.evaluate import evaluate_dataset
    from repro.evaluation.record_folder import write_folder
    from repro.evaluation.records import EVALUATION_NAME, evaluation_folder
    from repro.evaluation.reliability import FIGURE_NAME, write_reliability
    from repro.evaluation.text import evaluation_document
    from repro.runs.dataset import SYNTHETIC_WARNING, open_dataset
    from repro.text.export import as_builtins
    from repro.text.terminal import terminal

    if html is not None:
        from repro.report.page.document import (
            write_single,
        )  # fails here, not after the work, if its packages are missing

    request = _request(model, options)
    dataset = open_dataset(source)
    if dataset.faces.synthetic:
        click.secho(f"WARNING: {SYNTHETIC_WARNING}", fg="yellow", err=True)
    record, answers = evaluate_dataset(request, dataset, results, lambda words: click.echo(f"{words} ...", err=True))
    folder = evaluation_folder(results, record.name)
    if not no_record:
        word = "replaced" if (folder / EVALUATION_NAME).exists() else "wrote"
        record = write_folder(folder, record, answers)
        click.echo(f"{word} {folder}", err=True)
    if html is not None:
        with tempfile.TemporaryDirectory() as passing:
            shown = Path(passing) if no_record else folder
            if no_record:
                write_reliability(shown, record)
            figure = (shown / f"{FIGURE_NAME}.svg").exists()
            write_single(html, evaluation_document(record, figure=figure), shown)
        click.echo(f"wrote {html}", err=True)
    if as_json:
        import msgspec

        print_json({"record": msgspec.to_builtins(record), "document": as_builtins(evaluation_document(record))})
    else:
        click.echo(terminal(evaluation_document(record)))


def _request(model: str, options: dict[str, Any]) -> Any:
    """Options as `repro.evaluation.evaluate.EvaluationRequest`. Raises EvaluationError for text that is none."""
    from repro.evaluation.claim import parse_fraction
    from repro.evaluation.evaluate import EvaluationRequest
    from repro.evaluation.options import parse_preprocessing, parse_splits
    from repro.evaluation.records import ClaimedAccuracy

    claim = None
    if options["claim"] is not None:
        value, resolution = parse_fraction(options["claim"], "--claim")
        tolerance = parse_fraction(options["tolerance"], "--tolerance")[0] if options["tolerance"] is not None else None
        claim = ClaimedAccuracy(value=value, resolution=resolution, split=options["split"], tolerance=tolerance)
    elif options["tolerance"] is not None:
        raise click.UsageError("--tolerance belongs to --claim")
    return EvaluationRequest(
        model=model,
        split=options["split"],
        name=options["name"],
        given=parse_preprocessing(options),
        labels=options["labels"],
        find=options["find"],
        training=options["training"],
        trained_on=parse_splits(options["trained_on"]),
        claim=claim,
        ferplus=options["ferplus"],
        batch=options["batch"],
    )

"""The command-line interface of `repro export`. Imports nothing slow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.options import json_option, results_option
from repro.cli.starting import sign_of_life
from repro.use.export.errors import ExportError, need_onnx

ONLY_ONNX = "only ONNX is written: --onnx FILE, for ONNX Runtime on servers, phones and in browsers"
# Forms that people ask for, as options and as endings of the file.
OTHER_FORMS = (
    "tflite",
    "keras",
    "h5",
    "pt",
    "pt2",
    "torch",
    "torchscript",
    "coreml",
    "mlmodel",
    "savedmodel",
    "tensorflow",
)
EXAMPLE = """\
\b
Example:
  repro export teta2022 --onnx teta2022.onnx
  repro export results/runs/teta2022/default/cpu/clean/fer2013-38d6c66a/seed-0 --onnx network.onnx --json"""


def _no_other_form(ctx: click.Context, option: click.Parameter, given: str | None) -> None:
    if given is not None and option.name:
        raise ExportError(f"--{option.name}: {ONLY_ONNX}")


def _other_forms(function: Any) -> Any:
    """Hidden options that name what is written instead, checked before everything else."""
    for form in OTHER_FORMS:
        words = {"hidden": True, "is_eager": True, "expose_value": False, "callback": _no_other_form}
        function = click.option(f"--{form}", help="Not written.", **words)(function)
    return function


@click.command("export", epilog=EXAMPLE)
@click.argument("run")
@_other_forms
@click.option(
    "--onnx",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write. One that `repro export` wrote before is replaced, any other is left alone.",
)
@results_option
@json_option
def export(run: str, path: Path, results: Path, as_json: bool) -> None:
    """Write a trained network as one ONNX file, for use without this suite and without Python.

    RUN is the folder of a run, or a paper: its best run under a corrected protocol, else its best run. Or it is
    `fer_repro_small`, the network that comes with the suite.

    The file takes uint8 faces (N, 48, 48) as `faces` and gives float32 `probabilities` (N, 7). All that is done to the
    pixels before the network (resizing, normalising) is inside, and so is the temperature that makes the probabilities
    agree with how often they are right. It says in its metadata which run it is, how accurate,
    and what the seven outputs mean. Needs the extra `onnx`.
    """
    if path.suffix[1:].lower() in OTHER_FORMS:
        raise ExportError(f"{path}: only ONNX is written; name a file such as {path.with_suffix('.onnx')}")
    need_onnx()

    from repro.runs.records import RECORD_NAME
    from repro.use.export.onnx_file import check_destination, export_document, write_onnx
    from repro.use.fitting import temperature_of
    from repro.use.temperature import temperature_text, unsure_below
    from repro.use.trained import find_trained, load_trained

    check_destination(path)
    is_folder = "/" in run or "\\" in run or (Path(run) / RECORD_NAME).exists() or Path(run).name == RECORD_NAME
    folder = find_trained(results, run=run) if is_folder else find_trained(results, paper=run)
    with sign_of_life("loading the network"):
        trained = load_trained(folder)
        temperature = temperature_of(trained)
        model = write_onnx(path, trained, temperature)
    click.echo(trained.describe(), err=True)
    click.echo(temperature_text(temperature, unsure_below(temperature, None)), err=True)
    if as_json:
        click.echo(json.dumps(export_document(path, folder, model), indent=2, ensure_ascii=False))
    else:
        click.echo(f"wrote {path}, {counted(path.stat().st_size, 'byte')}")

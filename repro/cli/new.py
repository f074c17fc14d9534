"""The command-line interface of `repro new`. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path

import click

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.errors import UserError
from repro.cli.options import example
from repro.specs.catalog import ID, is_bundled
from repro.specs.decode import SpecError


@click.command(epilog=example("repro new my-paper", "repro new my-paper --from model.onnx"))
@click.argument("id")
@click.option(
    "--from",
    "source",
    metavar="MODEL",
    help="Take the layers of model.onnx, model.keras, or of what a function returns: FILE.py:function (Keras, PyTorch, "
    "Flax). Files are read, never executed; the function is your own code and is run.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Default: ID.toml in this folder."
)
def new(id: str, source: str | None, out: Path | None) -> None:
    """Begin the spec of a paper of your own: a commented file, with the layers of a model if you have one.

    What only a reader of the paper can know is left empty; `repro validate` lists it. Layers that the suite does not
    have are comments that name the nearest one.
    """
    if not ID.fullmatch(id):
        raise SpecError(f"{id!r}: an id has lower-case letters, digits, '-' and '_', the first a letter or digit")
    if is_bundled(id):
        raise SpecError(f"{id!r} is a paper that comes with the suite; give your own another id")
    path = out or Path(f"{id}.toml")
    if path.exists():
        raise UserError(f"{path}: is there already; name another file with --out, or delete it")

    from fer_jax.machine.atomic_write import write_atomically
    from repro.draft.source import read_model
    from repro.draft.spec_text import new_spec, unsupported_layers
    from repro.text.terminal import printable_lines

    model = read_model(source, lambda text: click.echo(text, err=True)) if source else None
    name = str(path) if path.is_absolute() else f"./{path}"
    write_atomically(path, new_spec(id, name, model).encode())
    click.echo(f"wrote {path}")
    if model is not None:
        missing = [layer.source for layer in unsupported_layers(model)]
        click.echo(f"{counted(len(model.layers) - len(missing), 'layer')} of {model.about}")
        for one in missing:
            click.echo(
                printable_lines(f"not supported, see the comment in the file: {' '.join(one.split())}"), err=True
            )
    click.echo(f"next: fill in [paper] and the claims, then `repro validate {name}`")

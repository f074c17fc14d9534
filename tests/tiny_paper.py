"""The smallest complete spec, for tests that change one thing in it."""

from __future__ import annotations

from pathlib import Path

from repro.specs.decode import LoadedSpec, load_spec

TINY = """\
format = 1

[paper]
id = "tiny"
title = "A tiny network"
authors = ["A. Author"]
source = "tiny.txt"
summary = "One convolution and one dense layer."

[[data.steps]]
step = "split_by_usage"
into = { train = ["Training"], test = ["PrivateTest"] }
provenance = [{ kind = "assumed", reason = "invented" }]

[[data.steps]]
step = "resize"
size = 8
provenance = [{ kind = "assumed", reason = "invented" }]

[[model.layers]]
layer = "conv"
filters = 2
kernel = 3
provenance = [{ kind = "assumed", reason = "invented" }]

[[model.layers]]
layer = "activation"
function = "relu"
provenance = [{ kind = "assumed", reason = "invented" }]

[[model.layers]]
layer = "flatten"
provenance = [{ kind = "assumed", reason = "invented" }]

[[model.layers]]
layer = "dense"
units = 7
provenance = [{ kind = "assumed", reason = "invented" }]

[training]
batch_size = 4
epochs = 5
evaluate = ["test"]
provenance = [{ kind = "assumed", reason = "invented" }]

[training.loss]
kind = "cross_entropy"
provenance = [{ kind = "assumed", reason = "invented" }]

[training.optimizer]
optimizer = "sgd"
learning_rate = 0.1
provenance = [{ kind = "assumed", reason = "invented" }]

[training.schedule]
schedule = "constant"
provenance = [{ kind = "assumed", reason = "invented" }]

[variants.tanh]
about = "tanh instead of ReLU"
set = { "model.layers.activation1.function" = "tanh" }
provenance = [{ kind = "stated", quote = "tanh units", place = "Sec. 1" }]

[[claims]]
id = "accuracy"
quantity = "accuracy"
value = 0.6
unit = "fraction"
resolution = 0.01
split = "test"
quote = "60 %"
place = "Abstract"
tolerance = 0.03
headline = true

[[claims]]
id = "loss"
quantity = "loss"
value = 1.5
unit = "nat"
resolution = 0.1
split = "test"
epoch = 2
quote = "a loss of 1.5"
place = "Sec. 2"

[[contradictions]]
about = "Activation"
one = "ReLU"
one_place = "Table 1"
other = "tanh units"
other_place = "Sec. 1"
chosen = "ReLU"
reason = "The table lists what was run."
variant = "tanh"
"""


# An edit that puts a residual into the place of the activation.
RESIDUAL = (
    'layer = "activation"\nfunction = "relu"\n',
    """layer = "residual"
body = [
  { layer = "activation", function = "relu" },
  { layer = "conv", filters = 2, kernel = 3, padding = "same", provenance = [{ kind = "inferred", reason = "x" }] },
  { layer = "residual", body = [{ layer = "batch_norm" }] },
]
""",
)


def edited(*edits: tuple[str, str]) -> str:
    """TINY with each first text, which must stand in it, replaced once by the second."""
    text = TINY
    for old, new in edits:
        assert old in text, f"the tiny paper holds no {old!r}"
        text = text.replace(old, new, 1)
    return text


def write_tiny(folder: Path, *edits: tuple[str, str]) -> Path:
    path = folder / "tiny.toml"
    path.write_text(edited(*edits), encoding="utf-8")
    return path


def load_tiny(folder: Path, *edits: tuple[str, str]) -> LoadedSpec:
    return load_spec(write_tiny(folder, *edits))

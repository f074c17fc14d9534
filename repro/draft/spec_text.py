"""The text of a new spec: commented, with the layers of a model if there is one. What only a reader of the paper can
know is left empty, so that `repro validate` lists it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.draft.drafted import DraftedLayer, DraftedModel
from repro.specs.spec_checks import IMAGE_SIZE

_HEAD = """\
# AUTHOR (YEAR): NUMBER on WHICH SAMPLES.
#   repro validate {file}    what is still missing, line by line
#   repro check {file}       goes as far as this file does
#
# Fill in from the top: [paper] and [[claims]] are enough to check the printed numbers; [data] adds the search for
# overlap; [model] and [training] make it run. papers/TEMPLATE.toml has every key with its default.
format = 1

[paper]
id = {id}
title = ""      # the paper's title
authors = []    # ["A. Author", "B. Author"]
# year = 2020   # without it: undated
source = ""     # name of the file that the quotes were copied from: "paper.pdf"
summary = ""    # one sentence: the network, and what it was tested on
"""
_CLAIMS = """
# --- claims: every number that the paper reports, one table each; exactly one is the headline ---

# [[claims]]
# id = "accuracy"
# quantity = "accuracy"
# value = 0.612              # as printed: 61.2 % is 0.612
# unit = "fraction"
# resolution = 0.001         # worth of the last printed digit
# split = "test"
# quote = "an accuracy of 61.2% on the test set"   # verbatim
# place = "Abstract"
# tolerance = 0.02           # how far one new run may be off and still agree; fix it before the first run
# headline = true
#
# [[claims]]                 # sizes show which samples a number is of
# id = "test-rows"
# quantity = "rows"
# value = 3589
# unit = "rows"
# resolution = 1
# split = "test"
# quote = "3,589 test images"
# place = "Table 1"
"""
_DATA = """
# --- data: the steps in their order, mistakes included; all samples start in one split, `all` ---
# Where the paper says which samples it tested on, quote it: { kind = "stated", quote = "...", place = "..." }
"""
_RANDOM = """\
# A random part instead of the official one:
# [[data.steps]]
# step = "split_fraction"
# fraction = 0.9
# into = "train"
# rest = "test"
# provenance = [{ kind = "stated", quote = "...", place = "..." }]
"""
_OFFICIAL = """\
[[data.steps]]
step = "split_by_usage"
into = { train = ["Training"], validation = ["PublicTest"], test = ["PrivateTest"] }
provenance = [{ kind = "assumed", reason = "the official splits; replace this by what the paper says" }]
"""
_NORMALISE = """\
[[data.steps]]
step = "normalise"           # (pixel - subtract) / divide
divide = 255.0
provenance = [{ kind = "assumed", reason = "pixels from 0 to 1; replace this by what the paper says" }]
"""
_MODEL = """
# --- the network: layers, input side first; it ends in a dense layer of 7 units ---
"""
_LAYER = """
# [[model.layers]]
# layer = "conv"             # papers/TEMPLATE.toml has all layers, residuals too
# filters = 32
# kernel = 3
# padding = "same"           # default "valid"
# provenance = [{ kind = "stated", quote = "32 filters of 3x3", place = "Table 2" }]
"""
_TRAINING = """
# --- training ---

# [training]
# batch_size = 64
# epochs = 50
# evaluate = ["validation"]  # after every epoch
# provenance = [{ kind = "stated", quote = "50 epochs with batches of 64", place = "Sec. 3" }]
#
# [training.loss]
# kind = "cross_entropy"     # or "mean_squared_error", "focal", "squared_hinge"
# provenance = [{ kind = "assumed", reason = "the usual loss of a softmax" }]
#
# [training.optimizer]
# optimizer = "adam"         # or sgd, adamw, nadam, rmsprop, adagrad, lion
# learning_rate = 0.001
# provenance = [{ kind = "assumed", reason = "only the name is given" }]
#
# [training.schedule]
# schedule = "constant"      # or reduce_on_plateau, decay_per_update, step, piecewise, exponential, cosine, polynomial,
#                            # one_cycle
# provenance = [{ kind = "assumed", reason = "none is mentioned" }]
"""


def new_spec(id: str, file: str, model: DraftedModel | None = None) -> str:
    """The text of a spec. file: as commands name it."""
    parts = [_HEAD.format(id=json.dumps(id), file=file), _CLAIMS, _DATA]
    if model is None:
        return "".join([*parts, _commented(_OFFICIAL), "#\n", _RANDOM, _MODEL, _LAYER, _TRAINING])
    steps = [_OFFICIAL, *_resize(model), _NORMALISE]
    return "".join([*parts, _RANDOM, "\n", "\n".join(steps), *_network(model), _TRAINING])


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


def _resize(model: DraftedModel) -> Iterator[str]:
    if model.size is None or model.size == IMAGE_SIZE:
        return
    if model.size > IMAGE_SIZE:
        reason = f"the input of {model.about} has {model.size} x {model.size} pixels; how it is enlarged is not known"
        yield (
            f'[[data.steps]]\nstep = "resize"\nsize = {model.size}\nmethod = "bilinear"\n'
            f'provenance = [{{ kind = "assumed", reason = {_toml(reason)} }}]\n'
        )
        return
    reason = f"the input of {model.about} has {model.size} x {model.size} pixels"
    yield (
        f'[[data.steps]]\nstep = "resize"\nsize = {model.size}\n'
        f'provenance = [{{ kind = "upstream", reason = {_toml(reason)} }}]\n'
    )


def _network(model: DraftedModel) -> Iterator[str]:
    yield _MODEL
    yield f"# Read from {_one_line(model.about)}. Compare each layer with the paper, and quote it where it says so.\n"
    remarks = list(model.remarks)
    if model.channels not in (None, 1):
        remarks.append(f"the model takes {counted(model.channels, 'channel')}; the suite's images have one")
    yield from (f"# NOTE: {_one_line(remark)}.\n" for remark in remarks)
    for layer in model.layers:
        yield "\n"
        yield _layer(layer, model.about)
    last = next((layer.settings for layer in reversed(model.layers) if "units" in layer.settings), {})
    if last.get("units") != len(EMOTIONS):
        yield f"\n# NOTE: the network must end in a dense layer of {len(EMOTIONS)} units, one for each emotion.\n"


def _layer(layer: DraftedLayer, about: str) -> str:
    remarks = [f"# {_one_line(layer.source)}: {_one_line(remark)}\n" for remark in layer.remarks]
    if not layer.settings:
        return "".join(remarks)
    lines = [f"{key} = {_toml(value)}\n" for key, value in layer.settings.items()]
    reason = _toml(f"{about}: {layer.source}")
    return "".join(
        [*remarks, "[[model.layers]]\n", *lines, f'provenance = [{{ kind = "upstream", reason = {reason} }}]\n']
    )


def _one_line(text: str) -> str:
    """Text for a comment: names in a model are a stranger's, and a line end would begin a line of the spec."""
    return "".join(c if c.isprintable() else " " for c in text)[:300]


def _toml(value: Any) -> str:
    """A value in TOML; texts escaped as in JSON, which TOML's basic strings share."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, str):
        return json.dumps(_one_line(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) and value != int(value) else str(value)


def unsupported_layers(model: DraftedModel) -> Iterable[DraftedLayer]:
    return (layer for layer in model.layers if not layer.settings)

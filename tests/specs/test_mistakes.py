"""All mistakes of a file in one pass, each with its line, and none that only follows from another."""

from __future__ import annotations

import re

import pytest
from spec_mistakes import MISTAKES
from tiny_paper import RESIDUAL, TINY, edited, write_tiny

from repro.specs.decode import SpecError, load_spec
from repro.specs.mistakes import MOST_MISTAKES


def mistakes_of(path):
    with pytest.raises(SpecError) as error:
        load_spec(path)
    return error.value


def line_with(text, words, nth=1):
    return [number for number, line in enumerate(text.splitlines(), 1) if words in line][nth - 1]


def test_every_mistake_is_said_at_once_with_its_line(tmp_path):
    text = edited(
        ("filters = 2", 'filters = "2"'),
        ("kernel = 3", "kernal = 3"),
        ('function = "relu"', 'function = "mish"'),
        ("[training]", "[training]\nbatchsize = 4"),
        ('optimizer = "sgd"', 'optimizer = "lamb"'),
        ('id = "loss"\nquantity', 'id = "accuracy"\nquantity'),
        ("[[contradictions]]", "[[contradiction]]"),
    )
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    error = mistakes_of(path)
    assert [(one.line, one.place, one.text.partition(";")[0]) for one in error.mistakes] == [
        (line_with(text, 'filters = "2"'), "model.layers[0].filters", 'must be a whole number, not "2"'),
        (line_with(text, "kernal"), "model.layers[0]", "unknown key `kernal`"),
        (line_with(text, "mish"), "model.layers[1].function", 'unknown value "mish"'),
        (line_with(text, "batchsize"), "training", "unknown key `batchsize`"),
        (line_with(text, "lamb"), "training.optimizer.optimizer", 'unknown value "lamb"'),
        (line_with(text, 'id = "accuracy"', 2), "claims[1].id", "another claim has the id 'accuracy'"),
        (line_with(text, "[[contradiction]]"), "", "unknown key `contradiction`"),
    ]
    assert str(error).splitlines() == [
        f"{path}:{one.line}: {f'{one.place}: ' if one.place else ''}{one.text}" for one in error.mistakes
    ]


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        ("kernel = 3", "kernal = 3", "did you mean `kernel`?"),
        ("[paper]", "[papers]", "did you mean `paper`?"),
        ('"relu"', '"rellu"', 'did you mean "relu"?'),
        ('"conv"', '"Conv2D"', 'nearest: `layer = "conv"`'),
        ('"conv"', '"SeparableConv2D"', 'nearest: `layer = "separable_conv"`'),
        ('"flatten"', '"global_average_pooling2d"', 'nearest: `layer = "global_avg_pool"`'),
        ('"relu"', '"leaky_relu"', '`layer = "leaky_relu"`'),
        ('"sgd"', '"AdamW"', 'did you mean "adamw"?'),
        ('"sgd"', '"AdaDelta"', 'nearest: `optimizer = "rmsprop"`'),
        ('"cross_entropy"', '"categorical_crossentropy"', '`kind = "cross_entropy"`'),
        ('"constant"', '"StepLR"', '`schedule = "step"`'),
        ('step = "resize"', 'step = "RandomRotation"', "random_affine"),
        ("kernel = 3", 'kernel = 3\nkernel_init = { kind = "kaiming_uniform" }', '`kind = "he_normal"`'),
    ],
)
def test_what_was_meant_or_is_nearest_is_said(tmp_path, old, new, advice):
    assert advice in str(mistakes_of(write_tiny(tmp_path, (old, new))))


@pytest.mark.parametrize("name", ["missing table", "unknown layer", "no split to evaluate", "bad name"])
def test_a_mistake_has_the_line_of_what_is_wrong(tmp_path, name):
    old, new, _ = MISTAKES[name]
    (mistake,) = mistakes_of(write_tiny(tmp_path, (old, new))).mistakes
    assert mistake.line is not None
    nearby = edited((old, new)).splitlines()[mistake.line - 1 : mistake.line + 1]
    word = re.split(r"[\s=\[\]]+", new.strip("["))[0]
    assert any(word in line or "[[data.steps]]" in line for line in nearby)


def test_two_broken_items_of_a_list_keep_their_places(tmp_path):
    path = write_tiny(tmp_path, ('"conv"', '"x"'), ('"flatten"', '"y"'), ("units = 7", "units = 0"))
    assert [one.place for one in mistakes_of(path).mistakes] == [
        "model.layers[0].layer",
        "model.layers[2].layer",
        "model.layers[3].units",
    ]


def test_a_file_of_nothing_but_mistakes_is_bounded(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(TINY + "".join(f"[[claims]]\nid = {index}\n" for index in range(500)))
    error = mistakes_of(path)
    assert len(error.mistakes) == MOST_MISTAKES
    assert str(error).endswith("more mistakes may follow; fix these first")


NESTED = [
    (
        'filters = 2, kernel = 3, padding = "same"',
        "filters = 2, kernel = 13",
        ".body[1] (residual1.body.conv1)",
        "6 x 6",
    ),
    ("filters = 2, kernel = 3, p", "filters = 4, kernel = 3, p", " (residual1)", "its body ends in 6 x 6 x 4 and its"),
    ('layer = "batch_norm"', 'layer = "batch_norm", epsilon = 0', ".body[2].body[0].epsilon", "must be a number > 0.0"),
    ('layer = "batch_norm"', 'layer = "batchnorm"', ".body[2].body[0].layer", "batch_norm"),
    (
        'function = "relu" },',
        'function = "softmax" },',
        ".body[0] (residual1.body.activation1)",
        "only known as the last",
    ),
]


@pytest.mark.parametrize(("old", "new", "place", "said"), NESTED)
def test_a_mistake_in_a_residual_has_its_place_and_line(tmp_path, old, new, place, said):
    path = tmp_path / "tiny.toml"
    text = edited(RESIDUAL, ("model.layers.activation1.function", "model.layers.conv1.padding"), ('"tanh"', '"same"'))
    text = text.replace(old, new, 1)
    path.write_text(text)
    (mistake,) = mistakes_of(path).mistakes
    assert mistake.place == f"model.layers[1]{place}"
    assert said in mistake.text
    line = text.splitlines()[(mistake.line or 0) - 1]
    assert new in line or (place == " (residual1)" and line == "[[model.layers]]")

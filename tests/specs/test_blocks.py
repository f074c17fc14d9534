"""repro.specs.blocks: a block is its layers, and nothing in the spec shows that it was written in short."""

from __future__ import annotations

import re

import msgspec
import pytest

from fer_jax.vocabulary.layers import Layer, Residual, output_shapes, parameter_count
from repro.specs.blocks import write_out_blocks


def written(**block: object) -> Residual:
    raw = {"layers": [{"layer": "residual", **block}]}
    assert write_out_blocks(raw) == []
    return msgspec.convert(raw["layers"][0], Layer)  # type: ignore[arg-type]


def kinds(layers: tuple[Layer, ...]) -> list[str]:
    return [str(layer.__struct_config__.tag) for layer in layers]


def test_a_basic_block_projects_where_it_has_a_stride():
    block = written(block="basic", filters=16, stride=2)
    assert kinds(block.body) == ["conv", "batch_norm", "activation", "conv", "batch_norm"]
    assert kinds(block.shortcut) == ["conv", "batch_norm"]
    assert output_shapes((block,), (11, 11, 8)) == ((6, 6, 16),)
    by_hand = 9 * 8 * 16 + 9 * 16 * 16 + 8 * 16 + 3 * 2 * 16
    assert parameter_count((block,), (11, 11, 8)) == (by_hand + 3 * 2 * 16, by_hand)


def test_a_preactivation_block_of_the_same_width_keeps_its_input():
    block = written(block="preactivation", filters=8)
    assert kinds(block.body) == ["batch_norm", "activation", "conv"] * 2 and block.shortcut == ()
    assert parameter_count((block,), (6, 6, 8))[1] == 2 * (9 * 8 * 8 + 2 * 8)
    wider = written(block="preactivation", filters=16, projection=True)
    assert output_shapes((wider,), (6, 6, 8)) == ((6, 6, 16),)


def test_blocks_in_lists_of_layers_are_written_out_too():
    inner = {"layer": "residual", "block": "preactivation", "filters": 4}
    raw = {"body": [{"layer": "residual", "body": [inner]}]}
    assert write_out_blocks(raw) == []
    assert "block" not in inner and inner["body"]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"block": "basik", "filters": 8}, 'did you mean "basic"'),
        ({"block": "basic"}, "missing key `filters`"),
        ({"block": "basic", "filters": 0}, "at least 1|>= 1"),
        ({"block": "basic", "filters": 8, "stirde": 2}, "did you mean `stride`"),
        ({"block": "basic", "filters": 8, "body": []}, "unknown key `body`"),
    ],
)
def test_a_mistake_names_its_place_and_what_is_accepted(block, words):
    raw = {"model": {"layers": [{"layer": "residual", **block}]}}
    (mistake,) = write_out_blocks(raw)
    assert mistake.place == "model.layers[0]"

    assert re.search(words, mistake.text), mistake.text
    msgspec.convert(raw["model"]["layers"][0], Layer)  # the rest of the file can be looked at

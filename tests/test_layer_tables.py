"""Every layer of the vocabulary is applied, exported, built in the rivals, and checked: each table has all of them."""

from __future__ import annotations

import importlib
from pathlib import Path

import layers_by_hand
import msgspec
import pytest

from fer_jax.vocabulary import layers
from fer_jax.vocabulary.layers import LAYERS, Custom, LayerStruct, every_layer
from repro.bench import contenders
from repro.specs.nearest import nearest_element

ROOT = Path(__file__).resolve().parents[1]
# The module of each table, its name, and the contender whose framework it imports.
TABLES = (
    ("fer_jax.network.application", "APPLICATIONS", ""),
    ("repro.use.export.nodes", "LAYER_NODES", ""),
    ("repro.bench.contenders.torch_layers", "TORCH_LAYERS", "torch"),
    ("repro.bench.contenders.keras_layers", "KERAS_LAYERS", "keras"),
)


def every_struct(kind: type[LayerStruct] = LayerStruct) -> set[type[LayerStruct]]:
    """All structs with a name of their own, wherever they are defined."""
    own = {kind} if kind.__struct_config__.tag != kind.__name__ else set()  # a base has its class's name
    return own.union(*(every_struct(below) for below in kind.__subclasses__()))


def test_the_vocabulary_has_every_struct_of_a_layer():
    assert set(LAYERS) == every_struct()
    assert all(kind.__name__ in layers.__all__ for kind in LAYERS)


@pytest.mark.parametrize(("module", "table", "needs"), TABLES, ids=[table for _, table, _ in TABLES])
def test_a_table_has_every_layer(module, table, needs):
    if needs and not contenders.installed(needs):
        # Without the framework its keys are read from the text.
        text = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
        keys = text[text.index(f"\n{table}: ") :]
        assert all(f"    kinds.{kind.__name__}: " in keys for kind in LAYERS)
        return
    assert set(getattr(importlib.import_module(module), table)) == set(LAYERS)


def test_a_case_checks_every_layer():
    """Against its definition, in both layouts, as an ONNX graph and in the rivals."""
    found = {
        type(named.layer) for case in layers_by_hand.CASES for named in every_layer(layers_by_hand.network_of(case))
    }
    assert found == set(LAYERS) - {Custom}  # a module of the user's own: `tests/network/test_custom.py`


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_a_layer_is_not_named_as_unknown(kind):
    """What the suite has is not advised against: the advice for a layer's own name names that layer."""
    tag = kind.__struct_config__.tag
    advice = nearest_element("layer", str(tag))
    assert not advice or f'layer = "{tag}"' in advice


def test_later_fields_have_defaults():
    for kind in LAYERS:
        defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}
        assert all(defaults[name] is not msgspec.NODEFAULT for name in kind.later_fields), kind

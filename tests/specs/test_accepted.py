"""repro.specs.accepted: the choices come from the schema, the words from TOML."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
import pytest

from fer_jax.vocabulary.layers import Layer
from fer_jax.vocabulary.step_kinds import Step
from repro.specs.accepted import PATTERN_WORDS, accepted_keys, accepted_values, explain, keys_of
from repro.specs.spec import Spec


class Red(msgspec.Struct, tag_field="colour", tag="red", forbid_unknown_fields=True):
    shade: Literal["dark", "light"]


class Blue(msgspec.Struct, tag_field="colour", tag="blue", forbid_unknown_fields=True):
    depth: Annotated[float, msgspec.Meta(gt=0, le=9)]
    words: dict[str, tuple[int, ...]] = {}


class Wall(msgspec.Struct, forbid_unknown_fields=True):
    paint: Red | Blue
    sizes: tuple[int, ...] = ()
    kind: Literal[1, "old"] | None = None
    named: dict[Annotated[str, msgspec.Meta(pattern="^w+$")], Red] = {}


def explained(raw: Any) -> str:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(raw, Wall)
    return explain(error.value, raw, Wall)


RED = {"colour": "red", "shade": "dark"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "missing key `paint`"),
        ({"paint": {"colour": "green"}}, 'paint.colour: unknown value "green"; accepted: "blue", "red"'),
        ({"paint": {}}, 'paint: missing key `colour`; accepted: "blue", "red"'),
        ({"paint": {"colour": "red"}}, 'paint: missing key `shade`; accepted: "dark", "light"'),
        ({"paint": {**RED, "depth": 1}}, "paint: unknown key `depth`; accepted: colour, shade"),
        ({"paint": {"colour": "blue", "depth": 10}}, "paint.depth: must be a number <= 9.0, not 10"),
        ({"paint": RED, "sizes": [1, "2"]}, 'sizes[1]: must be a whole number, not "2"'),
        ({"paint": RED, "sizes": {"a": 1}}, "sizes: must be a list, not a table"),
        ({"paint": RED, "kind": "new"}, 'kind: unknown value "new"; accepted: 1, "old"'),
        ({"paint": RED, "named": {"w": RED, "x": RED}}, 'named: a key must be a text that matches ^w+$, not "x"'),
        (
            {"paint": RED, "named": {"w": RED, "ww": {**RED, "shade": "no"}}},
            'named.ww.shade: unknown value "no"; accepted: "dark", "light"',
        ),
        (
            {"paint": {"colour": "blue", "depth": 1, "words": {"a": [1], "b": [2, True]}}},
            "paint.words.b[1]: must be a whole number, not true",
        ),
        ([], "must be a table, not an empty list"),
    ],
)
def test_an_error_names_key_path_value_and_choices(raw, message):
    assert explained(raw) == message


def test_a_long_value_is_cut():
    assert len(explained({"paint": RED, "kind": "long " * 100})) < 120


def test_of_a_union_only_the_named_member_counts():
    raw = {"paint": {"colour": "blue"}}
    assert accepted_keys(Wall, ["paint"], raw) == ["colour", "depth", "words"]
    assert accepted_keys(Wall, ["paint"], {"paint": {}}) == ["colour", "depth", "shade", "words"]
    assert accepted_values(Wall, ["sizes"], {}) == []


def test_all_layers_and_steps_of_the_schema_are_offered():
    for union, path, field in ((Layer, ["model", "layers"], "layer"), (Step, ["data", "steps"], "step")):
        kinds = {str(kind.__struct_config__.tag): kind for kind in get_args(union)}
        assert accepted_values(Spec, [*path, 0, field], {}) == sorted(f'"{name}"' for name in kinds)
        for name, kind in kinds.items():
            raw = {path[0]: {path[1]: [{field: name}]}}
            assert accepted_keys(Spec, [*path, 0], raw) == sorted(keys_of(kind))
            assert {field, *kind.__struct_fields__} == set(keys_of(kind))


def test_every_pattern_of_the_schema_is_put_into_words():
    patterns = {field.pattern for field in _texts(msgspec.inspect.type_info(Spec), set()) if field.pattern is not None}
    assert patterns == set(PATTERN_WORDS)


def _texts(info: Any, seen: set[Any]) -> list[msgspec.inspect.StrType]:
    """All text types below a type of the schema."""
    if isinstance(info, msgspec.inspect.StrType):
        return [info]
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls in seen:
            return []
        seen.add(info.cls)
        inner = [field.type for field in info.fields]
    else:
        names = ("types", "item_type", "item_types", "key_type", "value_type", "type")
        found = [getattr(info, name) for name in names if hasattr(info, name)]
        inner = [i for f in found for i in (f if isinstance(f, tuple | list) else [f])]
    return [text for i in inner for text in _texts(i, seen)]

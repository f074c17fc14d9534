"""What a spec accepts at a key path: the names of keys, tags and choices, read off the structs themselves."""

from __future__ import annotations

import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec


def accepted_values(root: Any, path: str, *, names_of_keys: bool) -> list[str]:
    """Keys (of the table at `path`) or values (of the setting at `path`) that `root` accepts; empty where any will do.

    path: as msgspec writes it, ``model.layers[0].layer``, without the leading ``$.``; ``[...]`` stands for any index.
    """
    kinds = [root]
    for part in [p for p in re.split(r"\.|(\[[^\]]*\])", path) if p]:
        tags = [k for k in _structs(kinds) if k.__struct_config__.tag_field == part]
        if tags:
            return sorted(str(k.__struct_config__.tag) for k in tags)
        kinds = _step_into(kinds, part)
    if names_of_keys:
        return sorted({name for k in _structs(kinds) for name in _keys(k)})
    return [repr(choice) for kind in _flatten(kinds) if get_origin(kind) is Literal for choice in get_args(kind)]


def _flatten(kinds: list[Any]) -> list[Any]:
    """Unions and annotations opened."""
    out: list[Any] = []
    for kind in kinds:
        origin = get_origin(kind)
        if origin is Annotated:
            out += _flatten([get_args(kind)[0]])
        elif origin in (Union, types.UnionType):
            out += _flatten(list(get_args(kind)))
        else:
            out.append(kind)
    return out


def _structs(kinds: list[Any]) -> list[Any]:
    return [k for k in _flatten(kinds) if isinstance(k, type) and issubclass(k, msgspec.Struct)]


def _keys(struct: Any) -> list[str]:
    tag = struct.__struct_config__.tag_field
    return [*struct.__struct_fields__, *([tag] if tag else [])]


def _step_into(kinds: list[Any], part: str) -> list[Any]:
    inside: list[Any] = []
    for kind in _flatten(kinds):
        origin = get_origin(kind)
        if part.startswith("["):  # an index of a list, or msgspec's [...] for any key of a table
            if origin in (tuple, list):
                inside.append(get_args(kind)[0])
            elif origin is dict:
                inside.append(get_args(kind)[1])
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            hints = get_type_hints(kind, include_extras=True)
            if part in hints:
                inside.append(hints[part])
    return inside

"""Error messages for a wrong spec: msgspec's errors in a TOML author's words, with the key path and the choices.

The accepted keys, tags and choices are read off the structs themselves, so they cannot fall behind the schema.
"""

from __future__ import annotations

import json
import re
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.specs.nearest import close_spelling, nearest_element

Path = list[str | int | None]  # keys and indices from the root; None is msgspec's [...], any key of a table

_TYPE_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date",
    "date": "a date",
    "time": "a time of day",
}
PATTERN_WORDS = {
    r"^(?![a-z0-9_-]*[^a-z0-9_-])[a-z0-9][a-z0-9_-]{0,99}$": (
        "of lower-case letters, digits, '-' and '_', the first a letter or digit, at most 100"
    ),
    r"^(?![a-z0-9_]*[^a-z0-9_])[a-z][a-z0-9_]{0,99}$": (
        "of lower-case letters, digits and '_', the first a letter, at most 100"
    ),
    r"^[A-Za-z_][A-Za-z0-9_.]{0,200}:[A-Za-z_][A-Za-z0-9_]{0,100}$": "such as package.module:Class",
    r"^[0-9a-f]{64}$": "of 64 digits 0 to 9 and a to f",
}


@dataclass(frozen=True)
class Explained:
    """An error of decoding. path: of the table or value concerned, or of a key that is wrong (`of_key`). unknown,
    missing: a key of the table at `path`. meant: the accepted key that an unknown one is a slip of."""

    path: Path
    text: str
    of_key: bool = False
    unknown: str = ""
    missing: str = ""
    meant: str = ""


def explain(error: msgspec.ValidationError, raw: Any, root: Any) -> str:
    """``key path: what is wrong; accepted: ...`` for the error of ``msgspec.convert(raw, root)``."""
    found = explained(error, raw, root)
    where = written(found.path[:-1] if found.of_key else found.path)
    return f"{where + ': ' if where else ''}{found.text}"


def explained(error: msgspec.ValidationError, raw: Any, root: Any) -> Explained:
    """The error of ``msgspec.convert(raw, root)`` in a TOML author's words."""
    match = re.fullmatch(r"(.*?)(?: - at (`key` in )?`\$\.?(.*)`)?", str(error), re.DOTALL)
    assert match is not None
    text, of_key, place = match.groups()
    path = _named(_parts(place or "") + ([None] if of_key else []), raw, root, text)
    value = path[-1] if of_key else value_at(raw, path)
    message, choices = _in_words(text, path, value, raw, root)
    unknown, missing = (re.fullmatch(f"Object {words} field `(.*)`", text, re.DOTALL) for words in _OF_FIELDS)
    meant = close_spelling(unknown[1], choices) if unknown else ""
    hint = f"; accepted: {', '.join(choices)}" if choices else ""
    hint += f"; did you mean `{meant}`?" if meant else _advice(path, value, choices)
    return Explained(
        path,
        f"{'a key ' if of_key else ''}{message}{hint}",
        bool(of_key),
        unknown[1] if unknown else "",
        missing[1] if missing else "",
        meant,
    )


_OF_FIELDS = ("contains unknown", "missing required")


def _advice(path: Path, value: Any, choices: list[str]) -> str:
    """For a value that is none of the choices: the one that it is a slip of, or the nearest supported element."""
    if not isinstance(value, str) or not path:
        return ""
    key, table = path[-1], path[-2] if len(path) > 1 else ""
    element = str(table if key == "kind" else key)
    if choices and (near := nearest_element(element, value)):
        return f"; nearest: {near}"
    meant = close_spelling(json.dumps(value), choices)
    return f"; did you mean {meant}?" if meant else ""


def _in_words(text: str, path: Path, value: Any, raw: Any, root: Any) -> tuple[str, list[str]]:
    """(what is wrong, the accepted keys or values)."""
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", text, re.DOTALL):
        return f"unknown key `{unknown[1]}`", accepted_keys(root, path, raw)
    if missing := re.fullmatch(r"Object missing required field `(.*)`", text):
        return f"missing key `{missing[1]}`", accepted_values(root, [*path, missing[1]], raw)
    if re.match(r"Invalid (enum )?value ", text):
        return f"unknown value {_shown(value)}", accepted_values(root, path, raw)
    if expected := re.match(r"Expected `([^`]*)`", text):
        words = _type_words(expected[1])
        if pattern := re.search(r" matching regex '(.*)'$", text):
            words = f"{words} {PATTERN_WORDS.get(pattern[1], f'that matches {pattern[1]}')}"
        elif length := re.search(r" of length >= (\d+)$", text):
            words = f"{words} of at least {counted(int(length[1]), 'character' if isinstance(value, str) else 'item')}"
        elif most := re.search(r" of length <= (\d+)$", text):
            words = f"{words} of at most {counted(int(most[1]), 'character' if isinstance(value, str) else 'item')}"
        elif bound := re.search(r" ([<>]=? \S+)$", text):
            words = f"{words} {bound[1]}"
        return f"must be {words}, not {_shown(value)}", accepted_values(root, path, raw)
    return text, []


def _type_words(names: str) -> str:
    """``int | null`` as TOML has it; null, which TOML has not, is left out."""
    return " or ".join(_TYPE_WORDS.get(name, name) for name in names.split(" | ") if name != "null")


def _shown(value: Any) -> str:
    if isinstance(value, str | int | float):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 60 else text[:57] + "..."
    if isinstance(value, dict | list):
        return f"{'a' if value else 'an empty'} {'table' if isinstance(value, dict) else 'list'}"
    return str(value)


# --- key paths ------------------------------------------------------------------------------------------------------


def _parts(place: str) -> Path:
    """msgspec's ``model.layers[0].into[...]`` in parts."""
    parts: Path = []
    for part in re.split(r"\.(?![.\]])|(?=\[)", place):
        if part.startswith("["):
            parts.append(None if part == "[...]" else int(part[1:-1]))
        elif part:
            parts.append(part)
    return parts


def written(path: Path) -> str:
    """A path as messages show it: model.layers[0].filters."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _named(path: Path, raw: Any, root: Any, text: str) -> Path:
    """The path with the keys that msgspec leaves out: the first whose entry gives the same error by itself. text: of
    the error, without its place."""
    path = list(path)
    for depth in [i for i, part in enumerate(path) if part is None]:
        kinds, table = _walk(root, path[:depth], raw)
        entry = next((kind for kind in kinds if get_origin(kind) is dict), dict[str, Any])
        for key, value in (table or {}).items():
            try:
                msgspec.convert({key: value}, entry)
            except msgspec.ValidationError as found:
                if str(found).partition(" - at ")[0] == text:
                    path[depth] = key
                    break
    return path


def value_at(raw: Any, path: Path) -> Any:
    for part in path:
        if isinstance(raw, dict):
            raw = raw.get(part)
        else:
            raw = raw[part] if isinstance(raw, list) and isinstance(part, int) else None
    return raw


# --- choices --------------------------------------------------------------------------------------------------------


def accepted_keys(root: Any, path: Path, raw: Any) -> list[str]:
    """The keys of the table at `path` of a spec of type `root`; for a union, those of the layer, step, ... in `raw`."""
    kinds, _ = _walk(root, path, raw)
    return sorted({name for struct in _structs(kinds) for name in keys_of(struct)})


def accepted_values(root: Any, path: Path, raw: Any) -> list[str]:
    """The values of the setting at `path` if they are a closed set, else empty."""
    if path:
        inside, _ = _walk(root, path[:-1], raw)
        tags = [str(k.__struct_config__.tag) for k in _structs(inside) if k.__struct_config__.tag_field == path[-1]]
        if tags:
            return sorted(json.dumps(tag) for tag in tags)
    kinds, _ = _walk(root, path, raw)
    choices = [json.dumps(choice) for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    return list(dict.fromkeys(choices))


def keys_of(struct: Any) -> tuple[str, ...]:
    """The keys of a table that is decoded into this struct, its tag (`layer`, `step`, ...) included."""
    tag = struct.__struct_config__.tag_field
    return (*struct.__struct_fields__, *([tag] if tag else []))


def _walk(root: Any, path: Path, raw: Any) -> tuple[list[Any], Any]:
    kinds = _chosen(members_of([root]), raw)
    for part in path:
        raw = value_at(raw, [part])
        kinds = _chosen(members_of(_step_into(kinds, part)), raw)
    return kinds, raw


def _chosen(kinds: list[Any], raw: Any) -> list[Any]:
    """The member of a tagged union that `raw` names, if it names one."""
    if isinstance(raw, dict):
        named = [k for k in _structs(kinds) if k.__struct_config__.tag and _tag_of(k, raw) == k.__struct_config__.tag]
        return named or kinds
    return kinds


def _tag_of(struct: Any, raw: dict[str, Any]) -> Any:
    return raw.get(struct.__struct_config__.tag_field)


def members_of(kinds: list[Any]) -> list[Any]:
    """Unions and annotations opened."""
    out: list[Any] = []
    for kind in kinds:
        origin = get_origin(kind)
        if origin is Annotated:
            out += members_of([get_args(kind)[0]])
        elif origin in (Union, types.UnionType):
            out += members_of(list(get_args(kind)))
        else:
            out.append(kind)
    return out


def _structs(kinds: list[Any]) -> list[Any]:
    return [k for k in kinds if isinstance(k, type) and issubclass(k, msgspec.Struct)]


def _step_into(kinds: list[Any], part: str | int | None) -> list[Any]:
    inside: list[Any] = []
    for kind in kinds:
        origin = get_origin(kind)
        if origin in (tuple, list):
            inside.append(get_args(kind)[0])
        elif origin is dict:
            inside.append(get_args(kind)[1])
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            hints = get_type_hints(kind, include_extras=True)
            if part in hints:
                inside.append(hints[part])
    return inside

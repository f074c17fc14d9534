"""From a TOML file to a checked spec: strict decoding, provenance, variants. No JAX here.

All mistakes of a file are one ``SpecError``, with file, line, key path and what is accepted for each.
"""

from __future__ import annotations

import copy
import hashlib
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.custom_layer import expand
from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.split_plan import check_steps
from fer_jax.vocabulary.step_kinds import StepError
from repro.specs.blocks import write_out_blocks
from repro.specs.bounds import DEEPEST, exceeded, has_endless_key
from repro.specs.claim_checks import claim_mistakes
from repro.specs.lines import key_lines, line_of
from repro.specs.mistakes import MOST_MISTAKES, Decoding, Mistake, decode_all
from repro.specs.nearest import hint
from repro.specs.overrides import WrongSetting, converted, override
from repro.specs.printed_values import read_printed_values
from repro.specs.sources import of_whole_tables, setting_names, whole_table_mistakes, with_inherited
from repro.specs.spec import PaperSpec, Provenance, Spec
from repro.specs.spec_checks import (
    IMAGE_SIZE,
    fit_mistakes,
    layer_tables,
    provenance_mistakes,
    setting_structs,
)
from repro.specs.stages import TABLES, missing_tables, with_stand_in_network

DEFAULT_VARIANT = "default"
MOST_VARIANTS, MOST_NUMBERS = 100, 1000  # of a spec; some checks compare each with each
RESERVED_VARIANTS = (DEFAULT_VARIANT, "all")  # `--variant all` runs each
LARGEST_SPEC = 2_000_000  # bytes; the longest bundled one has 80,000
# In place of tables that every spec needs, to look at the rest of one that lacks them.
_STAND_INS = {
    "format": 1,
    "paper": {"id": "x", "title": "x", "authors": ["x"], "source": "x", "summary": "x"},
}


class SpecError(UserError):
    """A spec cannot be used. The message has a line for each mistake: the file, its line, the key path, what is wrong,
    and what is accepted."""

    def __init__(self, message: str, mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(message)
        self.mistakes = tuple(mistakes)


def _error(path: Path, mistakes: Sequence[Mistake]) -> SpecError:
    lines = [f"{path}{f':{one.line}' if one.line else ''}: {one}" for one in mistakes[:MOST_MISTAKES]]
    if len(mistakes) >= MOST_MISTAKES:
        lines.append(f"{path}: more mistakes may follow; fix these first")
    return SpecError("\n".join(lines), mistakes)


@dataclass(frozen=True)
class LoadedSpec:
    """A decoded spec with what the structs do not hold: its file, its raw tables, its provenance by key path, and the
    file's bytes with their SHA-256 (empty if there was no file).

    A spec may be partial: claims alone, or claims and data steps, without a network. Then `resolve` is an error.
    """

    spec: PaperSpec
    path: Path
    raw: dict[str, Any]
    provenance: dict[str, tuple[Provenance, ...]]
    sha256: str = ""
    content: bytes = field(default=b"", repr=False)

    @property
    def id(self) -> str:
        return self.spec.paper.id

    @property
    def is_complete(self) -> bool:
        """Whether it can be run."""
        return not missing_tables(self.spec)

    def variant_names(self) -> tuple[str, ...]:
        return (DEFAULT_VARIANT, *self.spec.variants)

    def resolve(self, variant: str, changes: Mapping[str, object] | None = None) -> Spec:
        """The complete spec with the variant's settings in place, and then `changes`, by the same key paths.

        Raises SpecError for an unknown variant or key path or a partial spec, or if the result is inconsistent.
        """
        if missing := missing_tables(self.spec):
            tables = " and ".join(f"[{name}]" for name in missing)
            raise SpecError(f"{self.path}: no {tables}: it cannot be run; `repro validate` says how far it goes")
        settings = self.settings(variant, changes)
        assert isinstance(settings, Spec), "a complete spec is decoded as one"
        return settings

    def resolve_data(self, variant: str) -> Spec:
        """`resolve` for what needs the data steps alone: a spec without a network gets one that nothing depends on.

        Raises SpecError if there are no data steps.
        """
        if self.is_complete:
            return self.resolve(variant)
        settings = self.settings(variant)
        if settings.data is None:
            raise SpecError(f"{self.path}: no [data]: say how the samples are divided; papers/TEMPLATE.toml shows how")
        return with_stand_in_network(settings)

    def settings(self, variant: str, changes: Mapping[str, object] | None = None) -> PaperSpec:
        """The spec with the variant's settings in place, and then `changes`, as far as the file has them. Raises
        SpecError."""
        if variant not in self.variant_names():
            names = self.variant_names()
            has = f"{', '.join(names)}{hint(variant, names)}"
            raise SpecError(f"{self.path}: no variant {variant!r}; this paper has: {has}")
        of_variant = {} if variant == DEFAULT_VARIANT else self.spec.variants[variant].set
        if not of_variant and not changes:
            return self.spec
        place = "--set" if changes else f"variants.{variant}.set"
        try:
            raw = copy.deepcopy({key: self.raw[key] for key in TABLES if key in self.raw})
            for dotted, value in (*of_variant.items(), *(changes or {}).items()):
                override(raw, dotted, copy.deepcopy(value))
            tables = converted(raw)
        except WrongSetting as wrong:
            raise _error(self.path, [Mistake(place, str(wrong))]) from None
        spec = msgspec.structs.replace(self.spec, **{key: getattr(tables, key) for key in TABLES})
        if mistakes := [Mistake(place, str(one)) for one in fit_mistakes(spec)]:
            raise _error(self.path, mistakes)
        return spec


def load_spec(path: Path) -> LoadedSpec:
    """Read and check one spec file.

    Raises SpecError with all mistakes.
    """
    try:
        if path.is_file() and path.stat().st_size > LARGEST_SPEC:
            raise SpecError(f"{path}: more than {LARGEST_SPEC:,} bytes, which no spec needs")
        content = path.read_bytes()
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise SpecError(f"{path}: a folder, not a file; name the .toml file in it") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    raw = _toml(content, path)
    expand(raw)
    read_printed_values(raw)
    wrong_blocks = write_out_blocks(raw)
    found: dict[str, Any] = {}
    _take_provenance(raw, "", found)
    decoding = decode_all(raw, PaperSpec, _STAND_INS)
    endless = list(_endless(raw, ""))
    of_types = [
        one for one in decoding.mistakes if not any(one.place and e.place.startswith(one.place) for e in endless)
    ]
    if mistakes := [*endless, *wrong_blocks, *of_types, *_beyond_types(decoding, raw, found, path)]:
        lines = key_lines(content.decode("utf-8-sig"))
        placed = [replace(one, line=line_of(one.key or one.place, lines)) for one in mistakes]
        raise _error(path, sorted(placed, key=lambda one: one.line or 0))
    assert decoding.value is not None
    spec = decoding.value if missing_tables(decoding.value) else msgspec.convert(raw, Spec)
    provenance = {key: msgspec.convert(value, tuple[Provenance, ...]) for key, value in found.items()}
    provenance = with_inherited(of_whole_tables(provenance, setting_names(spec)), layer_tables(spec))
    return LoadedSpec(spec, path, raw, provenance, hashlib.sha256(content).hexdigest(), content)


def _toml(content: bytes, path: Path) -> dict[str, Any]:
    """Raises SpecError for text that is not TOML, or is beyond the bounds of any spec."""
    try:
        text = content.decode("utf-8-sig")
        if has_endless_key(text):
            raise SpecError(f"{path}: a dotted key of more than 100 parts")
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8") from None
    except RecursionError:
        raise SpecError(f"{path}: nested deeper than {DEEPEST}") from None
    except ValueError as error:  # TOMLDecodeError, and numbers of thousands of digits
        raise SpecError(f"{path}: not valid TOML: {error}") from None
    if mistake := exceeded(raw):
        raise SpecError(f"{path}: {mistake}")
    return raw


def _take_provenance(node: Any, path: str, found: dict[str, Any]) -> None:
    """Remove every `provenance` from the raw tables and keep it by the key path of its table."""
    if isinstance(node, dict):
        if "provenance" in node:
            found[path] = node.pop("provenance")
        for key, value in node.items():
            _take_provenance(value, f"{path}.{key}" if path else key, found)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _take_provenance(value, f"{path}[{index}]", found)


def _endless(node: Any, path: str) -> Iterator[Mistake]:
    """nan and inf, which TOML allows but which no setting, no claim and no JSON file can hold."""
    if isinstance(node, float) and not math.isfinite(node):
        yield Mistake(path, f"must be a finite number, not {node}")
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield from _endless(value, path + (f"[{key}]" if isinstance(key, int) else f".{key}" if path else key))


# --- beyond the types of the fields ----------------------------------------------------------------------------------


def _beyond_types(
    decoding: Decoding[PaperSpec], raw: dict[str, Any], found: dict[str, Any], path: Path
) -> Iterator[Mistake]:
    """What is wrong in the parts that could be decoded. found: the provenance in raw form."""
    spec, damaged = decoding.value, decoding.damaged
    provenance: dict[str, tuple[Provenance, ...]] = {}
    unread: set[str] = set()
    for key, value in found.items():
        entries = decode_all({"provenance": value}, _Sources, {})
        yield from (Mistake(f"{key}.{one.place}" if key else one.place, one.text) for one in entries.mistakes)
        if entries.mistakes or entries.value is None:
            unread.add(key)
        else:
            provenance[key] = entries.value.provenance
    if spec is None:
        return
    if too_many := _too_many(spec):
        yield too_many
        return
    tables = {key: one for key, one in setting_structs(spec, decoding.kept).items() if key not in unread}
    names = setting_names(spec, decoding.kept)
    yield from whole_table_mistakes(provenance, names, frozenset(damaged))
    sources = with_inherited(of_whole_tables(provenance, names), tables)
    yield from provenance_mistakes(tables, sources, frozenset(damaged))
    reserved = [name for name in spec.variants if name in RESERVED_VARIANTS]
    yield from (Mistake(f"variants.{name}", "this name is reserved; choose another") for name in reserved)
    sound = msgspec.structs.replace(spec, **{key: None for key in TABLES if key in damaged})
    fit = list(fit_mistakes(sound))
    yield from fit
    splits = {DEFAULT_VARIANT: None if fit else _splits(sound)}
    loaded = LoadedSpec(spec, path, raw, provenance)
    for name in spec.variants:
        splits[name] = None
        if damaged.isdisjoint(TABLES) and "variants" not in damaged and not fit:
            try:
                splits[name] = _splits(loaded.settings(name))
            except SpecError as error:
                yield from error.mistakes
    if damaged.isdisjoint({"claims", "curves", "tables"}):
        unsure = "variants" in damaged or bool(reserved)
        yield from (one for one in claim_mistakes(spec, splits) if not (unsure and one.text.startswith("no variant")))


class _Sources(msgspec.Struct):
    provenance: tuple[Provenance, ...]


def _too_many(spec: PaperSpec) -> Mistake | None:
    if len(spec.variants) > MOST_VARIANTS:
        return Mistake("variants", f"{len(spec.variants):,}; at most {MOST_VARIANTS} are read")
    if (numbers := len(spec.all_claims)) > MOST_NUMBERS:
        return Mistake("claims", f"{counted(numbers, 'number')}; at most {MOST_NUMBERS:,} are read")
    return None


def _splits(spec: PaperSpec) -> tuple[str, ...] | None:
    """The splits that the data steps leave; None if there are no steps, or if they do not fit."""
    if spec.data is None:
        return None
    try:
        return check_steps(spec.data.steps, IMAGE_SIZE)[0]
    except StepError:
        return None

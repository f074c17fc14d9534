"""From a TOML file to a checked Spec: strict decoding, provenance, variants. No JAX here.

A mistake is one ``SpecError`` that names the file, the key path and what is accepted there.
"""

from __future__ import annotations

import copy
import hashlib
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fer_jax.data.faces import EMOTIONS
from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.layers import LayerError, layer_names, output_shapes
from fer_jax.vocabulary.settings import ReduceOnPlateau
from fer_jax.vocabulary.step_kinds import StepError, check_steps, step_names
from repro.specs.accepted import explain, keys_of
from repro.specs.bounds import DEEPEST, exceeded, has_endless_key
from repro.specs.claim_checks import claim_mistakes
from repro.specs.spec import Provenance, Spec

IMAGE_SIZE = 48  # FER-2013 (Goodfellow et al. 2013)
DEFAULT_VARIANT = "default"
MOST_VARIANTS, MOST_NUMBERS = 100, 1000  # of a spec; some checks compare each with each
RESERVED_VARIANTS = (DEFAULT_VARIANT, "all")  # `--variant all` runs each
SETTINGS = ("data", "model", "training")  # the tables that decide a run's numbers; a variant changes nothing else
KINDS = (
    'provenance = [{ kind = "stated", quote = ..., place = ... }], or "upstream", "inferred", "assumed" with `reason`'
)


class SpecError(UserError):
    """A spec cannot be used. The message names the file, the key path, what is wrong, and what is accepted."""


@dataclass(frozen=True)
class LoadedSpec:
    """A decoded spec with what the structs do not hold: its file, its raw tables, its provenance by key path, and the
    file's bytes with their SHA-256 (empty if there was no file)."""

    spec: Spec
    path: Path
    raw: dict[str, Any]
    provenance: dict[str, tuple[Provenance, ...]]
    sha256: str = ""
    content: bytes = field(default=b"", repr=False)

    @property
    def id(self) -> str:
        return self.spec.paper.id

    def variant_names(self) -> tuple[str, ...]:
        return (DEFAULT_VARIANT, *self.spec.variants)

    def resolve(self, variant: str) -> Spec:
        """The spec with the variant's settings in place.

        Raises SpecError for an unknown variant, or if the result is inconsistent.
        """
        if variant == DEFAULT_VARIANT:
            return self.spec
        if variant not in self.spec.variants:
            raise SpecError(f"{self.path}: no variant {variant!r}; this paper has: {', '.join(self.variant_names())}")
        raw = self.raw | copy.deepcopy({key: self.raw[key] for key in SETTINGS})
        for dotted, value in self.spec.variants[variant].set.items():
            _override(raw, dotted, copy.deepcopy(value), f"{self.path}: variants.{variant}.set")
        spec = _convert(raw, f"{self.path}: variants.{variant}.set")
        _check_fit(spec, f"{self.path}: variants.{variant}.set")
        return spec


def load_spec(path: Path) -> LoadedSpec:
    """Read and check one spec file.

    Raises SpecError with file, key path and remedy.
    """
    try:
        if path.is_file() and path.stat().st_size > LARGEST_SPEC:
            raise SpecError(f"{path}: more than {LARGEST_SPEC:,} bytes; no spec needs so many")
        content = path.read_bytes()
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise SpecError(f"{path}: a folder, not a file; name the .toml file in it") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    raw = _toml(content, path)
    _check_finite(raw, "", path)
    found: dict[str, Any] = {}
    _take_provenance(raw, "", found)
    spec = _convert(raw, str(path))
    if len(spec.variants) > MOST_VARIANTS:
        raise SpecError(f"{path}: variants: {len(spec.variants):,}; at most {MOST_VARIANTS} are read")
    if len(spec.all_claims) > MOST_NUMBERS:
        raise SpecError(f"{path}: claims: {len(spec.all_claims):,} numbers; at most {MOST_NUMBERS:,} are read")
    provenance = {key: _convert_provenance(value, f"{path}: {key}.provenance") for key, value in found.items()}
    loaded = LoadedSpec(spec, path, raw, provenance, hashlib.sha256(content).hexdigest(), content)
    _check_provenance(loaded)
    _check_fit(spec, str(path))
    for name in spec.variants:
        if name in RESERVED_VARIANTS:
            raise SpecError(f"{path}: variants.{name}: this name is reserved; choose another")
    for mistake in claim_mistakes(spec, {name: _splits(loaded.resolve(name)) for name in loaded.variant_names()}):
        raise SpecError(f"{path}: {mistake}")
    return loaded


def _toml(content: bytes, path: Path) -> dict[str, Any]:
    """Raises SpecError for what is no TOML, or is beyond the bounds of any spec."""
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


def _check_finite(node: Any, path: str, file: Path) -> None:
    """Reject nan and inf, which TOML allows but which no setting, no claim and no JSON file can hold."""
    if isinstance(node, float) and not math.isfinite(node):
        raise SpecError(f"{file}: {path}: must be a finite number, not {node}")
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        place = f"[{key}]" if isinstance(key, int) else f".{key}" if path else key
        _check_finite(value, path + place, file)


def _convert(raw: dict[str, Any], where: str) -> Spec:
    try:
        return msgspec.convert(raw, Spec)
    except msgspec.ValidationError as error:
        raise SpecError(f"{where}: {explain(error, raw, Spec)}") from None


def _convert_provenance(raw: Any, where: str) -> tuple[Provenance, ...]:
    try:
        return msgspec.convert(raw, tuple[Provenance, ...])
    except msgspec.ValidationError as error:
        message = explain(error, raw, tuple[Provenance, ...])
        raise SpecError(f"{where}{'' if message.startswith('[') else ': '}{message}") from None


LARGEST_SPEC = 2_000_000  # bytes; the longest bundled one has 80,000
_SETTING_TABLES = ("data.steps", "model.layers")


def _setting_tables(spec: Spec) -> dict[str, Any]:
    """Key path of each table that holds settings, with its struct."""
    tables: dict[str, Any] = {f"data.steps[{i}]": step for i, step in enumerate(spec.data.steps)}
    tables |= {f"model.layers[{i}]": layer for i, layer in enumerate(spec.model.layers)}
    tables["training"] = spec.training
    tables["training.loss"] = spec.training.loss
    tables["training.optimizer"] = spec.training.optimizer
    tables["training.schedule"] = spec.training.schedule
    tables |= {f"variants.{name}": variant for name, variant in spec.variants.items()}
    return tables


def _check_provenance(loaded: LoadedSpec) -> None:
    """Every setting has a provenance, and nothing else has one."""
    tables = _setting_tables(loaded.spec)
    for key in loaded.provenance:
        if key not in tables:
            raise SpecError(f"{loaded.path}: {key}: provenance belongs to settings only: {', '.join(tables)}")
    for key, struct in tables.items():
        entries = loaded.provenance.get(key)
        if not entries:
            raise SpecError(f"{loaded.path}: {key}: no `provenance`; say where these settings come from: {KINDS}")
        fields = set(struct.__struct_fields__)
        if key == "training":
            fields -= {"loss", "optimizer", "schedule"}
        allowed = fields | (set(keys_of(struct)) - set(struct.__struct_fields__))
        named = {name for entry in entries for name in entry.of}
        for name in sorted(named - allowed):
            raise SpecError(
                f"{loaded.path}: {key}.provenance: `of` names {name!r}; accepted: {', '.join(sorted(allowed))}"
            )
        if all(entry.of for entry in entries) and fields - named:
            missing = ", ".join(sorted(fields - named))
            raise SpecError(
                f"{loaded.path}: {key}: no provenance for {missing}; add an entry (without `of`: all the rest)"
            )


def _check_fit(spec: Spec, where: str) -> None:
    """Steps, layers and training fit each other."""
    try:
        splits, size = check_steps(spec.data.steps, IMAGE_SIZE)
    except StepError as error:
        raise SpecError(f"{where}: data.steps[{error.index}]: {error}") from None
    try:
        shapes = output_shapes(spec.model.layers, (size, size, 1))
    except LayerError as error:
        name = layer_names(spec.model.layers)[error.index]
        raise SpecError(f"{where}: model.layers[{error.index}] ({name}): {error}") from None
    if shapes[-1] != (len(EMOTIONS),):
        raise SpecError(
            f"{where}: model.layers: the network ends in shape {shapes[-1]}, but there are {len(EMOTIONS)} emotions: "
            f"end it with a dense layer of {len(EMOTIONS)} units"
        )
    training = spec.training
    named = {"training.evaluate": training.evaluate}
    if training.report == "best":
        named["training.report_split"] = (training.report_split,)
    if isinstance(training.schedule, ReduceOnPlateau):
        named["training.schedule.split"] = (training.schedule.split,)
    for key, names in named.items():
        for name in names:
            if name not in splits or name == "train":
                known = ", ".join(s for s in splits if s != "train")
                raise SpecError(f"{where}: {key}: no evaluated split {name!r}; the data steps leave: {known}")
            if key != "training.evaluate" and name not in training.evaluate:
                raise SpecError(f"{where}: {key}: {name!r} is not in training.evaluate, so it has no figure each epoch")


def _splits(spec: Spec) -> tuple[str, ...]:
    return check_steps(spec.data.steps, IMAGE_SIZE)[0]


def _override(raw: dict[str, Any], dotted: str, value: Any, where: str) -> None:
    """Put `value` at a dotted path; layers and steps are addressed by name (conv1, shuffle2)."""
    node: Any = raw
    parts = dotted.split(".")
    if parts[0] not in SETTINGS or len(parts) == 1:
        raise SpecError(f"{where}: {dotted}: not a setting; accepted: paths below {', '.join(SETTINGS)}")
    for depth, part in enumerate(parts):
        at = ".".join(parts[: depth + 1])
        last = depth == len(parts) - 1
        key: Any = part
        if isinstance(node, list):
            names = _names_in(raw, ".".join(parts[:depth]), where)
            if part not in names:
                raise SpecError(f"{where}: {at}: no such name; accepted: {', '.join(names)}")
            key = names.index(part)
        elif not isinstance(node, dict):
            raise SpecError(f"{where}: {at}: {'.'.join(parts[:depth])} is a value and holds no keys")
        if last:
            node[key] = value
            return
        if isinstance(node, dict) and part not in node:
            raise SpecError(f"{where}: {at}: no such table; accepted: {', '.join(node)}")
        node = node[key]


def _names_in(raw: dict[str, Any], list_path: str, where: str) -> tuple[str, ...]:
    spec = _convert(raw, where)
    if list_path == "model.layers":
        return layer_names(spec.model.layers)
    if list_path == "data.steps":
        return step_names(spec.data.steps)
    raise SpecError(f"{where}: {list_path}: only the items of {' and '.join(_SETTING_TABLES)} have names")

"""One setting that a sweep varies, in one line: `KEY=a,b,c` or `KEY=1e-4..1e-2:log`. No Optuna here."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.layers import layer_names
from fer_jax.vocabulary.step_kinds import step_names
from repro.specs.decode import LoadedSpec
from repro.specs.nearest import hint
from repro.specs.setting_changes import parse_setting
from repro.sweep.errors import SweepError

SamplerName = Literal["grid", "random", "tpe"]
VARIANT = "variant"  # the key that chooses among the variants of the spec
MOST_CHOICES = 1000
_SCALES = ("log", "linear")
_RANGE = re.compile(r"([^\s:]+?)\.\.([^\s:]+?)(?::(\w*))?")
_EXAMPLE = "write KEY=a,b,c or KEY=LOW..HIGH, such as training.optimizer.learning_rate=1e-4..1e-2:log"
_DIGITS = 4  # of a number drawn from a range: more would be noise in the record


@dataclass(frozen=True)
class Dimension:
    """A setting and the values that are tried: `choices` in the order given, or numbers from `low` to `high`.

    key: as given. A `*` in it matches several layers or steps, which change together; `keys` are those of the spec,
    empty before `placed`. whole: only whole numbers. log: evenly spread logarithms.
    """

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    keys: tuple[str, ...] = ()

    @property
    def is_range(self) -> bool:
        return not self.choices

    def written(self) -> str:
        """The line that gives this dimension."""
        if not self.is_range:
            return f"{self.key}={','.join(self.choices)}"
        low, high = (str(int(end)) if self.whole else f"{end:g}" for end in (self.low, self.high))
        return f"{self.key}={low}..{high}{':log' if self.log else ''}"

    def text(self, value: object) -> str:
        """A value as a setting has it."""
        return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)

    def ends(self) -> tuple[str, ...]:
        """Values whose validity shows that of all: the choices, or both ends of the range."""
        if not self.is_range:
            return self.choices
        return tuple(self.text(int(end) if self.whole else float(end)) for end in (self.low, self.high))


def parse_dimension(text: str) -> Dimension:
    """Raises SweepError for an empty range, a logarithm of 0, a value given twice, or anything else."""
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not key or not values:
        raise SweepError(f"--set {text!r}: {_EXAMPLE}")
    if found := _RANGE.fullmatch(values):
        return _range(text, key, *found.groups())
    choices = tuple(_split(values))
    if not all(choices):
        raise SweepError(f"--set {text!r}: an empty value between the commas")
    if len(choices) > MOST_CHOICES:
        raise SweepError(f"--set {text[:60]!r}: {counted(len(choices), 'value')}; at most {MOST_CHOICES:,}")
    seen: dict[str, str] = {}
    for choice in choices:
        value = repr(parse_setting(f"{key}={choice}")[1])
        if value in seen:
            raise SweepError(f"--set {text!r}: {seen[value]} and {choice} are the same value")
        seen[value] = choice
    return Dimension(key, choices)


def _range(text: str, key: str, low: str, high: str, scale: str | None) -> Dimension:
    if scale is not None and scale not in _SCALES:
        raise SweepError(f"--set {text!r}: unknown scale {scale!r}; accepted: :log, :linear{hint(scale, _SCALES)}")
    try:
        ends = float(low), float(high)
    except ValueError:
        raise SweepError(f"--set {text!r}: a range needs a number at both ends") from None
    if not all(map(math.isfinite, ends)):
        raise SweepError(f"--set {text!r}: both ends of a range must be finite")
    if ends[0] >= ends[1]:
        raise SweepError(f"--set {text!r}: an empty range: {low} is not below {high}")
    if scale == "log" and ends[0] <= 0:
        raise SweepError(f"--set {text!r}: a logarithmic range must begin above 0, not at {low}")
    if key == VARIANT:
        raise SweepError(f"--set {text!r}: variants have no order; name them: variant=default,...")
    whole = all(re.fullmatch(r"[+-]?\d+", end) for end in (low, high))
    return Dimension(key, low=ends[0], high=ends[1], log=scale == "log", whole=whole)


def _split(values: str) -> list[str]:
    """At commas outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in values:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
        if sign == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def placed(dimensions: tuple[Dimension, ...], loaded: LoadedSpec, variant: str) -> tuple[Dimension, ...]:
    """The dimensions with the keys of the spec, each of which is tried out.

    Raises SweepError for a setting that two of them vary, for variants that are not there and for a `*` that matches
    nothing; SpecError for an unknown key and for a value that the spec cannot take.
    """
    found: dict[str, Dimension] = {}
    for dimension in dimensions:
        one = replace(dimension, keys=_keys(dimension, loaded, variant))
        for key in one.keys:
            if key in found:
                raise SweepError(f"--set: {found[key].key} and {one.key} both vary {key}")
            found[key] = one
        for text in one.ends():
            if one.key != VARIANT:
                loaded.resolve(variant, dict(parse_setting(f"{key}={text}") for key in one.keys))
    return tuple(dict.fromkeys(found.values()))


def _keys(dimension: Dimension, loaded: LoadedSpec, variant: str) -> tuple[str, ...]:
    if dimension.key == VARIANT:
        names = loaded.variant_names()
        for choice in dimension.choices:
            if choice not in names:
                accepted = f"{', '.join(names)}{hint(choice, names)}"
                raise SweepError(f"{loaded.path}: no variant {choice!r}; accepted: {accepted}")
        return (VARIANT,)
    if "*" not in dimension.key:
        return (dimension.key,)
    parts = dimension.key.split(".")
    spec = loaded.resolve(variant)
    lists = {"model.layers": layer_names(spec.model.layers), "data.steps": step_names(spec.data.steps)}
    table = ".".join(parts[:2])
    if table not in lists or len(parts) < 4 or any("*" in part for part in (*parts[:2], *parts[3:])):
        raise SweepError(f"--set {dimension.key}: a * matches names in {' or '.join(lists)}, as in dropout*.rate")
    names = [name for name in lists[table] if fnmatchcase(name, parts[2])]
    if not names:
        raise SweepError(f"--set {dimension.key}: no name matches {parts[2]}; accepted: {', '.join(lists[table])}")
    return tuple(".".join((*parts[:2], name, *parts[3:])) for name in names)

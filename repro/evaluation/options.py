"""Text of the command line as settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from fer_jax.data.formats.names import usage_index
from fer_jax.vocabulary.fer2013 import USAGES
from repro.evaluation.errors import EvaluationError


def parse_preprocessing(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `Preprocessing` that were given, by name. Raises EvaluationError."""
    found: dict[str, Any] = {name: options[name] for name in ("interpolation", "layout") if options.get(name)}
    if options.get("channels"):
        found["channels"] = int(options["channels"])
    if options.get("size"):
        size = re.fullmatch(r"(\d{1,4})(?:\s*[x×]\s*(\d{1,4}))?", options["size"].strip())
        if size is None:
            raise EvaluationError(f"--size {options['size']!r}: write 64, or 64x48 for height and width")
        found |= {"height": int(size[1]), "width": int(size[2] or size[1])}
    if options.get("scale"):
        found["scale"] = parse_number(options["scale"], "--scale")
    for name in ("mean", "deviation"):
        if options.get(name):
            found[name] = tuple(parse_number(one, f"--{name}") for one in options[name].split(","))
    return found


def parse_number(text: str, option: str) -> float:
    """A number or a fraction such as 1/255. Raises EvaluationError."""
    try:
        return float(Fraction(text.strip()))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise EvaluationError(f"{option} {text!r}: not a number such as 0.5 or 1/255") from None


def parse_splits(text: str) -> tuple[str, ...]:
    """Names of USAGES, in their order; none for "none". Raises EvaluationError."""
    if text.strip().lower() == "none":
        return ()
    found = [usage_index(one) for one in text.split(",")]
    if None in found:
        raise EvaluationError(f"--trained-on {text!r}: {', '.join(USAGES)}, with commas between them, or none")
    return tuple(name for number, name in enumerate(USAGES) if number in found)

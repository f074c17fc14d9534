"""Values as a paper prints them: `value = "47.3%"` in place of the number, its unit and its resolution. No JAX here."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from repro.specs.claims import UNITS

_PRINTED = re.compile(r"(-?[0-9]{1,3}(?:,[0-9]{3})+|-?[0-9]{1,15})(\.[0-9]{1,15})?\s*(%?)")


def read_printed_values(raw: dict[str, Any]) -> None:
    """Replace each text in `value` of raw [[claims]] by the number, and add `unit` and `resolution` unless they are
    given. Other text is kept, and is an error of type."""
    claims = raw.get("claims")
    for claim in claims if isinstance(claims, list) else ():
        if isinstance(claim, dict) and isinstance(claim.get("value"), str):
            _read(claim)


def _read(claim: dict[str, Any]) -> None:
    found = _PRINTED.fullmatch(claim["value"].strip())
    if not found:
        return
    whole, decimals, per_cent = found.groups()
    number = Decimal(whole.replace(",", "") + (decimals or ""))
    digit = Decimal(1).scaleb(int(number.as_tuple().exponent))  # worth of the last one
    share = Decimal(100 if per_cent else 1)
    units = ("fraction",) if per_cent else UNITS.get(str(claim.get("quantity")), ())
    claim["value"] = float(number / share)
    claim.setdefault("resolution", float(digit / share))
    if len(units) == 1:
        claim.setdefault("unit", units[0])

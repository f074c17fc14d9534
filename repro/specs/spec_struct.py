"""What every table of a spec is decoded with."""

from __future__ import annotations

from typing import Annotated

import msgspec


class SpecStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all tables of a spec share."""


NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^(?![a-z0-9_-]*[^a-z0-9_-])[a-z0-9][a-z0-9_-]{0,99}$")]

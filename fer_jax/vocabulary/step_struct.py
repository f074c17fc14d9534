"""What every data step is decoded with."""

from __future__ import annotations

from typing import Annotated

import msgspec

PositiveInt = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
SplitName = Annotated[str, msgspec.Meta(pattern=r"^(?![a-z0-9_]*[^a-z0-9_])[a-z][a-z0-9_]{0,99}$")]


class StepStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="step"):
    """What all steps share."""

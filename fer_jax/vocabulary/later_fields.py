"""Settings that were added after the first records, and what they must not change.

The identity of a run is a hash over all of its settings. A struct names the fields that it gained later in
``later_fields``. While such a field has its default, it does not count: it is not hashed, not recorded, not shown, and
needs no source. So older records keep their identity, and older specs stay complete.

    class Dropout(LayerStruct, frozen=True, kw_only=True, tag="dropout"):
        rate: float
        whole_maps: bool = False
        later_fields: ClassVar[tuple[str, ...]] = ("whole_maps",)
"""

from __future__ import annotations

from typing import Any

import msgspec


def is_default(struct: msgspec.Struct, name: str) -> bool:
    """Whether a field of a struct, of any kind, has its default."""
    fields = type(struct).__struct_fields__
    defaults = type(struct).__struct_defaults__  # of the last fields, because those with a default come last
    place = fields.index(name) - len(fields) + len(defaults)
    return place >= 0 and getattr(struct, name) == defaults[place]


def counted_fields(struct: msgspec.Struct) -> tuple[str, ...]:
    """The fields of a struct in their order, without later fields that have their default."""
    later = getattr(struct, "later_fields", ())
    return tuple(name for name in struct.__struct_fields__ if name not in later or not is_default(struct, name))


def counted(value: Any) -> Any:
    """`msgspec.to_builtins(value)` without later fields that have their default, at any depth."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field else {}
        return tag | {name: counted(getattr(value, name)) for name in counted_fields(value)}
    if isinstance(value, tuple | list):
        return [counted(item) for item in value]
    if isinstance(value, dict):
        return {key: counted(item) for key, item in value.items()}
    return msgspec.to_builtins(value)

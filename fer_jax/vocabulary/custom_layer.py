"""A layer of the user's own: a Flax module from outside the suite. Nothing of it is executed here.

Its source is found as Python would find it, and its SHA-256 is a setting of the spec. So a spec says by itself which
code a run executed, and a run of an edited module is another run.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from fer_jax.vocabulary.layer_struct import LayerStruct, PositiveInt, Shape

PREFIX = "python:"
NO_HASH = "0" * 64
_ModuleAndClass = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,200}:[A-Za-z_][A-Za-z0-9_]{0,100}$")]
_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Custom(LayerStruct, frozen=True, kw_only=True, tag="python"):
    """A Flax Linen module of the user's own, in channels-last layout (batch, height, width, channels) or on features.

    module: where it is, `package.module:Class`. sha256: of the file that defines it. settings: the fields that it is
    made with. output: the shape that it makes of its input, without the batch axis; empty: its input's.

    It is called as `module(x)`, or as `module(x, train=...)` if it takes `train`. Its parameters and batch statistics
    are trained, kept and restored as those of other layers. What it normalises over a batch, it sees the rows of one
    device of. It is neither exported nor built in other frameworks.
    """

    computed: ClassVar[tuple[str, ...]] = ("sha256",)

    module: _ModuleAndClass
    sha256: _Sha256
    settings: dict[str, bool | int | float | str] = msgspec.field(default_factory=dict)
    output: Annotated[tuple[PositiveInt, ...], msgspec.Meta(max_length=3)] = ()

    def output_shape(self, shape: Shape) -> Shape:
        return self.output or shape


def own_modules(layers: Sequence[Any]) -> list[Custom]:
    """The layers of the user's own in a list, those of residuals too, each once."""
    found: list[Custom] = []
    for layer in layers:
        if isinstance(layer, Custom) and layer not in found:
            found.append(layer)
        for key in layer.lists:
            found += [one for one in own_modules(getattr(layer, key)) if one not in found]
    return found


def own_code(layer: Custom) -> str:
    """What to know of a layer that is not the suite's."""
    return (
        f"Own code: {layer.module} (SHA-256 {layer.sha256[:16]}). What trains or uses the network executes it. The "
        "suite has not checked what it does, and counts none of its parameters."
    )


def source_file(module: str) -> Path | None:
    """The file that defines `package.module:Class`, where Python would find it from the working directory; None if
    there is none. Nothing is imported."""
    parts = module.partition(":")[0].split(".")
    for folder in [str(Path.cwd()), *sys.path]:
        place = Path(folder or ".").joinpath(*parts)
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def source_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source_trouble(module: str, sha256: str) -> str:
    """What keeps the source of a module from being the one with this hash; empty if it is that one."""
    path = source_file(module)
    if path is None:
        name = module.partition(":")[0]
        return f"no module {name} in the working directory or on PYTHONPATH"
    found = source_sha256(path)
    if found == sha256:
        return ""
    now = (
        "the file that is run must be named by its hash"
        if sha256 == NO_HASH
        else "the file is not the one of this hash"
    )
    return f'{now}: {path.name} has sha256 = "{found}"'


def expand(raw: Any) -> None:
    """Write each ``layer = "python:package.module:Class"`` of raw tables as ``layer = "python"`` with `module`, at any
    depth. A missing `sha256` becomes one that no file has, so that the message about it names the right one."""
    if isinstance(raw, dict):
        name = raw.get("layer")
        if isinstance(name, str) and name.startswith(PREFIX):
            raw["layer"] = "python"
            raw.setdefault("module", name.removeprefix(PREFIX))
        if raw.get("layer") == "python":
            raw.setdefault("sha256", NO_HASH)
        for value in raw.values():
            expand(value)
    elif isinstance(raw, list):
        for value in raw:
            expand(value)

"""The speed that this suite sets itself as a target, from targets.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec

_FILE = Path(__file__).with_name("targets.toml")


class RatioTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Least ratio of this suite's images/s to the best rival's. except_: other ratios, by the paper's id."""

    what: str
    device: str
    ratio: float
    except_: dict[str, float] = msgspec.field(name="except", default_factory=dict)


class ImportTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """ratio: of the rival's import time to this suite's. cached_s: seconds to open an imported dataset again."""

    ratio: float
    cached_s: float


class Targets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ratios: tuple[RatioTarget, ...]
    import_: ImportTarget = msgspec.field(name="import")

    def ratio(self, what: str, device: str, paper: str) -> float | None:
        """The target for one paper; None where none is set, as for prediction on a GPU."""
        for target in self.ratios:
            if (target.what, target.device) == (what, device):
                return target.except_.get(paper, target.ratio)
        return None


@cache
def targets() -> Targets:
    """The content of targets.toml."""
    return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), Targets)

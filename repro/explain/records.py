"""What `repro explain` found, kept as ``results/explain/<paper>.json`` for the report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from repro.records import decode_record, write_json

EXPLANATION_FORMAT = 1
Conclusion = Literal["nothing to explain", "not a matter of leakage", "explained", "several fit", "not explained"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """kind: accuracy, rows or curve. fits: whether it speaks for the suspect; None where the document does not say."""

    kind: str
    fits: bool | None
    text: str


class SuspectResult(msgspec.Struct, frozen=True, kw_only=True):
    """One suspect. status: `measured` by runs of its own; `estimated` from the honest runs, where that is enough to
    tell that it cannot reach the claim; `not applicable`. accuracies: one per seed; empty where it does not apply."""

    suspect: str
    about: str
    status: Literal["measured", "estimated", "not applicable"]
    accuracies: tuple[float, ...]
    evidence: tuple[Evidence, ...]
    reason: str

    @property
    def fits(self) -> bool:
        """It reaches the claim and nothing speaks against it."""
        kinds = {one.kind: one.fits for one in self.evidence}
        return kinds.get("accuracy") is True and False not in kinds.values()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Of a paper's main claim. honest: accuracies of the clean runs, by seed. suspects: the likeliest first. settings:
    `settings_sha256` of every protocol that was run. duplicates_version: of the search for duplicates."""

    format: int
    paper: str
    variant: str
    claim: str
    reported: float
    settings: dict[str, str]
    duplicates_version: int
    data: str
    fingerprint: str
    device: str
    honest: tuple[float, ...]
    conclusion: Conclusion
    cause: str
    suspects: tuple[SuspectResult, ...]


def write_explanation(results: Path, explanation: Explanation) -> Path:
    return write_json(_path(results, explanation.paper), explanation)


def read_explanation(results: Path, paper: str) -> Explanation | None:
    """None where there is none.

    Raises RecordError for a file that is no explanation.
    """
    path = _path(results, paper)
    if not path.exists():
        return None
    name = f"paper's explanation of format {EXPLANATION_FORMAT}"
    return decode_record(path, Explanation, name, "run `repro explain` again")


def _path(results: Path, paper: str) -> Path:
    return results / "explain" / f"{paper}.json"

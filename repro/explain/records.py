"""What `repro explain` found, kept as ``results/explain/<paper>.json`` for the report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from repro.runs.record_files import RecordError, decode_record, write_json

# 1: a suspect counted if its mean was within the tolerance, even with one run and without any effect.
EXPLANATION_FORMAT = 2
Conclusion = Literal["proven", "several hypotheses", "not known", "nothing to explain"]
Standing = Literal["credited", "open", "excluded"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """kind: effect, claim, seeds, paper, steps, curve or estimate. fits: whether it supports the hypothesis (True),
    contradicts it (False), or does neither (None)."""

    kind: str
    fits: bool | None
    text: str


class SuspectResult(msgspec.Struct, frozen=True, kw_only=True):
    """One hypothesis: a protocol error, or a property of the data.

    standing: credited by all rules of docs/explain.md, excluded by one rule, or open. accuracies: one per run; of an
    estimate, one per clean run. how: whether they come from runs with this error or are estimated from clean runs.
    same_runs_as: the protocol of the runs, if another one has the same settings. missing_runs, minutes: the runs that a
    decision needs, and about how long they take; None if no run of the paper shows it.
    """

    suspect: str
    about: str
    standing: Standing
    how: Literal["measured", "estimated", "not run", "not applicable"]
    accuracies: tuple[float, ...]
    evidence: tuple[Evidence, ...]
    reason: str
    same_runs_as: str = ""
    missing_runs: int = 0
    minutes: float | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The explanation of a paper's main claim.

    clean: accuracies of the clean runs, by seed. why: the reasons for the conclusion, in sentences. other_reasons: why
    the clean accuracy may differ from the claim without any protocol error. next_steps: what would separate the
    remaining hypotheses. suspects: credited first, then open, then excluded. settings: `settings_sha256` of every
    protocol whose runs were read. duplicates_version: of the search for duplicates. failed_runs: with their errors.
    """

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
    clean: tuple[float, ...]
    conclusion: Conclusion
    cause: str
    why: tuple[str, ...]
    other_reasons: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    suspects: tuple[SuspectResult, ...] = ()
    failed_runs: tuple[str, ...] = ()


class OlderExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """An explanation by the rules of an older format. Its conclusion is not valid under the present rules."""

    format: int
    paper: str


def write_explanation(results: Path, explanation: Explanation) -> Path:
    return write_json(_path(results, explanation.paper), explanation)


def read_explanation(results: Path, paper: str) -> Explanation | OlderExplanation | None:
    """None if there is none.

    Raises RecordError for a file that is not an explanation.
    """
    path = _path(results, paper)
    if not path.exists():
        return None
    name, remedy = f"paper's explanation of format {EXPLANATION_FORMAT}", "run `repro explain` again"
    older = decode_record(path, OlderExplanation, name, remedy)
    if older.format > EXPLANATION_FORMAT:
        raise RecordError(f"{path}: format {older.format} is of a newer version of the suite; delete it and {remedy}")
    return older if older.format < EXPLANATION_FORMAT else decode_record(path, Explanation, name, remedy)


def _path(results: Path, paper: str) -> Path:
    return results / "explain" / f"{paper}.json"

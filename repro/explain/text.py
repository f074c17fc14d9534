"""An explanation as blocks, for the terminal and for the paper's page."""

from __future__ import annotations

from statistics import fmean

from repro.explain.hypotheses import missing_text
from repro.explain.records import Explanation, SuspectResult
from repro.text.document import Block, Cell, Column, Details, Inline, Items, Paragraph, strong, table
from repro.text.units import percentage_of

COLUMNS = (Column("Hypothesis"), Column("Accuracy", "right"), Column("How"), Column("Result"))
WORDS = {True: "for", False: "against", None: "undecided"}
HEADS = {
    "proven": "Proven",
    "several hypotheses": "Several hypotheses remain",
    "not known": "Not known",
    "nothing to explain": "Nothing to explain",
}


def headline(explanation: Explanation) -> str:
    """The conclusion in a few words."""
    cause = next((one.about for one in explanation.suspects if one.suspect == explanation.cause), "")
    return f"{HEADS[explanation.conclusion]}{f': {cause}' if cause else ''}"


def summary(explanation: Explanation) -> str:
    """The conclusion with its reasons, in sentences."""
    return " ".join([f"{headline(explanation)}.", *explanation.why])


def explanation_blocks(explanation: Explanation) -> list[Block]:
    """The conclusion, what would decide it, and every hypothesis with its evidence."""
    about = f" {' '.join(explanation.why)} {_place(explanation)}".rstrip()
    blocks: list[Block] = [Paragraph((strong(f"{headline(explanation)}."), about))]
    if explanation.failed_runs:
        blocks += [Paragraph("Failed runs:"), Items(explanation.failed_runs)]
    if explanation.next_steps:
        blocks += [Paragraph("To decide:"), Items(explanation.next_steps)]
    if not explanation.suspects:
        return blocks
    rows: list[list[Cell | Inline]] = [
        [
            _name(one),
            Cell(percentage_of(one.accuracies), fmean(one.accuracies)) if one.accuracies else "\u2014",
            one.how,
            strong(one.standing) if one.standing == "credited" else one.standing,
        ]
        for one in explanation.suspects
    ]
    reasons: list[Block] = []
    for one in explanation.suspects:
        evidence = (f"{found.kind}: {WORDS[found.fits]}: {found.text}" for found in one.evidence)
        reasons += [Paragraph((strong(f"{one.suspect}:"), f" {one.standing}.")), Items((_reason(one), *evidence))]
    return [*blocks, table(COLUMNS, rows), Details("Evidence for each hypothesis", tuple(reasons))]


def _name(one: SuspectResult) -> str:
    return f"{one.suspect}: {one.about}"


def _reason(one: SuspectResult) -> str:
    """The reason for the hypothesis's standing, and what is missing."""
    parts = [one.reason]
    if one.missing_runs:
        parts.append(f"To decide: {missing_text(one.missing_runs, one.minutes)}.")
    if one.same_runs_as:
        parts.append(f"The runs of protocol {one.same_runs_as} have the same settings.")
    return " ".join(parts)


def _place(explanation: Explanation) -> str:
    """What all values were measured on."""
    if not explanation.device:
        return ""
    variant = "" if explanation.variant == "default" else f" Variant {explanation.variant}."
    return f"On {explanation.device}, {explanation.data} ({explanation.fingerprint[:8]}).{variant}"

"""An explanation as text for the terminal and for the paper's page."""

from __future__ import annotations

from statistics import fmean

from repro.explain.hypotheses import missing_text
from repro.explain.records import Explanation, SuspectResult
from repro.text.document import Block, Cell, Column, Inline, Items, Paragraph, strong, table
from repro.text.units import percentage_of

COLUMNS = (Column("Hypothesis"), Column("Accuracy", "right"), Column("How"), Column("Result"), Column("Evidence"))
WORDS = {True: "for", False: "against", None: "does not tell"}
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


def explanation_text(explanation: Explanation) -> str:
    """`repro explain`, the credited hypotheses first."""
    lines = [f"{explanation.paper}, claim {explanation.claim}: {headline(explanation)}"]
    lines += [f"  {why}" for why in explanation.why]
    lines += [f"  To decide: {step}" for step in explanation.next_steps]
    lines += [f"  FAILED: {error}" for error in explanation.failed_runs]
    lines += [f"  {place}" for place in [_place(explanation)] if place]
    for one in explanation.suspects:
        lines += ["", f"[{one.standing}] {_name(one)}", f"    {_reason(one)}"]
        lines += [f"    {evidence.kind}: {WORDS[evidence.fits]}: {evidence.text}" for evidence in one.evidence]
    return "\n".join(lines)


def explanation_blocks(explanation: Explanation) -> list[Block]:
    """The section of a paper's page."""
    rows: list[list[Cell | Inline]] = [
        [
            _name(one),
            Cell(percentage_of(one.accuracies), fmean(one.accuracies)) if one.accuracies else "\u2014",
            one.how,
            strong(one.standing) if one.standing == "credited" else one.standing,
            "; ".join([_reason(one), *(f"{e.kind}, {WORDS[e.fits]}: {e.text}" for e in one.evidence)]),
        ]
        for one in explanation.suspects
    ]
    about = f" {' '.join(explanation.why)} {_place(explanation)}".rstrip()
    blocks: list[Block] = [Paragraph((strong(f"{headline(explanation)}."), about))]
    if explanation.next_steps:
        blocks += [Paragraph("To decide:"), Items(explanation.next_steps)]
    return [*blocks, *([table(COLUMNS, rows)] if rows else [])]


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

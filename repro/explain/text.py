"""An explanation as people read it: on a terminal and as Markdown."""

from __future__ import annotations

from repro.explain.records import Explanation, SuspectResult
from repro.report.markdown import Column, escape, table
from repro.report.units import percentage_of

COLUMNS = (Column("Suspect"), Column("Accuracy", "right"), Column("How"), Column("Fits"), Column("Evidence"))
WORDS = {True: "for", False: "against", None: "says nothing"}


def summary(explanation: Explanation) -> str:
    """The conclusion in a sentence."""
    honest = percentage_of(explanation.honest)
    told = f"Reported {explanation.reported:.1%}; honestly (protocol clean) {honest}."
    match explanation.conclusion:
        case "nothing to explain":
            return f"{told} The claim is what an honest run gives: nothing to explain."
        case "not a matter of leakage":
            return f"{told} The claim lies below the honest figure: no leak can be the cause."
        case "explained":
            return f"{told} One suspect fits: {explanation.suspects[0].about} ({explanation.cause})."
        case "several fit":
            fitting = "; ".join(one.about for one in explanation.suspects if one.fits)
            return f"{told} Several suspects fit, and the document does not tell them apart: {fitting}."
        case _:
            return f"{told} No suspect reaches the claim."


def explanation_text(explanation: Explanation) -> str:
    """`repro explain`, the likeliest suspect first."""
    lines = [f"{explanation.paper}, claim {explanation.claim}: {summary(explanation)}", f"  {_place(explanation)}"]
    for one in explanation.suspects:
        lines += ["", f"{_mark(one)} {one.suspect}: {one.about}"]
        lines += [f"    {evidence.kind}: {WORDS[evidence.fits]}: {evidence.text}" for evidence in one.evidence]
        lines += [f"    {one.status}: {one.reason}"] if one.reason else []
    return "\n".join(lines)


def explanation_blocks(explanation: Explanation) -> str:
    """The section of a paper's page."""
    rows = [
        [
            escape(f"{one.suspect}: {one.about}"),
            percentage_of(one.accuracies) if one.accuracies else "\u2014",
            one.status,
            "**yes**" if one.fits else "no",
            escape(
                "; ".join([*(f"{e.kind}, {WORDS[e.fits]}: {e.text}" for e in one.evidence), one.reason]).strip("; ")
            ),
        ]
        for one in explanation.suspects
    ]
    about = f"{summary(explanation)} {_place(explanation)}"
    return "\n\n".join([escape(about), *([table(COLUMNS, rows)] if rows else [])])


def _place(explanation: Explanation) -> str:
    """What all figures are of."""
    variant = "" if explanation.variant == "default" else f" Variant {explanation.variant}."
    return f"On {explanation.device}, {explanation.data} ({explanation.fingerprint[:8]}).{variant}"


def _mark(one: SuspectResult) -> str:
    return "[fits]" if one.fits else "[no]"

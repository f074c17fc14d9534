"""The command-line interface of `repro check`. Imports nothing slow."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repro.cli.options import device_option, example, json_option, results_option
from repro.cli.recogniser import ready_for_use
from repro.cli.starting import begin_kernels, sign_of_life
from repro.cli.validate import stage_lines
from repro.decide.duration import duration_text
from repro.specs.catalog import bundled_papers, find_paper, paper_argument
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, PROTOCOLS

if TYPE_CHECKING:
    from repro.audit.records import AuditRecord
    from repro.forensics import Finding
    from repro.runs.dataset import Dataset
    from repro.runs.plan import RunPlan
    from repro.runs.records import RunRecord
    from repro.runs.run_context import RunContext

EXIT_RUN_FAILED = 1
ASKED = (AS_PUBLISHED, OFFICIAL, CLEAN)  # the protocols that the two questions of a verdict need


@click.command(epilog=example("repro check ./my-paper.toml", "repro check ./my-paper.toml --yes --data fer2013.csv"))
@click.argument("paper")
@click.option("--yes", is_flag=True, help="Train without asking. Without a terminal nothing is asked, and not trained.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Of each protocol; a verdict needs 3.",
)
@click.option("--data", help="FER-2013 in any form. Default: the dataset imported last, else synthetic faces.")
@device_option
@results_option
@json_option
def check(paper: str, yes: bool, seeds: int, data: str | None, device: Any, results: Path, as_json: bool) -> None:
    """Check a paper as far as its file goes: numbers, overlap, training time, runs, page, verdict card.

    Claims alone are checked for contradictions; with data steps, for train/test overlap; with a network, by training:
    as published, on the official splits, and without overlap. Before it trains it says how long that takes, and asks.
    """
    from repro.forensics import examine
    from repro.report.verdict_card import card_builtins, card_document, verdict_card
    from repro.runs.kept_specs import keep_spec
    from repro.text.terminal import terminal

    loaded = find_paper(paper, results)
    keep_spec(results, loaded.id, loaded.content)
    _say(f"{loaded.id}: valid", *stage_lines(loaded.spec))
    findings = examine(loaded)
    _say_findings(loaded, findings)
    variant = loaded.spec.headline.variant if loaded.spec.headline else DEFAULT_VARIANT
    document: dict[str, Any] = {"paper": loaded.id, "audit": [], "estimate": None, "runs": []}
    dataset, records = None, []
    if loaded.spec.data is not None:
        if loaded.is_complete:
            begin_kernels(device)
        with sign_of_life():
            from repro.runs.batch import open_context

            context = open_context(
                {None}, device=device, data=data, results=results, fresh=False, ready=ready_for_use()
            )
        dataset = context.dataset
        document["audit"] = _audit(loaded, variant, dataset, results)
        if loaded.is_complete:
            document["estimate"], records = _runs(loaded, variant, context, seeds, yes)
    card = verdict_card(loaded, variant, results, findings=findings, dataset=dataset)
    document["page"] = _write_page(loaded, results)
    click.echo(f"\n{terminal(card_document(card))}", err=as_json)
    if as_json:
        document |= {"runs": [_builtins(record) for record in records], "card": card_builtins(card)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    if any(record.status == "failed" for record in records):
        sys.exit(EXIT_RUN_FAILED)


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)


def _say_findings(loaded: LoadedSpec, findings: Sequence[Finding]) -> None:
    """The contradictions in full, and how many points are open."""
    from repro.report.forensics_section import findings_section, summary
    from repro.text.document import Block, Paragraph
    from repro.text.terminal import terminal_blocks

    passages = loaded.spec.passages
    blocks: list[Block] = [Paragraph(summary(passages, findings))]
    if any(finding.outcome == "impossible" for finding in findings):
        blocks += findings_section(passages, findings, undecided=False)
    _say("", terminal_blocks(blocks))


def _audit(loaded: LoadedSpec, variant: str, dataset: Dataset, results: Path) -> list[dict[str, Any]]:
    """Audit all protocols, show the result, and keep it if the faces are real."""
    from repro.audit.paper import audit_document, audit_paper
    from repro.audit.records import write_audit
    from repro.report.audit_section import audit_blocks
    from repro.text.terminal import terminal_blocks

    record: AuditRecord = audit_paper(loaded, dataset, variant=variant, protocols=PROTOCOLS)
    _say("", terminal_blocks(audit_blocks(loaded.id, variant, record)))
    if not dataset.faces.synthetic:
        write_audit(results, record)
    return [audit_document(one) for one in record.audits]


def _runs(
    loaded: LoadedSpec, variant: str, context: RunContext, seeds: int, yes: bool
) -> tuple[dict[str, Any], list[RunRecord]]:
    """Estimate the time, ask, and train what is missing. On synthetic faces one run shows that it trains."""
    from repro.runs.batch import run_in
    from repro.runs.plan import make_plan
    from repro.runs.records import Overrides
    from repro.runs.run_store import StoredRun

    real = not context.dataset.faces.synthetic
    plans = [
        make_plan(loaded, variant=variant, seed=seed, overrides=Overrides(), protocol=protocol)
        for protocol in (ASKED if real else ASKED[:1])
        for seed in range(seeds if real else 1)
    ]
    missing = [plan for plan in plans if StoredRun(plan, context).needs_training()]
    seconds, source = _estimate(missing, context)
    name = paper_argument(loaded.id, loaded.path)
    about = f"{len(missing)} of {len(plans)} runs are missing"
    about += f", about {duration_text(seconds)} ({source})" if missing else ""
    estimate = {"runs": len(plans), "missing": len(missing), "seconds": seconds, "source": source}
    _say("", f"{about}.")
    if missing and not (yes or _agreed()):
        _say(f"Not trained: `repro check {name} --yes` trains them.")
        return estimate, []
    return estimate, run_in(context, plans, alone=False)


def _estimate(missing: Sequence[RunPlan], context: RunContext) -> tuple[float, str]:
    """Seconds of all runs that are missing, and where the number comes from. One trial is taken for all: the protocols
    train the same network, on other samples."""
    from repro.decide.time_estimate import recorded_time, trial_time
    from repro.runs.stored_records import find_records

    if not missing:
        return 0.0, "nothing to train"
    plan = missing[0]
    records = (record for _, record in find_records(context.results))
    known = recorded_time(plan, context.device_kind, context.dataset.faces.fingerprint, records)
    found = known or trial_time(plan, context.dataset, context.devices)
    return found.seconds * len(missing), f"{duration_text(found.seconds)} each, {found.source}"


def _agreed() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and click.confirm("Train them now?", err=True)


def _write_page(loaded: LoadedSpec, results: Path) -> str:
    """Write the paper's page as `repro report` would, and return its path."""
    from repro.report.folder import paper_sheet, sheet_name
    from repro.report.inputs import read_input
    from repro.runs.record_files import write_atomically
    from repro.text.markdown import markdown

    given = read_input(results, [*(one for one in bundled_papers() if one.id != loaded.id), loaded])
    paper = next(one for one in given.papers if one.id == loaded.id)
    path = write_atomically(results / sheet_name(loaded.id), markdown(paper_sheet(paper, given)).encode())
    _say("", f"wrote {path}")
    return str(path)


def _builtins(record: RunRecord) -> Any:
    import msgspec

    return msgspec.to_builtins(record)

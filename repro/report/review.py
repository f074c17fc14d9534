"""One paper for a review: what was checked, what was found, what could not be checked, and questions to the authors.
The same facts as a summary of the ML Reproducibility Challenge.

The challenge's template asks for six parts (Reproducibility Summary, ML Reproducibility Challenge 2020,
https://paperswithcode.com/rc2020/registration): scope of reproducibility, methodology, results, what was easy, what was
difficult, communication with original authors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fer_jax.vocabulary.counted import counted
from repro.forensics import Finding, examine
from repro.forensics.contradictions import points
from repro.judge.groups import PaperRuns
from repro.judge.judgements import judge_claims
from repro.judge.verdicts import Judgement, sentence
from repro.report.inputs import ReportInput
from repro.report.questions import questions
from repro.report.sections import citation
from repro.report.sheets import KINDS, setting_tables, source_counts
from repro.report.tables import describe
from repro.report.verdict_card import VerdictCard, card_rows
from repro.runs.records import RunRecord
from repro.specs.decode import LoadedSpec
from repro.specs.spec import Claim
from repro.specs.stages import STAGES, missing_for
from repro.text import units
from repro.text.document import Block, Document, Inline, Items, Paragraph, Section, code, joined, strong

NOTHING_FOUND = "Nothing speaks against the paper's numbers."
LONGEST_LIST = 12  # of findings and claims; the paper's own page has all


@dataclass(frozen=True)
class Review:
    """What a review rests on. records: full runs on FER-2013."""

    loaded: LoadedSpec
    card: VerdictCard
    findings: tuple[Finding, ...]
    judgements: Mapping[str, Judgement]
    records: tuple[RunRecord, ...]
    explained: str = ""

    @property
    def main(self) -> Claim | None:
        return self.loaded.spec.headline


def read_review(paper: PaperRuns, given: ReportInput, card: VerdictCard) -> Review:
    """Raises ValueError for a paper without a spec."""
    if paper.loaded is None:
        raise ValueError(f"{paper.id}: no spec")
    audits = given.audits.get(paper.id, ())
    records = tuple(
        record
        for group in paper.groups
        if group.is_fer2013 and not group.key.outdated
        for record in group.records
        if record.status == "done"
    )
    explanation = given.explanations.get(paper.id)
    explained = "" if explanation is None else f"{explanation.conclusion}. {' '.join(explanation.why)}"
    return Review(paper.loaded, card, examine(paper.loaded), judge_claims(paper, audits), records, explained)


# --- the page ---------------------------------------------------------------------------------------------------------


def review_document(review: Review) -> Document:
    spec = review.loaded.spec
    asked = questions(review.loaded)
    blocks: list[Block] = [
        Paragraph(citation(spec.paper)),
        card_rows(review.card),
        Section("What was checked", (Items(tuple(_checked(review))),)),
        Section("What was found", _listed(list(_found(review)), NOTHING_FOUND)),
        Section("What could not be checked", _listed(list(_unchecked(review)), "Nothing was left out.")),
        Section(f"Questions to the authors ({len(asked)})", _all(asked, "None: every setting has a source.")),
    ]
    return Document(f"Review of {review.loaded.id}", tuple(blocks))


def _all(items: Sequence[Inline], otherwise: str) -> tuple[Block, ...]:
    return (Items(tuple(items)),) if items else (Paragraph(otherwise),)


def _listed(items: Sequence[Inline], otherwise: str) -> tuple[Block, ...]:
    if len(items) <= LONGEST_LIST:
        return _all(items, otherwise)
    more = f"{len(items) - LONGEST_LIST} more on the page of the paper."
    return (Items((*items[:LONGEST_LIST], more)),)


def _checked(review: Review) -> Iterator[Inline]:
    spec = review.loaded.spec
    numbers = len(spec.all_claims)
    yield f"The arithmetic of {counted(numbers, 'printed number')}: {counted(len(review.findings), 'check')}."
    if review.card.overlap:
        yield "Evaluated samples against training samples, by their origin and by their pixels."
    for protocol, count in sorted(Counter(record.protocol for record in review.records).items()):
        seconds = [record.time.total_s for record in review.records if record.protocol == protocol]
        names = sorted({record.device.name for record in review.records if record.protocol == protocol})
        runs = counted(count, "full run")
        yield f"Training, protocol {protocol}: {runs}, {units.duration(sum(seconds))} on {', '.join(names)}."
    if review.judgements:
        yield f"{counted(len(review.judgements), 'number')} compared with the spread of these runs."


def _found(review: Review) -> Iterator[Inline]:
    main = review.main
    judged = review.judgements.get(main.id) if main else None
    if main is not None and judged is not None:
        said = sentence(main, judged.published) if judged.published else judged.reason
        yield (strong(f"Main claim ({describe(main)}, {units.reported(main)}):"), f" {judged.verdict}. {said}")
        for name, decision in (("Official splits", judged.official), ("Without overlap", judged.clean)):
            if decision is not None:
                yield (strong(f"{name}:"), f" {sentence(main, decision)}")
    if review.card.overlap and not review.card.overlap.startswith(("0 of", "no evaluated")):
        yield (strong("Overlap:"), f" {review.card.overlap}.")
    if review.explained:
        yield (strong("Cause:"), f" {review.explained}")
    for point in points(review.loaded.spec.passages, review.findings).contradictions:
        arithmetic = "; ".join(dict.fromkeys(finding.arithmetic for finding in point.findings))
        yield (strong(f"Contradiction, {point.place}:"), f' "{point.quote}". {arithmetic}')
    for item in review.loaded.spec.contradictions:
        yield (
            strong(f"{item.about}:"),
            f" {item.one} ({item.one_place}) against {item.other} ({item.other_place}).",
        )
    for claim in review.loaded.spec.single_claims:
        other = review.judgements.get(claim.id)
        if other is not None and claim != main and other.word in ("lower", "higher", "only as published"):
            yield (code(claim.id), f", {describe(claim)}, {units.reported(claim)}: {other.verdict}.")


def _unchecked(review: Review) -> Iterator[Inline]:
    spec = review.loaded.spec
    for stage in STAGES:
        if missing := missing_for(spec, stage):
            yield f"{stage.does} The spec has no {' and no '.join(f'[{name}]' for name in missing)}."
    if spec.data is not None and not review.card.overlap:
        yield "Train/test overlap was not audited."
    if review.loaded.is_complete and not review.records:
        yield "No full run on FER-2013."
    for claim in spec.claims:
        if claim.not_measured:
            yield (code(claim.id), f", {describe(claim)}: {claim.not_measured}")
        elif review.records and claim.id not in review.judgements and claim.quantity != "time":
            yield (code(claim.id), f", {describe(claim)}: no run measured it.")
    open_ = [id for id, judged in review.judgements.items() if judged.word == "open"]
    if open_:
        ids = joined([code(id) for id in open_])
        yield (f"{counted(len(open_), 'number')} without a verdict after these runs: ", ids, ".")
    untold = sum(finding.outcome == "cannot tell" for finding in review.findings)
    if untold:
        checks = counted(untold, "check")
        yield f"{checks} of printed numbers without an answer: something that they rest on is not stated."


# --- the challenge's summary ------------------------------------------------------------------------------------------


def mlrc_document(review: Review) -> Document:
    """The six parts of the challenge's template, filled in from the records. What only the reproducer knows is said to
    be missing."""
    spec = review.loaded.spec
    asked = questions(review.loaded)
    sections = (
        Section("Scope of Reproducibility", tuple(_scope(review))),
        Section("Methodology", tuple(_methodology(review))),
        Section("Results", _listed(list(_found(review)), "No full run was made yet.")),
        Section("What was easy", (Items(tuple(_easy(review))),)),
        Section("What was difficult", _listed([*_difficult(review), *_unchecked(review)], "Nothing.")),
        Section(
            "Communication with original authors",
            (
                Paragraph("The records hold no communication; say here whether there was any. To be asked:"),
                *_listed(asked, "Nothing: every setting has a source."),
            ),
        ),
    )
    return Document(f"Reproducibility Summary: {spec.paper.title}", (Paragraph(citation(spec.paper)), *sections))


def _scope(review: Review) -> Iterator[Block]:
    main = review.main
    if main is None:
        yield Paragraph("The paper claims no number.")
        return
    yield Paragraph(
        f'The claim is {describe(main)} of {units.reported(main)} ({main.place}: "{main.quote}"). Two questions: does '
        "the network reach it as published, and does it reach it without train/test overlap?"
    )


def _methodology(review: Review) -> Iterator[Block]:
    totals = Counter[str]()
    for key, _, struct in setting_tables(review.loaded.spec):
        totals += source_counts(struct, review.loaded.provenance.get(key, ()))
    said = ", ".join(f"{totals[kind]} {kind}" for kind in KINDS)
    yield Paragraph(
        "The network was implemented again from the paper, as data steps, layers and training, and trained with JAX. "
        f"Sources of its {counted(totals.total(), 'setting')}: {said}."
    )
    checked = tuple(_checked(review))
    yield Items(checked)
    hours = sum(record.time.total_s for record in review.records)
    yield Paragraph(
        f"Computing time in all: {units.duration(hours)}." if review.records else "Nothing was trained yet."
    )


def _easy(review: Review) -> Iterator[Inline]:
    tables = setting_tables(review.loaded.spec)
    counts = {name: source_counts(one, review.loaded.provenance.get(key, ())) for key, name, one in tables}
    stated = [code(name) for name, found in counts.items() if found and not found["assumed"]]
    yield "FER-2013 is public, and small enough for a CPU."
    if stated:
        yield ("Nothing had to be assumed for ", joined(stated), ".")
    if not points(review.loaded.spec.passages, review.findings).contradictions:
        yield "The printed numbers do not contradict each other."


def _difficult(review: Review) -> Iterator[Inline]:
    asked = questions(review.loaded)
    if asked:
        yield f"{len(asked)} points of the paper had to be assumed or chosen; they are the questions below."
    for item in review.loaded.spec.deviations:
        yield (strong(f"{item.about}:"), f" {item.reason}")

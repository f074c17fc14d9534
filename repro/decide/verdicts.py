"""The decision at a look: `repro.statistics` on the runs so far, with the same samples and spread as the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from repro.decide.course import Judge, Look
from repro.decide.question import Question
from repro.judge.designs import design_of, other_design
from repro.judge.groups import PaperRuns
from repro.judge.judgements import is_private_test, target_of, why_no_prior
from repro.judge.measured import samples_behind
from repro.judge.usual_spread import usual_spread
from repro.judge.verdicts import sentence
from repro.runs.record_files import RecordError
from repro.runs.records import RunRecord
from repro.runs.stored_records import find_records
from repro.specs.protocols import AS_PUBLISHED, REPORTED_SPLIT
from repro.statistics import LOOKS, Decision, Design, Samples, decide, may_be_decided


def looks_up_to(most: int | None) -> tuple[int, ...]:
    """The planned looks with at most `most` seeds; empty if `most` is below the first."""
    return tuple(n for n in LOOKS if most is None or n <= most)


def judge_in(results: Path) -> Judge:
    """The judge of runs in this results folder, whose other runs show how much single runs usually differ."""

    def judge(question: Question, records: Sequence[RunRecord], look: int) -> Look:
        known = [record for _, record in find_records(results)]
        decision = decide_question(question, records, look, known)
        possible = decision.comparison is None or may_be_decided(decision.comparison, look)
        return Look(look, decision.outcome, sentence(question.claim, decision), decision.seeds_needed, possible)

    return judge


def decide_question(
    question: Question, records: Sequence[RunRecord], look: int, known: Sequence[RunRecord]
) -> Decision:
    """records: the runs of the question, as many as the look takes. known: all runs, of any papers.

    Raises RecordError if a run did not measure the claim.
    """
    claim = msgspec.structs.replace(question.claim, variant=question.variant)  # with the samples of this variant
    paper = PaperRuns(question.paper, question.loaded, (), usual_spread(known))
    values = [_value(question, record) for record in records]
    if question.protocol == AS_PUBLISHED:
        design, why = design_of(claim, question.loaded, records), why_no_prior(claim, paper)
    else:
        ours = min(samples_behind(claim, record.metrics[REPORTED_SPLIT]) for record in records)
        design = Design(Samples.FIXED_OWN, ours, ours)
        if not is_private_test(claim, paper):
            design = other_design(claim, _published(question, records[0], known), ours, records[0].data.rows)
        why = "" if claim.quantity == "accuracy" and not claim.emotion else "another quantity than accuracy"
    prior = paper.usual.without(records)
    return decide(values, target_of(claim, paper), design, prior=prior, why_no_prior=why, look=look)


def _published(question: Question, like: RunRecord, known: Sequence[RunRecord]) -> list[RunRecord]:
    """Full runs of the same variant on the same data as published, which show how many samples the paper evaluated."""
    asked = (question.paper, question.variant, AS_PUBLISHED, "done", like.data.fingerprint)
    return [one for one in known if (one.paper, one.variant, one.protocol, one.status, one.data.fingerprint) == asked]


def _value(question: Question, record: RunRecord) -> float:
    value = question.value(record)
    if value is None:
        claim = question.claim
        place = f"split {claim.split!r}, epoch {claim.epoch}, step {claim.step}"
        raise RecordError(
            f"{question.loaded.path}: claims ({claim.id}): the run of seed {record.seed} measured nothing for it "
            f"({place})"
        )
    return value

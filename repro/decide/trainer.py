"""The runs of `--until-decided`: `repro.decide.course.Trainer` on real data and devices."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from fer_jax.vocabulary.errors import UserError
from repro.decide.answer import answer_document, answer_text, asked_text, look_text, total_text
from repro.decide.course import Course, Judge, open_course, run_courses
from repro.decide.question import Question
from repro.decide.time_estimate import TimeEstimate, recorded_time, trial_time
from repro.runs.batch import run_in
from repro.runs.records import RunRecord
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun
from repro.runs.stored_records import find_records


class Runs:
    """Trains in a `RunContext`. `alone`: this is the only question, so an error in its input ends the command."""

    def __init__(self, context: RunContext, *, alone: bool) -> None:
        self.context, self.alone = context, alone
        given, gpu = context.seeds_at_once, context.device_kind == "gpu"
        self.seeds_at_once = given if given is not None else None if gpu else 1

    def exists(self, question: Question, seed: int) -> bool:
        return not StoredRun(question.plan(seed), self.context).needs_training()

    def train(self, question: Question, seeds: Sequence[int], *, look: int) -> list[RunRecord]:
        plans = [question.plan(seed) for seed in seeds]
        return run_in(self.context, plans, first=seeds[0] + 1, of=max(look, seeds[-1] + 1), alone=self.alone)

    def seconds_per_seed(self, question: Question) -> TimeEstimate:
        context, plan = self.context, question.plan(0)
        records = (record for _, record in find_records(context.results))
        known = recorded_time(plan, context.device_kind, context.dataset.faces.fingerprint, records)
        if known:
            return known
        click.echo(f"{question.name}: no earlier run says how long it takes; a short trial does", err=True)
        try:
            return trial_time(plan, context.dataset, context.own_devices)
        except UserError:
            if self.alone:
                raise
            return TimeEstimate(0.0, "data and spec do not fit")  # each run will report this as a row


def until_decided(
    questions: Sequence[Question],
    context: RunContext,
    judge: Judge,
    *,
    looks: tuple[int, ...],
    budget_s: float | None,
    began: float,
    json: bool,
) -> list[Course]:
    """Print the estimate, add seeds, print the answers. Answers go to standard output. With `json` they go to standard
    error, because standard output holds the document. All other text goes to standard error.

    budget_s: seconds from `began` (by time.monotonic) in which everything must fit, the trials included.
    """
    runs = Runs(context, alone=len(questions) == 1)
    courses = []
    for question in questions:
        courses.append(open_course(question, runs, looks))
        click.echo(asked_text(courses[-1]), err=True)
    click.echo(total_text(courses, budget_s), err=True)

    def seconds_left() -> float:
        return math.inf if budget_s is None else budget_s - (time.monotonic() - began)

    def report(course: Course) -> None:
        if course.stopped_by:
            click.echo(answer_text(course), err=json)
        else:
            click.echo(look_text(course), err=True)

    run_courses(courses, runs, judge, seconds_left=seconds_left, report=report)
    return courses


def document(courses: Sequence[Course], budget_s: float | None) -> dict[str, Any]:
    """For `--json`: the answers, and every run behind them."""
    runs = [record for course in courses for record in (*course.records.values(), *course.failed.values())]
    return {
        "budget_s": budget_s,
        "answers": [answer_document(course) for course in courses],
        "runs": [msgspec.to_builtins(record) for record in runs],
    }

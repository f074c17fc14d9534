"""What `--until-decided` says: before it starts, after each look, at the end; as text and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fer_jax.vocabulary.counted import counted
from repro.decide.course import Course
from repro.decide.duration import duration_text
from repro.specs.bounds import printable
from repro.specs.catalog import paper_argument, run_command
from repro.text.units import reported

BUDGET_MARGIN = 1.1  # factor on the time of the next look, in the command proposed for it


def asked_text(course: Course) -> str:
    """The question and its cost, before anything is trained."""
    question, most = course.question, course.looks[-1]
    first = course.target
    assert first is not None
    per_seed = f"{duration_text(course.seconds_per_seed)} a seed ({course.estimate.source})"
    if len(course.existing) == most:
        per_seed = f"all {counted(most, 'seed')} exist"
    return (
        f"{question.name}: does it give {reported(question.claim)} (claim {question.claim.id})? "
        f"{len(course.existing)} of {counted(most, 'seed')} exist; {per_seed}. At best {_price(course, first)}, "
        f"at worst {_price(course, most)}."
    )


def _price(course: Course, n: int) -> str:
    seconds = course.seconds_to(n)
    return f"{counted(n, 'seed')}, {duration_text(seconds)}" if seconds else f"{counted(n, 'seed')}, at once"


def total_text(courses: Sequence[Course], budget_s: float | None) -> str:
    """The cost of all questions together, and how a budget limits it."""
    best = sum(course.seconds_to(course.target or 0) for course in courses)
    worst = sum(course.seconds_to(course.looks[-1]) for course in courses)
    text = f"In all: at best {_time(best)}, at worst {_time(worst)}"
    if budget_s is not None:
        limited = "the budget is enough" if worst <= budget_s else f"at most the budget of {duration_text(budget_s)}"
        text += f"; {limited}"
    return f"{text}. A run that has started is finished."


def _time(seconds: float) -> str:
    return duration_text(seconds) if seconds else "no time"


def look_text(course: Course) -> str:
    """The text after a look that does not end the question."""
    look, n = course.look, course.target
    assert look is not None and n is not None
    return (
        f"{course.question.name}: open after {counted(look.n, 'seed')}: {look.reason} Next look: "
        f"{_price(course, n)} more."
    )


def answer_text(course: Course) -> str:
    """One line: outcome, number of seeds, and what is missing if it is open."""
    name, look = course.question.name, course.look
    failed = f" ({len(course.failed)} failed: {_seeds(course)})" if course.failed else ""
    if course.stopped_by == "failed runs":
        first = next(iter(course.failed.values()))
        count = f"{len(course.failed)} of {len(course.failed) + len(course.records)} seeds failed"
        return f"{name}: FAILED: {count}; seed {first.seed}: {printable(first.error)}"
    seen = f"after {counted(look.n, 'seed')}{failed}: {look.reason}" if look else f"before the first look{failed}."
    if look and look.decided:
        return f"{name}: {look.outcome.upper()} {seen}"
    if course.stopped_by == "last look":
        return f"{name}: OPEN {seen} This was the last look."
    if course.stopped_by == "no later look":
        return f"{name}: OPEN {seen} No later look can decide it, wherever in its 95 % interval the mean ends."
    n = course.target
    assert n is not None
    more = sum(seed not in course.existing for seed in course.seeds_to(n))
    missing = f"{more} more seed{'s' if more > 1 else ''}"
    return (
        f"{name}: OPEN {seen} The next look ({counted(n, 'seed')}) does not fit in the budget: {missing}, "
        f"about {duration_text(course.seconds_to(n))}: {next_command(course)}"
    )


def _seeds(course: Course) -> str:
    return ("seeds " if len(course.failed) > 1 else "seed ") + ", ".join(str(seed) for seed in sorted(course.failed))


def next_command(course: Course) -> str:
    """The command for the next look; empty after the last."""
    n, question = course.target, course.question
    if n is None:
        return ""
    command = run_command(paper_argument(question.paper, question.loaded.path), question.variant, question.protocol)
    return f"{command} --until-decided --budget {duration_text(BUDGET_MARGIN * course.seconds_to(n))}"


def answer_document(course: Course) -> dict[str, Any]:
    """For `--json`. status: decided, open or failed; outcome: one of the words of `repro.statistics`."""
    question, look = course.question, course.look
    decided = look is not None and look.decided
    n = course.target if course.stopped_by == "budget" else None
    records = [course.records[seed] for seed in sorted(course.records)]
    return {
        "paper": question.paper,
        "variant": question.variant,
        "protocol": question.protocol,
        "claim": question.claim.id,
        "reported": question.claim.value,
        "unit": question.claim.unit,
        "status": "decided" if decided else "failed" if course.stopped_by == "failed runs" else "open",
        "outcome": look.outcome if look else "open",
        "stopped_by": course.stopped_by,
        "n": look.n if look else 0,
        "looks": list(course.looks),
        "reason": look.reason if look else "",
        "seeds_needed": look.seeds_needed if look else None,
        "values": [question.value(record) for record in records],
        "failed_seeds": sorted(course.failed),
        "seconds_per_seed": course.seconds_per_seed,
        "next_look": None if n is None else {"n": n, "seconds": course.seconds_to(n), "command": next_command(course)},
        "text": answer_text(course),
    }

"""repro.decide.course: which seeds are trained, when it looks, when it stops. Training and statistics are invented."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import pytest
from report_records import make_record
from tiny_paper import load_tiny

from repro.decide.answer import answer_document, answer_text, asked_text, look_text, next_command, total_text
from repro.decide.course import Course, Look, open_course, run_courses
from repro.decide.duration import seconds_of
from repro.decide.question import Question, question_of
from repro.decide.time_estimate import TimeEstimate
from repro.specs.protocols import AS_PUBLISHED, CLEAN

LOOKS = (3, 5, 8, 12, 20)


class Machine:
    """Takes `seconds` a seed, whatever it said before. `trained`: what was asked for, call by call."""

    def __init__(self, existing=(), *, said=10.0, seconds=10.0, failing=(), seeds_at_once: int | None = 1):
        self.existing, self.said, self.seconds, self.failing = set(existing), said, seconds, set(failing)
        self.seeds_at_once = seeds_at_once
        self.clock = 0.0
        self.trained: list[tuple[str, tuple[int, ...], int]] = []

    def exists(self, question: Question, seed: int) -> bool:
        return seed in self.existing

    def seconds_per_seed(self, question: Question) -> TimeEstimate:
        return TimeEstimate(self.said, "invented")

    def train(self, question: Question, seeds: Sequence[int], *, look: int):
        self.trained.append((question.variant, tuple(seeds), look))
        records = []
        for seed in seeds:
            status = "failed" if seed in self.failing else "done"
            record = make_record(question.loaded, seed=seed, accuracy=0.5 + seed / 1000, status=status, error="dead")
            records.append(
                msgspec.structs.replace(record, time=msgspec.structs.replace(record.time, total_s=self.seconds))
            )
            self.clock += 0.0 if seed in self.existing else self.seconds
        return records


class Judge:
    """Decides at the look named. `seen`: the look and the values, each time."""

    def __init__(
        self, decides_at: float = math.inf, outcome="same", needed: int | None = None, may_be_decided: bool = True
    ):
        self.decides_at, self.outcome, self.needed = decides_at, outcome, needed
        self.may_be_decided = may_be_decided
        self.seen: list[tuple[int, list[int]]] = []

    def __call__(self, question, records, look):
        self.seen.append((look, [record.seed for record in records]))
        outcome = self.outcome if look >= self.decides_at else "open"
        needed = None if outcome != "open" else self.needed
        return Look(look, outcome, "the reason.", needed, self.may_be_decided)


@pytest.fixture
def question(tmp_path) -> Question:
    return question_of(load_tiny(tmp_path), "default", AS_PUBLISHED)


def ask(machine: Machine, judge: Judge, *questions: Question, looks=LOOKS, budget: float = math.inf) -> list[Course]:
    courses = [open_course(question, machine, looks) for question in questions]
    told: list[str] = []

    def report(course: Course) -> None:
        told.append(answer_text(course) if course.stopped_by else look_text(course))

    run_courses(courses, machine, judge, seconds_left=lambda: budget - machine.clock, report=report)
    assert all(course.stopped_by for course in courses)
    assert sum("Next look" not in line for line in told) == len(courses), "each question ends with one line"
    return courses


def test_it_stops_at_the_look_that_decides(question):
    machine, judge = Machine(), Judge(decides_at=5, outcome="lower")
    (course,) = ask(machine, judge, question)
    assert judge.seen == [(3, [0, 1, 2]), (5, [0, 1, 2, 3, 4])]
    assert [seeds for _, seeds, _ in machine.trained] == [(0,), (1,), (2,), (3,), (4,)]
    assert [look for _, _, look in machine.trained] == [3, 3, 3, 5, 5]
    assert course.stopped_by == "decided"
    assert answer_text(course) == "tiny default: LOWER after 5 seeds: the reason."
    told = answer_document(course)
    assert (told["status"], told["outcome"], told["n"], told["next_look"]) == ("decided", "lower", 5, None)
    assert told["values"] == pytest.approx([0.5, 0.501, 0.502, 0.503, 0.504])


def test_it_ends_open_after_the_last_look(question):
    judge = Judge()
    (course,) = ask(Machine(), judge, question)
    assert [look for look, _ in judge.seen] == list(LOOKS)
    assert course.stopped_by == "last look" and course.target is None
    assert answer_text(course) == "tiny default: OPEN after 20 seeds: the reason. This was the last look."
    assert answer_document(course)["status"] == "open"


def test_it_stops_when_no_later_look_can_decide(question):
    judge = Judge(may_be_decided=False)
    (course,) = ask(Machine(), judge, question)
    assert [look for look, _ in judge.seen] == [3] and course.stopped_by == "no later look"
    assert answer_text(course) == (
        "tiny default: OPEN after 3 seeds: the reason. No later look can decide it, wherever in its 95 % interval the "
        "mean ends."
    )
    assert (answer_document(course)["status"], answer_document(course)["next_look"]) == ("open", None)


def test_a_smaller_maximum_ends_earlier(question):
    judge = Judge()
    ask(Machine(), judge, question, looks=(3, 5))
    assert [look for look, _ in judge.seen] == [3, 5]


@pytest.mark.parametrize(
    ("existing", "looks", "trained"),
    [
        (range(3), [3, 5], [3, 4]),
        (range(7), [5, 8], [7]),
        (range(4), [3, 5], [4]),
        ([0, 1, 3], [3, 5], [2, 4]),  # the gap is filled; seed 3 counts when its turn comes
        (range(20), [20], []),
    ],
)
def test_runs_that_exist_count_and_the_first_look_is_the_largest_that_they_reach(question, existing, looks, trained):
    machine, judge = Machine(existing), Judge(decides_at=looks[-1])
    (course,) = ask(machine, judge, question)
    assert [look for look, _ in judge.seen] == looks
    assert [seed for _, seeds, _ in machine.trained for seed in seeds if seed not in machine.existing] == trained
    assert machine.clock == 10.0 * len(trained)
    assert len(course.records) == looks[-1]


def test_on_a_gpu_the_seeds_of_a_look_go_side_by_side(question):
    machine = Machine(seeds_at_once=None)
    ask(machine, Judge(decides_at=5), question)
    assert [seeds for _, seeds, _ in machine.trained] == [(0, 1, 2), (3, 4)]
    machine = Machine(seeds_at_once=2)
    ask(machine, Judge(decides_at=5), question)
    assert [seeds for _, seeds, _ in machine.trained] == [(0, 1), (2,), (3, 4)]


def test_a_look_that_does_not_fit_in_the_budget_is_not_begun(question):
    """Three seeds take 30 s, the next two 20 s."""
    machine = Machine()
    (course,) = ask(machine, Judge(needed=12), question, budget=49)
    assert course.stopped_by == "budget" and course.look is not None and course.look.n == 3
    assert len(machine.trained) == 3
    text = answer_text(course)
    assert text.startswith("tiny default: OPEN after 3 seeds: the reason. The next look (5 seeds) does not fit")
    assert "2 more seeds, about 20s" in text
    told = answer_document(course)["next_look"]
    assert (told["n"], told["seconds"]) == (5, 20.0)
    command = next_command(course)
    assert str(question.loaded.path) in command and command.endswith("--until-decided --budget 22s")
    assert seconds_of(command.split()[-1]) >= 1.1 * 20
    judge = Judge()
    ask(Machine(), judge, question, budget=50)
    assert [look for look, _ in judge.seen] == [3, 5], "it fits to the second"


def test_a_budget_that_is_too_small_for_the_first_look_trains_nothing(question):
    machine = Machine()
    (course,) = ask(machine, Judge(), question, budget=29)
    assert machine.trained == [] and course.look is None
    assert "OPEN before the first look. The next look (3 seeds) does not fit" in answer_text(course)
    assert answer_document(course)["n"] == 0 and answer_document(course)["values"] == []


def test_a_look_at_runs_that_exist_fits_in_any_budget(question):
    """Also where reading the data took longer than the budget."""
    judge = Judge()
    (course,) = ask(Machine(range(3)), judge, question, budget=-1)
    assert [look for look, _ in judge.seen] == [3] and course.stopped_by == "budget"


def test_what_is_measured_replaces_what_was_estimated(question):
    """Each seed takes ten times as long as was said: it stops after the seed that shows it, whose run counts later."""
    machine = Machine(said=10, seconds=100)
    (course,) = ask(machine, Judge(), question, budget=250)
    assert [seeds for _, seeds, _ in machine.trained] == [(0,)]
    assert course.stopped_by == "budget" and course.seconds_per_seed == 100
    assert "2 more seeds, about 4m" in answer_text(course)
    slow = Machine(said=100, seconds=10)
    assert ask(slow, Judge(decides_at=5), question, budget=300)[0].stopped_by == "decided"


def test_another_seed_takes_the_place_of_one_that_failed(question):
    machine, judge = Machine(failing=[1]), Judge(decides_at=5, outcome="same, though lower")
    (course,) = ask(machine, judge, question)
    assert judge.seen == [(3, [0, 2, 3]), (5, [0, 2, 3, 4, 5])]
    assert sorted(course.failed) == [1] and answer_document(course)["failed_seeds"] == [1]
    assert "SAME, THOUGH LOWER after 5 seeds (1 failed: seed 1): the reason." in answer_text(course)


def test_settings_that_do_not_train_reliably_are_given_up(question):
    machine, judge = Machine(failing=range(20)), Judge()
    (course,) = ask(machine, judge, question)
    assert judge.seen == [] and len(machine.trained) == 3
    assert course.stopped_by == "failed runs" and answer_document(course)["status"] == "failed"
    assert answer_text(course) == "tiny default: FAILED: 3 of 3 seeds failed; seed 0: dead"


def test_of_several_questions_the_cheapest_next_look_goes_first(question, tmp_path):
    """The variant has four runs already: its first look is free, its second costs one seed."""
    other = question_of(question.loaded, "tanh", AS_PUBLISHED)

    class Unequal(Machine):
        def exists(self, question, seed):
            return question.variant == "tanh" and seed < 4

        def train(self, question, seeds, *, look):
            self.existing = set(range(4)) if question.variant == "tanh" else set()
            return super().train(question, seeds, look=look)

    machine = Unequal()
    courses = ask(machine, Judge(decides_at=5, needed=5), question, other, budget=45)
    order = [variant for variant, _, _ in machine.trained]
    assert order == ["tanh"] * 5 + ["default"] * 3
    assert [course.stopped_by for course in courses] == ["budget", "decided"]


def test_a_question_that_more_seeds_will_not_decide_comes_last(question):
    """Its looks would cost less, because seven of its runs exist; the other can be decided, and gets the time first."""
    other = question_of(question.loaded, "tanh", AS_PUBLISHED)

    class Unequal(Machine):
        def exists(self, question, seed):
            return question.variant == "tanh" and seed < 7

    def judge(asked, records, look):
        return Look(look, "open", "the reason.", None if asked.variant == "tanh" else 8)

    machine = Unequal()
    courses = [open_course(one, machine, (3, 5, 8)) for one in (question, other)]
    run_courses(courses, machine, judge, seconds_left=lambda: math.inf, report=lambda course: None)
    order = [variant for variant, seeds, _ in machine.trained for _ in seeds]
    assert order == ["tanh"] * 5 + ["default"] * 8 + ["tanh"] * 3


def test_the_price_is_told_before_it_starts(question):
    course = open_course(question, Machine(range(4)), LOOKS)
    assert asked_text(course) == (
        "tiny default: does it give 60 % (claim accuracy)? 4 of 20 seeds exist; 10s a seed (invented). "
        "At best 3 seeds, at once, at worst 20 seeds, 3m."
    )
    new = open_course(question, Machine(), LOOKS)
    assert "At best 3 seeds, 30s, at worst 20 seeds, 4m." in asked_text(new)
    assert total_text([course, new], None).startswith("In all: at best 30s, at worst 6m. ")
    assert "at worst 6m; at most the budget of 5m." in total_text([course, new], 300)
    assert "the budget is enough" in total_text([course, new], 400)
    complete = open_course(question, Machine(range(20)), LOOKS)
    assert "all 20 seeds exist" in asked_text(complete)
    assert total_text([complete], None).startswith("In all: at best no time, at worst no time.")


def test_an_open_look_tells_the_price_of_the_next(question):
    course = open_course(question, Machine(), LOOKS)
    course.look = Look(3, "open", "the reason.", 8)
    assert look_text(course) == ("tiny default: open after 3 seeds: the reason. Next look: 5 seeds, 50s more.")


def test_the_command_for_more_names_variant_and_protocol(question):
    course = open_course(question_of(question.loaded, "tanh", CLEAN), Machine(), LOOKS)
    assert "--variant tanh --protocol clean --until-decided --budget 33s" in next_command(course)

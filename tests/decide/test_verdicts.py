"""repro.decide.verdicts: the decision at a look agrees with the report's, and takes the level of the look."""

from __future__ import annotations

import msgspec
import pytest
from report_records import data as data_record
from report_records import make_record, metrics
from tiny_paper import load_tiny

from repro.decide.question import question_of
from repro.decide.verdicts import decide_question, judge_in, looks_up_to
from repro.runs.record_files import RecordError
from repro.runs.stored_records import write_record
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL
from repro.statistics import LOOKS, NOT_SAMPLED, Open, Samples

DRAWN = (
    'into = { train = ["Training"], test = ["PrivateTest"] }',
    'into = { all = ["Training", "PublicTest", "PrivateTest"] }\nprovenance = [{ kind = "assumed", reason = "x" }]\n\n'
    '[[data.steps]]\nstep = "split_fraction"\nfrom_split = "all"\nfraction = 0.2\ninto = "test"\nrest = "train"',
)


def runs(loaded, *accuracies: float, **fields):
    return [make_record(loaded, seed=k, metrics={"test": metrics(a)}, **fields) for k, a in enumerate(accuracies)]


def design(decision):
    assert decision.comparison is not None
    return decision.comparison.design


def test_looks_up_to():
    assert looks_up_to(None) == LOOKS and looks_up_to(8) == looks_up_to(11) == (3, 5, 8) and looks_up_to(2) == ()


def test_the_samples_are_those_of_the_variant_and_the_protocol(tmp_path):
    """PrivateTest is the paper's own here; cut off at random by each seed there, and other samples under official."""
    same, drawn = load_tiny(tmp_path), load_tiny(tmp_path, DRAWN)
    for loaded, protocol, expected in (
        (same, AS_PUBLISHED, Samples.FIXED_OWN),
        (same, OFFICIAL, Samples.FIXED_OWN),
        (same, CLEAN, Samples.FIXED_OWN),
        (drawn, AS_PUBLISHED, Samples.REDRAWN),
        (drawn, OFFICIAL, Samples.UNKNOWN),
    ):
        question = question_of(loaded, "default", protocol)
        decision = decide_question(question, runs(loaded, 0.5, 0.51, 0.52, protocol=protocol), 3, [])
        assert design(decision).samples is expected and design(decision).ours == 100, (protocol, expected)
    tanh = question_of(drawn, "tanh", AS_PUBLISHED)
    decision = decide_question(tanh, runs(drawn, 0.5, 0.51, 0.52, variant="tanh"), 3, [])
    assert design(decision).samples is Samples.REDRAWN


def test_the_paper_evaluated_as_many_samples_as_its_own_protocol_does(tmp_path):
    loaded = load_tiny(tmp_path, DRAWN)
    published = make_record(loaded, metrics={"test": msgspec.structs.replace(metrics(0.5), n=22)})
    question = question_of(loaded, "default", CLEAN)
    clean = runs(loaded, 0.5, 0.51, 0.52, protocol=CLEAN)
    assert design(decide_question(question, clean, 3, [published, *clean])).theirs == 22
    other = msgspec.structs.replace(published, data=msgspec.structs.replace(data_record(), fingerprint="another"))
    assert design(decide_question(question, clean, 3, [other, *clean])).theirs == 100


def test_a_loss_is_no_share_of_samples(tmp_path):
    headline = ("epoch = 2", "epoch = 2\ntolerance = 0.1\nheadline = true")
    loaded = load_tiny(tmp_path, ("headline = true\n", ""), headline)
    question = question_of(loaded, "default", AS_PUBLISHED)
    assert question.claim.id == "loss"
    decision = decide_question(question, runs(loaded, 0.5, 0.5, 0.5), 3, [])
    assert design(decision) is NOT_SAMPLED


def test_the_level_is_that_of_the_look(tmp_path):
    """A difference with p between the levels: found by one look at five seeds, not by the second of five looks."""
    loaded = load_tiny(tmp_path)
    question = question_of(loaded, "default", AS_PUBLISHED)
    spread = (-0.010, -0.005, 0.0, 0.005, 0.010)
    values = next(
        [0.6 - shift / 1000 + one for one in spread]
        for shift in range(1000)
        if decide_question(question, runs(loaded, *(0.6 - shift / 1000 + one for one in spread)), 5, []).p_differs
        < 0.049
    )
    at_look = decide_question(question, runs(loaded, *values), 5, [])
    assert 0.04 < at_look.p_differs < 0.05 and at_look.look == 5
    assert not at_look.differs


def test_a_look_says_what_was_measured_and_what_would_decide(tmp_path):
    loaded = load_tiny(tmp_path)
    question, judge = question_of(loaded, "default", AS_PUBLISHED), judge_in(tmp_path / "results")
    wide = judge(question, runs(loaded, 0.55, 0.60, 0.65), 3)
    assert (wide.n, wide.outcome, wide.seeds_needed) == (3, "open", None) and not wide.decided
    assert wide.reason.startswith("3 runs, mean 60.0 %: one run of the paper is expected between ")
    assert decide_question(question, runs(loaded, 0.55, 0.60, 0.65), 3, []).why_open is Open.SINGLE_RUN
    assert judge(question, runs(loaded, 0.30, 0.301, 0.299), 3).outcome == "lower"
    assert judge(question, runs(loaded, 0.90, 0.901, 0.899), 3).outcome == "higher"
    assert judge(question, runs(loaded, 0.60, 0.601, 0.599, 0.60, 0.60), 5).outcome == "same"
    with pytest.raises(RecordError, match=r"claims \(accuracy\): the run of seed 0 measured nothing for it"):
        judge(question, [make_record(loaded, metrics={})] * 3, 3)


def test_other_runs_lend_their_spread(tmp_path):
    """Three runs that lie close together by chance are not taken at their word where others spread more."""
    loaded = load_tiny(tmp_path)
    results = tmp_path / "results"
    question, judge = question_of(loaded, "default", AS_PUBLISHED), judge_in(results)
    close = runs(loaded, 0.62, 0.6201, 0.6202)
    assert judge(question, close, 3).outcome != "open"
    for paper in ("one", "two", "three"):
        for other in runs(loaded, 0.45, 0.50, 0.55, protocol=OFFICIAL):
            write_record(results / "runs" / paper / str(other.seed), msgspec.structs.replace(other, paper=paper))
    assert judge(question, close, 3).outcome == "open"

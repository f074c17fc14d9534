"""Claims that are there for arithmetic only: what a spec accepts of them."""

from __future__ import annotations

import pytest
from invented_papers import USAGE_STEP
from tiny_paper import load_tiny

from repro.forensics import examine
from repro.judge.measured import measure
from repro.specs.decode import SpecError

ACCURACY = 'quantity = "accuracy"\nvalue = 0.6\nunit = "fraction"\nresolution = 0.01\nsplit = "test"'
LOSS = 'quantity = "loss"\nvalue = 1.5\nunit = "nat"\nresolution = 0.1\nsplit = "test"\nepoch = 2'
WHY = 'not_measured = "Arithmetic."'
STEPS = f'quantity = "steps"\nvalue = 898\nunit = "step"\nsplit = "test"\nbatch_size = 4\n{WHY}'

MISTAKES = {
    "a cell without its column": (
        'quantity = "predicted_rows"\nvalue = 60\nunit = "rows"\nsplit = "test"\nactual = "sad"',
        "a claim with `actual` is a cell of a confusion matrix: it needs `emotion`, the column",
    ),
    "a cell of another quantity": (
        f'{LOSS}\nactual = "sad"',
        "`actual` belongs to claims of quantity `predicted_rows`",
    ),
    "a cell of an emotion that is not there": (
        f'quantity = "predicted_rows"\nvalue = 60\nunit = "rows"\nemotion = "sad"\nactual = "joy"\n{WHY}',
        "claims[1].actual (loss): no emotion 'joy'; accepted: angry, disgust, fear, ",
    ),
    "steps of no split": (
        f'quantity = "steps"\nvalue = 60\nunit = "step"\n{WHY}',
        "a claim of quantity `steps` needs a `split` and a whole number of steps",
    ),
    "half a step": (STEPS.replace("898", "898.5"), "needs a `split` and a whole number of steps"),
    "steps that runs would measure": (STEPS.replace(WHY, ""), "quantity `steps` needs `not_measured`"),
    "steps in seconds": (STEPS.replace('"step"', '"s"'), "a claim of quantity `steps` has unit step, not 's'"),
    "a setting without its name": (
        f'quantity = "setting"\nvalue = 2\nunit = "1"\n{WHY}',
        "a claim of quantity `setting` needs `setting`: which one",
    ),
    "the batch size of a loss": (f"{LOSS}\nbatch_size = 32", "`batch_size` belongs to claims of quantity `steps`"),
    "an evaluation of test samples": (
        f"{ACCURACY}\nevaluated = true",
        "`evaluated` belongs to an accuracy or a loss of",
    ),
    "an evaluation of training samples after an epoch": (
        f"{LOSS.replace('test', 'train')}\nevaluated = true",
        "a run evaluates its training samples only at its end",
    ),
    "the setting of a loss": (f'{LOSS}\nsetting = "x"', "`setting` belongs to claims of quantity `setting`"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_such_a_claim_is_named(tmp_path, mistake):
    text, message = MISTAKES[mistake]
    with pytest.raises(SpecError) as error:
        load_tiny(tmp_path, (LOSS, text))
    assert "claims[1]" in str(error.value) and message in str(error.value)


def test_a_claim_of_steps_is_examined_and_never_measured(tmp_path):
    paper = load_tiny(tmp_path, (LOSS, STEPS))
    (steps,) = [f for f in examine(paper) if f.check == "steps x batch size"]
    assert (steps.outcome, steps.claims) == ("consistent", ("loss",)) and "3,589 to 3,592 samples" in steps.arithmetic
    assert measure(paper.spec.claims[1], []) is None


def test_the_batch_size_of_the_claim_goes_before_that_of_training(tmp_path):
    paper = load_tiny(tmp_path, (LOSS, STEPS.replace("batch_size = 4\n", "batch_size = 32\n")))
    (steps,) = [f for f in examine(paper) if f.check == "steps x batch size"]
    assert steps.outcome == "not by the stated convention" and "Training (28,709) fits" in steps.arithmetic
    assert any("another batch size: 4 for PublicTest" in convention for convention in steps.conventions)


def test_an_evaluation_may_leave_out_its_incomplete_last_batch(tmp_path):
    paper = load_tiny(tmp_path, (LOSS, STEPS.replace("898", "56").replace("batch_size = 4", "batch_size = 64")))
    (steps,) = [f for f in examine(paper) if f.check == "steps x batch size"]
    assert steps.outcome == "consistent" and "without the incomplete last batch" in steps.arithmetic


def test_an_evaluation_of_rows_that_were_set_aside_may_do_so_too(tmp_path):
    cut = 'step = "split_last"\ncount = 1000\ninto = "test"\nrest = "train"'
    steps = STEPS.replace("898", "33").replace("batch_size = 4", "batch_size = 30")
    paper = load_tiny(tmp_path, (USAGE_STEP.strip(), cut), (LOSS, steps))
    (finding,) = [f for f in examine(paper) if f.check == "steps x batch size"]
    assert finding.outcome == "consistent" and "'test' (1,000) fits" in finding.arithmetic


def test_the_accuracy_of_the_tiny_paper_is_too_coarse_to_tell(tmp_path):
    assert ACCURACY in (tmp_path / load_tiny(tmp_path).path.name).read_text()
    assert {f.outcome for f in examine(load_tiny(tmp_path))} == {"consistent", "cannot tell"}


def test_words_that_rule_out_a_convention_name_claims_and_conventions_that_exist(tmp_path):
    def ruling_out(convention: str, claim: str) -> tuple[str, str]:
        words = f'[[ruled_out]]\nconventions = ["{convention}"]\nclaims = ["{claim}"]\nquote = "once"\nplace = "Sec. 2"'
        return "[[contradictions]]", f"{words}\n\n[[contradictions]]"

    assert load_tiny(tmp_path, ruling_out("mean_of_runs", "loss")).spec.ruled_out
    with pytest.raises(SpecError, match=r"ruled_out\[0\]\.claims: no claim has the id 'lost'"):
        load_tiny(tmp_path, ruling_out("mean_of_runs", "lost"))
    with pytest.raises(SpecError, match=r'ruled_out\[0\]\.conventions\[0\]: unknown value "luck"; accepted: "'):
        load_tiny(tmp_path, ruling_out("luck", "loss"))

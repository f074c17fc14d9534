"""What the numbers of the five documents say alone, each check by its name; what single checks can tell and cannot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_paper import load_tiny

from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS
from fer_jax.vocabulary.step_kinds import Step
from repro.cli.forensics import forensics
from repro.forensics import OUTCOMES, Finding, examine
from repro.forensics.case import Case
from repro.forensics.contradictions import points
from repro.forensics.counts import other_batch_sizes
from repro.specs.catalog import all_papers, find_paper

FINDINGS = {paper.id: examine(paper) for paper in all_papers()}


def found(paper: str, check: str, outcome: str) -> list[Finding]:
    return [f for f in FINDINGS[paper] if f.check == check and f.outcome == outcome]


def one(paper: str, check: str, *claims: str, outcome: str) -> Finding:
    """The only such finding that is about all of these claims."""
    (finding,) = [f for f in found(paper, check, outcome) if set(claims) <= set(f.claims)]
    return finding


def impossible(paper: str) -> list[tuple[str, ...]]:
    return [f.claims for f in FINDINGS[paper] if f.outcome == "impossible"]


OTHERWISE = "not by the stated convention"

# --- the five documents ---------------------------------------------------------------------------------------------


def test_every_finding_is_about_claims_of_its_paper_and_shows_figures():
    for paper in all_papers():
        known = {claim.id for claim in paper.spec.passages}
        for finding in FINDINGS[paper.id]:
            assert finding.claims and set(finding.claims) <= known, finding
            assert finding.outcome in OUTCOMES and finding.meaning.endswith(".") and "\n" not in finding.arithmetic


def test_only_what_the_papers_words_and_arithmetic_exclude_is_impossible():
    assert impossible("basani2017") == [] and impossible("zhaqsylyq") == []
    assert impossible("chavan2020") == [("speedup-30", "cpu-time-30", "gpu-time-30")]
    assert impossible("onghena") == [("setting-rate-introduction", "setting-rate-experiments")]
    assert impossible("teta2022") == [("log-test-accuracy", "log-steps")]


def test_tetas_steps_alone_prove_nothing():
    """898 steps of 32 are Training; 3,589 samples in batches of 4 take 898 too, and so do 8 crops of each."""
    steps = one("teta2022", "steps x batch size", "log-steps", outcome="cannot tell")
    assert "898 steps of 32 are 28,705 to 28,736 samples: Training (28,709) fits" in steps.arithmetic
    assert "PublicTest (3,589) takes 113 steps" in steps.arithmetic
    said = "; ".join(steps.conventions)
    assert "another batch size: 4 for PublicTest" in said and "8 of each sample of PrivateTest" in said
    assert (-(-3589 // 4), -(-8 * 3589 // 32), -(-28709 // 32)) == (898, 898, 898)


def test_tetas_steps_and_decimals_together_leave_no_test_part():
    """Recomputed here with whole numbers: no k is within float32's precision, whatever the batch size or the crops."""
    finding = one("teta2022", "samples that were evaluated", "log-test-accuracy", "log-steps", outcome="impossible")
    assert "Training (28,709): 28,190 right, batches of 32" in finding.arithmetic and not finding.conventions
    assert {premise.source for premise in finding.premises} == {"stated"}
    value = Decimal("0.9819220304489136")
    near = [
        n
        for n in (3589, 7178, *(k * 3589 for k in range(3, 11)), 28709)
        if min(value * n % 1, 1 - value * n % 1) < Decimal("0.01")
    ]
    assert near == [28709] and round(value * 28709) == 28190


def test_without_the_papers_words_tetas_decimals_accuse_nobody():
    teta = find_paper("teta2022")
    silent = replace(teta, spec=msgspec.structs.replace(teta.spec, ruled_out=()))
    assert not [f for f in examine(silent) if f.outcome == "impossible"]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3005))
def test_batch_sizes_for_a_number_of_steps_are_those_of_a_trial_of_all(rows: int, steps: int) -> None:
    tried = [batch for batch in range(1, rows + 1) if steps in (-(-rows // batch), rows // batch)]
    assert other_batch_sizes(steps, rows) == tried


def test_a_paper_that_prints_a_huge_number_costs_no_time() -> None:
    assert other_batch_sizes(57, 10**12) == [17_241_379_311]
    assert other_batch_sizes(1, 10**12) == [500_000_000_001]
    assert len(other_batch_sizes(2, 10**5)) < 70_000


def test_teta_is_above_the_best_confirmed_result():
    check = "above the best confirmed result on FER-2013"
    assert {f.claims[0] for f in found("teta2022", check, OTHERWISE)} == {"test-accuracy", "validation-accuracy"}
    assert one("teta2022", "validation above training", "log-validation-accuracy-50", outcome="cannot tell")


def test_tetas_equal_figures_are_not_multiplied():
    """Accuracy and loss of the same samples go together: the rarer of the two, not their product."""
    equal = one("teta2022", "equal figures of two splits", "test-loss", "log-validation-loss-50", outcome="cannot tell")
    assert "0.0581 and 0.0581" in equal.arithmetic
    chances = [int(n) for n in re.findall(r"once in (\d+)", equal.arithmetic)]
    assert len(chances) == 2 and max(chances) < 100 < chances[0] * chances[1]


def test_what_is_right_in_teta_is_consistent():
    for check, id_ in (
        ("parameters of the network", "log-parameters"),
        ("size of the dataset", "rows"),
        ("time per further epoch", "log-50-time"),
        ("steps x batch size", "log-epoch-steps"),
        ("stated twice", "validation-accuracy"),
    ):
        assert one("teta2022", check, id_, outcome="consistent")


def test_chavans_table_of_times():
    check = "speed-up is CPU time / GPU time"
    assert "7.113 h / 2.344 h = 3.03" in one("chavan2020", check, "speedup-30", outcome="impossible").arithmetic
    mean = one("chavan2020", check, "speedup-50", outcome=OTHERWISE)
    assert "= 5.02" in mean.arithmetic and any("mean over runs" in convention for convention in mean.conventions)
    stopped = one("chavan2020", "more epochs take longer", "gpu-time-30", "gpu-time-50", outcome=OTHERWISE)
    assert "training that stopped early" in stopped.conventions
    odd = one("chavan2020", "time per further epoch", "gpu-time-30", outcome=OTHERWISE)
    assert odd.claims == ("gpu-time-30",), "the odd one out of the four"
    assert one("chavan2020", "time per further epoch", "cpu-time-30", outcome="consistent")
    average = one("chavan2020", "average speed-up", "speedup-average", outcome="consistent")
    assert "recomputed from the times 4.58" in average.arithmetic


def test_chavans_sizes():
    made = one("chavan2020", "size of the dataset", "rows-abstract", outcome="consistent")
    assert made.arithmetic.endswith("40,263")
    assert one("chavan2020", "size of the dataset", "rows-data-set", outcome=OTHERWISE)
    assert one("chavan2020", "samples of a split", "rows-official-train", outcome=OTHERWISE)
    ours = one("chavan2020", "samples of a split", "rows-train", outcome="cannot tell")
    assert {premise.source for premise in ours.premises} == {"upstream"}, "our preparation accuses nobody"
    parts = one("chavan2020", "parts make up the whole", "rows-abstract", outcome="cannot tell")
    assert "36,000 + 1,000 = 37,000; the dataset: 40,000" in parts.arithmetic


def test_chavans_accuracy_after_ten_epochs_is_told_twice():
    assert one("chavan2020", "stated twice", "accuracy-text-10", "table1-accuracy-10", outcome=OTHERWISE)
    assert one("chavan2020", "stated twice", "accuracy-50", "accuracy-abstract", outcome="consistent")


def test_basanis_true_positives_give_49_0_and_not_48_8_per_cent():
    wrong = one("basani2017", "true positives / samples is the accuracy", "console_test_accuracy", outcome=OTHERWISE)
    assert "3,220) / 6,576" in wrong.arithmetic and "48.9659 %; printed 48.8 %" in wrong.arithmetic
    assert one("basani2017", wrong.check, "test_accuracy", outcome="consistent")
    assert one("basani2017", "stated twice", "test_accuracy", "console_test_accuracy", outcome=OTHERWISE)


def test_basanis_rows_are_not_those_of_its_listing():
    wrong = {id_ for f in found("basani2017", "samples of a split", OTHERWISE) for id_ in f.claims}
    assert {"train_rows", "validation_rows", "test_rows", "emotions-actual-fear", "emotions-actual-neutral"} <= wrong
    assert not {"text_train_rows", "text_test_rows"} & wrong
    cut = one("basani2017", "share that is cut off", "validation_rows", outcome=OTHERWISE)
    assert "9.68 %; the data steps cut off 20 %" in cut.arithmetic


def test_basanis_console_excludes_the_batch_of_16_in_its_file_name():
    check = "accuracy x samples is a whole number"
    batches = one("basani2017", check, "minibatch_accuracy-0", outcome="consistent")
    assert (
        "9.4 % = 3/32" in batches.arithmetic and "a batch of 16 is excluded: 0.094 x 16 = 1.504" in batches.arithmetic
    )
    assert one("basani2017", "stated twice", "setting_batch_listing", "setting_batch_command", outcome=OTHERWISE)


def test_basanis_least_loss_is_where_no_loss_is_taken():
    finding = one("basani2017", "where the loss is least", "least_loss_step", outcome=OTHERWISE)
    assert "1.23479, step 16,000" in finding.arithmetic and "every 2,000 steps" in finding.meaning


def test_onghenas_figure_7_can_be_read_by_rows_but_not_by_columns():
    """Four numbers without labels: 0.6945 0.5696 above 0.5946 0.5715. By columns 0.5696 would be of a test split."""
    check = "accuracy x samples is a whole number"
    assert one("onghena", check, "figure7-validation", outcome="consistent")
    onghena = find_paper("onghena")
    columns = {"figure7-validation": 0.5946, "figure7-public": 0.5696}
    claims = tuple(msgspec.structs.replace(c, value=columns.get(c.id, c.value)) for c in onghena.spec.claims)
    read = replace(onghena, spec=msgspec.structs.replace(onghena.spec, claims=claims))
    (finding,) = (f for f in examine(read) if f.check == check and "no whole number" in f.arithmetic)
    assert finding.claims == ("figure7-public",) and "0.5696 x 3,589" in finding.arithmetic
    assert finding.outcome == "cannot tell", "the labels are our reading"
    assert not any(round(k / 3589, 4) == 0.5696 for k in range(3590))


def test_onghenas_unlabelled_numbers_contradict_nothing():
    told = one("onghena", "stated twice", "accuracy", "figure7-validation", outcome="cannot tell")
    assert {premise.source for premise in told.premises} == {"assumed"}


def test_onghena_names_two_learning_rates_for_one_thing():
    rates = one("onghena", "stated twice", "setting-rate-introduction", outcome="impossible")
    assert "it was shortly mentioned that the learning rate was configured at 0.0005" in rates.premises[0].what


def test_zhaqsylyq_gives_too_few_numbers_to_contradict():
    assert {f.outcome for f in FINDINGS["zhaqsylyq"]} == {"consistent", "cannot tell"}


@pytest.mark.parametrize(("paper", "wrong", "open_"), [("chavan2020", 1, 8), ("basani2017", 0, 10), ("teta2022", 1, 1)])
def test_one_wrong_passage_counts_once(paper, wrong, open_):
    counted = points(find_paper(paper).spec.all_claims, FINDINGS[paper])
    assert (len(counted.contradictions), len(counted.others)) == (wrong, open_)


def test_chavans_row_of_30_epochs_is_one_contradiction():
    (point,) = points(find_paper("chavan2020").spec.all_claims, FINDINGS["chavan2020"]).contradictions
    assert (point.place, point.quote) == ("Table I", "30 7.113 2.344 5.09 59%")
    assert [f.check for f in point.findings] == [
        "speed-up is CPU time / GPU time",
        "more epochs take longer",
        "time per further epoch",
    ]


# --- rows without pictures ------------------------------------------------------------------------------------------


def test_rows_after_the_data_steps_follow_from_the_class_counts_by_hand():
    classes = [sum(counts) for counts in zip(*OFFICIAL_COUNTS.values(), strict=True)]
    test = [int(n * 0.2) for n in classes]
    made = [
        3 * (n - t - 1) * (4 if emotion == 1 else 1) for emotion, (n, t) in enumerate(zip(classes, test, strict=True))
    ]
    validation = [int(n * 0.2) for n in made]
    rows = Case(find_paper("basani2017")).samples("default")
    assert rows["test"].by_emotion == tuple(test) and rows["test"].total == sum(test)
    assert rows["validation"].by_emotion == tuple(validation)
    assert rows["train"].total == sum(made) - sum(validation) - 7
    chavan = Case(find_paper("chavan2020")).samples("default")
    assert (chavan["train"].total, chavan["validation"].total) == (35_887 + 8 * 547 - 1000, 1000)
    assert chavan["validation"].by_emotion is None, "which rows are the last 1,000 is left to chance"


def test_steps_that_look_at_pictures_leave_the_rows_unknown():
    paper = find_paper("zhaqsylyq")
    steps = (*paper.resolve("default").data.steps, msgspec.convert({"step": "drop_repeats", "split": "test"}, Step))
    data = msgspec.structs.replace(paper.resolve("default").data, steps=steps)
    changed = replace(paper, spec=msgspec.structs.replace(paper.spec, data=data))
    assert Case(changed).samples("default") == {} and Case(paper).samples("default")["test"].total == 3589
    assert {f.outcome for f in examine(changed)} <= {"consistent", "cannot tell"}


# --- the command ----------------------------------------------------------------------------------------------------


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_command_prints_counts_and_what_does_not_fit_with_its_arithmetic():
    done = CliRunner().invoke(forensics, ["chavan2020"])
    assert done.exit_code == 0
    output = one_line(done.output)
    assert "numbers: 1; points not by the stated convention: 8 (checks: " in output
    for finding in FINDINGS["chavan2020"]:
        assert (one_line(finding.arithmetic) in output) == (finding.outcome in ("impossible", OTHERWISE)), finding
    assert "Takes for granted: the speed-up is of these two times (stated)" in output
    assert "Would follow from: training that stopped early; another machine" in output


def test_the_command_prints_all_findings_on_request_and_json():
    everything = CliRunner().invoke(forensics, ["onghena", "--all"]).output
    assert all(one_line(finding.arithmetic) in one_line(everything) for finding in FINDINGS["onghena"])
    document = json.loads(CliRunner().invoke(forensics, ["onghena", "--json"]).output)
    assert document["paper"] == "onghena" and document["open_points"] == []
    (point,) = document["contradictions"]
    assert point["place"] == "Sec. 2" and [f["check"] for f in point["findings"]] == ["stated twice"]
    assert msgspec.convert(document["findings"], tuple[Finding, ...]) == FINDINGS["onghena"]


def test_a_paper_without_contradictions_says_so():
    done = CliRunner().invoke(forensics, ["zhaqsylyq"])
    assert done.exit_code == 0 and "No contradiction was found." in done.output


def test_the_command_does_not_load_what_takes_long():
    heavy = "('jax', 'flax', 'pandas', 'scipy', 'cv2')"
    code = f"import sys, repro.cli.forensics\nprint(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_data_steps_that_no_memory_holds_are_not_carried_out(tmp_path):
    copies = '[[data.steps]]\nstep = "augment_copies"\nsplit = "train"\ntransforms = [{ kind = "flip_horizontal" }]\n'
    copies += 'provenance = [{ kind = "assumed", reason = "a stranger" }]\n'
    loaded = load_tiny(tmp_path, ("[[model.layers]]", f"{100 * copies}[[model.layers]]"))
    assert Case(loaded).samples("default") == {}
    assert Case(load_tiny(tmp_path)).samples("default")["train"].total == 28_709

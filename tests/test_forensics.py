"""What the numbers of the five documents say alone, each check by its name; what single checks can tell and cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from invented_papers import claim

from fer_jax.faces import OFFICIAL_COUNTS
from fer_jax.step_kinds import Step
from repro.catalog import all_papers, find_paper
from repro.forensics import OUTCOMES, Finding, examine
from repro.forensics.case import Case
from repro.forensics.cli import forensics
from repro.forensics.printed import Window, precision, whole_counts, window
from repro.forensics.throughput import KNOWN, find_hardware, flops_per_image

FINDINGS = {paper.id: examine(paper) for paper in all_papers()}


def found(paper: str, check: str, outcome: str = "inconsistent") -> list[Finding]:
    return [f for f in FINDINGS[paper] if f.check == check and f.outcome == outcome]


def one(paper: str, check: str, *claims: str, outcome: str = "inconsistent") -> Finding:
    """The only such finding that is about all of these claims."""
    (finding,) = [f for f in found(paper, check, outcome) if set(claims) <= set(f.claims)]
    return finding


# --- the five documents ---------------------------------------------------------------------------------------------


def test_every_finding_is_about_claims_of_its_paper_and_shows_figures():
    for paper in all_papers():
        known = {claim.id for claim in paper.spec.all_claims}
        for finding in FINDINGS[paper.id]:
            assert finding.claims and set(finding.claims) <= known, finding
            assert finding.outcome in OUTCOMES and finding.meaning.endswith(".") and "\n" not in finding.arithmetic


def test_teta_evaluated_its_test_part_on_the_training_rows():
    steps = one("teta2022", "steps x batch size", "log-steps")
    assert "898 steps of 32 are 28,705 to 28,736 rows: only Training (28,709) fits" in steps.arithmetic
    assert "PrivateTest (3,589) takes 113 steps" in steps.arithmetic
    assert steps.meaning == "As many rows were evaluated as 'test' as the training part has."
    whole = one("teta2022", "accuracy x rows is a whole number", "log-test-accuracy", outcome="consistent")
    assert (
        "28,190 / 28,709" in whole.arithmetic and "not of PublicTest (3,589), PrivateTest (3,589)" in whole.arithmetic
    )


def test_teta_is_above_the_ceiling_above_training_and_equal_on_two_splits():
    check = "above what has been reached on FER-2013"
    assert {f.claims[0] for f in found("teta2022", check)} == {"test-accuracy", "validation-accuracy"}
    assert one("teta2022", "validation above training", "log-validation-accuracy-50", "log-train-accuracy-50")
    equal = one("teta2022", "equal figures of two splits", "test-loss", "log-validation-loss-50", "log-test-accuracy")
    assert "0.0581 and 0.0581" in equal.arithmetic


def test_what_is_right_in_teta_is_consistent():
    for check, id_ in (
        ("parameters of the network", "log-parameters"),
        ("size of the data set", "rows"),
        ("time per further epoch", "log-50-time"),
        ("steps x batch size", "log-epoch-steps"),
        ("told twice", "validation-accuracy"),
    ):
        assert one("teta2022", check, id_, outcome="consistent")


def test_chavans_table_of_times():
    ratios = found("chavan2020", "speed-up is CPU time / GPU time")
    assert [f.claims[0] for f in ratios] == ["speedup-30", "speedup-50"]
    assert "7.113 h / 2.344 h = 3.03" in ratios[0].arithmetic and "= 5.02" in ratios[1].arithmetic
    assert one("chavan2020", "more epochs take longer", "gpu-time-30", "gpu-time-50")
    assert one("chavan2020", "time per further epoch").claims == ("gpu-time-30",), "the odd one out of the four"
    assert one("chavan2020", "time per further epoch", "cpu-time-30", outcome="consistent")
    assert (
        "recomputed from the times 4.58"
        in one("chavan2020", "average speed-up", "speedup-average", outcome="consistent").arithmetic
    )


def test_chavans_sizes():
    assert one("chavan2020", "size of the data set", "rows-abstract", outcome="consistent").arithmetic.endswith(
        "40,263"
    )
    assert one("chavan2020", "size of the data set").claims == ("rows-data-set",)
    assert {f.claims[0] for f in found("chavan2020", "rows of a split")} == {"rows-train", "rows-official-train"}
    assert "36,000 + 1,000 = 37,000; the data set: 40,000" in one("chavan2020", "parts make up the whole").arithmetic


def test_chavans_accuracy_after_ten_epochs_is_told_twice():
    assert one("chavan2020", "told twice", "accuracy-text-10", "table1-accuracy-10")
    assert one("chavan2020", "told twice", "accuracy-50", "accuracy-abstract", outcome="consistent")


def test_basanis_true_positives_give_49_0_and_not_48_8_per_cent():
    wrong = one("basani2017", "true positives / rows is the accuracy")
    assert wrong.claims[0] == "console_test_accuracy"
    assert "3,220) / 6,576" in wrong.arithmetic and "48.9659 %; printed 48.8 %" in wrong.arithmetic
    assert one("basani2017", wrong.check, "test_accuracy", outcome="consistent")
    assert one("basani2017", "told twice", "test_accuracy", "console_test_accuracy")


def test_basanis_rows_are_not_those_of_its_listing():
    check = "rows of a split"
    wrong = {id_ for f in found("basani2017", check) for id_ in f.claims}
    assert {"train_rows", "validation_rows", "test_rows", "emotions-actual-fear", "emotions-actual-neutral"} <= wrong
    assert not {"text_train_rows", "text_test_rows"} & wrong
    assert "9.68 %; the data steps cut off 20 %" in one("basani2017", "share that is cut off").arithmetic


def test_basanis_console_excludes_the_batch_of_16_in_its_file_name():
    batches = one("basani2017", "accuracy x rows is a whole number", "minibatch_accuracy-0", outcome="consistent")
    assert (
        "9.4 % = 3/32" in batches.arithmetic and "a batch of 16 is excluded: 0.094 x 16 = 1.504" in batches.arithmetic
    )
    assert one("basani2017", "told twice", "setting_batch_listing", "setting_batch_command")


def test_basanis_least_loss_is_where_no_loss_is_taken():
    finding = one("basani2017", "where the loss is least", "least_loss_step")
    assert "1.23479, step 16,000" in finding.arithmetic and "every 2,000 steps" in finding.meaning


def test_onghenas_figure_7_can_be_read_by_rows_but_not_by_columns():
    """Four numbers without labels: 0.6945 0.5696 above 0.5946 0.5715. By columns 0.5696 would be of a test part."""
    assert not found("onghena", "accuracy x rows is a whole number")
    onghena = find_paper("onghena")
    columns = {"figure7-validation": 0.5946, "figure7-public": 0.5696}
    claims = tuple(msgspec.structs.replace(c, value=columns.get(c.id, c.value)) for c in onghena.spec.claims)
    read = replace(onghena, spec=msgspec.structs.replace(onghena.spec, claims=claims))
    (finding,) = (
        f for f in examine(read) if f.check == "accuracy x rows is a whole number" and f.outcome == "inconsistent"
    )
    assert finding.claims == ("figure7-public",) and "0.5696 x 3,589" in finding.arithmetic
    assert not any(round(k / 3589, 4) == 0.5696 for k in range(3590))


def test_onghena_names_two_learning_rates():
    assert one("onghena", "told twice", "setting-rate-introduction", "setting-rate-experiments")


def test_zhaqsylyq_gives_too_few_numbers_to_contradict():
    assert not [f for f in FINDINGS["zhaqsylyq"] if f.outcome == "inconsistent"]
    assert found("zhaqsylyq", "accuracy x rows is a whole number", "cannot tell")


# --- rows without pictures ------------------------------------------------------------------------------------------


def test_rows_after_the_data_steps_follow_from_the_class_counts_by_hand():
    classes = [sum(counts) for counts in zip(*OFFICIAL_COUNTS.values(), strict=True)]
    test = [int(n * 0.2) for n in classes]
    made = [
        3 * (n - t - 1) * (4 if emotion == 1 else 1) for emotion, (n, t) in enumerate(zip(classes, test, strict=True))
    ]
    validation = [int(n * 0.2) for n in made]
    rows = Case(find_paper("basani2017")).rows("default")
    assert rows["test"].by_emotion == tuple(test) and rows["test"].total == sum(test)
    assert rows["validation"].by_emotion == tuple(validation)
    assert rows["train"].total == sum(made) - sum(validation) - 7
    chavan = Case(find_paper("chavan2020")).rows("default")
    assert (chavan["train"].total, chavan["validation"].total) == (35_887 + 8 * 547 - 1000, 1000)
    assert chavan["validation"].by_emotion is None, "which rows are the last 1,000 is left to chance"


def test_steps_that_look_at_pictures_leave_the_rows_unknown():
    paper = find_paper("zhaqsylyq")
    steps = (*paper.spec.data.steps, msgspec.convert({"step": "drop_repeats", "split": "test"}, Step))
    data = msgspec.structs.replace(paper.spec.data, steps=steps)
    changed = replace(paper, spec=msgspec.structs.replace(paper.spec, data=data))
    assert Case(changed).rows("default") == {} and Case(paper).rows("default")["test"].total == 3589
    assert {f.outcome for f in examine(changed)} <= {"consistent", "cannot tell"}


# --- what a printed figure can stand for ----------------------------------------------------------------------------

DECIMALS = st.integers(1, 6)


def printings(k: int, rows: int, places: int) -> set[Decimal]:
    """How k of `rows` can be printed: rounded either way, or cut."""
    exact, unit = Decimal(k) / Decimal(rows), Decimal(1).scaleb(-places)
    return {exact.quantize(unit, rounding) for rounding in (ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_DOWN)}


@given(st.data(), st.integers(1, 40_000), DECIMALS)
def test_no_true_accuracy_is_ever_called_impossible(data, rows, places):
    k = data.draw(st.integers(0, rows))
    for text in printings(k, rows, places):
        least, greatest = whole_counts(Window(float(text), 10.0**-places), rows)
        assert least <= k <= greatest


@pytest.mark.parametrize(("rows", "places"), [(3589, 4), (32, 3), (1000, 4), (61, 2)])
def test_exactly_the_accuracies_that_no_count_gives_are_called_impossible(rows, places):
    possible = {text for k in range(rows + 1) for text in printings(k, rows, places)}
    for value in range(10**places + 1):
        text = Decimal(value).scaleb(-places)
        least, greatest = whole_counts(Window(float(text), 10.0**-places), rows)
        assert (max(least, 0) <= min(greatest, rows)) == (text in possible), text


@given(st.integers(10**7, 10**11), DECIMALS)
def test_a_rounded_figure_is_consistent_and_a_cut_one_at_least_not_impossible(billionths, places):
    exact, unit = Decimal(billionths).scaleb(-9), Decimal(1).scaleb(-places)
    rounded, cut = (exact.quantize(unit, rounding) for rounding in (ROUND_HALF_UP, ROUND_DOWN))
    value = float(exact)
    assert Window(float(rounded), float(unit)).fit(value) == "consistent"
    assert Window(float(cut), float(unit)).fit(value) != "inconsistent"
    assert Window(float(rounded + 2 * unit), float(unit)).fit(value) == "inconsistent"
    assert Window(float(cut - 2 * unit), float(unit)).fit(value) == "inconsistent"


def test_precision_comes_from_the_resolution_the_digits_or_the_kind_of_the_number():
    assert precision(claim("a", "accuracy", 0.5, resolution=0.01, split="test")) == 0.01
    assert precision(claim("a", "loss", 1.25, split="test")) == 0.01
    assert precision(claim("a", "rows", 3589)) == 0.0
    assert precision(claim("a", "rows", 40_000, resolution=1000.0)) == 1000.0
    unrounded = window(claim("a", "accuracy", 0.9819220304489136, resolution=0.0001, split="test"))
    assert whole_counts(unrounded, 28_709) == (28_190, 28_190)
    assert whole_counts(unrounded, 3589)[0] > whole_counts(unrounded, 3589)[1]


# --- hardware -------------------------------------------------------------------------------------------------------


def test_flops_of_an_image_by_hand():
    convolutions = 44 * 44 * 25 * 20 + 18 * 18 * 25 * 20 * 20
    dense = 9 * 9 * 20 * 500 + 500 * 300 + 300 * 7
    assert flops_per_image(Case(find_paper("chavan2020")), "default") == 2 * (convolutions + dense)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("GeForce GTX520", 155.5e9),
        ("NVIDIA GeForce GT 520", 155.5e9),
        ("AMD Phenom (tm) II X4 B97", 102.4e9),
        ("Intel® Core™ i5-5200U CPU @ 2.20GHz", 172.8e9),
        ("Google Colab, kind of GPU not named", None),
        ("GeForce GTX 1080", None),
        ("", None),
    ],
)
def test_hardware_is_found_by_its_words(name, peak):
    hardware = find_hardware(name)
    assert (hardware.peak_flops if hardware else None) == peak


def test_every_peak_shows_its_arithmetic_and_source():
    for hardware in KNOWN:
        assert " x " in hardware.source and ";" in hardware.source


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_prints_counts_and_the_contradictions_with_their_arithmetic():
    done = CliRunner().invoke(forensics, ["chavan2020"])
    assert done.exit_code == 0
    counts = {outcome: sum(f.outcome == outcome for f in FINDINGS["chavan2020"]) for outcome in OUTCOMES}
    assert done.output.startswith("chavan2020: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items()))
    for finding in FINDINGS["chavan2020"]:
        assert (finding.arithmetic in done.output) == (finding.outcome == "inconsistent"), finding


def test_the_command_prints_all_findings_on_request_and_json():
    everything = CliRunner().invoke(forensics, ["onghena", "--all"]).output
    assert all(finding.arithmetic in everything for finding in FINDINGS["onghena"])
    document = json.loads(CliRunner().invoke(forensics, ["onghena", "--json"]).output)
    assert document["paper"] == "onghena"
    assert msgspec.convert(document["findings"], tuple[Finding, ...]) == FINDINGS["onghena"]


def test_a_paper_without_contradictions_says_so():
    done = CliRunner().invoke(forensics, ["zhaqsylyq"])
    assert done.exit_code == 0 and "No contradiction among the numbers." in done.output


def test_the_command_does_not_load_what_takes_long():
    heavy = "('jax', 'flax', 'pandas', 'scipy', 'cv2')"
    code = f"import sys, repro.forensics.cli\nprint(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")

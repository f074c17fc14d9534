"""repro.forensics.tables: what a printed matrix says of itself, of its split and of the figures beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from invented_papers import claim, stating_everything
from printed_matrices import SPLITS, drawn, shares, table
from tiny_paper import load_tiny

from repro.forensics import Finding, examine
from repro.forensics.contradictions import points
from repro.forensics.finding import short_ids
from repro.forensics.tables import MEASURES, SOURCE, SUMS, TRACE, WHOLE
from repro.runs.class_measures import class_measures
from repro.specs.decode import LoadedSpec
from repro.specs.spec import Claim, ClaimTable

PRIVATE = drawn(SPLITS["PrivateTest"], seed=4)
TRUTH = class_measures(PRIVATE)
ACCURACY = float(np.trace(PRIVATE) / PRIVATE.sum())


def paper(folder: Path, matrix: ClaimTable, *claims: Claim, stated: bool = True) -> LoadedSpec:
    """The tiny paper, whose test split is PrivateTest, with one matrix. stated: it says everything in so many words."""
    loaded = load_tiny(folder)
    loaded = replace(loaded, spec=msgspec.structs.replace(loaded.spec, tables=(matrix,), claims=claims))
    return stating_everything(loaded) if stated else loaded


def found(loaded: LoadedSpec, check: str) -> list[Finding]:
    return [finding for finding in examine(loaded) if finding.check == check]


def one(loaded: LoadedSpec, check: str) -> Finding:
    (finding,) = found(loaded, check)
    return finding


def accuracy(value: float, digits: int = 4, **fields: Any) -> Claim:
    return claim("accuracy", "accuracy", round(float(value), digits), resolution=10.0**-digits, split="test", **fields)


# --- a correct matrix ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize(
    "matrix",
    [table(PRIVATE), *(shares(PRIVATE, of, digits) for of in ("all", "row", "column") for digits in (0, 1, 2))],
    ids=lambda t: f"{t.unit}-{t.of}-{t.resolution:g}",
)
def test_a_correct_matrix_raises_no_alarm(tmp_path, matrix, stated):
    measures = [
        claim(
            "f1",
            "f1",
            round(float(TRUTH.f1.mean()), 3),
            average="macro",
            unit="fraction",
            resolution=0.001,
            split="test",
        ),
        claim(
            "precision-sad",
            "precision",
            round(float(TRUTH.precision[4]), 2),
            emotion="sad",
            unit="fraction",
            resolution=0.01,
            split="test",
        ),
    ]
    loaded = paper(tmp_path, matrix, accuracy(ACCURACY), *measures, stated=stated)
    findings = examine(loaded)
    assert {f.outcome for f in findings} <= {"consistent", "cannot tell"}, [
        f for f in findings if f.outcome not in ("consistent", "cannot tell")
    ]
    known = {item.id for item in loaded.spec.passages}
    assert all(set(f.claims) <= known for f in findings)
    assert points(loaded.spec.passages, findings).contradictions == ()


def test_the_classes_may_come_in_another_order(tmp_path):
    order = [3, 0, 6, 1, 5, 2, 4]
    names = tuple(table(PRIVATE).classes[i] for i in order)
    matrix = shares(PRIVATE[np.ix_(order, order)], "row", 2, classes=names)
    loaded = paper(tmp_path, matrix, accuracy(ACCURACY))
    assert one(loaded, WHOLE).outcome == one(loaded, TRACE).outcome == "consistent"
    assert one(loaded, SOURCE).meaning == "It can be a matrix of PrivateTest."


# --- which samples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("printed", [table, lambda m: shares(m, "all", 2)], ids=["counts", "shares"])
def test_a_matrix_of_the_training_part_is_known_by_its_sums(tmp_path, printed):
    """Neither the steps of an evaluation nor the decimals of an accuracy are needed."""
    matrix = printed(drawn(SPLITS["Training"], right=0.98))
    finding = one(paper(tmp_path, matrix), SOURCE)
    assert finding.outcome == "impossible" and finding.claims == ("t",)
    assert finding.meaning.endswith("Its samples per class are those of Training.")
    assert "PrivateTest" in finding.arithmetic and "sums of rows: angry" in finding.arithmetic
    unsure = one(paper(tmp_path, matrix, stated=False), SOURCE)
    assert unsure.outcome == "not by the stated convention"
    assert any("trained on" in words for words in unsure.conventions)
    assert any("cross-validation" in words for words in unsure.conventions), "out-of-fold predictions are sound"


def test_shares_of_rows_name_the_training_part_too(tmp_path):
    finding = one(paper(tmp_path, shares(drawn(SPLITS["Training"]), "row", 2)), SOURCE)
    assert (
        finding.outcome == "impossible"
        and "whole numbers with these shares of each row: Training" in finding.arithmetic
    )


def test_a_matrix_of_a_drawn_part_is_of_no_official_split(tmp_path):
    fifth = tuple(count // 5 for count in SPLITS["all of FER-2013"])
    finding = one(paper(tmp_path, table(drawn(fifth))), SOURCE)
    assert finding.outcome == "cannot tell" and "none of FER-2013's own splits" in finding.meaning


def test_a_training_matrix_of_the_training_rows_is_no_news(tmp_path):
    matrix = msgspec.structs.replace(table(drawn(SPLITS["Training"])), split="train")
    assert one(paper(tmp_path, matrix), SOURCE).outcome == "consistent"


# --- shares -----------------------------------------------------------------------------------------------------------


def test_a_share_that_no_whole_number_gives(tmp_path):
    """55 images of disgust: one more or less is 1.82 points."""
    cells = [list(row) for row in shares(PRIVATE, "row", 2).cells]
    cells[1][1] += 0.5
    cells[1][0] = max(cells[1][0] - 0.5, 0.0)
    loaded = paper(tmp_path, table(cells, unit="percent", of="row", resolution=0.01))
    finding = one(loaded, WHOLE)
    assert finding.outcome == "impossible" and "no k of 55 prints as" in finding.arithmetic
    loose = one(paper(tmp_path, table(cells, unit="percent", of="row", resolution=0.01), stated=False), WHOLE)
    assert loose.outcome == "cannot tell", "the samples per class are our reading of the data steps there"


def test_shares_that_do_not_make_up_the_whole(tmp_path):
    cells = [list(row) for row in shares(PRIVATE, "row", 1).cells]
    cells[2][2] += 2.0
    finding = one(paper(tmp_path, table(cells, unit="percent", of="row", resolution=0.1)), SUMS)
    assert finding.outcome == "impossible" and finding.arithmetic.startswith("row fear 10")
    assert one(paper(tmp_path, shares(PRIVATE, "row", 1)), SUMS).outcome == "consistent"


# --- figures beside the matrix ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "matrix", [table(PRIVATE), shares(PRIVATE, "all", 2), shares(PRIVATE, "row", 2)], ids=["counts", "all", "row"]
)
def test_an_accuracy_that_is_not_the_diagonal(tmp_path, matrix):
    finding = one(paper(tmp_path, matrix, accuracy(ACCURACY + 0.02, 3)), TRACE)
    assert finding.outcome == "impossible" and set(finding.claims) == {"t", "accuracy"}


def test_an_accuracy_that_is_the_macro_recall_is_explained(tmp_path):
    macro = accuracy(TRUTH.recall.mean(), 4)
    assert abs(TRUTH.recall.mean() - ACCURACY) > 0.002, "the two differ in this matrix"
    finding = one(paper(tmp_path, table(PRIVATE), macro, stated=False), TRACE)
    assert finding.outcome == "not by the stated convention"
    assert any("macro recall" in words for words in finding.conventions)


@pytest.mark.parametrize(
    ("quantity", "fields", "value"),
    [
        ("f1", {"average": "macro"}, TRUTH.f1.mean()),
        ("f1", {"average": "weighted"}, np.average(TRUTH.f1, weights=TRUTH.support)),
        ("precision", {"emotion": "happy"}, TRUTH.precision[3]),
        ("recall", {"emotion": "disgust"}, TRUTH.recall[1]),
        ("accuracy", {"emotion": "fear"}, TRUTH.recall[2]),
        ("balanced_accuracy", {}, TRUTH.recall.mean()),
        ("precision", {"average": "micro"}, ACCURACY),
    ],
)
def test_measures_beside_the_matrix(tmp_path, quantity, fields, value):
    def beside(printed: float) -> Finding:
        given = claim(
            "m", quantity, round(float(printed), 3), unit="fraction", resolution=0.001, split="test", **fields
        )
        return one(paper(tmp_path, table(PRIVATE), given), MEASURES)

    assert beside(value).outcome == "consistent"
    wrong = beside(value - 0.03)
    assert wrong.outcome == "impossible" and "by the matrix; printed" in wrong.arithmetic


def test_figures_of_another_epoch_or_variant_are_not_held_against_it(tmp_path):
    loaded = paper(tmp_path, table(PRIVATE), accuracy(0.1, epoch=2), accuracy(0.1, variant="tanh"))
    assert found(loaded, TRACE) == []


def test_a_table_of_margins_alone_is_left_to_the_other_checks(tmp_path):
    margins = ClaimTable(
        id="t",
        split="test",
        classes=table(PRIVATE).classes,
        unit="rows",
        resolution=1,
        actual=SPLITS["PrivateTest"],
        true_positives=tuple(int(v) for v in np.diag(PRIVATE)),
        quote="q",
        place="Table 1",
    )
    loaded = paper(tmp_path, margins, accuracy(ACCURACY))
    checks = {finding.check: finding.outcome for finding in examine(loaded)}
    assert SOURCE not in checks and checks["true positives / samples is the accuracy"] == "consistent"


@pytest.mark.parametrize(
    ("quantity", "fields", "value"),
    [
        ("f1", {"average": "macro"}, TRUTH.f1.mean()),
        ("f1", {"emotion": "sad"}, TRUTH.f1[4]),
        ("precision", {"average": "weighted"}, np.average(TRUTH.precision, weights=TRUTH.support)),
        ("recall", {"emotion": "happy"}, TRUTH.recall[3]),
        ("balanced_accuracy", {}, TRUTH.recall.mean()),
        ("recall", {"average": "micro"}, ACCURACY),
    ],
)
def test_measures_beside_margins_without_cells(tmp_path, quantity, fields, value):
    counts = {"actual": PRIVATE.sum(1), "predicted": PRIVATE.sum(0), "true_positives": np.diag(PRIVATE)}
    margins = {key: tuple(float(v) for v in each) for key, each in counts.items()}

    def beside(printed: float, **left: Any) -> list[Finding]:
        matrix = msgspec.structs.replace(table(PRIVATE), cells=(), **margins | left)
        given = claim(
            "m", quantity, round(float(printed), 3), unit="fraction", resolution=0.001, split="test", **fields
        )
        return found(paper(tmp_path, matrix, given), MEASURES)

    assert [f.outcome for f in beside(value)] == ["consistent"]
    assert [f.outcome for f in beside(value + 0.02)] == ["impossible"]
    assert beside(value, true_positives=()) == [], "without the diagonal nothing follows"


def test_cells_of_counts_are_held_against_their_margins(tmp_path):
    wrong = [*SPLITS["PrivateTest"]]
    wrong[4] += 7
    loaded = paper(tmp_path, msgspec.structs.replace(table(PRIVATE), actual=tuple(wrong)))
    sums = [f for f in found(loaded, "sums of the confusion matrix") if f.outcome == "impossible"]
    assert [f.claims[-1] for f in sums] == ["t-actual-sad"]


def test_many_points_of_a_curve_are_one_word():
    ids = ["a", *(f"curve-{e}" for e in (5, 1, 3, 9)), "b-2", "b-3"]
    assert short_ids(ids) == ["a", "curve-1 to -9 (4 points)", "b-2", "b-3"]

"""repro.judge.measured_curves, grouped_claims and rankings: curves and matrices of runs, each figure chosen by the
test."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np
import pytest
from report_records import CPU, GPU, claim, data, headline, make_record, make_spec, metrics

from repro.judge.groups import RecordedRun, collect
from repro.judge.measured import measure, why_unmeasured
from repro.judge.measured_curves import measure_curve
from repro.report.grouped_claims import curve_rows, matrix_distance, matrix_rows
from repro.runs.class_measures import ranking
from repro.runs.predictions import pack_predictions
from repro.runs.rankings import with_rankings
from repro.runs.records import Overrides
from repro.specs.spec import ClaimTable, Curve
from repro.text.document import Cell
from repro.text.markdown import inline

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CURVE = {
    "id": "curve",
    "quantity": "accuracy",
    "unit": "fraction",
    "resolution": 0.01,
    "split": "test",
    "epochs": [1, 2, 4],
    "values": [0.45, 0.5, 0.51],
    "quote": "45",
    "place": "Fig. 1",
}
IDENTITY = [[10 if i == j else 0 for j in range(7)] for i in range(7)]
MATRIX = {
    "id": "matrix",
    "split": "test",
    "classes": list(EMOTIONS),
    "unit": "rows",
    "resolution": 1,
    "cells": IDENTITY,
    "quote": "10",
    "place": "Fig. 2",
}
PAPER = make_spec(claims=(headline(),), curves=[CURVE], tables=[MATRIX])
(CURVE_OF_PAPER,) = PAPER.spec.curves


def shown(rows):
    """Cells as Markdown."""
    return [[inline(cell.text if isinstance(cell, Cell) else cell) for cell in row] for row in rows]


def test_one_curve_per_run_at_the_points_of_the_paper():
    records = [make_record(PAPER, seed=seed, accuracy=a) for seed, a in ((3, 0.5), (5, 0.6))]
    found = measure_curve(CURVE_OF_PAPER, records)
    assert found is not None and found.seeds == (3, 5) and found.n == 2
    assert found.values == pytest.approx(np.array([[0.47, 0.48, 0.5], [0.57, 0.58, 0.6]]))
    assert found.mean == pytest.approx(np.array([0.52, 0.53, 0.55]))
    assert found.std == pytest.approx(np.full(3, 0.1 / 2**0.5))


def test_a_run_that_did_not_record_every_point_is_left_out_and_counted():
    short = make_record(PAPER, seed=1)
    short = msgspec.structs.replace(short, history=short.history[:3])
    found = measure_curve(CURVE_OF_PAPER, [make_record(PAPER), short])
    assert found is not None and (found.n, found.records_left_out) == (1, 1) and found.std is None
    assert measure_curve(CURVE_OF_PAPER, [short]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "failed"},
        {"status": "partial", "overrides": Overrides(limit_train=10)},
        {"variant": "wide"},
        {"protocol": "official"},
        {"data": data(synthetic=True)},
    ],
)
def test_other_runs_never_count(fields):
    assert measure_curve(CURVE_OF_PAPER, [make_record(PAPER, **fields)]) is None


def test_a_curve_that_no_run_measures():
    told = msgspec.structs.replace(CURVE_OF_PAPER, not_measured="read off a drawing")
    assert measure_curve(told, [make_record(PAPER)]) is None


def test_a_row_shows_both_ends_and_the_largest_difference():
    (paper,) = collect([PAPER], [])
    assert shown(curve_rows(paper)) == [
        [
            "`curve`",
            "accuracy, test, epochs 1 to 4",
            "`default`",
            "3",
            "45 % to 51 %",
            "not run",
            "\u2014",
            "\u2014",
            "Fig. 1.",
        ]
    ]


# --- matrices ---------------------------------------------------------------------------------------------------------


def run_with(confusion: list[list[int]]):
    return make_record(PAPER, metrics={"test": metrics(0.5, confusion=tuple(map(tuple, confusion)))})


def table(**fields: object) -> ClaimTable:
    return msgspec.convert(MATRIX | fields, ClaimTable)


def test_distance_is_the_share_of_samples_in_other_cells():
    (matrix,) = PAPER.spec.tables
    assert matrix_distance(matrix, run_with(IDENTITY)) == 0
    moved = [row[:] for row in IDENTITY]
    moved[0] = [3, 7, 0, 0, 0, 0, 0]
    assert matrix_distance(matrix, run_with(moved)) == pytest.approx(7 / 70)
    twice = [[2 * v for v in row] for row in IDENTITY]
    assert matrix_distance(matrix, run_with(twice)) == 0, "shares are compared, not sizes"
    assert matrix_distance(matrix, make_record(PAPER)) is None


def test_distance_follows_the_order_of_the_classes():
    order = list(reversed(EMOTIONS))
    moved = [[0] * 7 for _ in range(7)]
    moved[6] = [10, 0, 0, 0, 0, 0, 0]
    run = run_with(moved)  # neutral taken for angry, nothing else
    cells = [[0] * 7 for _ in range(7)]
    cells[0][6] = 4  # neutral comes first there, angry last
    assert matrix_distance(table(classes=order, cells=cells), run) == 0


@pytest.mark.parametrize("of", ["row", "column"])
def test_shares_of_rows_are_weighted_by_the_samples_of_the_run(of):
    cells = [[100 if i == j else 0 for j in range(7)] for i in range(7)]
    shares = table(unit="percent", of=of, cells=cells)
    uneven = [[(i + 1 if i == j else 0) for j in range(7)] for i in range(7)]
    assert matrix_distance(shares, run_with(uneven)) == pytest.approx(0)
    uneven[0][0], uneven[0][1] = 0, 1
    assert matrix_distance(shares, run_with(uneven)) == pytest.approx(1 / 28)


def test_a_matrix_without_runs_is_not_run():
    (paper,) = collect([PAPER], [])
    assert [row[4] for row in shown(matrix_rows(paper))] == ["not run"]


# --- counts as shares -------------------------------------------------------------------------------------------------


def test_counts_are_scaled_to_the_samples_of_the_paper():
    confusion = [[8, 2, 0, 0, 0, 0, 0], *([0] * 7 for _ in range(5)), [5, 0, 0, 0, 0, 0, 5]]
    record = run_with(confusion)

    def values(**fields: Any) -> tuple[float, ...]:
        measured = measure(claim(unit="rows", emotion="angry", **fields), [record])
        assert measured is not None
        return measured.values

    assert values(quantity="predicted_rows") == (13,)
    assert values(quantity="predicted_rows", of_rows=200) == (13 / 20 * 200,)
    assert values(quantity="true_positives", of_rows=50) == (8 / 10 * 50,)
    assert values(quantity="predicted_rows", actual="neutral") == (5,)
    assert values(quantity="predicted_rows", actual="neutral", of_rows=100) == (50,)


# --- top-k and AUC ----------------------------------------------------------------------------------------------------


def test_probabilities_of_the_record_answer_top_k():
    top2 = claim(quantity="top_k", k=2)
    bare = run_with(IDENTITY)
    assert measure(top2, [bare]) is None and why_unmeasured(top2, [bare]) == "not recorded by the run"
    found = ranking(np.eye(7), np.arange(7))
    assert found is not None
    measured = measure(top2, [msgspec.structs.replace(bare, ranking={"test": found})])
    assert measured is not None and measured.values == (1.0,)
    assert measure(claim(quantity="top_k", k=2, epoch=2), [bare]) is None, "probabilities are those of the end"


def test_older_records_get_theirs_from_the_file_beside_them(tmp_path):
    probability = np.full((9, 7), 0.1, np.float32)
    probability[np.arange(9), np.arange(9) % 7] = 0.4
    label = (np.arange(9) % 7).astype(np.uint8)
    arrays = pack_predictions({"test": {"probability": probability, "label": label, "origin": np.arange(9)}})
    np.savez(tmp_path / "predictions.npz", allow_pickle=False, **arrays)
    path, record = tmp_path / "run.json", make_record(PAPER)
    asking = make_spec(claims=(headline(), claim("top", quantity="top_k", k=1)))
    ((_, filled),) = with_rankings([(path, record)], [asking])
    assert filled.ranking["test"].top_k[0] == 1.0
    assert next(with_rankings([(path, record)], [PAPER])) == (path, record), "nobody asks"
    elsewhere = tmp_path / "none" / "run.json"
    assert next(with_rankings([(elsewhere, record)], [asking])) == (elsewhere, record), "no file, nothing recorded"


def test_a_curve_from_a_gpu_is_a_row_of_its_own():
    runs = [
        RecordedRun(PurePosixPath(f"{i}/run.json"), make_record(PAPER, seed=i, accuracy=0.51, device=device))
        for i, device in enumerate((CPU, CPU, GPU))
    ]
    (paper,) = collect([PAPER], runs)
    rows = shown(curve_rows(paper))
    assert [(row[0], row[5], row[6], row[7]) for row in rows] == [
        ("`curve`", "48.0 ± 0.0 % to 51.0 ± 0.0 % (n = 2)", "+3.0 points at epoch 1", "cpu"),
        ("", "48.0 % to 51.0 % (n = 1)", "+3.0 points at epoch 1", "gpu"),
    ]


def test_the_schema_of_the_test_is_the_real_one():
    assert isinstance(CURVE_OF_PAPER, Curve) and CURVE_OF_PAPER.moments == (1, 2, 4)

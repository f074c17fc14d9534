"""repro.specs.claim_tables and repro.specs.claim_checks: curves and confusion matrices, and what is said of wrong
ones."""

from __future__ import annotations

import re

import msgspec
import pytest
from tiny_paper import TINY, load_tiny

from repro.specs.claim_tables import ClaimTable, Curve
from repro.specs.decode import SpecError, load_spec

EMOTIONS = '["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]'
CURVE = """
[[curves]]
id = "curve"
quantity = "accuracy"
unit = "fraction"
resolution = 0.01
split = "test"
epochs = [1, 3, 5]
values = [0.3, 0.5, 0.6]
tolerance = 0.03
quote = "30, 50 and 60 %"
place = "Fig. 2"
"""
TABLE = f"""
[[tables]]
id = "matrix"
split = "test"
classes = {EMOTIONS}
unit = "rows"
resolution = 1
cells = [
  [9, 1, 0, 0, 0, 0, 0],
  [1, 4, 0, 0, 0, 0, 0],
  [0, 0, 7, 0, 3, 0, 0],
  [0, 0, 0, 20, 0, 0, 0],
  [0, 0, 2, 0, 8, 0, 0],
  [0, 0, 0, 0, 0, 6, 1],
  [2, 0, 0, 1, 0, 0, 9],
]
actual = [10, 5, 10, 20, 10, 7, 12]
quote = "9 1 0"
place = "Fig. 3"
"""
SHARES = f"""
[[tables]]
id = "shares"
split = "test"
classes = {EMOTIONS}
unit = "percent"
of = "all"
resolution = 0.01
cells = [
  [12.16, 1.35, 0, 0, 0, 0, 0],
  [1.35, 5.41, 0, 0, 0, 0, 0],
  [0, 0, 9.46, 0, 4.05, 0, 0],
  [0, 0, 0, 27.03, 0, 0, 0],
  [0, 0, 2.7, 0, 10.81, 0, 0],
  [0, 0, 0, 0, 0, 8.11, 1.35],
  [2.7, 0, 0, 1.35, 0, 0, 12.16],
]
quote = "12.16"
place = "Fig. 4"
"""
GOOD = CURVE + TABLE + SHARES
CLAIM = '[[claims]]\nid = "loss"'
AT_C, AT_T, AT_S = "curves[0]", "tables[0]", "tables[1]"

# name: (text of TINY or GOOD, what it is replaced by, what the message must say after the file's name)
MISTAKES = {
    "a value too few": (
        "values = [0.3, 0.5, 0.6]",
        "values = [0.3, 0.5]",
        f"{AT_C}: `epochs` has 3 entries and `values` has 2; give one for each",
    ),
    "one point": ("values = [0.3, 0.5, 0.6]", "values = [0.3]", f"{AT_C}.values: must be a list of at least 2 items"),
    "neither epochs nor steps": ("epochs = [1, 3, 5]", "", f"{AT_C}: a curve needs either `epochs` or `steps`"),
    "both": ("epochs = [1, 3, 5]", "epochs = [1, 3, 5]\nsteps = [1, 2, 3]", f"{AT_C}: a curve needs either `epochs`"),
    "epochs that fall": ("[1, 3, 5]", "[1, 5, 3]", f"{AT_C}: `epochs` must rise: 3 follows 5"),
    "an epoch twice": ("[1, 3, 5]", "[1, 3, 3]", f"{AT_C}: `epochs` must rise: 3 follows 3"),
    "epoch 0": ("[1, 3, 5]", "[0, 3, 5]", f"{AT_C}.epochs[0]: must be a whole number >= 1, not 0"),
    "a percentage in a curve": (
        "[0.3, 0.5, 0.6]",
        "[0.3, 50.0, 0.6]",
        f"{AT_C}: an accuracy is a fraction from 0 to 1, not 50.0: 61 % is 0.61",
    ),
    "a curve without a resolution": (
        'unit = "fraction"\nresolution = 0.01\nsplit = "test"\nepochs',
        'unit = "fraction"\nsplit = "test"\nepochs',
        f"{AT_C}: missing key `resolution`",
    ),
    "a resolution of nothing": (
        'resolution = 0.01\nsplit = "test"\nepochs',
        'resolution = 0.0\nsplit = "test"\nepochs',
        f"{AT_C}.resolution: must be a number > 0.0, not 0.0",
    ),
    "a tolerance below the rounding": (
        'tolerance = 0.03\nquote = "30',
        'tolerance = 0.004\nquote = "30',
        f"{AT_C}: `tolerance` 0.004 is below half the `resolution` 0.01: the printed number itself may be off by 0.005",
    ),
    "a curve of an unknown split": (
        'split = "test"\nepochs',
        'split = "val"\nepochs',
        f"{AT_C}.split (curve): no split 'val'; accepted: minibatch, test, train",
    ),
    "a curve of an unknown variant": (
        "epochs = [1, 3, 5]",
        'epochs = [1, 3, 5]\nvariant = "elu"',
        f"{AT_C}.variant (curve): no variant 'elu'; accepted: default, tanh",
    ),
    "quotes of some points": (
        "epochs = [1, 3, 5]",
        'epochs = [1, 3, 5]\nquotes = ["30"]',
        f"{AT_C}: `quotes` has 1 entry and `values` has 3; give one for each, or none",
    ),
    "a point with the id of a claim": (
        CLAIM,
        '[[claims]]\nid = "curve-3"',
        f"{AT_C}.id: makes the id 'curve-3', and another claim has the id 'curve-3'; ids are unique",
    ),
    "a row of another length": (
        "[1, 4, 0, 0, 0, 0, 0],",
        "[1, 4, 0, 0, 0, 0],",
        f"{AT_T}: `cells[1]` (disgust) has 6 values and `classes` has 7",
    ),
    "a row too few": ("  [1, 4, 0, 0, 0, 0, 0],\n", "", f"{AT_T}: `cells` has 6 rows and `classes` has 7"),
    "half a sample": (
        "[1, 4, 0",
        "[1, 4.5, 0",
        f"{AT_T}: `cells[1][1]` (disgust as disgust) is a count of samples, not 4.5",
    ),
    "less than none": (
        "[1, 4, 0",
        "[-1, 4, 0",
        f"{AT_T}: `cells[1][0]` (disgust as angry) is a count of samples, not -1",
    ),
    "text in a cell": ("[1, 4, 0", '[1, "4", 0', f'{AT_T}.cells[1][1]: must be a number, not "4"'),
    "a margin too short": (
        "[10, 5, 10, 20, 10, 7, 12]",
        "[10, 5]",
        f"{AT_T}: `actual` has 2 values and `classes` has 7",
    ),
    "half a count": ("[10, 5, 10,", "[10, 5.5, 10,", f"{AT_T}: `actual[1]` (disgust) is a count of samples, not 5.5"),
    "an unknown class": (
        '"surprise", "neutral"]\nunit = "rows"',
        '"surprised", "neutral"]\nunit = "rows"',
        f"{AT_T}.classes (matrix): no emotion 'surprised'; accepted: angry, disgust, fear, happy, ",
    ),
    "a class twice": (
        '"surprise", "neutral"]\nunit = "rows"',
        '"neutral", "neutral"]\nunit = "rows"',
        f"{AT_T}: `classes` names one class twice",
    ),
    "counts with a base": (
        'unit = "rows"\nresolution',
        'unit = "rows"\nof = "row"\nresolution',
        f"{AT_T}: `of` says what",
    ),
    "shares without a base": ('of = "all"\n', "", f"{AT_S}: `of` says what shares are of"),
    "a share above the whole": (
        "[1.35, 5.41,",
        "[1.35, 105.41,",
        f"{AT_S}: `cells[1][1]` (disgust as disgust) is a share from 0 to 100 (percent), not 105.41",
    ),
    "shares of another base": (
        'of = "all"',
        'of = "row"',
        f'{AT_S}: shares `of` "row" add up to 100, but row angry adds up to 13.51: check `of`',
    ),
    "a table of nothing": (
        TABLE[TABLE.index("cells") : TABLE.index("quote")],
        "",
        f"{AT_T}: a table needs `cells`, or one of",
    ),
    "a table of an unknown split": (
        f'split = "test"\nclasses = {EMOTIONS}\nunit = "rows"',
        f'split = "val"\nclasses = {EMOTIONS}\nunit = "rows"',
        f"{AT_T}.split (matrix): no split 'val'; accepted: test, train",
    ),
    # claims
    "a claim without a resolution": (
        "resolution = 0.1\n",
        "",
        "claims[1].resolution (loss): a claim of quantity `loss` cannot be judged without `resolution`",
    ),
    "tries of nothing": (
        "headline = true",
        "headline = true\ntries = 6",
        "claims[0]: `tries` needs `selected_from`: what the number is the best of",
    ),
    "no tries": (
        "headline = true",
        'headline = true\nselected_from = "a sweep"\ntries = 0',
        "claims[0].tries: must be a whole number >= 1, not 0",
    ),
    "a tolerance that no number meets": (
        "tolerance = 0.03\nheadline",
        "tolerance = 0.001\nheadline",
        "claims[0]: `tolerance` 0.001 is below half the `resolution` 0.01",
    ),
    "a precision of no class": (
        'quantity = "loss"\nvalue = 1.5\nunit = "nat"',
        'quantity = "precision"\nvalue = 0.5\nunit = "fraction"',
        "claims[1]: a claim of quantity `precision` needs either `emotion` or `average`",
    ),
    "an F1 above 1": (
        'quantity = "loss"\nvalue = 1.5\nunit = "nat"',
        'quantity = "f1"\naverage = "macro"\nvalue = 58.0\nunit = "fraction"',
        "claims[1]: an F1 is a fraction from 0 to 1, not 58.0: 61 % is 0.61",
    ),
    "an average of a loss": (
        'quantity = "loss"',
        'quantity = "loss"\naverage = "macro"',
        "claims[1]: `average` belongs to claims of quantity `precision` or `recall` or `f1` or `auc`",
    ),
    "a top-k without k": (
        'quantity = "loss"\nvalue = 1.5\nunit = "nat"',
        'quantity = "top_k"\nvalue = 0.5\nunit = "fraction"',
        "claims[1]: a claim of quantity `top_k` needs `k`",
    ),
    "an eighth place": (
        'quantity = "loss"\nvalue = 1.5\nunit = "nat"',
        'quantity = "rank"\nemotion = "fear"\nvalue = 8\nunit = "rank"',
        "claims[1]: a rank among seven emotions is 1 to 7, not 8",
    ),
    "a place of nobody": (
        'quantity = "loss"\nvalue = 1.5\nunit = "nat"',
        'quantity = "rank"\nvalue = 7\nunit = "rank"',
        "claims[1]: a claim of quantity `rank` needs `emotion`",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_message_names_file_place_and_what_is_accepted(tmp_path, mistake):
    old, new, expected = MISTAKES[mistake]
    text = TINY + GOOD
    assert old in text
    # what is replaced stands in the curves and tables, if it does at all, else in the claims
    at = text.index(old, len(TINY)) if old in GOOD else text.index(old)
    path = tmp_path / "tiny.toml"
    path.write_text(text[:at] + new + text[at + len(old) :], encoding="utf-8")
    with pytest.raises(SpecError) as error:
        load_spec(path)
    assert re.sub(r"(\.toml):\d+: ", r"\1: ", str(error.value)).startswith(f"{path}: {expected}")


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY + GOOD, encoding="utf-8")
    return load_spec(path).spec


def test_a_curve_is_also_its_points(spec):
    (curve,) = spec.curves
    assert [(p.id, p.epoch, p.step, p.value) for p in curve.points] == [
        ("curve-1", 1, None, 0.3),
        ("curve-3", 3, None, 0.5),
        ("curve-5", 5, None, 0.6),
    ]
    assert {(p.quantity, p.split, p.resolution, p.tolerance, p.quote) for p in curve.points} == {
        ("accuracy", "test", 0.01, 0.03, "30, 50 and 60 %")
    }


def test_points_may_have_words_of_their_own(spec):
    (curve,) = spec.curves
    told = msgspec.structs.replace(curve, quotes=("a", "b", "c"))
    assert [p.quote for p in told.points] == ["a", "b", "c"]


def test_a_matrix_is_also_its_margins_and_cells(spec):
    matrix = spec.tables[0]
    assert [(c.id, c.quantity, c.emotion, c.value) for c in matrix.margins][:2] == [
        ("matrix-actual-angry", "rows", "angry", 10),
        ("matrix-actual-disgust", "rows", "disgust", 5),
    ]
    cells = {c.id: c for c in matrix.cell_claims}
    assert len(cells) == 49
    sad = cells["matrix-fear-as-sad"]
    assert (sad.actual, sad.emotion, sad.value, sad.of_rows) == ("fear", "sad", 3, 10)


def test_counts_say_out_of_how_many_they_are(spec):
    margins = msgspec.structs.replace(
        spec.tables[0], cells=(), predicted=(12, 5, 9, 21, 11, 6, 10), true_positives=(9, 4, 7, 20, 8, 6, 9)
    )
    found = {c.id: c.of_rows for c in margins.margins}
    assert found["matrix-actual-fear"] is None, "a number of samples is a fact, not a share"
    assert found["matrix-predicted-fear"] == 74 == sum(margins.actual)
    assert found["matrix-true-positives-fear"] == 10


def test_each_list_has_its_own_words(spec):
    told = msgspec.structs.replace(spec.tables[0], quote="cells", quotes=("rows",))
    assert {c.quote for c in told.margins} == {"rows"} and {c.quote for c in told.cell_claims} == {"cells"}


def test_shares_are_no_counts(spec):
    assert spec.tables[1].cell_claims == () and spec.tables[1].margins == ()


def test_single_and_all_claims(spec):
    assert len(spec.single_claims) == 2 + 7 and len(spec.all_claims) == 2 + 7 + 3 + 49
    assert spec.headline is spec.claims[0]


def test_a_spec_without_curves_and_tables_has_its_claims_alone(tmp_path):
    plain = load_tiny(tmp_path).spec
    assert plain.all_claims == plain.single_claims == plain.claims


def test_an_exact_count_may_have_no_tolerance_at_all():
    shared = {"id": "t", "split": "test", "classes": ("a", "b"), "unit": "rows", "quote": "q", "place": "p"}
    assert ClaimTable(**shared, resolution=1, actual=(1, 2), tolerance=0.0).tolerance == 0
    with pytest.raises(ValueError, match="below half the `resolution` 10"):
        ClaimTable(**shared, resolution=10, actual=(1, 2), tolerance=0.0)


def test_steps_may_begin_at_0():
    shared = {
        "id": "c",
        "quantity": "loss",
        "unit": "nat",
        "resolution": 0.1,
        "split": "train",
        "quote": "q",
        "place": "p",
    }
    curve = Curve(**shared, steps=(0, 500), values=(2.0, 1.0))
    assert [(p.id, p.step) for p in curve.points] == [("c-0", 0), ("c-500", 500)] and curve.moments == (0, 500)

"""repro.sweep.dimension: lines of --set, and the keys of a spec that they change."""

from __future__ import annotations

import pytest
from tiny_paper import load_tiny

from repro.specs.decode import SpecError
from repro.sweep.dimension import parse_dimension, placed
from repro.sweep.errors import SweepError

RATE = "training.optimizer.learning_rate"


@pytest.mark.parametrize(
    ("line", "written", "ends"),
    [
        (f"{RATE}=1e-4, 1e-3 ,1e-2", f"{RATE}=1e-4,1e-3,1e-2", ("1e-4", "1e-3", "1e-2")),
        (f"{RATE}=1e-4..1e-2:log", f"{RATE}=0.0001..0.01:log", ("0.0001", "0.01")),
        (f"{RATE}=0.1..0.5:linear", f"{RATE}=0.1..0.5", ("0.1", "0.5")),
        ("training.batch_size=16..256", "training.batch_size=16..256", ("16", "256")),
        ("a.b=[3, 3],[5, 5]", "a.b=[3, 3],[5, 5]", ("[3, 3]", "[5, 5]")),
        ('a.b={ x = "1,2" },3', 'a.b={ x = "1,2" },3', ('{ x = "1,2" }', "3")),
        ("variant=default,tanh", "variant=default,tanh", ("default", "tanh")),
        ("a.b=4", "a.b=4", ("4",)),
    ],
)
def test_lines(line, written, ends):
    found = parse_dimension(line)
    assert (found.written(), found.ends()) == (written, ends)
    assert parse_dimension(found.written()) == found


def test_whole_numbers_stay_whole():
    assert parse_dimension("a.b=16..256").whole and not parse_dimension("a.b=16..256.0").whole
    assert (
        parse_dimension("a.b=1..2").text(1) == "1" and parse_dimension("a.b=1e-5..1").text(0.000123456) == "0.0001235"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x", "write KEY=a,b,c or KEY=LOW..HIGH"),
        ("=1", "write KEY=a,b,c"),
        ("x=", "write KEY=a,b,c"),
        ("x=1,,2", "an empty value between the commas"),
        ("x=1e-3,0.001", "1e-3 and 0.001 are the same value"),
        ("x=2..1", "an empty range: 2 is not below 1"),
        ("x=1..1", "an empty range"),
        ("x=0..1:log", "a logarithmic range must begin above 0, not at 0"),
        ("x=-1..1:log", "a logarithmic range must begin above 0"),
        ("x=1..2:logg", "unknown scale 'logg'; accepted: :log, :linear; did you mean log?"),
        ("x=a..b", "a range needs a number at both ends"),
        ("x=1..inf", "both ends of a range must be finite"),
        ("variant=1..2", "variants have no order"),
        ("x=" + ",".join(map(str, range(1001))), "1,001 values; at most 1,000"),
    ],
)
def test_lines_that_cannot_be(line, message):
    with pytest.raises(SweepError) as error:
        parse_dimension(line)
    assert message in str(error.value)


def place(loaded, *lines):
    return placed(tuple(map(parse_dimension, lines)), loaded, "default")


def test_a_star_matches_layers_that_change_together(tmp_path):
    loaded = load_tiny(tmp_path)
    assert place(loaded, "model.layers.conv*.filters=2,4")[0].keys == ("model.layers.conv1.filters",)
    assert place(loaded, "variant=default,tanh")[0].keys == ("variant",)


@pytest.mark.parametrize(
    ("lines", "kind", "message"),
    [
        (("trainign.epochs=1,2",), SpecError, "did you mean training?"),
        (("training.epcohs=1,2",), SpecError, "did you mean `epochs`?"),
        (("model.layers.conv2.filters=1,2",), SpecError, "did you mean conv1?"),
        (("training.optimizer.learning_rate=1e-3,fast",), SpecError, "must be a number"),
        (("training.optimizer.learning_rate=-1..1",), SpecError, "must be a number > 0"),
        (("model.layers.drop*.rate=0,0.5",), SweepError, "no name matches drop*; accepted: conv1"),
        (("training.*=1,2",), SweepError, "a * matches names in model.layers or data.steps"),
        (("training.epochs=1,2", "training.epochs=3,4"), SweepError, "both vary training.epochs"),
        (
            ("model.layers.conv*.filters=1,2", "model.layers.conv1.filters=4"),
            SweepError,
            "both vary model.layers.conv1",
        ),
        (("variant=default,tnah",), SweepError, "no variant 'tnah'; accepted: default, tanh; did you mean tanh?"),
    ],
)
def test_settings_that_the_spec_does_not_have(tmp_path, lines, kind, message):
    with pytest.raises(kind) as error:
        place(load_tiny(tmp_path), *lines)
    assert message in str(error.value)

"""Specs and records beyond all bounds are refused with the place, at once."""

import time
from pathlib import Path

import pytest
from tiny_paper import TINY, write_tiny

from repro.specs.bounds import DEEPEST, LONGEST_TEXT, exceeded
from repro.specs.decode import SpecError, load_spec


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"a": [1, {"b": 10**16}]}, r"^a\[1\].b: a whole number beyond"),
        ({"a": "x" * (LONGEST_TEXT + 1)}, "^a: a text of 100,001 characters"),
        ({"a": {"x" * 301: 1}}, "^a: a key of more than 300"),
        ([[0] * 1000] * 2001, "more than 2,000,000 values"),
    ],
)
def test_what_is_beyond(document: object, says: str) -> None:
    import re

    assert re.search(says, exceeded(document) or "")


def test_depth_and_what_is_within() -> None:
    deep: object = 1
    for _ in range(DEEPEST):
        deep = [deep]
    assert exceeded({"a": 1.5e300, "b": -(10**15), "c": [True, None, "x"]}) is None
    assert exceeded(deep) is None
    assert "deeper" in (exceeded([deep]) or "")


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("x = " + "[" * 20_000 + "]" * 20_000, "nested deeper"),
        ("x = " + "9" * 5000, "not valid TOML"),
        ("x = 0x" + "f" * 5000, "a whole number beyond"),
        (".".join(["a"] * 50_000) + " = 1", "a dotted key of more than 100 parts"),
        ('"' + "k" * 100_000 + '" = 1', "a key of more than 300"),
    ],
)
def test_a_spec_beyond_all_bounds(tmp_path: Path, extra: str, says: str) -> None:
    (tmp_path / "x.toml").write_text(f"{extra}\n{TINY}")
    start = time.process_time()
    with pytest.raises(SpecError, match=says):
        load_spec(tmp_path / "x.toml")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('id = "tiny"', 'id = "tiny\\n"'),
        ('id = "tiny"', f'id = "{"x" * 101}"'),
        ("kernel = 3", "kernel = 1_000_000_000_000"),
        ("kernel = 3", "kernel = " + "9" * 30),
    ],
)
def test_values_beyond_what_can_be_run(tmp_path: Path, old: str, new: str) -> None:
    assert old in TINY
    (tmp_path / "x.toml").write_text(TINY.replace(old, new, 1))
    with pytest.raises(SpecError):
        load_spec(tmp_path / "x.toml")


def test_five_thousand_layers(tmp_path: Path) -> None:
    before, layers, after = TINY.partition("[[model.layers]]")
    many = '[[model.layers]]\nlayer = "flatten"\nprovenance = [{kind = "assumed", reason = "x"}]\n' * 5_000
    (tmp_path / "x.toml").write_text(before + many + layers + after)
    with pytest.raises(SpecError, match="layers"):
        load_spec(tmp_path / "x.toml")


@pytest.mark.parametrize(("what", "most"), [("claims", 1000), ("variants", 300)])
def test_what_is_compared_in_pairs_is_bounded(tmp_path: Path, what: str, most: int) -> None:
    """5,000 claims took forensics more than 90 s, and 3,000 variants every command."""
    begin, end = ("[[claims]]\nid = ", "[[contradictions]]") if what == "claims" else ("[variants.tanh]", "[[claims]]")
    block = TINY[TINY.rindex(begin) : TINY.index(end)]
    name = "loss" if what == "claims" else "tanh"
    more = "".join(block.replace(name, f"{name}{number}", 1) for number in range(most))
    path = write_tiny(tmp_path, (block, block + more))
    with pytest.raises(SpecError, match=rf"{what}: must be .* of at most {most:,} items"):
        load_spec(path)

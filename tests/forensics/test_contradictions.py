"""Contradictions are counted once: the least number of passages that must be wrong."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from invented_papers import claim

from repro.forensics.contradictions import points, smallest_hitting_set
from repro.forensics.finding import Finding

PASSAGES = [("Table 1", str(n)) for n in range(7)]


def finding(*claims: str, outcome: str = "impossible", conflicts: tuple[tuple[str, ...], ...] = ()) -> Finding:
    fields = {"check": "+".join(claims), "arithmetic": "1 = 2", "meaning": "No."}
    return Finding(claims=claims, outcome=outcome, conflicts=conflicts, **fields)  # type: ignore[arg-type]


def places(found) -> list[str]:
    return [point.quote.removeprefix("the number ") for point in found]


CLAIMS = [claim(name, "accuracy", 0.5) for name in "abcdefg"]


def test_one_wrong_number_is_one_contradiction_however_many_it_contradicts():
    found = points(CLAIMS, [finding("a", other) for other in "bcdefg"])
    assert places(found.contradictions) == ["a"] and len(found.contradictions[0].findings) == 6


def test_numbers_that_have_nothing_to_do_with_each_other_count_apart():
    assert len(points(CLAIMS, [finding("a", "b"), finding("c", "d"), finding("e", "f")]).contradictions) == 3


def test_three_values_for_one_thing_are_as_many_contradictions_as_there_are_values_too_many():
    two_agree = finding("a", "b", "c", conflicts=(("a", "b"), ("a", "c")))
    all_differ = finding("a", "b", "c", conflicts=(("a", "b"), ("a", "c"), ("b", "c")))
    assert places(points(CLAIMS, [two_agree]).contradictions) == ["a"]
    assert len(points(CLAIMS, [all_differ]).contradictions) == 2


def test_one_sentence_or_row_of_a_table_is_one_passage_and_the_same_words_elsewhere_another():
    row = [claim(name, "accuracy", 0.5, quote="30 7.113 2.344", place=f"Table 1, {name}") for name in "ab"]
    other = claim("c", "accuracy", 0.5, quote="30 7.113 2.344", place="Abstract")
    findings = [finding("a"), finding("b")]
    assert len(points([*row, other], findings).contradictions) == 1
    assert len(points([*row, other], [*findings, finding("c")]).contradictions) == 2


def test_what_a_wrong_passage_explains_is_told_with_it_and_not_counted_again():
    lesser = "not by the stated convention"
    found = points(CLAIMS, [finding("a"), finding("a", "b", outcome=lesser), finding("c", "d", outcome=lesser)])
    assert [f.check for f in found.contradictions[0].findings] == ["a", "a+b"]
    assert places(found.others) == ["c"]


def test_what_fits_and_what_cannot_be_told_counts_nothing():
    found = points(CLAIMS, [finding("a", outcome="consistent"), finding("b", outcome="cannot tell")])
    assert found.contradictions == () and found.others == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.sampled_from(PASSAGES), min_size=1, max_size=4), max_size=8))
def test_no_smaller_set_of_passages_hits_every_conflict(groups):
    """Against every smaller set, one by one."""
    sets = [frozenset(group) for group in groups]
    found = smallest_hitting_set(sets)
    assert all(group & set(found) for group in sets)
    for size in range(len(found)):
        assert not any(all(group & set(few) for group in sets) for few in combinations(PASSAGES, size))

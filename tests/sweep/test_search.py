"""repro.sweep.search: what can be searched, which split chooses, and when that is leakage."""

from __future__ import annotations

import pytest
from tiny_paper import load_tiny

from repro.specs.catalog import find_paper
from repro.sweep.dimension import parse_dimension
from repro.sweep.errors import SweepError
from repro.sweep.search import make_search, selection_leak

RATE = "training.optimizer.learning_rate=0.1,0.01"


def search(loaded, *lines, **more):
    given = {"variant": "default", "protocol": "official", "sampler": "grid", "trials": None, "select": None}
    return make_search(loaded, tuple(map(parse_dimension, lines or (RATE,))), **(given | more))


@pytest.fixture
def loaded(tmp_path):
    return load_tiny(tmp_path)


def test_the_grid_is_every_combination(loaded):
    found = search(loaded, RATE, "variant=default,tanh")
    assert found.most_trials == 4
    settings = [found.setting(values) for values in found.grid()]
    assert [(one.variant, one.lines) for one in settings] == [
        (variant, (f"training.optimizer.learning_rate={rate}",))
        for rate in ("0.1", "0.01")
        for variant in ("default", "tanh")
    ]
    own = found.plans(settings[0])[0]
    assert own.overrides.settings is not settings and own.sha256 == found.plans(found.own_setting())[0].sha256


def test_the_samples_that_choose(loaded):
    found = search(loaded)
    assert (found.select, found.reported, selection_leak(found)) == ("validation", "test", "")
    assert found.part("validation") == "validation (PublicTest)" and found.part("test") == "test (PrivateTest)"
    leaky = search(loaded, select="test")
    assert "PrivateTest" in selection_leak(leaky) and selection_leak(leaky).endswith("leakage")
    published = search(loaded, protocol="as-published", select="test")
    assert "the samples that the paper reports: leakage" in selection_leak(published)


def test_a_bundled_paper_whose_validation_is_its_test(tmp_path):
    onghena = search(
        find_paper("onghena", tmp_path), "variant=default,mse", protocol="as-published", select="validation"
    )
    assert (onghena.select, onghena.reported) == ("validation", "private_test")
    assert "leakage" in selection_leak(onghena), "the paper reports the best of its sweep on the samples that chose"
    public = search(find_paper("onghena", tmp_path), "variant=default,mse", protocol="as-published")
    assert (public.select, public.reported, selection_leak(public)) == ("public_test", "private_test", "")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"select": "tset"}, "--select tset: no such split; accepted: validation, test; did you mean test?"),
        ({"select": "train"}, "the settings that fit their training samples best need not generalise best"),
        ({"protocol": "as-published"}, "no split that is PublicTest alone, as as-published: name the split"),
        ({"sampler": "random"}, "--sampler random needs --trials N"),
        ({"trials": 0}, "--trials 0: from 1 to"),
        ({"trials": -3, "sampler": "tpe"}, "--trials -3: from 1 to"),
        ({"trials": 3}, "--trials 3: the grid has 2 settings"),
        ({"protocol": "as-published", "select": "test", "prune": True, "lines": ()}, ""),
    ],
)
def test_searches_that_cannot_be(loaded, more, message):
    more.pop("lines", None)
    if not message:
        assert search(loaded, **more).prune, "test is evaluated after every epoch"
        return
    with pytest.raises(SweepError) as error:
        search(loaded, **more)
    assert message in str(error.value)


def test_other_searches_that_cannot_be(loaded):
    with pytest.raises(SweepError, match="nothing to search"):
        make_search(loaded, (), variant="default", protocol="official", sampler="grid", trials=None, select=None)
    with pytest.raises(SweepError, match="--sampler grid needs lists of values"):
        search(loaded, "training.optimizer.learning_rate=0.01..0.1")
    with pytest.raises(
        SweepError, match="--prune looks at test after every epoch, and this protocol evaluates validation"
    ):
        search(loaded, select="test", prune=True)


def test_a_search_is_known_by_what_it_measures(loaded):
    same = search(loaded).digest()
    assert search(loaded, trials=1).digest() == same, "more trials later continue"
    others = [
        search(loaded, select="test"),
        search(loaded, protocol="clean"),
        search(loaded, "training.optimizer.learning_rate=0.1,0.02"),
        search(loaded, seeds=(0, 1)),
        search(loaded, epochs=2),
        search(loaded, sampler="random", trials=2),
    ]
    assert len({same, *(one.digest() for one in others), search(loaded).digest("other data")}) == len(others) + 2

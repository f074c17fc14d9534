"""repro.report.page.settings: every setting of a paper with what says so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tiny_paper import load_tiny

from repro.report.page.settings import settings_of, variants_of
from repro.report.sheets import setting_tables, source_counts
from repro.specs.catalog import all_papers

STATED = 'provenance = [{ kind = "stated", of = ["filters"], quote = "two \\"filters\\"", place = "Sec. 2" }, '
REST = '{ kind = "assumed", reason = "invented" }]'


def test_settings_stand_with_the_entry_that_speaks_for_them(tmp_path: Path):
    edit = ('kernel = 3\nprovenance = [{ kind = "assumed", reason = "invented" }]', f"kernel = 3\n{STATED}{REST}")
    groups = settings_of(load_tiny(tmp_path, edit))
    data, network, training = groups.values()
    assert [table.name for table in data] == ["split_by_usage1", "resize1"]
    conv = network[0]
    assert (conv.name, conv.shape) == ("conv1", "6 × 6 × 2")
    rest, stated = conv.sources
    assert rest.settings[0] == "layer conv", "what it is comes first"
    assert "kernel 3" in rest.settings and rest.entries[0].reason == "invented"
    assert (stated.settings, stated.entries[0].quote, stated.entries[0].place) == (
        ("filters 2",),
        'two "filters"',
        "Sec. 2",
    )
    assert [table.name for table in training] == ["training", "loss", "optimizer", "schedule"]
    assert "steps none" in training[0].sources[0].settings
    assert not any("loss" in setting for setting in training[0].sources[0].settings), "it has a table of its own"


def test_every_entry_of_a_setting_is_kept(tmp_path: Path):
    both = f"kernel = 3\n{STATED}{STATED.removeprefix('provenance = [').replace('two', 'pairs of')}{REST}"
    edit = ('kernel = 3\nprovenance = [{ kind = "assumed", reason = "invented" }]', both)
    _, network, _ = settings_of(load_tiny(tmp_path, edit)).values()
    assert [entry.quote for entry in network[0].sources[1].entries] == ['two "filters"', 'pairs of "filters"']


@pytest.mark.parametrize("loaded", all_papers(), ids=lambda loaded: loaded.id)
def test_no_setting_of_any_paper_is_left_out(loaded):
    counts = Counter[str]()
    for key, _, struct in setting_tables(loaded.spec):
        counts += source_counts(struct, loaded.provenance[key])
    tables = [table for group in settings_of(loaded).values() for table in group]
    shown = Counter[str]()
    for table in tables:
        for source in table.sources:
            shown[source.entries[0].kind] += len(source.settings)
    assert shown == counts
    assert len({table.id for table in tables}) == len(tables)


def test_a_variant_tells_what_it_changes(tmp_path: Path):
    (variant,) = variants_of(load_tiny(tmp_path))
    assert (variant.name, variant.about) == ("tanh", "tanh instead of ReLU")
    assert variant.changes == ('model.layers.activation1.function = "tanh"',)
    assert [entry.quote for entry in variant.entries] == ["tanh units"]

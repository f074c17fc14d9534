"""Which runs a command makes: seeds, shares, changed settings; and what it says of wrong ones."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner
from tiny_paper import write_tiny

from repro.cli.main import main
from repro.cli.run_selection import SeedChoice, Seeds, SettingChange, Shard, ShareOfRuns
from repro.runs.plan import make_plan
from repro.runs.records import Overrides
from repro.specs.decode import load_spec


@pytest.mark.parametrize(
    ("text", "seeds", "counted"),
    [("3", (0, 1, 2), True), ("3,", (3,), False), ("3,4,7", (3, 4, 7), False), ("5-7, 1", (5, 6, 7, 1), False)],
)
def test_seeds(text, seeds, counted):
    assert Seeds().convert(text, None, None) == SeedChoice(seeds, counted)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (Seeds(), "0", "not a number of seeds"),
        (Seeds(), "3;4", "or a list"),
        (Seeds(), "7-3", "smaller one first"),
        (Seeds(), "0-999999999", "not a range"),
        (Shard(), "0/3", "K from 1 to N"),
        (Shard(), "4/3", "K from 1 to N"),
        (Shard(), "3", "write K/N"),
        (SettingChange(), "epochs", "write KEY=VALUE"),
        (SettingChange(), "=3", "write KEY=VALUE"),
    ],
)
def test_wrong_words(kind, text, told):
    with pytest.raises(click.BadParameter, match=told):
        kind.convert(text, None, None)


def test_shares_cover_all_runs_once():
    runs = list(range(11))
    shares = [Shard().convert(f"{number}/3", None, None) for number in (1, 2, 3)]
    assert shares[0] == ShareOfRuns(1, 3)
    assert sorted(run for share in shares for run in runs[share.number - 1 :: share.of]) == runs


def plan_with(path, *settings, variant="default"):
    return make_plan(load_spec(path), variant=variant, seed=0, overrides=Overrides(settings=settings))


def test_a_changed_setting_is_in_the_plan(tmp_path):
    path = write_tiny(tmp_path)
    plain = make_plan(load_spec(path), variant="default", seed=0, overrides=Overrides())
    changed = plan_with(path, "training.batch_size=7", "training.optimizer.learning_rate=1e-3")
    assert (changed.training.batch_size, changed.training.optimizer.learning_rate) == (7, 1e-3)
    assert changed.sha256 != plain.sha256
    same = plan_with(path, f"training.batch_size={plain.training.batch_size}")
    assert (same.sha256, same.overrides) == (plain.sha256, Overrides()), "nothing is changed: a full run"


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seed", 1, "--seeds", 2), "give either --seed or --seeds"),
        (("--shard", "3/3", "--seeds", 2), "fewer than 3 runs"),
        (("--until-decided", "--seed", 1), "leave --seed, --shard, --set"),
        (("--until-decided", "--seeds", "3,4"), "lists of seeds away"),
        (("--set", "training.bach_size=3"), "did you mean `batch_size`"),
    ],
)
def test_contradictions(tmp_path, words, told):
    done = call("run", write_tiny(tmp_path), *words, "--results", tmp_path / "results")
    assert done.exit_code == 2 and told in " ".join(done.stderr.split()), done.stderr
    assert not (tmp_path / "results").exists()

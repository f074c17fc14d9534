"""repro.sweep.files: the searches of onghena's report, and sweep files with mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from repro.cli.main import main
from repro.specs.catalog import find_paper
from repro.sweep.errors import SweepError
from repro.sweep.files import find_sweep_file, read_sweep_file, sweep_files

DOCUMENT = Path(__file__).resolve().parents[3] / "shared" / "papers" / find_paper("onghena").spec.paper.source
# Name, figure, sampler, settings that the report's grid of that figure has (or trials), leading settings.
SWEEPS = {
    "onghena-figure-2": (2, "grid", 8, "model.layers.conv1.filters=64,128"),
    "onghena-figure-3": (3, "grid", 3, "model.layers.dropout*.rate=0.0,0.25,0.5"),
    "onghena-figure-4": (4, "grid", 4, "training.optimizer.learning_rate=0.0001,0.0005,0.001,0.005"),
    "onghena-figure-5": (5, "grid", 3, "variant=default,plateau_accuracy,no_plateau"),
    "onghena-figure-6": (6, "grid", 2, "training.loss.kind=cross_entropy,mean_squared_error"),
    "onghena-random": (1, "random", 20, "model.layers.conv1.filters=64,128"),
    "onghena-bayesian": (1, "tpe", 20, "model.layers.conv1.filters=64,128"),
}


def test_every_file_is_known_here():
    assert {path.stem for path in sweep_files()} == set(SWEEPS)


@pytest.mark.parametrize("name", SWEEPS)
def test_the_plan_of_a_search_of_the_report(name, tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["sweep", name, "--plan", "--json", "--data", "synthetic", "--device", "cpu"])
    assert done.exit_code == 0, done.stderr
    figure, sampler, trials, first = SWEEPS[name]
    plan = json.loads(done.stdout)
    assert (plan["paper"], plan["sampler"], plan["trials"], plan["space"][0]) == ("onghena", sampler, trials, first)
    assert (plan["selected_on"], plan["reported_on"], plan["ended"]) == ("validation", "private_test", 0)
    assert "the samples that the paper reports: leakage" in plan["leakage"]
    assert not (tmp_path / "results").exists(), "a plan writes nothing"
    path = find_sweep_file(name)
    assert path is not None and read_sweep_file(path).figure == figure


@pytest.mark.parametrize("path", sweep_files(), ids=lambda path: path.stem)
def test_every_quote_is_in_the_report(path):
    if not DOCUMENT.exists():
        pytest.skip(f"the document's text is not at {DOCUMENT}")
    text = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    quotes = [source.quote for one in read_sweep_file(path).settings for source in one.provenance if source.quote]
    quotes += re.findall(r'# Sec\. \d: "([^"]+)"', path.read_text(encoding="utf-8"))
    assert len(quotes) > 1 and [quote for quote in quotes if quote not in text] == []


GOOD = """
format = 1
paper = "tiny"
about = "rates"
[[settings]]
set = "training.optimizer.learning_rate=0.1,0.2"
provenance = [{ kind = "assumed", reason = "a test" }]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('about = "rates"', 'abuot = "rates"', "unknown key `abuot`"),
        ("format = 1", "format = 2", "format"),
        ("[[settings]]", 'sampler = "gird"\n[[settings]]', 'did you mean "grid"?'),
        ("[[settings]]", 'protocol = "offical"\n[[settings]]', "no protocol 'offical'"),
        ('provenance = [{ kind = "assumed", reason = "a test" }]', "provenance = []", "provenance"),
        ('reason = "a test"', 'reason = ""', "needs `reason`"),
        ("[[settings]]", "[[settings", "not valid TOML"),
    ],
)
def test_files_with_mistakes(tmp_path, old, new, message):
    path = tmp_path / "rates.toml"
    path.write_text(GOOD)
    assert read_sweep_file(path).paper == "tiny" and find_sweep_file(str(path)) == path
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(SweepError) as error:
        read_sweep_file(path)
    assert str(path) in str(error.value) and message in str(error.value)


def test_what_is_no_sweep_is_left_to_others(tmp_path):
    (tmp_path / "spec.toml").write_text('[paper]\nid = "x"\n')
    assert find_sweep_file(str(tmp_path / "spec.toml")) is None
    assert find_sweep_file("teta2022") is None and find_sweep_file(str(tmp_path / "none.toml")) is None

"""`repro report --paper`: the review of one paper, and the summary of the ML Reproducibility Challenge."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from report_records import make_record
from results_folders import write_results
from tiny_paper import TINY, load_tiny, write_tiny

from repro.cli.main import main
from repro.report.questions import questions
from repro.report.sheets import setting_sources, setting_tables
from repro.specs.catalog import all_papers
from repro.specs.decode import load_spec
from repro.text.document import plain

PARTS = (
    "Scope of Reproducibility",
    "Methodology",
    "Results",
    "What was easy",
    "What was difficult",
    "Communication with original authors",
)


def review(*words: object):
    return CliRunner().invoke(main, ["report", *(str(word) for word in words)], catch_exceptions=False)


@pytest.fixture
def results(tmp_path):
    loaded = load_tiny(tmp_path)
    return write_results(tmp_path / "results", *(make_record(loaded, seed=seed, accuracy=0.4) for seed in range(3)))


def sections(done) -> dict[str, list[str]]:
    document = json.loads(done.stdout)
    found = {block["section"]: block["blocks"] for block in document["blocks"] if "section" in block}
    return {
        title: [item for block in blocks for item in block.get("items", [block])] for title, blocks in found.items()
    }


def test_what_was_checked_found_and_not_checked(tmp_path, results):
    done = review("--paper", tmp_path / "tiny.toml", "--results", results, "--json")
    found = sections(done)
    assert any(line.startswith("Training, protocol as-published: 3 full runs") for line in found["What was checked"])
    (claim,) = [line for line in found["What was found"] if line.startswith("Main claim")]
    assert "60 %" in claim and "lower" in claim and "3 runs, mean 40.0 %" in claim
    assert "Activation: ReLU (Table 1) against tanh units (Sec. 1)." in found["What was found"]
    assert "Train/test overlap was not audited." in found["What could not be checked"]
    asked = next(lines for title, lines in found.items() if title.startswith("Questions to the authors"))
    assert asked[0] == "Activation: ReLU (Table 1) or tanh units (Sec. 1)? We took ReLU."


def test_claims_alone_have_a_review(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY[: TINY.index("[[data.steps]]")] + TINY[TINY.index("[[claims]]") : TINY.index("[[contra")])
    found = sections(review("--paper", path, "--results", tmp_path / "none", "--json"))
    assert found["What was found"] == [{"paragraph": "Nothing speaks against the paper's numbers."}]
    assert any("no [data]" in line for line in found["What could not be checked"])


@pytest.mark.parametrize("paper", [*all_papers(), None], ids=lambda paper: paper.id if paper else "tiny")
def test_every_assumed_setting_is_asked_about_once(tmp_path, paper):
    loaded = paper or load_spec(write_tiny(tmp_path))
    asked = [plain(one) for one in questions(loaded)]
    for key, name, struct in setting_tables(loaded.spec):
        given = loaded.provenance[key]
        for setting, entries in setting_sources(struct, given).items():
            is_kind = setting == struct.__struct_config__.tag_field
            if (is_kind and len(given) > 1) or (not is_kind and getattr(struct, setting) is None):
                continue
            about = [one for one in asked if name in one.partition(":")[0].split(", ") and f"{setting} = " in one]
            assert len(about) == (entries[0].kind == "assumed"), (name, setting)


def test_the_challenges_summary_has_its_six_parts_in_order(tmp_path, results):
    done = review("--paper", tmp_path / "tiny.toml", "--results", results, "--format", "mlrc")
    heads = [line.removeprefix("## ") for line in done.stdout.splitlines() if line.startswith("## ")]
    assert tuple(heads) == PARTS
    assert "3 runs, mean 40.0 %" in done.stdout


@pytest.mark.parametrize(
    "words", [("--paper", "teta2022", "--check"), ("--format", "pdf"), ("--paper", "teta2022", "--html", "x.html")]
)
def test_options_that_exclude_each_other(words):
    done = CliRunner().invoke(main, ["report", *words])
    assert done.exit_code == 2 and "Error: --" in done.stderr

"""A spec may be partial: each table that is there takes it one stage further, and none that is missing is a crash."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from tiny_paper import TINY

from repro.cli.main import main
from repro.forensics import examine
from repro.report.describe import paper_document, paper_row, paper_to_show
from repro.report.folder import render_input
from repro.report.inputs import read_input
from repro.runs.kept_specs import keep_spec
from repro.specs.decode import SpecError, load_spec
from repro.specs.stages import STAGES, missing_for, missing_tables
from repro.text.terminal import terminal

HEAD, DATA, MODEL, TRAINING, CLAIMS = (
    TINY[: TINY.index("[[data.steps]]")],
    TINY[TINY.index("[[data.steps]]") : TINY.index("[[model.layers]]")],
    TINY[TINY.index("[[model.layers]]") : TINY.index("[training]")],
    TINY[TINY.index("[training]") : TINY.index("[variants.tanh]")],
    TINY[TINY.index("[[claims]]") : TINY.index("[[contradictions]]")],
)
PARTS = {
    "claims": (HEAD + CLAIMS, ["forensics"], ("data", "model", "training")),
    "claims and data": (HEAD + DATA + CLAIMS, ["forensics", "audit"], ("model", "training")),
    "no training": (HEAD + DATA + MODEL + CLAIMS, ["forensics", "audit"], ("training",)),
    "no data": (HEAD + MODEL + TRAINING + CLAIMS, ["forensics"], ("data",)),
    "a network alone": (HEAD + MODEL, [], ("data", "training")),
    "all": (HEAD + DATA + MODEL + TRAINING + CLAIMS, ["forensics", "audit", "run"], ()),
}


@pytest.fixture(params=PARTS)
def part(request, tmp_path):
    text, stages, missing = PARTS[request.param]
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    return load_spec(path), stages, missing


def test_a_spec_goes_as_far_as_its_tables(part):
    loaded, stages, missing = part
    assert [stage.name for stage in STAGES if not missing_for(loaded.spec, stage)] == stages
    assert missing_tables(loaded.spec) == missing
    assert paper_row(loaded)["reaches"] == stages
    if missing:
        with pytest.raises(SpecError, match=r"it cannot be run"):
            loaded.resolve("default")


def test_every_part_is_shown_and_examined(part):
    loaded, _, missing = part
    assert loaded.spec.paper.title in terminal(paper_to_show(loaded, "default"))
    assert (paper_document(loaded, "default")["spec_sha256"] is None) is bool(missing)
    assert all(finding.outcome != "impossible" for finding in examine(loaded))


def test_data_steps_alone_can_be_resolved_for_an_audit(part):
    loaded, stages, _ = part
    if "audit" in stages:
        assert loaded.resolve_data("default").data == loaded.spec.data
    else:
        with pytest.raises(SpecError, match=r"no \[data\]"):
            loaded.resolve_data("default")


def test_validate_says_how_far_a_file_goes_and_what_it_needs(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(PARTS["claims and data"][0])
    done = CliRunner().invoke(main, ["validate", str(path)])
    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines() if line.startswith("  ")] == [
        ["repro", "forensics", "do", "the", "printed", "numbers", "fit", "each", "other?", "yes"],
        ["repro", "audit", "which", "evaluated", "samples", "are", "also", "in", "training?", "yes"],
        ["repro", "run", "does", "training", "give", "the", "numbers?", "not", "yet:", "add", "[model],", "[training]"],
    ]


def test_a_variant_of_a_table_that_is_missing_is_a_mistake(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(HEAD + DATA + TINY[TINY.index("[variants.tanh]") :])
    with pytest.raises(SpecError, match=r"variants\.tanh\.set: model\.layers.*the file has no \[model\]"):
        load_spec(path)


def test_a_partial_paper_has_a_page_and_a_row(part, tmp_path):
    loaded, _, _ = part
    keep_spec(tmp_path / "results", loaded.id, loaded.content)
    pages = render_input(read_input(tmp_path / "results", []))
    assert loaded.spec.paper.title in pages["tiny.md"]
    assert "tiny.md" in pages["RESULTS.md"]

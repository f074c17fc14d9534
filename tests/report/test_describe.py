"""repro.report.describe: numbers as people write them, and every setting with its source."""

from __future__ import annotations

import json

import msgspec
import pytest
from tiny_paper import load_tiny

from repro.report.describe import paper_document, paper_row, paper_to_show, papers_to_show, reported
from repro.specs.catalog import all_papers, find_paper
from repro.specs.decode import LoadedSpec
from repro.specs.spec import Claim
from repro.text.terminal import terminal, terminal_blocks

FLAG = ('split = "test"', 'split = "test"\nflag = "odd"\nflag_reason = "too good"')


@pytest.mark.parametrize(
    ("quantity", "value", "unit", "resolution", "text"),
    [
        ("accuracy", 0.61, "fraction", 0.01, "61 %"),
        ("accuracy", 0.49, "fraction", 0.001, "49.0 %"),
        ("accuracy", 0.9819, "fraction", 0.0001, "98.19 %"),
        ("loss", 0.0581, "nat", 0.0001, "0.0581 nat"),
        ("loss", 1.234785, "nat", 0.0, "1.234785 nat"),
        ("time", 2.344, "h", 0.001, "2.344 h"),
        ("rows", 28709, "rows", 1.0, "28,709 samples"),
        ("rows", 40000, "rows", 1000.0, "40,000 samples"),
        ("rows", 436, "rows", 0.0, "436 samples"),
        ("parameters", 551687, "1", 1.0, "551,687"),
        ("speedup", 5.15, "1", 0.01, "5.15"),
    ],
)
def test_reported(quantity, value, unit, resolution, text):
    claim = Claim(id="c", quantity=quantity, value=value, unit=unit, resolution=resolution, quote="q", place="p")
    assert reported(claim) == text


def test_the_headline_is_the_marked_claim_not_the_first(tmp_path):
    moved = load_tiny(
        tmp_path,
        ("headline = true", ""),
        ('id = "loss"\nquantity = "loss"', 'id = "loss"\nheadline = true\ntolerance = 0.1\nquantity = "loss"'),
    )
    main = moved.spec.headline
    assert main is not None and main.id == "loss"


def test_a_row_for_scripts(tmp_path):
    row = json.loads(json.dumps(paper_row(load_tiny(tmp_path, FLAG))))
    assert row == {
        "id": "tiny",
        "collection": None,
        "title": "A tiny network",
        "authors": ["A. Author"],
        "year": None,
        "reported": {"value": 0.6, "unit": "fraction", "split": "test"},
        "flag": "odd",
        "claims": 2,
        "curves": 0,
        "tables": 0,
        "variants": ["default", "tanh"],
        "parameters": (3 * 3 * 1 * 2 + 2) + (6 * 6 * 2 * 7 + 7),
        "reaches": ["forensics", "audit", "run"],
    }


def test_the_table_shows_headline_flag_parameters_and_variants(tmp_path):
    text = terminal_blocks(papers_to_show([load_tiny(tmp_path, FLAG)]))
    for part in ("tiny", "undated", "reports 60 % on test", "[odd]", "531 parameters", "variants: default, tanh"):
        assert part in text


@pytest.mark.parametrize(
    ("authors", "text"),
    [('["Ann Lee"]', "Lee,"), ('["Ann Lee", "Bo Ek"]', "Lee & Ek,"), ('["A Lee", "B Ek", "C Oh"]', "Lee, Ek & Oh,")],
)
def test_authors_by_their_last_names(tmp_path, authors, text):
    assert text in terminal_blocks(papers_to_show([load_tiny(tmp_path, ('["A. Author"]', authors))]))


def shown(paper: LoadedSpec, variant: str) -> str:
    return terminal(paper_to_show(paper, variant))


def test_show_tells_every_setting_and_where_it_comes_from(tmp_path, monkeypatch):
    monkeypatch.setattr("repro.text.terminal.WIDEST", 400)
    monkeypatch.setenv("COLUMNS", "400")
    text = shown(
        load_tiny(
            tmp_path,
            (
                'provenance = [{ kind = "assumed", reason = "invented" }]',
                'provenance = [{ kind = "upstream", reason = "x1" }]',
            ),
            (
                "kernel = 3\nprovenance = [",
                'kernel = 3\nprovenance = [{ kind = "stated", of = ["kernel"], quote = "3x3", place = "T1" }, ',
            ),
        ),
        "default",
    )
    lines = [line.strip() for line in text.splitlines()]
    assert lines[lines.index("split_by_usage1: into {train: [Training], test: [PrivateTest]}, from_split all") + 1] == (
        "- upstream: x1"
    )
    conv = next(
        i for i, line in enumerate(lines) if line.startswith("conv1: filters 2, kernel 3, stride 1, padding valid")
    )
    assert lines[conv].endswith("-> 6 x 6 x 2, 20 parameters")
    assert lines[conv + 1 : conv + 3] == ['- kernel: stated, T1: "3x3"', "- assumed: invented"]
    for part in (
        "Network: 531 parameters, 531 trainable; input 8 x 8 x 1",
        "dense1: units 7",
        "optimizer sgd: learning_rate 0.1, momentum 0, nesterov False",
        "accuracy: accuracy test = 60 % (Abstract)",
        "loss: loss test epoch 2 = 1.5 nat (Sec. 2)",
        "Chosen: ReLU. The table lists what was run. The other runs as variant tanh.",
    ):
        assert part in text


def test_show_of_a_variant_tells_its_settings_and_its_source(tmp_path):
    text = shown(load_tiny(tmp_path), "tanh")
    assert "Variant tanh: tanh instead of ReLU" in text
    assert 'stated, Sec. 1: "tanh units"' in text
    assert "activation1: function tanh" in text and "activation1: function relu" not in text


def test_a_variant_with_other_layers_does_not_borrow_the_sources_of_those_it_replaced():
    paper = find_paper("chavan2020")
    text = shown(paper, "fig4")
    network = text[text.index("Network:") : text.index("Training\n")]
    assert "20, 5x5 filters" in shown(paper, "default")
    assert "20, 5x5 filters" not in network


def test_the_document_for_scripts_is_json_and_complete():
    for paper in all_papers():
        for variant in paper.variant_names():
            document = json.loads(json.dumps(paper_document(paper, variant)))
            assert document["variant"] == variant
            assert document["spec"]["paper"]["id"] == paper.id
            assert document["parameters"] >= document["trainable_parameters"] > 0
            assert "train" in document["splits"]
            assert (
                msgspec.convert(document["spec"]["training"], type(paper.spec.training))
                == paper.resolve(variant).training
            )

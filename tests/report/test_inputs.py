"""A results folder of a stranger: what cannot be used is listed, and nothing in it becomes markup."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from report_records import headline, make_record, make_spec
from results_folders import write_results
from tiny_paper import load_tiny

from repro.report.folder import render_input
from repro.report.inputs import read_input
from repro.text.document import Document, Paragraph, code, link
from repro.text.markdown import markdown


def test_odd_files_of_every_kind_are_listed_and_the_rest_is_shown(tmp_path: Path) -> None:
    spec = make_spec(claims=(headline(),))
    write_results(tmp_path, make_record(spec))
    for name in ("runs/x/run.json", f"audit/{spec.id}/default.json", "audit/data.json", f"explain/{spec.id}.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b'{"format": "\xff')
    (tmp_path / "bench/someone").mkdir(parents=True)
    (tmp_path / "bench/someone/x.json").write_text("[" * 10_000)
    given = read_input(tmp_path, [spec])
    assert len(given.runs) == 1
    assert len(given.unusable) == 5
    pages = render_input(given)
    for name in ("runs/x/run.json", "audit/data.json", f"explain/{spec.id}.json", "bench/someone/x.json"):
        assert name in pages["RESULTS.md"]
    assert str(tmp_path) not in pages["RESULTS.md"]
    assert "50.0" in pages[f"{spec.id}.md"]


def test_own_papers_of_the_folder_come_first_and_a_broken_one_is_listed(tmp_path: Path) -> None:
    given = make_spec("basani2017", claims=(headline(),))
    own = load_tiny(tmp_path)
    (tmp_path / "results/specs").mkdir(parents=True)
    (tmp_path / "results/specs/tiny.toml").write_bytes(own.content)
    (tmp_path / "results/specs/bad.toml").write_bytes(b'format = 1\n[paper]\nid = "\x1b[2J"')
    records = [make_record(own, seed=seed) for seed in range(9)]
    write_results(tmp_path / "results", *records)
    found = read_input(tmp_path / "results", [given])
    assert [(paper.id, paper.loaded is not None, len(paper.runs)) for paper in found.papers] == [
        ("tiny", True, 9),
        ("basani2017", True, 0),
    ]
    assert [line.partition(":")[0] for line in found.unusable] == ["specs/bad.toml"]
    pages = render_input(found)
    assert {"tiny.md", "basani2017.md"} <= pages.keys()
    assert "(n = 9)" in pages["tiny.md"]
    assert "without a spec" not in pages["RESULTS.md"]
    assert pages["RESULTS.md"].index("tiny.md") < pages["RESULTS.md"].index("basani2017.md")
    assert "tiny" in {figure.paper for figure in found.gallery.figures}


HOSTILE = [
    "# a heading",
    "1. a list",
    "- a list",
    "> a quote",
    "=====",
    "---",
    "+ x",
    "<img src=x onerror=alert(1)>",
    "![a](/etc/hostname)",
    "[x](javascript:alert(1))",
    "x> <img src=y>",
    "\x1b[2J\u202ex",
    "</details><script>alert(1)</script>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_paragraph_of_a_stranger_stays_text(text: str) -> None:
    shown = markdown(Document("x", (Paragraph(text), Paragraph((text, code(text), link(text, text))))))
    tokens = MarkdownIt("commonmark", {"html": True}).parse(shown)
    found = {token.type for token in tokens} | {one.type for token in tokens for one in token.children or ()}
    assert found <= {
        *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline"),
        *("text", "code_inline", "softbreak", "link_open", "link_close"),
    }
    assert sum(token.type == "heading_open" for token in tokens) == 1
    targets = [str(dict(one.attrs).get("href", "")) for token in tokens for one in token.children or () if one.attrs]
    assert not [target for target in targets if target.startswith(("javascript:", "/"))]
    assert not set(shown) & {"\x1b", "\u202e"}


@pytest.mark.parametrize(
    "paper",
    [
        {"doi": "10.1/x> <img src=x onerror=alert(1)>"},
        {"url": "javascript:alert(1)"},
        {"summary": "# A heading"},
        {"title": "<script>alert(1)</script>"},
        {"venue": "![a](/etc/hostname)"},
    ],
)
def test_the_words_of_a_spec_are_no_markup_in_the_pages(tmp_path: Path, paper: dict[str, str]) -> None:
    spec = make_spec(claims=(headline(),), paper=paper)
    write_results(tmp_path, make_record(spec))
    plain = render_input(read_input(tmp_path, [make_spec(claims=(headline(),))]))
    for name, text in render_input(read_input(tmp_path, [spec])).items():
        if name.endswith(".md"):
            assert "javascript:" not in "".join(part for part in text.split("](")[1:])
            assert "<img" not in text
            assert "<script" not in text
            headings = [line for line in text.splitlines() if line.startswith("#")]
            assert len(headings) == len([line for line in plain[name].splitlines() if line.startswith("#")])

"""repro.report.page.html: the document model as HTML."""

from __future__ import annotations

import re
from pathlib import Path

from repro.report.page.document import Folder
from repro.report.page.html import Html, slug
from repro.text.document import (
    BREAK,
    Cell,
    Column,
    Figure,
    Paragraph,
    Section,
    chip,
    code,
    link,
    row_of,
    strong,
    table,
)

FOLDER = Folder(Path("results"), "up/", "r-bench.html", frozenset({"one.md"}))


def test_cells_carry_what_they_are_sorted_and_filtered_by():
    columns = [Column("Paper"), Column("Reported", "right"), Column("Verdict")]
    shown = table(
        columns,
        [
            row_of([link("one", "one.md"), Cell("45.41 ± 1.07 % (n = 8)", 0.4541), chip("lower", "no")], "one"),
            ["", Cell("1,234", 1234), ""],
            row_of(["two", "not run", ("a", BREAK, "b")], "two"),
        ],
    )
    html = Html(FOLDER.link).blocks([shown], 2, "id", "The <papers>")
    assert 'role="group" aria-label="The &lt;papers&gt;" tabindex="0"' in html
    one, more, two = re.findall(r"<tr.*?</tr>", html.split("<tbody>")[1], re.S)
    assert 'data-paper="one"' in one and 'href="#one"' in one and 'data-value="0.4541"' in one
    space = "\N{NO-BREAK SPACE}"
    assert f'<span class="figure">45.41{space}±{space}1.07{space}%</span>' in one
    assert '<strong class="chip" data-verdict="no">lower</strong>' in one
    assert 'class="more"' in more and 'data-value="1234"' in more
    assert "data-value" not in two and 'class="more"' not in two and "a<br>b" in two
    assert re.findall(r'data-label="(\w+)"', one) == ["Paper", "Reported", "Verdict"], "what a card calls its lines"


def test_sections_have_ids_from_their_titles():
    html = Html().blocks([Section("A & B", (Section("C", (Paragraph("x"),)),))], 2, "doc")
    assert '<section id="doc-a-b">\n<h2>A &amp; B</h2>' in html and '<section id="doc-a-b-c">\n<h3>C</h3>' in html
    assert slug("What copies are worth?") == "what-copies-are-worth"


def test_a_figure_has_its_caption_once_and_a_narrow_one_for_a_telephone():
    html = Html(image=lambda path: f"data:{path}").blocks([Figure("a.svg", "curve", "n = 3", "b.svg")], 2, "id")
    assert '<source media="(max-width: 45rem)" srcset="data:b.svg">' in html
    assert '<img src="data:a.svg" alt="curve">' in html
    assert html.count("3</figcaption>") == 1
    assert Html(image=lambda path: "").blocks([Figure("a.svg", "curve", "")], 2, "id") == "<p>curve</p>"


def test_only_known_claims_become_buttons_to_their_quote():
    html = Html(claims={"steps": "p-claim-steps", "<b>": "x"})
    text = html.inline((code("steps"), code("<b>"), code("other"), strong("steps")))
    assert re.findall(r'popovertarget="(.*?)".*?<code>(.*?)</code>', text) == [
        ("p-claim-steps", "steps"),
        ("x", "&lt;b&gt;"),
    ]
    assert "<code>other</code><strong>steps</strong>" in text


def test_links_lead_to_places_on_the_page_or_into_the_results():
    assert FOLDER.link("one.md") == "#one"
    assert FOLDER.link("runs/one/default/cpu/seed-0/run.json") == "#run-one-default-cpu-seed-0"
    assert FOLDER.link("BENCH.md") == "r-bench.html"
    assert FOLDER.link("audit/a b.csv") == "up/audit/a%20b.csv"
    assert FOLDER.link("https://example.org/x") == "https://example.org/x"


def test_pictures_come_from_the_results_folder_alone(tmp_path: Path):
    results = tmp_path / "results"
    results.mkdir()
    (results / "a.svg").write_text("<svg/>")
    (tmp_path / "secret.svg").write_text("<svg/>")
    (results / "b.svg").symlink_to(tmp_path / "secret.svg")
    (results / "run.json").write_text("{}")
    folder = Folder(results, "", "", frozenset())
    assert folder.image("a.svg").startswith("data:image/svg+xml,")
    assert [folder.image(name) for name in ("", "../secret.svg", "b.svg", "run.json", "gone.svg")] == [""] * 5

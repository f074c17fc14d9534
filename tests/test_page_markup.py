"""repro.page.markup: Markdown of the report as HTML."""

from __future__ import annotations

import re

import pytest

from repro.page.markup import Context, Part, inline, parts_of, sort_value, to_html
from repro.report.markdown import Column, escape, table


def titles(part: Part) -> list[object]:
    return [part.title, *(titles(one) for one in part.parts)]


def test_a_document_is_cut_at_its_headings():
    document = "<!-- made by us -->\n\n# All `of` it\n\nFirst.\n\n## One\n\n1\n\n### Inner\n\n2\n\n## Two\n\n3\n"
    whole = parts_of(document, "doc")
    assert titles(whole) == ["All of it", ["One", ["Inner"]], ["Two"]]
    assert [whole.text, whole.part("One").text, whole.part("Two").text] == ["First.", "1", "3"]
    assert whole.part("One").parts[0].id == "doc-one-inner"
    with pytest.raises(KeyError, match="Three"):
        whole.part("Three")


@pytest.mark.parametrize("document", ["No heading.", "# A\n\n### Deep\n\n## Less deep\n"])
def test_a_document_whose_headings_make_no_tree_is_refused(document: str):
    with pytest.raises(ValueError, match="heading"):
        parts_of(document, "doc")


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<details open ontoggle=alert(1)><summary>x</summary>",
        "<details><summary><img src=x onerror=alert(1)></summary>",
        "text <img src=x onerror=alert(1)> text",
        "[here](javascript:alert(1))",
        "[here](data:text/html,alert)",
        "| a |\n|:---|\n| <b onclick=alert(1)>x</b> |",
    ],
)
def test_html_of_a_document_comes_out_as_text(hostile: str):
    html = to_html(hostile, Context(), "Heading")
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"p", "div", "table", "thead", "tbody", "tr", "th", "td"}
    assert "alert" in html, "it is shown, not dropped"


def test_folded_lists_stay_folded():
    html = to_html("<details><summary>Variants (2)</summary>\n\n- `a`: one\n- `b`: two\n\n</details>", Context(), "")
    assert re.sub(r"\s", "", html).startswith("<details><summary>Variants(2)</summary><ul><li><code>a</code>:one</li>")
    assert html.count("</details>") == 1


def test_pictures_stand_in_a_box_with_their_data():
    html = to_html("![a *curve*](figures/a.svg)\n\n*n = 3*", Context(image=lambda target: f"data:{target}"), "Figures")
    box = '<div class="scroll" role="group" aria-label="Figures" tabindex="0">'
    picture = '<img src="data:figures/a.svg" alt="a curve">'
    assert html.replace("\n", "") == f"<figure>{box}{picture}</div></figure><p><em>n = 3</em></p>"


COLUMNS = (Column("Paper"), Column("Reported", "right"), Column("Verdict"))


def rows_of(html: str) -> list[str]:
    return re.findall(r"<tr.*?</tr>", html.split("<tbody>")[1], re.S)


def test_cells_carry_what_they_are_sorted_and_filtered_by():
    text = table(
        COLUMNS,
        [
            ["[one](one.md)", "45.41 ± 1.07 % (n = 8)", "**lower** (it leaks)"],
            ["", "1,234", ""],
            ["two", "not run", "reproduced"],
        ],
    )
    html = to_html(text, Context(link=lambda target: f"#{target}"), "The <papers>")
    assert 'role="group" aria-label="The &lt;papers&gt;" tabindex="0"' in html
    assert "style=" not in html
    one, more, two = rows_of(html)
    assert 'data-paper="one"' in one and 'href="#one.md"' in one
    assert 'data-value="45.41"' in one and 'data-verdict="lower"' in one
    assert "45.41\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.07\N{NO-BREAK SPACE}% (n" in one
    assert 'class="more"' in more and 'data-paper="one"' in more and 'data-value="1234"' in more
    assert "data-value" not in two and 'data-verdict="reproduced"' in two and 'class="more"' not in two


def test_runs_are_filtered_by_the_paper_in_their_path():
    text = table([Column("Run")], [["[one/default/cpu/seed-0](runs/one/default/cpu/seed-0/run.json)"]])
    assert 'data-paper="one"' in to_html(text, Context(), "Runs")


def test_only_known_claims_become_buttons_to_their_quote():
    html = to_html("`steps` and `<b>` and `other`", Context(claims={"steps": "p-claim-steps", "<b>": "x"}), "")
    assert re.findall(r'popovertarget="(.*?)".*?<code>(.*?)</code>', html) == [
        ("p-claim-steps", "steps"),
        ("x", "&lt;b&gt;"),
    ]
    assert "<code>other</code>" in html


def test_text_of_a_document_is_shown_as_it_stands():
    text = r"a_b *c* `d` <e> & $f$ | \g [h](i)"
    assert re.sub(r"&(\w+);", lambda m: {"lt": "<", "gt": ">", "amp": "&"}[m[1]], inline(escape(text))) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("45.41 ± 1.07 % (n = 8)", 45.41),
        ("17,196", 17196),
        ("-3.59 points", -3.59),
        ("+51.6 ± 1.7 points (n = 3)", 51.6),
        ("36.2 s", 36.2),
        ("14 min 05 s", 845),
        ("2 h 05 min", 7500),
        ("0.469 h", 1688.4),
        ("5 steps", 5),
        ("61 % ⚠ two figures", 61),
        ("not run", None),
        ("—", None),
        ("", None),
    ],
)
def test_numbers_are_sorted_as_numbers_and_times_as_seconds(text: str, value: float | None):
    assert sort_value(text) == (None if value is None else pytest.approx(value))

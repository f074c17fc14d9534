"""repro.report.page.document: the page as a file: whole, self-contained, safe."""

from __future__ import annotations

import base64
import hashlib
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from report_records import GPU, claim, data, headline, make_record, make_spec
from results_folders import RESULTS, write_results
from tiny_paper import load_tiny

import repro.report.page
from repro.report.figures.folder import index_entry
from repro.report.folder import documents
from repro.report.inputs import ReportInput, read_input
from repro.report.page.document import render_page, write_page
from repro.report.sheets import SETTINGS_TITLE
from repro.specs.catalog import all_papers
from repro.specs.decode import LoadedSpec
from repro.text.document import Block, Details, Figure, Items, Paragraph, Section, Table, plain, walk

LARGEST_BYTES = 3_000_000
VOID = {"source", "meta", "link", "img", "br", "hr", "input", "wbr"}


class Page(HTMLParser):
    """Elements, text and nesting of an HTML file; a tag that is not closed where it was opened is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.raw: dict[str, str] = {}  # of script and style
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            self.raw[self._open[-1]] = self.raw.get(self._open[-1], "") + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return squeezed("".join(self.words))

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.fixture(scope="module")
def html() -> str:
    return render_page(RESULTS, all_papers())


@pytest.fixture(scope="module")
def given() -> ReportInput:
    return read_input(RESULTS, all_papers())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def words_of(blocks: Iterable[Block]) -> Iterator[str]:
    """The text of every block."""
    for block in walk(blocks):
        match block:
            case Paragraph():
                yield plain(block.text)
            case Items():
                yield from map(plain, block.items)
            case Table():
                yield from (column.heading for column in block.columns)
                yield from (plain(cell.text) for row in block.rows for cell in row.cells)
            case Figure():
                yield block.caption
            case Details():
                yield block.summary
            case Section():
                yield block.title


def test_the_page_says_all_that_the_pages_of_the_papers_say(page: Page, given: ReportInput):
    text = page.text
    for name, document in documents(given).items():
        if name in ("RESULTS.md", "BENCH.md"):
            continue
        # The page shows the settings in its own way.
        blocks = [one for one in document.blocks if not isinstance(one, Section) or one.title != SETTINGS_TITLE]
        missing = [one for one in words_of(blocks) if squeezed(one) not in text]
        assert missing == [], name


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The pages, far from the results."""
    return write_page(tmp_path_factory.mktemp("some where") / "report.html", RESULTS, all_papers())


def test_benchmarks_have_a_page_of_their_own(written: list[Path], given: ReportInput):
    main, bench = written
    assert (main.name, bench.name) == ("report.html", "report-bench.html")
    text = Page(bench.read_text()).text
    assert [one for one in words_of(documents(given)["BENCH.md"].blocks) if squeezed(one) not in text] == []
    assert "Everyduel" not in Page(main.read_text()).text
    assert 'href="report-bench.html"' in main.read_text() and 'href="report.html"' in bench.read_text()


def test_a_caption_is_said_once(page: Page, given: ReportInput):
    captions = Counter(figure.caption for figure in given.gallery.figures if figure.name != "accuracy")
    for caption, figures in captions.items():  # papers with as many runs of each protocol have the same caption
        assert page.text.count(squeezed(caption)) == figures, caption


def test_the_page_says_what_every_source_and_every_claim_quotes(page: Page):
    text = page.text
    for loaded in all_papers():
        entries = [entry for entries in loaded.provenance.values() for entry in entries]
        quotes = [entry.quote for entry in entries] + [
            claim.quote for claim in (*loaded.spec.single_claims, *loaded.spec.curves)
        ]
        places = [entry.place for entry in entries] + [entry.reason for entry in entries]
        assert [one for one in quotes + places if squeezed(one) not in text] == []


def test_every_run_is_told_and_every_link_leads_somewhere(page: Page, written: list[Path]):
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    runs = [path for path in RESULTS.rglob("run.json") if "runs" in path.parts]
    assert sum(id.startswith("run-") for id in ids) == len(runs) > 0
    assert {target[1:] for target in page.values("href") if target.startswith("#")} <= set(ids)
    assert set(page.values("popovertarget")) <= set(ids)
    assert set(page.values("for")) <= set(ids)

    elsewhere = Page(written[0].read_text())
    files = [link for link in elsewhere.values("href") if not link.startswith(("#", "http", "data:"))]
    assert len(files) > len(runs)
    assert [link for link in files if not (written[0].parent / unquote(link)).exists()] == []


def test_the_page_is_one_small_file_and_the_same_each_time(html: str):
    assert len(html.encode()) < LARGEST_BYTES
    assert render_page(RESULTS, all_papers()) == html


def test_the_page_loads_nothing_and_allows_only_its_own_script_and_style(page: Page):
    tags = [tag for tag, _ in page.elements]
    assert (tags.count("script"), tags.count("style")) == (1, 1)
    assert not {"iframe", "object", "embed", "form", "base"} & set(tags)
    loaded = page.values("src") + page.values("srcset") + [a["href"] for tag, a in page.elements if tag == "link"]
    assert all(address.startswith("data:") for address in loaded)
    assert not [key for _, a in page.elements for key in a if key.startswith("on") or key == "style"]
    names = [(tag, attributes.get("http-equiv")) for tag, attributes in page.elements]
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert names.index(("meta", "Content-Security-Policy")) < tags.index("style"), "it holds for what follows it"
    hashes = {tag: base64.b64encode(hashlib.sha256(page.raw[tag].encode()).digest()).decode() for tag in page.raw}
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{hashes['style']}'",
        f"script-src 'sha256-{hashes['script']}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


HOSTILE = '</script><img src=x onerror=alert(1)> " onload="alert(1)'


def test_text_of_a_document_stays_text(tmp_path: Path):
    spec = make_spec(
        claims=(headline(quote=HOSTILE, place=HOSTILE, flag=HOSTILE, flag_reason=HOSTILE),),
        paper={"title": HOSTILE, "summary": HOSTILE, "url": "javascript:alert(1)"},
    )
    record = make_record(spec, status="failed", error=HOSTILE, command=HOSTILE)
    page = Page(render_page(write_results(tmp_path, record), [spec]))
    assert page.text.count(squeezed(HOSTILE)) >= 7
    tags = [tag for tag, _ in page.elements]
    assert (tags.count("script"), tags.count("img")) == (1, 0)
    assert not [key for _, a in page.elements for key in a if key.startswith("on")]
    assert not [link for link in page.values("href") if link.startswith("javascript")]


def test_failed_synthetic_and_unknown_runs_are_told(tmp_path: Path):
    spec, stranger = make_spec(claims=(headline(),)), make_spec("stranger2021")
    records = [
        make_record(spec, seed=1, status="failed", error="the loss is not finite", failed_step=7),
        make_record(spec, seed=2, data=data(synthetic=True)),
        make_record(stranger, seed=3),
    ]
    text = Page(render_page(write_results(tmp_path, *records), [spec])).text
    for words in (
        "the loss is not finite (step 7)",
        "SYNTHETIC, not comparable",
        "no spec found for this run",
        "stranger2021",
    ):
        assert squeezed(words) in text


def test_a_folder_without_runs_gives_a_page(tmp_path: Path):
    page = Page(render_page(tmp_path, [load_tiny(tmp_path)]))
    assert "Noneyet." in page.text and "tanhunits" in page.text


def figure_page(folder: Path) -> tuple[LoadedSpec, Path]:
    spec = make_spec(claims=(headline(), claim("curve", epoch=2)))
    return spec, write_results(folder, *(make_record(spec, seed=seed, device=GPU) for seed in range(3)))


def test_figures_that_are_drawn_stand_in_the_page(tmp_path: Path):
    spec, results = figure_page(tmp_path)
    entry, *others = map(index_entry, read_input(results, [spec]).gallery.figures)
    assert others
    assert "img" not in [tag for tag, _ in Page(render_page(results, [spec])).elements]
    drawn = b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>"
    (results / entry.svg).parent.mkdir()
    (results / entry.svg).write_bytes(drawn)
    page = Page(render_page(results, [spec]))
    (picture,) = [attributes for tag, attributes in page.elements if tag == "img"]
    assert unquote(picture["src"].removeprefix("data:image/svg+xml,")).encode() == drawn
    assert picture["alt"] == entry.alternative and squeezed(entry.caption) in page.text


def test_without_its_packages_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(Exception, match=r"needs jinja2: pip install 'fer-repro\[report\]'") as raised:
        importlib.reload(repro.report.page)
    assert type(raised.value).__name__ == "PageError"

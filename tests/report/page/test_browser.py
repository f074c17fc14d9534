"""The page of `repro report --html` in a real Chromium, opened from a file as a reader does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Watched, accessibility_findings, open_chromium, overflow_px
from playwright.sync_api import Browser, Locator, ViewportSize, expect
from playwright.sync_api import Page as Tab
from report_records import GPU, claim, headline, make_record, make_spec
from results_folders import RESULTS, write_results

from repro.evaluation.records import read_evaluation
from repro.evaluation.text import evaluation_document
from repro.report.page.document import write_page, write_single
from repro.specs.catalog import all_papers, bundled_papers

DESKTOP, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=375, height=700)
TELEPHONE = ViewportSize(width=390, height=844)
MAIN_TABLE = "#results-the-papers table"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    return write_page(folder / "report.html", RESULTS, all_papers())[0].as_uri()


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Tab]:
    """A tab that fails the test, in the end, for an error on its console or a request to anywhere."""
    context = chromium.new_context(viewport=DESKTOP)
    watched = Watched(context)
    yield context.new_page()
    context.close()
    assert (watched.errors, watched.requests) == ([], [])


def cells(table: Locator, heading: str) -> list[str]:
    """The texts of a column, from top to bottom."""
    names = [name.strip() for name in table.locator("thead th").all_text_contents()]
    return [
        text.strip() for text in table.locator(f"tbody tr td:nth-child({names.index(heading) + 1})").all_text_contents()
    ]


def sort_by(table: Locator, heading: str) -> Locator:
    table.get_by_role("button", name=heading, exact=True).click()
    button = table.page.get_by_role("button", name=heading, exact=True)
    return table.locator("th", has=button)


def test_opens_without_an_error_and_without_the_network(tab: Tab, address: str):
    tab.goto(address)
    expect(tab.get_by_role("heading", level=1)).to_contain_text("reported")
    for loaded in all_papers():
        expect(tab.locator(f"#{loaded.id} > summary h2")).to_have_text(loaded.id)
    assert tab.locator("details[open]").count() == 0, "what is folded is folded at first"
    tab.get_by_role("link", name="benchmarks", exact=True).click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("How fast")


def test_its_policy_refuses_other_scripts_and_all_requests(chromium: Browser, address: str):
    context = chromium.new_context()
    watched = Watched(context)
    tab = context.new_page()
    tab.goto(address)
    tab.evaluate("""() => {
      const script = document.createElement('script');
      script.textContent = 'document.title = "changed"';
      document.body.append(script);
      new Image().src = 'https://example.org/image.png';
      document.body.setAttribute('style', 'color: red');
    }""")
    assert tab.evaluate("fetch('https://example.org').then(() => 'fetched', () => 'refused')") == "refused"
    assert tab.title() != "changed"
    assert watched.requests == [], "nothing came as far as the network"
    directives = ("script-src", "img-src", "style-src", "default-src")
    assert all(any(name in error for error in watched.errors) for name in directives), watched.errors
    context.close()


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of papers whose numbers and times stand in another order as text than as numbers."""
    claims = tuple(
        claim(f"{id}", value=value, unit="h", resolution=0.1, split="", device="cpu", hardware="A CPU", epoch=epoch)
        for epoch, (id, value) in enumerate({"a": 9.5, "b": 61.0, "c": 10.0}.items(), 1)
    )
    spec = make_spec(claims=(headline(), *claims))
    folder = write_results(tmp_path_factory.mktemp("invented"), make_record(spec, epoch_s=59.0))
    return write_page(folder / "report.html", folder, [spec])[0].as_uri()


@pytest.mark.parametrize(("heading", "ascending"), [("Paper", "123"), ("Here", "123")])
def test_numbers_sort_as_numbers_and_times_as_times(tab: Tab, invented: str, heading: str, ascending: str):
    tab.goto(f"{invented}#someone2020-times")
    table = tab.locator("#someone2020-times table").first
    order = {"Paper": ["9.5 h", "10.0 h", "61.0 h"], "Here": ["1 min 00 s", "2 min 00 s", "3 min 00 s"]}[heading]
    head = sort_by(table, heading)
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert [text.split(" (")[0] for text in cells(table, heading)] == order
    sort_by(table, heading)
    assert [text.split(" (")[0] for text in cells(table, heading)] == order[::-1]


def test_what_is_missing_stands_last_in_both_orders(tab: Tab, address: str):
    tab.goto(address)
    table = tab.locator(MAIN_TABLE)
    for _ in range(2):
        sort_by(table, "Without overlap")
        missing = [text == "not run" for text in cells(table, "Without overlap")]
        assert missing == sorted(missing)


def test_texts_sort_as_texts_by_the_keyboard_and_one_column_at_a_time(tab: Tab, address: str):
    tab.goto(address)
    table = tab.locator(MAIN_TABLE)
    sort_by(table, "Reported")
    table.get_by_role("button", name="Paper", exact=True).focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Space")
    assert cells(table, "Paper") == sorted((loaded.id for loaded in bundled_papers()), reverse=True)
    assert table.locator("[aria-sort]").count() == 1


def test_rows_that_belong_together_stay_together(tab: Tab, tmp_path: Path):
    spec = make_spec(claims=(headline(), claim("late", value=0.2, epoch=3), claim("early", value=0.7, epoch=1)))
    records = [make_record(spec, accuracy=0.4), make_record(spec, accuracy=0.6, device=GPU)]
    tab.goto(
        write_page(tmp_path / "r.html", write_results(tmp_path, *records), [spec])[0].as_uri() + "#someone2020-claims"
    )
    table = tab.locator("#someone2020-claims table")
    sort_by(table, "Reported")
    assert cells(table, "Claim") == ["late", "", "main", "", "early", ""]
    assert cells(table, "Device") == ["cpu", "gpu"] * 3


def test_an_address_with_a_place_shows_it(tab: Tab, address: str):
    tab.goto(f"{address}#teta2022")
    expect(tab.locator("#teta2022 > summary h2")).to_be_in_viewport()
    part = tab.locator("#teta2022-verdicts")
    claims = part.locator("table").first
    expect(claims).to_be_hidden()
    tab.goto(f"{address}#teta2022-verdicts")
    expect(part.locator("summary").first).to_be_in_viewport()
    expect(claims).to_be_visible()


def test_choosing_a_paper_hides_everything_of_the_others(tab: Tab, address: str):
    tab.goto(address)
    tab.get_by_label("Show").select_option("onghena")
    expect(tab.locator("#onghena > summary h2")).to_be_visible()
    expect(tab.locator("#onghena-in-short")).to_be_visible()
    others = [loaded.id for loaded in all_papers() if loaded.id != "onghena"]
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    shown = tab.locator("main").inner_text()
    assert [id for id in others if id in shown] == []
    shown_rows = tab.locator(f"{MAIN_TABLE} tbody tr:visible, .strip:visible")
    assert {row.get_attribute("data-paper") for row in shown_rows.all()} == {"onghena"}
    # A place that is hidden comes back with all the others.
    tab.evaluate("location.hash = '#teta2022'")
    expect(tab.locator("#teta2022 > summary h2")).to_be_in_viewport()
    expect(tab.get_by_label("Show")).to_have_value("")


def test_quotes_show_for_pointer_and_keyboard(tab: Tab, address: str):
    tab.goto(f"{address}#teta2022-settings-and-their-sources")
    button = tab.locator("#teta2022-settings-and-their-sources button.source", has_text="filters 16")
    quote = tab.get_by_text("As input layer we use 2D Convolution Layer with 16 filters")
    expect(quote).to_be_hidden()
    button.hover()
    expect(quote).to_be_visible()
    quote.hover()
    tab.wait_for_timeout(400)
    expect(quote).to_be_visible()  # it can be rested upon
    tab.mouse.move(1, 1)
    expect(quote).to_be_hidden()
    button.focus()
    tab.keyboard.press("Enter")
    expect(quote).to_be_visible()
    tab.keyboard.press("Escape")
    expect(quote).to_be_hidden()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Shift+Tab")
    expect(quote).to_be_visible()
    button.click()
    expect(quote).to_be_visible()


def test_claims_show_their_quote_wherever_they_are_named(tab: Tab, address: str):
    tab.goto(f"{address}#teta2022-contradictions-in-the-printed-numbers")
    tab.locator("#teta2022-contradictions-in-the-printed-numbers").get_by_role("button", name="log-steps").first.click()
    expect(tab.locator("#teta2022-claim-log-steps")).to_be_visible()
    expect(tab.locator("#teta2022-claim-log-steps")).to_contain_text("898")


def test_all_is_there_without_a_script(chromium: Browser, address: str):
    with_script, without = (chromium.new_context(java_script_enabled=on) for on in (True, False))
    tab, plain = with_script.new_page(), without.new_page()
    for one in (tab, plain):
        one.goto(address)
    assert plain.locator("main").text_content() == tab.locator("main").text_content()
    expect(plain.locator("th button, .filter:visible")).to_have_count(0)
    plain.locator("#teta2022 > summary").click()
    plain.locator("#teta2022-settings-and-their-sources > summary").click()
    plain.locator("#teta2022-settings-and-their-sources button.source", has_text="filters 16").click()
    expect(plain.get_by_text("As input layer we use 2D Convolution Layer with 16 filters")).to_be_visible()
    with_script.close()
    without.close()


def test_accessible_in_light_and_dark_with_everything_open(chromium: Browser, address: str):
    context = chromium.new_context(viewport=DESKTOP, color_scheme="light")
    tab = context.new_page()
    tab.goto(f"{address}#zhaqsylyq")
    background = "getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(background) == "rgb(255, 255, 255)"
    tab.get_by_role("button", name="Open all parts").click()
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    # The shortest: the others are made of the same elements, and axe takes long.
    tab.evaluate("for (const one of document.querySelectorAll('.paper:not(#zhaqsylyq)')) one.hidden = true")
    tab.locator("#zhaqsylyq button.source").first.click()
    assert accessibility_findings(tab) == []
    tab.emulate_media(color_scheme="dark")
    assert tab.evaluate(background) != "rgb(255, 255, 255)"
    assert accessibility_findings(tab, "color-contrast") == [], "the same elements in other colours"
    context.close()


@pytest.mark.parametrize("size", [PHONE, TELEPHONE], ids=["375", "390"])
@pytest.mark.parametrize("name", ["report.html", "report-bench.html"])
def test_nothing_on_a_telephone_scrolls_sideways(chromium: Browser, address: str, size, name):
    context = chromium.new_context(viewport=size)
    tab = context.new_page()
    tab.goto(address.replace("report.html", name))
    assert overflow_px(tab) == 0
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert overflow_px(tab) == 0
    wide = "e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible'"
    assert tab.evaluate(f"[...document.querySelectorAll('main *')].filter({wide}).length") == 0, "no box scrolls either"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_screen_of_a_telephone_has_the_98_percent_point_and_its_verdict(chromium, address, scheme):
    context = chromium.new_context(viewport=TELEPHONE, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(address)
    strip = tab.locator('.strip[data-paper="teta2022"]')
    for part in (strip.locator(".mark.reported"), strip.get_by_text("98 % reported"), strip.locator(".chip").first):
        box = part.bounding_box()
        assert box and box["y"] >= 0 and box["y"] + box["height"] <= TELEPHONE["height"]
        assert box["x"] >= 0 and box["x"] + box["width"] <= TELEPHONE["width"]
    context.close()


def test_the_table_of_five_columns_is_cards_on_a_telephone(chromium: Browser, address: str):
    context = chromium.new_context(viewport=TELEPHONE)
    tab = context.new_page()
    tab.goto(address)
    table = tab.locator(MAIN_TABLE)
    assert table.locator("thead th").count() == 5
    row = table.locator("tbody tr").first
    assert row.evaluate("row => getComputedStyle(row).display") == "block"
    lefts = row.evaluate("row => [...row.cells].map(cell => cell.getBoundingClientRect().left)")
    assert len(set(lefts)) == 1, "the cells stand below one another"
    cell = row.locator("td").nth(1)
    before = cell.evaluate("e => e.offsetHeight")
    text = (
        "e => { const all = document.createRange(); all.selectNodeContents(e); return all.getBoundingClientRect().x; }"
    )
    left = cell.evaluate(text)
    cell.evaluate("e => { e.dataset.label = 'a label of several lines '.repeat(6); }")
    assert cell.evaluate("e => e.offsetHeight") > 2 * before, "a long label makes room for itself"
    assert cell.evaluate(text) == left, "beside the value"
    context.close()


@pytest.mark.parametrize(("scheme", "light"), [("light", True), ("dark", False)])
def test_figures_have_the_ground_of_the_page(chromium: Browser, address: str, scheme, light):
    context = chromium.new_context(viewport=DESKTOP, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(f"{address}#teta2022-plots")
    image = tab.locator("#teta2022-plots img").first
    expect(image).to_be_visible()
    corner = tab.evaluate(
        """async image => {
          await image.decode();
          const canvas = document.createElement('canvas');
          canvas.width = canvas.height = 4;
          const drawn = canvas.getContext('2d');
          drawn.drawImage(image, 0, 0, 40, 30, 0, 0, 4, 4);
          return drawn.getImageData(1, 1, 1, 1).data[0];
        }""",
        image.element_handle(),
    )
    assert (corner > 200) == light
    assert image.evaluate("e => e.clientWidth <= e.closest('main').clientWidth")
    context.close()


def test_paper_shows_what_is_folded_on_the_screen(tab: Tab, address: str):
    tab.goto(address)
    table = tab.locator("#teta2022-verdicts table").first
    expect(table).to_be_hidden()
    tab.emulate_media(media="print")
    expect(table).to_be_visible()
    expect(tab.locator("#teta2022-claim-log-steps")).to_be_visible()
    expect(tab.locator("nav")).to_be_hidden()


@pytest.mark.parametrize(("size", "scheme"), [(TELEPHONE, "dark"), (DESKTOP, "light")], ids=["390-dark", "1280-light"])
def test_the_page_of_an_evaluation(chromium: Browser, tmp_path: Path, size, scheme):
    folder = RESULTS / "evaluations" / "fer-25.10.3-keras"
    document = evaluation_document(read_evaluation(folder), figure=True)
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    watched = Watched(context)
    tab = context.new_page()
    tab.goto(write_single(tmp_path / "evaluation.html", document, folder).as_uri())
    expect(tab.get_by_role("heading", level=1)).to_have_text(document.title)
    figure = tab.locator("main img").first
    figure.scroll_into_view_if_needed()
    assert figure.evaluate("async e => { await e.decode(); return e.naturalWidth > 0 && e.clientWidth <= innerWidth; }")
    assert overflow_px(tab) == 0
    assert tab.locator("main").evaluate("e => e.clientWidth > 0.9 * innerWidth")
    assert accessibility_findings(tab) == []
    context.close()
    assert (watched.errors, watched.requests) == ([], [])

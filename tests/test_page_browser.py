"""The page of `repro report --html` in a real Chromium, opened from a file as a reader does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Watched, accessibility_findings, open_chromium, overflow_px
from playwright.sync_api import Browser, Locator, ViewportSize, expect
from playwright.sync_api import Page as Tab
from report_records import GPU, claim, headline, make_record, make_spec
from test_page_document import RESULTS, write_results

from repro.catalog import all_papers
from repro.page.document import write_page

DESKTOP, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=375, height=700)
MAIN_TABLE, ALL_TABLE = "#results-the-papers table", "#results-every-variant-protocol-and-device table"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    return write_page(folder / "report.html", RESULTS, all_papers()).as_uri()


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
    return table.locator("th", has_text=heading)


def test_opens_without_an_error_and_without_the_network(tab: Tab, address: str):
    tab.goto(address)
    expect(tab.get_by_role("heading", level=1)).to_have_text("Results")
    for loaded in all_papers():
        expect(tab.locator(f"section#{loaded.id} > h2")).to_have_text(loaded.id)


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
    """A page of papers whose figures and times stand in another order as text than as numbers; d was not run."""
    specs = {id: make_spec(f"{id}2020", claims=(headline(),)) for id in "abcd"}
    runs = {"a": (0.095, 10.0), "b": (0.61, 100.0), "c": (0.10, 2000.0)}
    records = [make_record(specs[id], accuracy=accuracy, epoch_s=time) for id, (accuracy, time) in runs.items()]
    folder = write_results(tmp_path_factory.mktemp("invented"), *records)
    return write_page(folder / "report.html", folder, list(specs.values())).as_uri()


@pytest.mark.parametrize(("heading", "ascending"), [("Reproduced", "acb"), ("Wall time", "abc")])
def test_numbers_sort_as_numbers_and_times_as_times(tab: Tab, invented: str, heading: str, ascending: str):
    tab.goto(invented)
    table = tab.locator(ALL_TABLE)
    texts = cells(table, heading)
    assert texts[-1] == "—" and sorted(texts[:3]) != [texts["abc".index(id)] for id in ascending]
    head = sort_by(table, heading)
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert cells(table, "Paper") == [f"{id}2020" for id in f"{ascending}d"]
    sort_by(table, heading)
    expect(head).to_have_attribute("aria-sort", "descending")
    assert cells(table, "Paper") == [f"{id}2020" for id in f"{ascending[::-1]}d"], "what is missing stands last"


def test_texts_sort_as_texts_by_the_keyboard_and_one_column_at_a_time(tab: Tab, address: str):
    tab.goto(address)
    table = tab.locator(MAIN_TABLE)
    sort_by(table, "Reported")
    table.get_by_role("button", name="Paper", exact=True).focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Space")
    assert cells(table, "Paper") == sorted((loaded.id for loaded in all_papers()), reverse=True)
    assert table.locator("[aria-sort]").count() == 1


def test_rows_that_belong_together_stay_together(tab: Tab, tmp_path: Path):
    spec = make_spec(claims=(headline(), claim("late", value=0.2, epoch=3), claim("early", value=0.7, epoch=1)))
    records = [make_record(spec, accuracy=0.4), make_record(spec, accuracy=0.6, device=GPU)]
    tab.goto(
        write_page(tmp_path / "r.html", write_results(tmp_path, *records), [spec]).as_uri() + "#someone2020-claims"
    )
    table = tab.locator("#someone2020-claims table")
    sort_by(table, "Reported")
    assert cells(table, "Claim") == ["late", "", "main", "", "early", ""]
    assert cells(table, "Device") == ["cpu", "gpu"] * 3


def test_an_address_with_a_place_shows_it(tab: Tab, address: str):
    tab.goto(f"{address}#teta2022")
    expect(tab.locator("#teta2022 > h2")).to_be_in_viewport()
    part = tab.locator("#teta2022-verdicts")
    claims = part.locator("table").first
    expect(claims).to_be_hidden()
    tab.goto(f"{address}#teta2022-verdicts")
    expect(part.locator("summary").first).to_be_in_viewport()
    expect(claims).to_be_visible()


def test_one_paper_alone(tab: Tab, address: str):
    tab.goto(address)
    tab.get_by_label("Show").select_option("onghena")
    expect(tab.locator("#onghena")).to_be_visible()
    expect(tab.locator("#teta2022")).to_be_hidden()
    rows = tab.locator(f"{MAIN_TABLE} tbody tr, {ALL_TABLE} tbody tr, #results-runs table tbody tr")
    shown = [row.get_attribute("data-paper") for row in rows.all() if row.is_visible()]
    assert set(shown) == {"onghena"} and len(shown) >= 3
    # A place that is hidden comes back with all the others.
    tab.evaluate("location.hash = '#teta2022'")
    expect(tab.locator("#teta2022 > h2")).to_be_in_viewport()
    expect(tab.get_by_label("Show")).to_have_value("")


def test_quotes_show_for_pointer_and_keyboard(tab: Tab, address: str):
    tab.goto(f"{address}#teta2022-what-the-document-says")
    button = tab.locator("#teta2022-what-the-document-says button.source", has_text="filters 16")
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
    tab.goto(f"{address}#teta2022-what-the-numbers-alone-say")
    tab.locator("#teta2022-what-the-numbers-alone-say").get_by_role("button", name="log-steps").first.click()
    expect(tab.locator("#teta2022-claim-log-steps")).to_be_visible()
    expect(tab.locator("#teta2022-claim-log-steps")).to_contain_text("898")


def test_all_is_there_without_a_script(chromium: Browser, address: str):
    with_script, without = (chromium.new_context(java_script_enabled=on) for on in (True, False))
    tab, plain = with_script.new_page(), without.new_page()
    for one in (tab, plain):
        one.goto(address)
    assert plain.locator("main").text_content() == tab.locator("main").text_content()
    expect(plain.locator("th button, .filter:visible")).to_have_count(0)
    plain.locator("#teta2022-what-the-document-says > summary").click()
    plain.locator("#teta2022-what-the-document-says button.source", has_text="filters 16").click()
    expect(plain.get_by_text("As input layer we use 2D Convolution Layer with 16 filters")).to_be_visible()
    with_script.close()
    without.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_in_light_and_dark_with_everything_open(chromium: Browser, address: str, scheme):
    context = chromium.new_context(viewport=DESKTOP, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(f"{address}#teta2022")
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    tab.get_by_role("button", name="Open all parts").click()
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    # The others are made of the same elements, and axe takes long.
    tab.evaluate("for (const one of document.querySelectorAll('.paper:not(#teta2022)')) one.hidden = true")
    tab.locator("#teta2022 button.source").first.click()
    assert accessibility_findings(tab) == []
    context.close()


def test_a_telephone_shows_it_without_sideways_scrolling(chromium: Browser, address: str):
    context = chromium.new_context(viewport=PHONE)
    tab = context.new_page()
    tab.goto(address)
    assert overflow_px(tab) == 0
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert overflow_px(tab) == 0
    wide = tab.locator(".scroll", has=tab.locator(":scope > table")).first
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth"), "its table scrolls in a box"
    wide.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("box => box.scrollLeft > 0", arg=wide.element_handle())
    context.close()


def test_paper_shows_what_is_folded_on_the_screen(tab: Tab, address: str):
    tab.goto(address)
    table = tab.locator("#teta2022-verdicts table").first
    expect(table).to_be_hidden()
    tab.emulate_media(media="print")
    expect(table).to_be_visible()
    expect(tab.locator("#teta2022-claim-log-steps")).to_be_visible()
    expect(tab.locator("nav")).to_be_hidden()

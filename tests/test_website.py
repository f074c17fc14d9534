"""The website of the documents: every document is on it, its links lead somewhere, and its search finds. Where the
extra `docs` is installed it is built, strictly, and read in a real Chromium."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from browser import Watched, open_chromium, overflow_px
from docs_scripts import load_script
from playwright.sync_api import Browser, ViewportSize, expect

ROOT = Path(__file__).resolve().parents[1]


website = load_script("website")
PAGES = [page for section in website.pages().values() for page in section]


def test_every_document_is_on_one_place():
    written = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert written | {"README.md", "results/RESULTS.md", "results/teta2022.md"} <= set(PAGES)
    assert len(set(PAGES)) == len(PAGES) and all((ROOT / page).is_file() for page in PAGES)


@pytest.mark.parametrize(
    ("written", "repository", "shown"),
    [
        ("[a](verdicts.md#x) [b](https://x.org) [c](#here)", "", "[a](verdicts.md#x) [b](https://x.org) [c](#here)"),
        ("see [`repro/use/`](../repro/use).", "", "see `repro/use/`."),
        (
            "see [`repro/use/`](../repro/use).",
            "https://x.org/r/",
            "see [`repro/use/`](https://x.org/r/tree/HEAD/repro/use).",
        ),
        ("[run](<../docs/generate.py#L1>)", "https://x.org/r", "[run](https://x.org/r/blob/HEAD/docs/generate.py#L1)"),
        ("[![p](../repro/py.typed)](verdicts.md)", "", "[![p](../repro/py.typed)](verdicts.md)"),
    ],
)
def test_a_link_to_what_is_no_page_leads_to_the_repository_or_is_words(written, repository, shown):
    assert website.with_links(written, "docs/explain.md", {"docs/verdicts.md"}, repository) == shown


def test_a_link_to_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"docs/explain.md: .*there is no docs/nothing.md"):
        website.with_links("[a](nothing.md)", "docs/explain.md", set(), None)


def test_a_page_begins_with_its_title_and_code_is_left_alone():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="docs/explain.md"))
    text = "<!-- Generated -->\n\n# Title\n\n```sh\n[a](nothing.md)\n```\n"
    assert website.on_page_markdown(text, page, {"repo_url": ""}, []) == text.partition("\n\n")[2]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the website, served from this machine: browsers read no search index from files."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-f", ".github/mkdocs.yml", "-d", folder]
    # Material for MkDocs says in every build that MkDocs 2 will not carry it.
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium(site: str) -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_search_finds_a_page_and_opens_it(site: str, chromium: Browser, width: int, scheme):
    context = chromium.new_context(viewport=ViewportSize(width=width, height=844), color_scheme=scheme)
    watched = Watched(context, allowed=site)
    tab = context.new_page()
    tab.goto(site)
    expect(tab.get_by_role("heading", level=1)).to_have_count(1)
    assert overflow_px(tab) == 0
    if width < 1000:  # the box lies behind a magnifying glass
        tab.locator("label.md-header__button[for=__search]").click()
    box = tab.get_by_role("textbox", name="Search")
    # On a slow machine the results of the first letters come first; they link to the page with those letters marked.
    found = tab.locator(".md-search-result__item a[href*='h=until+decided']").filter(has_text="repro run").first
    for _ in range(20):  # the search listens for keys, and misses those that come before it has begun to
        box.fill("")
        box.press_sequentially("until-decided")
        with contextlib.suppress(AssertionError):
            expect(found).to_be_visible(timeout=3_000)
            break
    expect(found).to_be_visible()
    found.click()
    expect(tab).to_have_url(f"{site}docs/commands/run.html?h=until+decided", timeout=60_000)
    expect(tab.get_by_text("--until-decided").first).to_be_visible()
    assert overflow_px(tab) == 0
    context.close()
    assert (watched.errors, watched.requests) == ([], [])

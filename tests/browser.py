"""The machine's Chromium, driven by Playwright, for the tests that look at a page as a reader does.

@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Without a screen, and without the browser's own traffic: what reaches the network is then the page's doing.
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SERIOUS = ("serious", "critical")
# Playwright's own 5 s are too few where other tests compile on the same cores.
WAIT_MS = 180_000.0

expect.set_options(timeout=WAIT_MS)


def find_chromium() -> str | None:
    """The path in the variable CHROMIUM, else the first Chromium or Chrome on PATH."""
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def open_chromium(*arguments: str) -> Iterator[Browser]:
    """A browser with these arguments besides the usual ones.

    Without a Chromium the test is skipped; where CI is set in the environment it fails, because there it must run.
    """
    path = find_chromium()
    if path is None:
        reason = "no Chromium on PATH: install one (Debian: apt-get install chromium) or name it in CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """What a context did that a page should not: its errors, and every request that left the machine's files.

    errors: of the console and uncaught exceptions. requests: URLs of all requests but file:, data: and blob:, each of
    them blocked unless `allowed` is the start of its URL.
    """

    def __init__(self, context: BrowserContext, allowed: str | None = None) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._allowed = allowed
        context.on("console", self._console)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.route("**/*", self._route)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _route(self, route: Route) -> None:
        url = route.request.url
        if url.startswith(("file:", "data:", "blob:")) or (self._allowed and url.startswith(self._allowed)):
            route.continue_()
        else:
            self.requests.append(url)
            route.abort()


def accessibility_findings(page: Page, *rules: str) -> list[str]:
    """What axe-core calls serious or critical: rule, help and the first elements of each. rules: these alone."""
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else None
    found = Axe().run(page, options=only).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:5]]}"
        for one in found
        if one["impact"] in SERIOUS
    ]


def overflow_px(page: Page) -> int:
    """How far the page itself can be scrolled sideways; what scrolls in a box of its own does not count."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

"""The website of the documents: every document is on it, and its links lead somewhere. `.ci/run` builds it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from docs_scripts import load_script

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

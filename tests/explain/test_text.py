"""repro.explain.text: the conclusion comes first, with its grounds and with what would decide it."""

from __future__ import annotations

import msgspec
import pytest

from repro.explain.records import EXPLANATION_FORMAT, Evidence, Explanation, SuspectResult
from repro.explain.text import explanation_blocks, headline
from repro.text.markdown import block_markdown
from repro.text.terminal import terminal_blocks

SUSPECT = SuspectResult(
    suspect="suspect-x",
    about="samples | are mixed",
    standing="open",
    how="measured",
    accuracies=(0.5,),
    evidence=(Evidence(kind="paper", fits=None, text="it does not say"),),
    reason="Not run: 1 of 3 seeds.",
    same_runs_as="as-published",
    missing_runs=2,
    minutes=0.4,
)
FOUND = Explanation(
    format=EXPLANATION_FORMAT,
    paper="someone2020",
    variant="wide",
    claim="main",
    reported=0.6,
    settings={},
    duplicates_version=1,
    data="fer2013",
    fingerprint="ab12cd34ef",
    device="Test CPU",
    clean=(0.4, 0.41, 0.42),
    conclusion="several hypotheses",
    cause="",
    why=("Clean runs fall short.",),
    next_steps=("samples are mixed: 2 more runs",),
    suspects=(SUSPECT,),
    failed_runs=("seed 1 failed",),
)


def test_the_terminal_shows_conclusion_grounds_price_and_failures():
    text = " ".join(terminal_blocks(explanation_blocks(FOUND)).split())
    assert text.startswith("Several hypotheses remain. Clean runs fall short. On Test CPU, fer2013 (ab12cd34).")
    assert "Variant wide. Failed runs: - seed 1 failed To decide: - samples are mixed: 2 more runs" in text
    assert "suspect-x: open. - " in text and "about 1 minute." in text and "as-published" in text
    assert "- paper: undecided: it does not say" in text


def test_the_page_has_the_conclusion_in_bold_and_one_row_per_hypothesis():
    page = block_markdown(explanation_blocks(FOUND))
    assert page.startswith("**Several hypotheses remain.** Clean runs fall short.")
    assert "- samples are mixed: 2 more runs" in page
    assert "samples \\| are mixed" in page and "50.0 % (n = 1)" in page


@pytest.mark.parametrize(
    ("conclusion", "cause", "words"),
    [
        ("proven", "suspect-x", "Proven: samples | are mixed"),
        ("not known", "", "Not known"),
        ("nothing to explain", "", "Nothing to explain"),
    ],
)
def test_every_conclusion_has_its_words(conclusion, cause, words):
    assert headline(msgspec.structs.replace(FOUND, conclusion=conclusion, cause=cause)) == words


def test_without_any_run_no_machine_is_named():
    assert "On " not in terminal_blocks(explanation_blocks(msgspec.structs.replace(FOUND, device="", suspects=())))

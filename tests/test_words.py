"""Words and habits that make this project's English hard to read stay out: in code, docs, messages and pages."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What a habit is, and what to write instead.
HABITS = {
    r"\bstands?\b": "is, appears, follows",
    r"\btold\b": "shown, stated, reported",
    r"\btells?\b": "shows, prints, states",
    r"\bgo(?:es)? on\b": "continue, resume",
    r"\bat hand\b": "available",
    r"\bof (?:its|their) own\b": "own, separate",
    r"\bfor want of\b": "because ... is missing",
    r"\bwhich is said\b": "and say so",
    r"\bdata sets?\b": "dataset",
    r"\bhonest(?:ly)?\b": "clean",
    r"\bputs? on both sides\b": "train/test overlap",
    r"\bin the words of\b": "verbatim",
    r"\bwhere there is (?:one|none)\b": "if there is",
    r"\bis (?:had|taken for granted)\b": "use an active verb",
    r"(?<=\w )(?<!there )(?:is|are) no (?!(?:longer|more|less|better|worse|nearer|further)\b)\w+": "is not a",
    r"; there are: ": "accepted: ",
    r"\bneeded are\b": "expected",
    r"\bleaves?\b[^.;:]*\baway\b": "omit",
    r"\bis (?:in it |there )twice\b": "appears twice",
    r"\bby heart\b": "memorised",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\banew\b": "again, redrawn",
    r"\bdearer\b": "more expensive",
}
# An outcome of a check, methods of Optuna and of files, the name in older records, a figure of speech of statistics.
MEANT = re.compile(r"\*?cannot\s+tell\b|(?:study|packed)\.tell\(|^tell\*|\"the data set\"|stand-alone")
FOLDERS = ("fer_jax", "repro", "docs")
SUFFIXES = {".py", ".md", ".cc", ".h", ".toml", ".html", ".js", ".css"}


def texts() -> list[Path]:
    """What people read, except tests (they plant mistakes), specs (they quote papers) and generated pages."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in SUFFIXES]
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "papers/TEMPLATE.toml", *found]


def habits(text: str) -> list[str]:
    """Each line with a habit: its number, the words and what to write instead."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        rest = MEANT.sub("", line)
        for habit, instead in HABITS.items():
            said = re.search(habit, rest, re.IGNORECASE)
            if said:
                found.append(f"{number}: {said[0]!r}; write: {instead}")
    return found


def test_no_word_of_the_list() -> None:
    found = {path: habits(path.read_text(encoding="utf-8")) for path in texts()}
    said = [f"{path.relative_to(ROOT)}:{one}" for path, each in found.items() for one in each]
    assert len(found) > 100 and not said, "\n".join(said)


def test_the_list_finds_a_planted_habit_and_leaves_what_is_meant() -> None:
    text = "# no run stands there\nx = 1\n'the suspect TOLD us'\noutcome = 'cannot tell'\n'a.csv is no file'"
    assert [line.split(";")[0] for line in habits(text)] == ["1: 'stands'", "3: 'TOLD'", "5: 'is no file'"]
    assert habits("there is no file, it is no longer there, and are no better\nis no file") == []

"""One face, two faces: the function, and that messages use it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fer_jax.vocabulary.counted import counted

ROOT = Path(__file__).parents[2]
# What messages count. "of 1 samples" is no mistake that a reader sees, so numbers behind "of" are left alone.
NOUNS = (
    "archive batch byte cell channel claim class command copy core curve device emotion entry epoch error face file "
    "frame hash image input key label layer line machine mistake network number output page pair paper parameter "
    "picture prediction record row run sample seed setting spec split step table test try update value variant vote "
    "word worker"
)
PLURALS = "|".join(sorted({counted(2, noun).removeprefix("2 ") for noun in NOUNS.split()}))
FOLLOWS = re.compile(rf" (?:(?:more|new|other|different|full|training|test|evaluated|clean) )?({PLURALS})\b")
NO_COUNT = re.compile(r"[A-Z_0-9]+|len\([A-Z_0-9]+\)|(.*\.)?(split|name|size|length)|units\..*|number\(.*|'.*")
MORE_THAN_ONE = {
    ("repro/launch/local.py", "each"): "at least one core for each, as a share",
}


def uncounted(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, expression and noun of every number in an f-string whose noun is always in the plural."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for before, value, after in zip([None, *node.values], node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            form = ast.unparse(value.format_spec).strip("f'") if value.format_spec else ""
            found, code = FOLLOWS.match(str(after.value)), ast.unparse(value.value)
            ahead = str(before.value) if isinstance(before, ast.Constant) else ""
            if found and form in ("", ",") and not NO_COUNT.fullmatch(code) and not ahead.endswith(("of ", " x ", "/")):
                yield value.lineno, code, found[1]


def test_counted() -> None:
    assert [counted(n, "face") for n in (0, 1, 2, 1000)] == ["0 faces", "1 face", "2 faces", "1,000 faces"]
    found = [counted(2, noun) for noun in ("entry", "day", "hash", "epoch", "batch", "box", "training sample")]
    assert found == ["2 entries", "2 days", "2 hashes", "2 epochs", "2 batches", "2 boxes", "2 training samples"]
    assert counted(1, "entry") == "1 entry"


@pytest.mark.parametrize(
    ("source", "nouns"),
    [
        ('f"{len(faces)} faces were found"', ["faces"]),
        ('f"{n:,} more entries and {m} clean runs"', ["entries", "runs"]),
        ("f\"{counted(n, 'face')} and {a} of {b} faces\"", []),
        ('f"at most {MOST} bytes, {share:.1f} points, {one.split} samples, {n} seedlings"', []),
    ],
)
def test_what_is_found(source, nouns):
    assert [noun for _, _, noun in uncounted(source)] == nouns


@pytest.mark.parametrize("folder", ["fer_jax", "repro"])
def test_messages_count_with_it(folder):
    """Otherwise one of them says "1 faces": write `counted(n, "face")`."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    found = [(path.relative_to(ROOT).as_posix(), *one) for path in paths for one in uncounted(path.read_text("utf-8"))]
    assert [
        f"{path}:{line}: {code} {noun}" for path, line, code, noun in found if (path, code) not in MORE_THAN_ONE
    ] == []

"""The generated Markdown as HTML, cut at its headings, so that the page says what the documents say and nothing else.

Documents are trusted to hold no HTML but `<details>`: anything else that looks like HTML comes out as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from repro.report.protocol_table import HOLDS, REPRODUCES

MARKDOWN = MarkdownIt("commonmark", {"xhtmlOut": False}).enable("table")
OUR_HTML = re.compile(r"<details><summary>[^<>]*</summary>|</details>|<!--[^>]*-->")
# The browser shows the named popover, without a script.
QUOTE_BUTTON = Markup(
    '<button type="button" class="quote" popovertarget="{}" popovertargetaction="show"><code>{}</code></button>'
)
# Headings of columns whose cells begin with a verdict, and the words that a cell may begin with: longer ones first.
VERDICT_COLUMNS = ("Verdict", "Verdict on the headline", REPRODUCES, HOLDS)
VERDICTS = ("reproduced", "only as published", "lower", "higher", "consistent", "open", "yes", "no", "only with")
LONG_TEXT, LONG_NUMBER = 60, 30  # characters in a cell
SECONDS = {"h": 3600.0, "min": 60.0, "s": 1.0}
NUMBER = r"[+-]?\d[\d,]*(?:\.\d+)?"


@dataclass(frozen=True)
class Part:
    """A heading with the Markdown that stands below it, down to the next heading. id: unique on the page. parts: the
    headings of the next level."""

    id: str
    title: str
    text: str
    parts: tuple[Part, ...] = ()

    def part(self, title: str) -> Part:
        """Raises KeyError where no part directly below has that title."""
        return {one.title: one for one in self.parts}[title]


@dataclass(frozen=True)
class Context:
    """What the HTML of a document depends on besides its text.

    link: the address on the page of a link of the document. image: the address of a picture's data. claims: by the id
    of a claim, the id of the element that holds its quote.
    """

    link: Callable[[str], str] = str
    image: Callable[[str], str] = str
    claims: Mapping[str, str] = field(default_factory=dict)


def parts_of(markdown: str, id: str) -> Part:
    """The document as a tree of headings; what stands above the first one is left out, as it has no place.

    id: of the document; those of its headings begin with it. Raises ValueError for a document without a heading, and
    where a heading stands below a deeper one of another part.
    """
    tokens = MARKDOWN.parse(markdown)
    lines = markdown.split("\n")
    headings = [
        (int(token.tag[1:]), _plain([after]), token.map)
        for token, after in pairwise(tokens)
        if token.type == "heading_open" and token.map
    ]
    if not headings:
        raise ValueError(f"{id}: a document without a heading")
    ends = [start for _, _, (start, _) in headings[1:]] + [len(lines)]
    cut = [
        (level, title, "\n".join(lines[own_end:end]).strip())
        for (level, title, (_, own_end)), end in zip(headings, ends, strict=True)
    ]
    return _tree(cut, id)


def to_html(markdown: str, context: Context, heading: str) -> Markup:
    """heading: what stands above, by which the tables are called."""
    return _html(MARKDOWN.parse(markdown), context, heading)


def inline(markdown: str) -> Markup:
    """One line of Markdown, such as a table's cell."""
    return _html(MARKDOWN.parseInline(markdown), Context(), "")


def sort_value(text: str) -> float | None:
    """What a cell of numbers is sorted by: its first number; a time in seconds. None for a cell without a number."""
    times = re.match(rf"(?:{NUMBER} (?:h|min|s)\b ?)+", text)
    if times:
        found = re.findall(rf"({NUMBER}) (h|min|s)\b", times[0])
        return sum(_number(value) * SECONDS[unit] for value, unit in found)
    first = re.match(NUMBER, text)
    return _number(first[0]) if first else None


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _tree(cut: Sequence[tuple[int, str, str]], id: str) -> Part:
    """The first heading with all that follow, which are of lower levels."""
    (_, title, text), rest = cut[0], cut[1:]
    inner = min((level for level, _, _ in rest), default=0)
    starts = [index for index, (level, _, _) in enumerate(rest) if level == inner]
    if rest and starts[0] != 0:
        raise ValueError(f"{id}: {rest[0][1]!r} stands below no heading of the level above it")
    parts = [_tree(rest[start:end], f"{id}-{slug(rest[start][1])}") for start, end in pairwise([*starts, len(rest)])]
    return Part(id, title, text, tuple(parts))


# --- tokens -----------------------------------------------------------------------------------------------------------


def _html(tokens: list[Token], context: Context, heading: str) -> Markup:
    changed = list(_changed(tokens, context, heading))
    return Markup(MARKDOWN.renderer.render(changed, MARKDOWN.options, {}))


def _changed(tokens: Sequence[Token], context: Context, heading: str) -> Iterator[Token]:
    """The tokens with links and pictures that lead somewhere on the page, tables and pictures in boxes that scroll, and
    no foreign HTML."""
    box = _raw(f'<div class="scroll" role="group" aria-label="{escape(heading)}" tabindex="0">')
    for index, token in enumerate(tokens):
        if token.type == "inline":
            token.children = [_changed_inline(child, context) for child in token.children or ()]
        elif token.type == "html_block" and not OUR_HTML.fullmatch(token.content.strip()):
            token = _raw(f"<p>{escape(token.content)}</p>")
        elif token.type in ("paragraph_open", "paragraph_close"):
            inside = tokens[index + token.nesting]  # the paragraph's text, behind its start and before its end
            if [child.type for child in inside.children or ()] == ["image"]:
                yield from (_raw("<figure>"), box) if token.nesting == 1 else (_raw("</div></figure>"),)
                continue
        elif token.type == "table_open":
            _mark_table(tokens[index : _end_of_table(tokens, index)])
            yield box
        yield token
        if token.type == "table_close":
            yield _raw("</div>")


def _raw(html: str) -> Token:
    return Token("html_block", "", 0, content=html)


def _end_of_table(tokens: Sequence[Token], start: int) -> int:
    return next(index for index in range(start, len(tokens)) if tokens[index].type == "table_close")


def _changed_inline(token: Token, context: Context) -> Token:
    if token.type == "html_inline":
        return Token("text", "", 0, content=token.content)
    if token.type == "link_open":
        token.attrSet("href", context.link(str(token.attrGet("href") or "")))
    elif token.type == "image":
        token.attrSet("src", context.image(str(token.attrGet("src") or "")))
    elif token.type == "code_inline" and token.content in context.claims:
        button = QUOTE_BUTTON.format(context.claims[token.content], token.content)
        return Token("html_inline", "", 0, content=button)
    return token


def _mark_table(tokens: Sequence[Token]) -> None:
    """Classes and values by which the table is styled, sorted and filtered: `number` for cells of numbers, with their
    value; `long` for cells that need room; `more` for a row that goes on with the row above, whose first cell is empty;
    the paper of a row."""
    headings: list[str] = []
    column, row, paper = 0, tokens[0], ""
    for token, after in pairwise(tokens):
        if token.type == "tr_open":
            column, row = 0, token
        elif token.type == "th_open":
            headings.append(_plain([after]))
            _align(token)
            token.attrSet("scope", "col")
        elif token.type == "td_open":
            text = _plain([after])
            if column == 0 and not text:
                row.attrJoin("class", "more")
            if headings[column] in ("Paper", "Run"):
                paper = text.split("/")[0] or paper
                row.attrSet("data-paper", paper)
            number = _align(token)
            if number:
                _keep_together(after)
            if number and (value := sort_value(text)) is not None:
                token.attrSet("data-value", f"{value:.12g}")
            if len(text) > (LONG_NUMBER if number else LONG_TEXT):
                token.attrJoin("class", "long")
            if headings[column] in VERDICT_COLUMNS and (found := _verdict(text)):
                token.attrSet("data-verdict", found)
            column += 1


def _verdict(text: str) -> str | None:
    """The verdict that a cell begins with; the style sheet colours it."""
    return next((word for word in VERDICTS if re.match(rf"{word}\b", text)), None)


def _align(token: Token) -> bool:
    """Whether the cell stands right, as numbers do; said by a class: a strict policy forbids style attributes."""
    right = "right" in str(token.attrs.pop("style", ""))
    if right:
        token.attrJoin("class", "number")
    return right


def _keep_together(cell: Token) -> None:
    """A figure with its deviation and its unit on one line; the number of runs may stand on the next."""
    for child in cell.children or ():
        child.content = re.sub(r" (?=[±=%]|points)|(?<=[±=]) ", "\N{NO-BREAK SPACE}", child.content)


def _plain(tokens: Sequence[Token]) -> str:
    """The text alone."""
    kept = ("text", "code_inline", "html_inline")
    return "".join(child.content for token in tokens for child in token.children or () if child.type in kept).strip()

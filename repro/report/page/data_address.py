"""A picture as part of a page: a data address that holds all of its bytes."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

PICTURE_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
# What stays as it is. Within double quotes HTML allows all of it, and so does a data address (WHATWG URL, section 4.4,
# "opaque path"). A space would end the address in `srcset`; `&` would begin an entity; `#` and `%` mean something else.
AS_IT_IS = "<>'=/:;,!$()*+?@[]^`{|}~"


def data_address(picture: Path) -> Markup:
    """The picture as an address, for an attribute in double quotes. A drawing stays text, which takes a sixth less than
    base64. Raises KeyError for a name that ends otherwise than PICTURE_TYPES, and OSError."""
    kind, content = PICTURE_TYPES[picture.suffix], picture.read_bytes()
    if picture.suffix == ".svg":
        return Markup(f"data:{kind},{quote(_single_quoted(content.decode()), safe=AS_IT_IS)}")
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")


def _single_quoted(svg: str) -> str:
    """The same drawing: attributes in single quotes, which need no escape here, no line ends between elements, and not
    what describes it in a file by itself: the page says it."""
    picture = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    lines = re.sub(r">\n+<", "><", picture)
    return re.sub(r"<[^>']*>", lambda found: found[0].replace('"', "'"), lines)

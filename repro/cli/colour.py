"""Whether a command's messages are coloured, as the environment asks. Imports nothing slow."""

from __future__ import annotations

from collections.abc import Mapping


def wants_colour(environment: Mapping[str, str]) -> bool | None:
    """False or True if the environment says so; None to colour what goes to a terminal.

    NO_COLOR (https://no-color.org) counts if it is not empty. CLICOLOR=0 and CLICOLOR_FORCE are those of
    https://bixense.com/clicolors. A terminal called `dumb` shows control sequences as text.
    """
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb" or environment.get("CLICOLOR") == "0":
        return False
    return True if environment.get("CLICOLOR_FORCE", "0") not in ("", "0") else None

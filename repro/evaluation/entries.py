"""Entries of the leaderboard: one TOML file each, strictly read. An entry names a record; it holds no result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.evaluation.errors import EvaluationError
from repro.evaluation.records import NAME
from repro.specs.bounds import exceeded

FOLDER = "leaderboard"
LARGEST = 50_000  # bytes
OWN_PAGE = re.compile(r"\w+\.md")  # of the results folder
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Selection = Literal["last epoch", "best on PublicTest", "best on PrivateTest", "best on both tests", "unknown"]


class EntryClaim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of the network elsewhere. value: as printed, such as "66 %". source: where."""

    value: Text
    source: Text


class LeaderboardEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One network, or the runs of one paper.

    evaluation: name of the record below results/evaluations. paper: id of a paper of this suite, whose runs under the
    protocol `official` count. One of the two. sha256: of the evaluated file, as in the record. selection: how the epoch
    was chosen; selection_source: how that is known. link: to its origin, which a paper may lack, or a page of the
    results folder. how: the command that evaluated it. parameters, bytes: of the network, where a file of its
    predictions was evaluated.
    """

    format: Literal[1]
    name: Text
    licence: Text
    selection: Selection
    selection_source: Text
    link: str = ""
    evaluation: str = ""
    paper: str = ""
    sha256: str = ""
    weights: str = ""
    how: str = ""
    parameters: Annotated[int, msgspec.Meta(ge=1)] | None = None
    bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    claims: tuple[EntryClaim, ...] = ()
    notes: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.evaluation) == bool(self.paper):
            raise ValueError("one of `evaluation` and `paper` is needed")
        if not NAME.fullmatch(self.evaluation or self.paper):
            raise ValueError(f"{self.evaluation or self.paper!r} is not a name")
        if self.evaluation and not (self.how and self.weights):
            raise ValueError("`how` and `weights` are needed: the command, and where the file is from")
        if self.sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError("`sha256` is 64 hexadecimal digits")
        needed = self.link or self.evaluation
        if needed and not (self.link.startswith("https://") or OWN_PAGE.fullmatch(self.link)):
            raise ValueError("`link` begins with https://, or is a page of the results folder, such as teta2022.md")


def read_entries(folder: Path) -> dict[str, LeaderboardEntry]:
    """Every `*.toml` by its name without the ending. Raises EvaluationError, which names the file and the key."""
    return {path.stem: read_entry(path) for path in sorted(folder.glob("*.toml"))}


def read_entry(path: Path) -> LeaderboardEntry:
    """Raises EvaluationError."""
    try:
        content = path.read_bytes()
        if len(content) > LARGEST:
            raise ValueError(f"{counted(len(content), 'byte')}; an entry has at most {LARGEST:,}")
        document = msgspec.toml.decode(content)
        if mistake := exceeded(document):
            raise ValueError(mistake)
        return msgspec.convert(document, LeaderboardEntry)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise EvaluationError(f"{path}: {error}") from None

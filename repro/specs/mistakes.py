"""All mistakes of a document in one pass. `msgspec` stops at the first, so what is wrong is taken out and the rest is
decoded again, until it fits."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from repro.specs.accepted import Explained, Path, explained, value_at, written

MOST_MISTAKES = 50  # are listed; each is another attempt to decode the whole
_Decoded = TypeVar("_Decoded")


@dataclass(frozen=True)
class Mistake:
    """place: the key path, perhaps with a name behind it: ``model.layers[0] (conv1)``; empty for the whole file. text:
    what is wrong and what is accepted. key: the path of what is wrong, if it is not `place`. line: in the file, from 1;
    None if it is not known."""

    place: str
    text: str
    key: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


@dataclass
class Decoding(Generic[_Decoded]):
    """value: what could be decoded; None if nothing could. damaged: the keys at the top in which something is wrong.
    kept: by path of a list from which items were taken, the places in the file of those that are left."""

    value: _Decoded | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    kept: dict[str, list[int]] = field(default_factory=dict)


def decode_all(raw: Any, root: type[_Decoded], stand_ins: dict[str, Any]) -> Decoding[_Decoded]:
    """`msgspec.convert(raw, root)` with every mistake. stand_ins: values of required keys at the top, which are put in
    if they are missing, so that the rest can be looked at."""
    try:
        return Decoding(msgspec.convert(raw, root))
    except msgspec.ValidationError:
        return _Repair(copy.deepcopy(raw), root, stand_ins).run()


class _Repair(Generic[_Decoded]):
    def __init__(self, raw: Any, root: type[_Decoded], stand_ins: dict[str, Any]) -> None:
        self.raw, self.root, self.stand_ins = raw, root, stand_ins
        self.found: Decoding[_Decoded] = Decoding()
        self.taken: set[tuple[str | int | None, ...]] = set()  # paths in the file of what was taken out

    def run(self) -> Decoding[_Decoded]:
        while len(self.found.mistakes) < MOST_MISTAKES:
            try:
                self.found.value = msgspec.convert(self.raw, self.root)
                return self.found
            except msgspec.ValidationError as error:
                if not self._mend(explained(error, self.raw, self.root)):
                    return self.found
        return self.found

    def _mend(self, wrong: Explained) -> bool:
        """Note a mistake and take it out. False if nothing is left that could be taken out."""
        path = self._in_file(wrong.path)
        if not self._follows(wrong, path):
            key = written([*path, wrong.unknown] if wrong.unknown else path)
            self.found.mistakes.append(Mistake(written(path[:-1] if wrong.of_key else path), wrong.text, key))
        if wrong.unknown:
            table = value_at(self.raw, wrong.path)
            value = table.pop(wrong.unknown)
            self.taken.add((*path, wrong.unknown))
            if wrong.meant and wrong.meant not in table:
                table[wrong.meant] = value
            self._damage((*path, wrong.unknown))
            return True
        if not path:
            return self._stand_in(wrong.missing)
        self._take(wrong.path, path)
        return True

    def _follows(self, wrong: Explained, path: Path) -> bool:
        """Whether the mistake only follows from what was taken out before."""
        inside = any(len(one) > len(path) and one[: len(path)] == tuple(path) for one in self.taken)
        if wrong.missing:
            return (*path, wrong.missing) in self.taken
        return inside and not wrong.unknown

    def _stand_in(self, missing: str) -> bool:
        self._damage((missing,))
        if missing not in self.stand_ins or missing in self.raw:
            return False
        self.raw[missing] = copy.deepcopy(self.stand_ins[missing])
        return True

    def _take(self, place: Path, path: Path) -> None:
        """place: now. path: in the file."""
        parent, key = value_at(self.raw, place[:-1]), place[-1]
        self.taken.add(tuple(path))
        self._damage(tuple(path))
        if isinstance(parent, list):
            assert isinstance(key, int)
            self._places(place[:-1], len(parent)).pop(key)
            parent.pop(key)
        else:
            del parent[key]

    def _damage(self, path: tuple[str | int | None, ...]) -> None:
        self.found.damaged.add(str(path[0]))

    def _places(self, place: Path, length: int) -> list[int]:
        return self.found.kept.setdefault(written(place), list(range(length)))

    def _in_file(self, place: Path) -> Path:
        """A path of now as it is in the file."""
        path: Path = []
        for depth, part in enumerate(place):
            kept = self.found.kept.get(written(place[:depth])) if isinstance(part, int) else None
            path.append(kept[part] if kept is not None and isinstance(part, int) else part)
        return path

"""Which samples a paper's data steps put into which split, derived from the steps alone, without data. Shows what the
steps say about the overlap between training and evaluation. No JAX and no NumPy here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fer_jax.vocabulary.step_kinds import (
    FIRST_SPLIT,
    AugmentCopies,
    CopySplit,
    DropRepeats,
    DropSamePictures,
    DropSplit,
    MergeSplits,
    RenameSplit,
    RepeatClass,
    SplitByUsage,
    SplitFraction,
    SplitLast,
    Step,
)

USAGES = ("Training", "PublicTest", "PrivateTest")
# A set of samples that no step has divided so far: its official split, and the side that it went to in every division
# (0: `into`, 1: `rest`).
Cell = tuple[str | int, ...]
REPEATED, CHANGED, CLEANED = "samples are repeated", "changed copies are made", "duplicates are removed"


@dataclass(frozen=True)
class Share:
    """One split. cells: its samples. steps: indices of the data steps that decided which samples it holds."""

    cells: frozenset[Cell]
    steps: frozenset[int] = frozenset()


@dataclass
class Lineage:
    """All splits after the steps that were followed.

    done: what was done to a cell before its division (`REPEATED`, `CHANGED`, `CLEANED`). Both sides then hold copies of
    one image or, after cleaning, none. cleaned: pairs of splits between which duplicates were removed.
    """

    splits: dict[str, Share] = field(default_factory=dict)
    marks: dict[tuple[str, Cell], frozenset[str]] = field(default_factory=dict)
    done: dict[Cell, frozenset[str]] = field(default_factory=dict)
    cleaned: set[frozenset[str]] = field(default_factory=set)

    def shared(self, one: str, other: str) -> frozenset[Cell]:
        return self.splits[one].cells & self.splits[other].cells

    def straddles(self, one: str, other: str) -> frozenset[str]:
        """What was done to samples before they were divided between two splits."""
        found = (
            self.done.get(_common(a, b), frozenset())
            for a in self.splits[one].cells
            for b in self.splits[other].cells
            if a != b
        )
        return frozenset().union(*found)

    def deciding_steps(self, *names: str) -> tuple[int, ...]:
        return tuple(sorted(frozenset().union(*(self.splits[name].steps for name in names))))

    # --- following the steps ------------------------------------------------------------------------------------------

    def _mark(self, split: str, index: int, mark: str) -> None:
        share = self.splits[split]
        self.splits[split] = Share(share.cells, share.steps | {index})
        for cell in share.cells:
            self.marks[split, cell] = self.marks.get((split, cell), frozenset()) | {mark}

    def _give(self, name: str, share: Share, marks_from: dict[Cell, frozenset[str]]) -> None:
        self.splits[name] = share
        for cell in share.cells:
            self.marks[name, cell] = marks_from.get(cell, frozenset())

    def _take(self, name: str) -> tuple[Share, dict[Cell, frozenset[str]]]:
        """Remove a split. Return its cells with what was done to each cell in it."""
        share = self.splits.pop(name)
        return share, {cell: self.marks.pop((name, cell), frozenset()) for cell in share.cells}

    def _divide(self, index: int, source: str, into: str, rest: str) -> None:
        share, marks = self._take(source)
        for cell in share.cells:
            self.done[cell] = marks[cell]
            for name, other in list(self.splits.items()):  # a split that shares the cell holds both sides
                if cell in other.cells:
                    mark = self.marks.pop((name, cell), frozenset())
                    sides = frozenset({(*cell, 0), (*cell, 1)})
                    self.splits[name] = Share(other.cells - {cell} | sides, other.steps)
                    self.marks |= {(name, side): mark for side in sides}
        for side, name in ((0, into), (1, rest)):
            cells = frozenset((*cell, side) for cell in share.cells)
            self._give(name, Share(cells, share.steps | {index}), {(*cell, side): marks[cell] for cell in share.cells})

    def follow(self, index: int, step: Step) -> None:
        match step:
            case SplitByUsage(from_split=source, into=into):
                share, marks = self._take(source)
                # Copies of a sample have its usage and stay together; duplicates in FER-2013 itself do not.
                cleaned = frozenset({CLEANED}) & frozenset().union(*marks.values())
                self.done[()] = self.done.get((), frozenset()) | cleaned
                for name, usages in into.items():
                    cells = frozenset(cell for cell in share.cells if cell[0] in usages)
                    self._give(name, Share(cells, share.steps | {index}), marks)
            case SplitFraction(from_split=source) | SplitLast(from_split=source):
                self._divide(index, source, step.into, step.rest)
            case CopySplit(from_split=source, into=name):
                share = self.splits[source]
                marks = {cell: self.marks.get((source, cell), frozenset()) for cell in share.cells}
                self._give(name, Share(share.cells, share.steps | {index}), marks)
            case RenameSplit(from_split=source, into=name):
                self._give(name, *self._take(source))
            case MergeSplits(splits=sources, into=name):
                taken = [self._take(source) for source in sources]
                marks: dict[Cell, frozenset[str]] = {}
                for _, some in taken:
                    marks |= {cell: marks.get(cell, frozenset()) | mark for cell, mark in some.items()}
                cells = frozenset().union(*(share.cells for share, _ in taken))
                steps = frozenset().union(*(share.steps for share, _ in taken))
                self._give(name, Share(cells, steps | {index}), marks)
            case DropSplit(split=name):
                self._take(name)
            case RepeatClass(split=name):
                self._mark(name, index, REPEATED)
            case AugmentCopies(split=name):
                self._mark(name, index, CHANGED)
            case DropRepeats(split=name):
                self._mark(name, index, CLEANED)
            case DropSamePictures(split=name, of=others):
                share = self.splits[name]
                self.splits[name] = Share(share.cells, share.steps | {index})
                self.cleaned |= {frozenset({name, other}) for other in others}
            case _:
                pass


def follow_lineage(steps: Iterable[Step]) -> Lineage:
    """Steps that `fer_jax.vocabulary.step_kinds.check_steps` accepts."""
    lineage = Lineage()
    lineage._give(FIRST_SPLIT, Share(frozenset((usage,) for usage in USAGES)), {})
    for index, step in enumerate(steps):
        lineage.follow(index, step)
    return lineage


def _common(one: Cell, other: Cell) -> Cell:
    """The cell whose division separated two cells: the common start of their histories."""
    length = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]

"""One run, three selections: PrivateTest's accuracy at the last epoch, and at the best ones on each test split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from repro.judge.groups import Group, PaperRuns
from repro.runs.records import RunRecord
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.protocols import AS_PUBLISHED, BEST_EPOCH_ON_TEST, OFFICIAL, PLACEBO, REPORTED_SPLIT
from repro.text import units
from repro.text.document import Block, Cell, Column, Inline, Paragraph, say, table

VALIDATION = "validation"
# Protocols whose `validation` is PublicTest and whose `test` is PrivateTest, with all of their samples.
SELECTABLE = (OFFICIAL, PLACEBO, BEST_EPOCH_ON_TEST)
_OFFICIAL = {VALIDATION: ["PublicTest"], REPORTED_SPLIT: ["PrivateTest"]}
# Steps that move samples, or leave some out.
_MOVING = ("split", "copy", "rename", "merge", "drop")


@dataclass(frozen=True)
class EpochChoice:
    """PrivateTest's accuracy of one run: at its last epoch, at the best one on PublicTest (the first of equals), and at
    the best one on PrivateTest itself."""

    last: float
    best_on_public: float
    best_on_private: float

    @property
    def gain(self) -> float:
        """What selecting on PrivateTest adds to a selection on PublicTest."""
        return self.best_on_private - self.best_on_public


@dataclass(frozen=True)
class SelectedEpoch:
    """Three epochs of the same runs. protocol: of the runs. outdated: the spec or the protocol has changed since, which
    does not matter to what one run shows of its epochs. runs: one per seed."""

    paper: str
    protocol: str
    outdated: bool
    runs: tuple[EpochChoice, ...]
    variant: str = DEFAULT_VARIANT


def selected_epochs(paper: PaperRuns) -> Iterable[SelectedEpoch]:
    """Of groups of full runs on FER-2013 that evaluated both test splits after every epoch."""
    for group in paper.groups:
        full = group.is_fer2013 and all(record.status == "done" for record in group.records)
        measured = [found for record in group.records if (found := epochs_of(record)) is not None]
        if full and _has_test_splits(group) and measured and len(measured) == len(group.runs):
            yield SelectedEpoch(paper.id, group.key.protocol, group.key.outdated, tuple(measured), group.variant)


def epochs_of(record: RunRecord) -> EpochChoice | None:
    """None if a split was not evaluated after every epoch."""
    entries = [entry.splits for entry in record.history]
    if not entries or not all({VALIDATION, REPORTED_SPLIT} <= splits.keys() for splits in entries):
        return None
    test = [splits[REPORTED_SPLIT].accuracy for splits in entries]
    validation = [splits[VALIDATION].accuracy for splits in entries]
    return EpochChoice(test[-1], test[validation.index(max(validation))], max(test))


def _has_test_splits(group: Group) -> bool:
    """Whether `validation` is PublicTest, and `test` PrivateTest: by the protocol, or by a paper's own first step, if
    none after it moves samples."""
    if group.key.protocol != AS_PUBLISHED:
        return group.key.protocol in SELECTABLE
    first, *others = group.records[0].spec["data"]["steps"]
    into = first.get("into") if first["step"] == "split_by_usage" else None
    named = {name: list(into[name]) for name in _OFFICIAL if name in into} if isinstance(into, dict) else {}
    return named == _OFFICIAL and not any(step["step"].startswith(_MOVING) for step in others)


# --- shown ------------------------------------------------------------------------------------------------------------

WORDS = """\
The same runs at three epochs: accuracy on PrivateTest. An epoch that is selected on PrivateTest makes the accuracy
there too high; the gain compares each run with itself. Runs under `suspect-` protocols train on the clean samples and
evaluate clean ones."""
HEADS = ("Last epoch", "Best on PublicTest", "Best on PrivateTest", "Gain by selecting on PrivateTest")


def selection_blocks(selections: Sequence[SelectedEpoch]) -> list[Block]:
    """A row for each group of runs; of several seeds means and standard deviations."""
    rows: list[list[Cell | Inline]] = []
    for one in selections:
        choices = [[getattr(run, name) for run in one.runs] for name in ("last", "best_on_public", "best_on_private")]
        protocol = f"{one.protocol} (earlier settings)" if one.outdated else one.protocol
        name = one.paper if one.variant == DEFAULT_VARIANT else f"{one.paper}, {one.variant}"
        rows.append([name, protocol, *map(_accuracy, choices), _gain([run.gain for run in one.runs])])
    columns = [Column("Paper"), Column("Protocol"), *(Column(head, "right") for head in HEADS)]
    return [Paragraph(say(WORDS)), table(columns, rows)]


def _accuracy(values: list[float]) -> Cell:
    shown = f"{units.number(100 * values[0], 1)} %" if len(values) == 1 else units.percentage_of(values)
    return Cell(shown, fmean(values))


def _gain(gains: list[float]) -> Cell:
    """Points; of several seeds the mean and the standard deviation of the differences within each run."""
    spread = f" ± {units.number(100 * stdev(gains), 1)}" if len(gains) > 1 else ""
    return Cell(f"{units.signed(100 * fmean(gains), 1)}{spread} points", fmean(gains))

"""The leaderboard: networks from elsewhere and our own runs, by the same measure on the same samples.

An accuracy here is that of one network, or the mean over the seeds of a paper's official runs. All were trained on
Training, as far as is known, so *clean* leaves out the same test samples for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import fmean

import numpy as np

from fer_jax.vocabulary.fer2013 import USAGES
from repro.audit.known_pairs import read_known_pairs
from repro.evaluation.entries import LeaderboardEntry
from repro.evaluation.records import (
    EvaluationRecord,
    Speed,
    evaluation_folder,
    read_answers,
    read_evaluation,
)
from repro.evaluation.run_answers import run_answers
from repro.evaluation.scores import SubsetScore, split_score
from repro.evaluation.subsets import TRAINING, CopyPairs, evaluated_samples
from repro.judge.groups import Group, PaperRuns, RecordedRun, collect
from repro.judge.main_claim import headline
from repro.judge.selected_epochs import SelectedEpoch, selected_epochs
from repro.runs.record_files import RecordError
from repro.runs.stored_records import find_records
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import OFFICIAL

PRIVATE_TEST = USAGES[2]


@dataclass(frozen=True)
class LeaderboardRow:
    """One entry. official, clean: one score per network or seed, none if it was not run. missing: then why."""

    id: str
    entry: LeaderboardEntry
    official: tuple[SubsetScore, ...] = ()
    clean: tuple[SubsetScore, ...] = ()
    parameters: int | None = None
    bytes: int = 0
    speed: Speed | None = None
    missing: str = ""

    @property
    def official_accuracy(self) -> float | None:
        return fmean(one.accuracy for one in self.official) if self.official else None

    @property
    def clean_accuracy(self) -> float | None:
        return fmean(one.accuracy for one in self.clean) if self.clean else None


@dataclass(frozen=True)
class Leaderboard:
    """rows: best clean accuracy first, those that were not run last."""

    rows: tuple[LeaderboardRow, ...]
    selections: tuple[SelectedEpoch, ...]

    def rank(self, row: LeaderboardRow, *, clean: bool) -> int | None:
        """The place, counted from 1; equal accuracies share the better one."""
        own = row.clean_accuracy if clean else row.official_accuracy
        if own is None:
            return None
        others = (one.clean_accuracy if clean else one.official_accuracy for one in self.rows)
        return 1 + sum(other is not None and other > own for other in others)


def leaderboard(
    entries: Mapping[str, LeaderboardEntry], results: Path, specs: Sequence[LoadedSpec]
) -> tuple[Leaderboard, list[str]]:
    """The table, and what is wrong with the records, one sentence each.

    The figures of every record are computed again from the predictions beside it.
    """
    mistakes: list[str] = []
    runs = [
        RecordedRun(PurePosixPath(path.relative_to(results).as_posix()), record)
        for path, record in find_records(results)
    ]
    papers = {paper.id: paper for paper in collect(specs, runs)}
    known = _pairs(results)
    rows = []
    for id, entry in entries.items():
        try:
            row = (
                _evaluated(id, entry, results, known)
                if entry.evaluation
                else _trained(id, entry, results, papers, known)
            )
        except FileNotFoundError as error:
            mistakes.append(f"{id}: {error.filename} is missing; evaluate it as `how` in the entry says")
            row = LeaderboardRow(id, entry, missing="its record is missing")
        except RecordError as error:
            mistakes.append(f"{id}: {error}")
            row = LeaderboardRow(id, entry, missing="its record cannot be used")
        rows.append(row)
    rows.sort(key=lambda row: (row.clean_accuracy is None, -(row.clean_accuracy or 0), row.id))
    named = {entry.paper for entry in entries.values()}
    selections = [one for id in sorted(named & papers.keys()) for one in selected_epochs(papers[id])]
    return Leaderboard(tuple(rows), tuple(selections)), mistakes


def _pairs(results: Path) -> tuple[CopyPairs, str] | None:
    """The copies that the audit found, and the fingerprint of its dataset."""
    known = read_known_pairs(results)
    return None if known is None else (CopyPairs(known.pairs, known.labels, known.usage), known.fingerprint)


def _evaluated(id: str, entry: LeaderboardEntry, results: Path, known: tuple[CopyPairs, str] | None) -> LeaderboardRow:
    """Raises RecordError if the record is not the entry's, or its figures do not follow from its predictions."""
    folder = evaluation_folder(results, entry.evaluation)
    record = read_evaluation(folder)
    if entry.sha256 != record.model.sha256:
        raise RecordError(f"{folder}: the record is of a file with another SHA-256 than the entry's")
    if PRIVATE_TEST not in record.splits:
        raise RecordError(f"{folder}: the record has no accuracy on {PRIVATE_TEST}")
    check_figures(folder, record, known)
    score = record.splits[PRIVATE_TEST]
    return LeaderboardRow(
        id,
        entry,
        official=(score.official,),
        clean=(score.clean,),
        parameters=record.model.parameters or entry.parameters,
        bytes=entry.bytes if record.settings.preprocessing is None else record.model.bytes,
        speed=record.speed,
    )


def check_figures(folder: Path, record: EvaluationRecord, known: tuple[CopyPairs, str] | None) -> None:
    """Compute the figures of a record again. Raises RecordError for the first split with others.

    known: the copies, and the fingerprint of the dataset that they are of; a record of another one is left alone.
    """
    answers = read_answers(folder, record)
    if known is None or known[1] != record.data.fingerprint:
        return
    for split, one in answers.items():
        found = evaluated_samples(one.sample, one.label, split, known[0], record.data.trained_on)
        again, written = split_score(one, found), record.splits[split]
        for name in ("subsets", "copies", "others", "confusion", "clean_confusion", "recall"):
            if not _alike(getattr(again, name), getattr(written, name)):
                raise RecordError(f"{folder}: {name} of {split} do not follow from its predictions; evaluate it again")


def _alike(one: object, other: object) -> bool:
    """Equal, but for the last bits of the limits of intervals."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one == other
    return one.keys() == other.keys() and all(_same_subset(one[name], other[name]) for name in one)


def _same_subset(one: SubsetScore, other: SubsetScore) -> bool:
    counts = (one.hits, one.n, one.images) == (other.hits, other.n, other.images)
    return counts and bool(np.allclose([one.low, one.high], [other.low, other.high], atol=1e-9))


def _trained(
    id: str,
    entry: LeaderboardEntry,
    results: Path,
    papers: Mapping[str, PaperRuns],
    known: tuple[CopyPairs, str] | None,
) -> LeaderboardRow:
    """The official runs of a paper's main variant. Raises RecordError for predictions that cannot be read."""
    paper = papers.get(entry.paper)
    group = _official(paper) if paper else None
    if group is None or known is None:
        return LeaderboardRow(id, entry, missing=f"repro run {entry.paper} --protocol {OFFICIAL}")
    official, clean = [], []
    for run in group.runs:
        answers = run_answers(results / run.path.parent, run.record)
        found = evaluated_samples(answers.sample, answers.label, PRIVATE_TEST, known[0], (TRAINING,))
        score = split_score(answers, found)
        official.append(score.official)
        clean.append(score.clean)
    parameters = group.records[0].parameters
    return LeaderboardRow(id, entry, tuple(official), tuple(clean), parameters, bytes=4 * parameters)


def _official(paper: PaperRuns) -> Group | None:
    claim = headline(paper)
    groups = [
        group
        for group in _full(paper)
        if group.key.protocol == OFFICIAL
        and not group.key.outdated
        and (claim is None or group.variant == claim.variant)
    ]
    return max(groups, key=lambda group: len(group.runs), default=None)


def _full(paper: PaperRuns) -> Iterable[Group]:
    """Groups of full runs on FER-2013."""
    done = (group for group in paper.groups if all(record.status == "done" for record in group.records))
    return (group for group in done if group.is_fer2013)

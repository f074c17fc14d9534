"""The effect of the copies in a paper's training set: its runs under three protocols, read and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.audit.copies import Decomposition, LabelResponse, common_samples, decompose, label_response, test_samples
from repro.audit.known_pairs import KnownPairs, read_known_pairs
from repro.judge.groups import Group, PaperRuns
from repro.judge.main_claim import headline
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.record_files import RecordError
from repro.specs.protocols import CLEAN, COMPLETE_SPLIT, OFFICIAL, PLACEBO, REPORTED_SPLIT

MIN_RUNS = 2  # of a protocol: one has no spread over seeds
_ARMS = {OFFICIAL: REPORTED_SPLIT, CLEAN: COMPLETE_SPLIT, PLACEBO: REPORTED_SPLIT}


@dataclass(frozen=True)
class CopiesFinding:
    """For one paper's main variant on one device and dataset. place: both in words. decomposition: None without
    placebo runs."""

    paper: str
    place: str
    seeds: Mapping[str, int]
    response: tuple[LabelResponse, ...]
    decomposition: Decomposition | None


def copies_findings(papers: Sequence[PaperRuns], results: Path) -> list[CopiesFinding]:
    """One per paper that has two runs or more under official and under clean on the audited dataset.

    Raises RecordError for pairs or predictions that cannot be read.
    """
    known = read_known_pairs(results)
    if known is None:
        return []
    found = (_finding(paper, results, known) for paper in papers)
    return [one for one in found if one]


def _finding(paper: PaperRuns, results: Path, known: KnownPairs) -> CopiesFinding | None:
    arms = _arms(paper, known.fingerprint)
    if not {OFFICIAL, CLEAN} <= arms.keys():
        return None
    paths = {protocol: _prediction_files(group, results) for protocol, group in arms.items()}
    paths = {protocol: files for protocol, files in paths.items() if len(files) >= MIN_RUNS}
    if not {OFFICIAL, CLEAN} <= paths.keys():
        return None
    stamps = tuple(
        (protocol, tuple((path.as_posix(), path.stat().st_mtime_ns, written) for path, written in files))
        for protocol, files in paths.items()
    )
    response, parts = _measured(stamps, known)
    key = arms[OFFICIAL].key
    place = f"{key.device_label}, {key.data_label}"
    return CopiesFinding(paper.id, place, {p: len(files) for p, files in paths.items()}, response, parts)


def _arms(paper: PaperRuns, fingerprint: str) -> dict[str, Group]:
    """The groups of full runs of the main variant, by protocol, on the device that has the most protocols."""
    claim = headline(paper)
    places: dict[object, dict[str, Group]] = {}
    for group in paper.groups if claim else ():
        key = group.key
        fits = group.variant == claim.variant and key.fingerprint == fingerprint if claim else False
        if fits and key.protocol in _ARMS and not key.outdated and group.records[0].status == "done":
            places.setdefault(key._replace(protocol="", settings=""), {})[key.protocol] = group
    return max(places.values(), key=lambda arms: (len(arms), sum(len(g.runs) for g in arms.values())), default={})


def _prediction_files(group: Group, results: Path) -> list[tuple[Path, str]]:
    """Each with the digest that the record has of it."""
    done = [run for run in group.runs if run.record.status == "done"]
    files = [(results / run.path.parent / PREDICTIONS_NAME, run.record.predictions_sha256) for run in done]
    return [file for file in files if file[0].exists()]


# A report reads the same runs for the tables, the plot and each paper's page; each bootstrap takes a second.
@lru_cache(maxsize=64)
def _measured(
    stamps: tuple[tuple[str, tuple[tuple[str, int, str], ...]], ...], known: KnownPairs
) -> tuple[tuple[LabelResponse, ...], Decomposition | None]:
    arms = {
        protocol: [_read(Path(path), protocol, written) for path, _, written in files] for protocol, files in stamps
    }
    everyone = [run for runs in arms.values() for run in runs]
    sample, answers = common_samples([(numbers, predicted) for numbers, predicted, _ in everyone])
    numbers, _, labels = everyone[0]
    label = labels[np.searchsorted(numbers, sample)]
    samples = test_samples(sample, label, known.pairs, known.training, len(EMOTIONS))
    by_protocol, at = {}, 0
    for protocol, runs in arms.items():
        by_protocol[protocol] = answers[at : at + len(runs)]
        at += len(runs)
    response = label_response(samples, {protocol: by_protocol[protocol] for protocol in (OFFICIAL, CLEAN)})
    parts = decompose(samples, **by_protocol) if PLACEBO in by_protocol else None
    return response, parts


def _read(path: Path, protocol: str, written: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sample numbers, predicted, label), by sample number. Clean runs from before `test_all` have the test split."""
    arrays = read_predictions(path, written)
    split = _ARMS[protocol] if f"{_ARMS[protocol]}.predicted" in arrays else REPORTED_SPLIT
    try:
        numbers = np.cumsum(arrays[f"{split}.origin_delta"], dtype=np.int64)
        return numbers, arrays[f"{split}.predicted"], arrays[f"{split}.label"]
    except KeyError as error:
        raise RecordError(f"{path}: no predictions of a run (no {error}); run it again with `--fresh`") from None

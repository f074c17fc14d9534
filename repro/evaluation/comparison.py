"""`repro compare A B`: two networks, or two groups of seeds, on the samples that both predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_jax.vocabulary.fer2013 import USAGES
from repro.audit.copies import DRAWS, Estimate, ImageBootstrap, common_samples
from repro.audit.known_pairs import read_known_pairs
from repro.evaluation.errors import EvaluationError
from repro.evaluation.records import EVALUATION_NAME, NAME, evaluation_folder, read_answers, read_evaluation
from repro.evaluation.run_answers import run_answers
from repro.evaluation.scores import Answers
from repro.evaluation.subsets import TRAINING, CopyPairs, EvaluatedSamples, evaluated_samples
from repro.judge.inflation import Difference, difference
from repro.runs.records import RECORD_NAME
from repro.runs.stored_records import read_record
from repro.statistics import NOT_SAMPLED, McNemar, mcnemar


@dataclass(frozen=True)
class Contestant:
    """One side: the answers of each network, by its seed. An evaluation has none. fingerprint: of the dataset."""

    name: str
    answers: Mapping[int | None, Answers]
    fingerprint: str


@dataclass(frozen=True)
class PairedNetworks:
    """Two networks, one of each side, with equal seeds if the sides have several."""

    seed: int | None
    first: float
    second: float
    table: McNemar


@dataclass(frozen=True)
class SubsetDifference:
    """First minus second on a subset of the samples. images: with the interval over images and seeds. seeds: over seeds
    alone, on these very samples; None for a single network on either side."""

    subset: str
    samples: int
    first: float
    second: float
    images: Estimate
    seeds: Difference | None


@dataclass(frozen=True)
class NetworkComparison:
    """names: of the two sides. samples: that all networks predicted. known_copies: whether copies were known, so
    that the bootstrap draws images."""

    names: tuple[str, str]
    networks: tuple[int, int]
    samples: int
    known_copies: bool
    subsets: tuple[SubsetDifference, ...]
    pairs: tuple[PairedNetworks, ...]


def read_contestant(words: str, results: Path, split: str) -> Contestant:
    """words: the name or folder of an evaluation, the folder of a run, or one with several seeds of it. split: of
    USAGES for an evaluation. Raises EvaluationError if it is none of these, RecordError for one that cannot be read."""
    named = evaluation_folder(results, words)
    folder = named if NAME.fullmatch(words) and (named / EVALUATION_NAME).exists() else Path(words)
    if folder.name in (EVALUATION_NAME, RECORD_NAME):
        folder = folder.parent
    if (folder / EVALUATION_NAME).exists():
        record = read_evaluation(folder)
        if split not in record.splits:
            raise EvaluationError(f"{folder}: has no predictions of {split}, but of {', '.join(record.splits)}")
        return Contestant(record.name, {None: read_answers(folder, record)[split]}, record.data.fingerprint)
    runs = [folder / RECORD_NAME] if (folder / RECORD_NAME).exists() else sorted(folder.glob(f"seed-*/{RECORD_NAME}"))
    if not runs:
        raise EvaluationError(f"{words}: neither an evaluation (results/evaluations/NAME) nor a run (.../seed-0)")
    if split != USAGES[2]:
        raise EvaluationError(f"{words}: runs are compared on {USAGES[2]} alone")
    records = [(path.parent, read_record(path)) for path in runs]
    done = [(place, record) for place, record in records if record.has_result]
    if not done:
        raise EvaluationError(f"{words}: all of its runs failed or were pruned")
    record = done[0][1]
    name = f"{record.paper} {record.variant}, {record.protocol}"
    answers: dict[int | None, Answers] = {one.seed: run_answers(place, one) for place, one in done}
    return Contestant(name, answers, record.data.fingerprint)


def compare_networks(first: Contestant, second: Contestant, results: Path) -> NetworkComparison:
    """Raises EvaluationError if they are of different datasets, or share no sample."""
    if first.fingerprint != second.fingerprint:
        raise EvaluationError(
            f"{first.name} and {second.name} are of different datasets ({first.fingerprint[:8]} and "
            f"{second.fingerprint[:8]}); only the same samples can be compared"
        )
    sides = [list(side.answers.values()) for side in (first, second)]
    every = [(one.sample, one.predicted) for side in sides for one in side]
    sample, predicted = common_samples(every)
    if not len(sample):
        raise EvaluationError(f"{first.name} and {second.name} have no sample in common")
    reference = sides[0][0]
    label = reference.label[np.searchsorted(reference.sample, sample)]
    right = predicted == label
    a, b = right[: len(sides[0])], right[len(sides[0]) :]
    known = read_known_pairs(results)
    copies = known if known is not None and known.fingerprint == first.fingerprint else None
    found = None
    if copies is not None:
        pairs = CopyPairs(copies.pairs, copies.labels, copies.usage)
        found = evaluated_samples(sample, label, USAGES[2], pairs, (TRAINING,))
    return NetworkComparison(
        (first.name, second.name),
        (len(a), len(b)),
        len(sample),
        found is not None,
        tuple(_differences(a, b, found)),
        tuple(_pairs(first, second, a, b)),
    )


def _differences(a: np.ndarray, b: np.ndarray, found: EvaluatedSamples | None) -> list[SubsetDifference]:
    everyone = np.ones(a.shape[1], bool)
    group = np.arange(a.shape[1]) if found is None else found.samples.group
    subsets = {"official": everyone} if found is None else found.subsets
    bootstrap = ImageBootstrap(group, {"first": len(a), "second": len(b)}, DRAWS)
    made = []
    for name, mask in subsets.items():
        if mask.any():
            values = [side[:, mask].mean(1).tolist() for side in (a, b)]
            images = bootstrap.difference_within({"first": a, "second": b}, "first", "second", mask)
            made.append(
                SubsetDifference(
                    name,
                    int(mask.sum()),
                    float(np.mean(values[0])),
                    float(np.mean(values[1])),
                    images,
                    _by_seed(values[0], values[1]),
                )
            )
    return made


def _by_seed(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """The interval of Welch for the difference of two means over seeds, on fixed samples."""
    if min(len(first), len(second)) < 2:
        return None
    return difference(first, second, priors=(None, None), designs=(NOT_SAMPLED, NOT_SAMPLED), same_samples=True)


def _pairs(first: Contestant, second: Contestant, a: np.ndarray, b: np.ndarray) -> list[PairedNetworks]:
    """One per seed that both have; a single network against each of the other side."""
    made = []
    for i, seed in enumerate(first.answers):
        for j, other in enumerate(second.answers):
            if seed == other or 1 in (len(first.answers), len(second.answers)):
                shown = other if seed is None or len(first.answers) == 1 else seed
                made.append(PairedNetworks(shown, float(a[i].mean()), float(b[j].mean()), mcnemar(a[i], b[j])))
    return made

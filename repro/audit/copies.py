"""The effect of copies in the training set: protocols that predict the same test samples, compared by sample.

official trains with every copy, clean with none, placebo with every copy but on as few samples as clean. So

    official - clean = copies + control + fewer samples

copies: placebo - clean on test samples that have a copy in Training. control: the same on the others; apart from chance
it is 0 if nothing else separates the two protocols. fewer samples: official - placebo on all. Each is in accuracy over
all test samples. Precedent: Barz & Denzler 2020, J. Imaging 6(6) 41, who compare networks on duplicates and others.

The second question is whether a network recalls its copies. If the copies carry another label than the test sample, a
network that recalls them is wrong. `label_response` gives accuracy by what the copies' labels say.

Letters: N test samples, S seeds, G images, B draws of the bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

DRAWS = 2000
LEVEL = 0.95
_STREAM = 0xC0B1E5  # separates these draws from all others
Copies = Literal["none", "same label", "mixed labels", "other label"]
COPIES: tuple[Copies, ...] = get_args(Copies)


class Estimate(NamedTuple):
    """An accuracy or a difference of accuracies, fractions, with the bootstrap's percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class TestSamples:
    """N test samples that every run predicted.

    sample: int32 (N,), number of the imported sample. label: uint8 (N,). group: int32 (N,), equal for equal images.
    copies: uint8 (N,), index into COPIES: what the labels of its copies in Training say. copy_labels: bool (N, C), the
    labels that these copies carry.
    """

    sample: np.ndarray
    label: np.ndarray
    group: np.ndarray
    copies: np.ndarray
    copy_labels: np.ndarray

    def __len__(self) -> int:
        return len(self.sample)

    @property
    def has_copy(self) -> np.ndarray:
        return self.copies != COPIES.index("none")


@dataclass(frozen=True)
class Decomposition:
    """See the module. samples, with_copy: test samples, and those with a copy in Training. seeds: of each protocol."""

    samples: int
    with_copy: int
    seeds: Mapping[str, int]
    total: Estimate
    copies: Estimate
    control: Estimate
    fewer: Estimate


@dataclass(frozen=True)
class LabelResponse:
    """Test samples whose copies in Training say one thing. accuracy: by protocol. as_copies: share of answers that are
    a label of the copies; None if there are no copies."""

    copies: Copies
    samples: int
    accuracy: Mapping[str, Estimate]
    as_copies: Mapping[str, Estimate] | None


def test_samples(
    sample: np.ndarray, label: np.ndarray, pairs: np.ndarray, training: Mapping[int, int], classes: int
) -> TestSamples:
    """What is known about the copies of test samples.

    sample, label: (N,). pairs: int (P, 2), imported samples that show the same image. training: label of each sample of
    Training that is in a pair.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    known = np.union1d(sample, pairs)
    a, b = (np.searchsorted(known, pairs[:, side]) for side in (0, 1))
    links = coo_array((np.ones(len(pairs), np.int8), (a, b)), (len(known), len(known)))
    _, group_of = connected_components(links, directed=False)
    labels_of = np.zeros((len(known), classes), bool)  # by group
    trained = np.array(sorted(training), np.int64)
    of = group_of[np.searchsorted(known, trained)]
    labels_of[of, [training[int(one)] for one in trained]] = True
    group = group_of[np.searchsorted(known, sample)].astype(np.int32)
    found = labels_of[group]
    own = found[np.arange(len(sample)), label]
    kinds = np.select(
        [~found.any(1), own & (found.sum(1) == 1), own],
        [COPIES.index("none"), COPIES.index("same label"), COPIES.index("mixed labels")],
        COPIES.index("other label"),
    )
    return TestSamples(sample, label, group, kinds.astype(np.uint8), found)


def decompose(
    samples: TestSamples, official: np.ndarray, clean: np.ndarray, placebo: np.ndarray, draws: int = DRAWS
) -> Decomposition:
    """official, clean, placebo: uint8 (S, N), the predicted labels of each run. S may differ between protocols.

    Raises ValueError for a protocol with fewer than two runs: its spread over seeds is unknown.
    """
    arms = {"official": official, "clean": clean, "placebo": placebo}
    bootstrap = ImageBootstrap(samples.group, _several(arms), draws)
    right = {name: runs == samples.label for name, runs in arms.items()}
    everyone, copied = np.ones(len(samples), bool), samples.has_copy
    return Decomposition(
        samples=len(samples),
        with_copy=int(copied.sum()),
        seeds={name: len(runs) for name, runs in arms.items()},
        total=bootstrap.difference(right, "official", "clean", everyone),
        copies=bootstrap.difference(right, "placebo", "clean", copied),
        control=bootstrap.difference(right, "placebo", "clean", ~copied),
        fewer=bootstrap.difference(right, "official", "placebo", everyone),
    )


def label_response(samples: TestSamples, runs: Mapping[str, np.ndarray]) -> tuple[LabelResponse, ...]:
    """Accuracy by what the copies' labels say; kinds without a sample are left out.

    runs: by protocol the predicted labels of each run, uint8 (S, N).

    Raises ValueError for a protocol with fewer than two runs.
    """
    bootstrap = ImageBootstrap(samples.group, _several(runs), DRAWS)
    found = []
    for index, kind in enumerate(COPIES):
        of_kind = samples.copies == index
        if not of_kind.any():
            continue
        accuracy = {name: bootstrap.share(name, one == samples.label, of_kind) for name, one in runs.items()}
        recalled = {
            name: bootstrap.share(name, samples.copy_labels[np.arange(len(samples)), one], of_kind)
            for name, one in runs.items()
        }
        found.append(LabelResponse(kind, int(of_kind.sum()), accuracy, None if kind == "none" else recalled))
    return tuple(found)


def _several(runs: Mapping[str, np.ndarray]) -> dict[str, int]:
    """The number of runs by protocol. Raises ValueError for a single one."""
    few = [name for name, one in runs.items() if len(one) < 2]
    if few:
        raise ValueError(f"protocol {few[0]}: {len(runs[few[0]])} run has no spread over seeds; at least 2 are needed")
    return {name: len(one) for name, one in runs.items()}


class ImageBootstrap:
    """Draws of images, with all samples that show them, and of seeds.

    Of n seeds n - 1 are drawn, so that the variance of their mean is unbiased (Rao & Wu 1988, JASA 83, 231-241). With
    three seeds the plain bootstrap would lose a third of the variance. Of the thousands of images all are drawn.
    The raw words of PCG64 are used, because NumPy guarantees only that stream.
    """

    def __init__(self, group: np.ndarray, seeds: Mapping[str, int], draws: int) -> None:
        """group: (N,), equal for equal images. seeds: number of runs by name; of a single one none is drawn."""
        words = np.random.PCG64(np.random.SeedSequence([_STREAM, draws]))
        _, image = np.unique(group, return_inverse=True)
        images = int(image.max()) + 1
        self.weights = np.empty((draws, len(group)), np.float32)  # how often each sample was drawn
        for draw in range(draws):
            drawn = words.random_raw(images) % images
            self.weights[draw] = np.bincount(drawn.astype(np.int64), minlength=images)[image]
        self.seeds = {}
        for name, count in seeds.items():
            if count == 1:
                self.seeds[name] = np.ones((draws, 1))
                continue
            drawn = (words.random_raw(draws * (count - 1)) % count).reshape(draws, count - 1)
            self.seeds[name] = (drawn[..., None] == np.arange(count)).mean(1)  # (draws, S)

    def difference(self, right: Mapping[str, np.ndarray], one: str, other: str, where: np.ndarray) -> Estimate:
        """(one - other) over the samples `where`, as a share of all samples."""
        value = ((right[one].mean(0) - right[other].mean(0)) * where).mean()
        total = self.weights.sum(1)
        drawn = (self._sums(one, right[one], where) - self._sums(other, right[other], where)) / total
        return _estimate(value, drawn)

    def difference_within(self, right: Mapping[str, np.ndarray], one: str, other: str, where: np.ndarray) -> Estimate:
        """(one - other) over the samples `where`, as a share of these."""
        value = right[one][:, where].mean() - right[other][:, where].mean()
        total = self.weights @ where.astype(np.float32)
        drawn = self._sums(one, right[one], where) - self._sums(other, right[other], where)
        return _estimate(value, drawn[total > 0] / total[total > 0])

    def share(self, name: str, hit: np.ndarray, where: np.ndarray) -> Estimate:
        """Of the samples `where`, the share that is hit."""
        total = self.weights @ where.astype(np.float32)
        drawn = self._sums(name, hit, where)[total > 0] / total[total > 0]
        return _estimate(hit[:, where].mean(), drawn)

    def _sums(self, name: str, hit: np.ndarray, where: np.ndarray) -> np.ndarray:
        """(B,) hits over the samples `where`, as a mean over the drawn seeds."""
        by_seed = self.weights @ (hit & where).T.astype(np.float32)  # (B, S)
        return (by_seed * self.seeds[name]).sum(1)


def _estimate(value: float, drawn: np.ndarray) -> Estimate:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def common_samples(runs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """(samples (N,), predicted (S, N)): the samples that all runs predicted, sorted, and what each answered.

    runs: per run the sample numbers, each once, and the predicted labels. Raises ValueError if there is no run.
    """
    if not runs:
        raise ValueError("no run")
    common = runs[0][0]
    for sample, _ in runs[1:]:
        common = np.intersect1d(common, sample)
    common = np.unique(common)
    answers = []
    for sample, predicted in runs:
        order = np.argsort(sample, kind="stable")
        answers.append(predicted[order][np.searchsorted(sample[order], common)])
    return common, np.stack(answers)

"""Whether stated probabilities are true: expected calibration error, its size by chance, and a fitted temperature.

Letters: N samples, K emotions, B bins of equal width over the probability of the predicted emotion.
"""

from __future__ import annotations

import msgspec
import numpy as np

BINS = 15  # as in Guo, Pleiss, Sun and Weinberger 2017, On calibration of modern neural networks, ICML
DRAWS = 200
_SEED = 0xCA11B
SMALLEST = 1e-7  # probabilities below, such as a zero in a text file, are raised to it before a logarithm
COLDEST, HOTTEST = 0.05, 20.0


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Samples whose highest probability is in one interval: their number, and two means."""

    n: int
    confidence: float
    accuracy: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """ece: expected calibration error, the mean over samples of |accuracy - confidence| per bin. by_chance: what ECE is
    expected to be for a network of the same confidences that are all true, because the bins have few samples. loss:
    mean of -log p of the label, in nats. bins: those with samples, by confidence."""

    ece: float
    by_chance: float
    loss: float
    confidence: float
    bins: tuple[Bin, ...]


def calibration(probability: np.ndarray, label: np.ndarray) -> Calibration:
    """probability: (N, K), N above 0. label: (N,)."""
    confidence, right = probability.max(1), probability.argmax(1) == label
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    stated, hit = (np.bincount(place, weights=values, minlength=BINS) for values in (confidence, right.astype(float)))
    random = np.random.default_rng(_SEED)
    chance = [
        np.abs(np.bincount(place, weights=random.random(len(place)) < confidence, minlength=BINS) - stated).sum()
        for _ in range(DRAWS)
    ]
    return Calibration(
        ece=float(np.abs(hit - stated).sum() / len(label)),
        by_chance=float(np.mean(chance) / len(label)),
        loss=log_loss(probability, label),
        confidence=float(confidence.mean()),
        bins=tuple(
            Bin(n=int(n), confidence=float(s / n), accuracy=float(h / n))
            for n, s, h in zip(count, stated, hit, strict=True)
            if n
        ),
    )


def log_loss(probability: np.ndarray, label: np.ndarray) -> float:
    own = probability[np.arange(len(label)), label]
    return float(-np.log(np.clip(own, SMALLEST, 1)).mean())


def with_temperature(probability: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / temperature): above 1 the probabilities become less certain; the answers stay."""
    logits = np.log(np.clip(probability, SMALLEST, 1)) / temperature
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def fitted_temperature(probability: np.ndarray, label: np.ndarray, *, at: float = 1.0) -> float:
    """The temperature with the least loss on these samples (Guo et al. 2017, sec. 4.2), from COLDEST to HOTTEST.

    at: the temperature that the probabilities have already. At HOTTEST none of them is too small for float32; at 1 many
    are, for an overconfident network, and the fit is then too low.
    The loss is convex in 1 / temperature, so a search along one line finds it."""
    from scipy.optimize import minimize_scalar

    def loss(inverse: float) -> float:
        return log_loss(with_temperature(probability, 1 / (at * inverse)), label)

    found = minimize_scalar(loss, bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded", options={"xatol": 1e-4})
    return float(1 / found.x)

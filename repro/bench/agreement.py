"""Do all contenders learn alike? Checked before any timing: a framework that trains a different network, or by a
different rule, could be faster for the wrong reason.

Each contender trains the same updates from the same weights on the same batches. Two losses are compared:

held_out: cross entropy of the predicted probabilities on fixed images that were not trained on, in evaluation mode. It
    is computed here, from probabilities, whatever the training loss, so that no framework's own loss can hide an error.
training: mean of the reported losses over the later half of the updates. It covers what evaluation mode switches off:
    a missing dropout lowers the training loss at once, and the held-out loss only later.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.layers import every_layer
from fer_jax.vocabulary.network import Network
from repro.bench.contender import Contender
from repro.bench.workload import Workload, draw_batches

STEPS = 200
OWN = "own"

HELD_OUT_SHARE = 8  # one in this many rows is held out
HELD_OUT_BATCH = 64
MOST_HELD_OUT = 1024

STANDARD_ERRORS = 2.0
FALSE_ALARMS = 0.01  # of the paired test, two-sided
# Nats. Rounding alone makes two frameworks differ, and training amplifies it.
ROUNDING = 0.01


@dataclass(frozen=True)
class Likeness:
    """One contender's losses after training, over seeds.

    mean, sd: over the seeds (sd 0 for one). difference: the value compared with own, see `agree`. allowed: its upper
    bound.
    """

    mean: float
    sd: float
    difference: float
    allowed: float

    @property
    def alike(self) -> bool:
        return math.isfinite(self.mean) and abs(self.difference) <= self.allowed


@dataclass(frozen=True)
class LossAgreement:
    """All contenders compared by one kind of loss. losses[contender]: one per seed."""

    losses: dict[str, tuple[float, ...]]
    likeness: dict[str, Likeness]

    @property
    def alike(self) -> bool:
        return all(each.alike for each in self.likeness.values())


@dataclass(frozen=True)
class LearningCheck:
    """The two comparisons, after `steps` updates from each of `seeds`."""

    steps: int
    seeds: tuple[int, ...]
    held_out: LossAgreement
    training: LossAgreement

    @property
    def alike(self) -> bool:
        return self.held_out.alike and self.training.alike

    def alike_with(self, name: str) -> bool:
        """Whether this rival learns as ours does."""
        return self.held_out.likeness[name].alike and self.training.likeness[name].alike

    def on_average(self) -> LearningCheck:
        """The same losses judged as those of a network that draws at random."""
        return LearningCheck(self.steps, self.seeds, agree(self.held_out.losses), agree(self.training.losses))

    def summary(self, name: str) -> str:
        """One line about one rival, with all values behind the verdict."""
        parts = [f"{counted(self.steps, 'update')}, n = {counted(len(self.seeds), 'seed')}"]
        for what, compared in (("held-out loss", self.held_out), ("training loss", self.training)):
            own, rival = compared.likeness[OWN], compared.likeness[name]
            parts.append(
                f"{what} {own.mean:.4f} +- {own.sd:.4f} here, {rival.mean:.4f} +- {rival.sd:.4f} there, "
                f"difference {rival.difference:+.4f}, allowed {rival.allowed:.4f}"
            )
        return "; ".join(parts)


def agree(losses: Mapping[str, Sequence[float]], *, random: bool = True) -> LossAgreement:
    """Compare every contender's losses with those of "own", seed by seed in the same order.

    random: the network draws dropout masks or flips, which differ between any two frameworks, or it amplifies rounding
        as far (`amplified_rounding`). `difference` is then the mean of the differences by seed. Two bounds apply, and
        the lower one counts. The first is a paired t-test at 1 %: t * sd of the differences / sqrt(n). A pair shares
        weights and batches, so this spread comes from the masks alone, and a small but steady error shows. The second
        is two standard errors of a difference of two means, 2 * sqrt((var_own + var_rival) / n), as if the seeds were
        not paired. It catches an error that makes the differences spread and so widens the first bound.
    Without `random` only rounding differs. `difference` is then the largest of any seed; it may reach 0.01 nat or a
        tenth of own's standard deviation over seeds, whichever is more.

    A loss that is not finite is never alike. Raises ValueError without "own", without seeds, with unequal numbers of
    seeds, or for one seed of a random network, which has no spread.
    """
    from scipy.special import stdtrit

    if OWN not in losses:
        raise ValueError(f"the losses of {OWN!r} are missing: there is nothing to compare with")
    counts = {len(values) for values in losses.values()}
    if len(counts) > 1 or 0 in counts:
        raise ValueError("every contender needs one loss per seed")
    n = counts.pop()
    if random and n < 2:
        raise ValueError("a network with dropout or flips needs two seeds or more: one has no spread to compare within")
    own = np.asarray(losses[OWN], np.float64)
    own_sd = _sd(own)
    likeness = {}
    for name, given in losses.items():
        values = np.asarray(given, np.float64)
        with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, and NaN is not alike
            apart = values - own
        sd = _sd(values)
        if random:
            difference = float(apart.mean())
            paired = float(stdtrit(n - 1, 1 - FALSE_ALARMS / 2)) * _sd(apart) / math.sqrt(n)
            unpaired = STANDARD_ERRORS * math.sqrt((own_sd**2 + sd**2) / n)
            allowed = min(paired, unpaired)
        else:
            difference = float(apart[np.abs(apart).argmax()])
            allowed = max(ROUNDING, own_sd / 10)
        likeness[name] = Likeness(float(values.mean()), sd, difference, allowed)
    return LossAgreement({name: tuple(map(float, values)) for name, values in losses.items()}, likeness)


def draws_at_random(network: Network) -> bool:
    """Whether training draws dropout masks or flips."""
    drops = any(layer.draws for _, _, layer, _ in every_layer(network.layers))
    return drops or bool((network.random_flip or {}).get("train", 0.0))


def rows_apart(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows to train on, int (N,); rows held out, int (S, B)). Every eighth row is held out, at most 1,024, in complete
    batches. They are spread evenly because the rows may be ordered by class.

    Raises ValueError for fewer than 16 rows.
    """
    if rows < 2 * HELD_OUT_SHARE:
        raise ValueError(f"{counted(rows, 'sample')} are too few to hold some out")
    apart = np.arange(0, rows, HELD_OUT_SHARE)
    batch = min(HELD_OUT_BATCH, len(apart))
    held_out = apart[: min(len(apart), MOST_HELD_OUT) // batch * batch].reshape(-1, batch)
    return np.setdiff1d(np.arange(rows), apart), held_out


def learn(
    contender: Contender, workload: Workload, seed: int, steps: int, *, disturbed: bool = False
) -> tuple[float, float]:
    """Train `steps` updates from the weights of `seed`; returns the held-out and the training loss. disturbed: begin
    with the weights of `disturb` of this suite's own contender."""
    trained, held_out = rows_apart(len(workload.labels))
    batches = draw_batches(len(trained), workload.network.training.batch_size, steps, seed)
    contender.reset(seed)
    if disturbed:
        contender.disturb()  # type: ignore[attr-defined]  # only this suite's own contender has it
    reported = np.asarray(contender.train(trained[batches]), np.float64)
    probability = contender.predict(held_out).astype(np.float64)
    of_label = probability[np.arange(len(probability)), workload.labels[held_out.reshape(-1)]]
    # The clip keeps a confident mistake finite; NaN stays NaN.
    return float(-np.log(np.clip(of_label, 1e-7, 1.0)).mean()), float(reported[steps // 2 :].mean())


def check(
    contenders: Mapping[str, Contender],
    workload: Workload,
    *,
    seeds: Sequence[int] | None = None,
    steps: int = STEPS,
    random: bool | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> LearningCheck:
    """Let every contender learn from every seed, one after the other, and compare with "own".

    contenders: objects in this process, or proxies of workers. seeds: by default all that the workload has weights for.
    random: as for `agree`; by default `draws_at_random`.
    Raises ValueError as `agree` does, and KeyError for a seed without weights.
    """
    random = draws_at_random(workload.network) if random is None else random
    chosen = tuple(sorted(workload.variables) if seeds is None else seeds)
    if missing := set(chosen) - set(workload.variables):
        raise KeyError(f"{workload.name} has no weights for seeds {sorted(missing)}")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for name, contender in contenders.items():
        for seed in chosen:
            found[name].append(learn(contender, workload, seed, steps))
            held_out, training = found[name][-1]
            say(f"{workload.name}: {name}, seed {seed}: held-out loss {held_out:.4f}, training loss {training:.4f}")
    held_out, training = (agree({name: [v[i] for v in found[name]] for name in found}, random=random) for i in (0, 1))
    return LearningCheck(steps, chosen, held_out, training)


def amplified_rounding(own: Contender, workload: Workload, found: LearningCheck) -> float:
    """How far this suite's own losses move, at most, if its starting weights are disturbed by a millionth; nats.

    Training amplifies rounding, in some networks so far that two right frameworks end as far apart as with other
    dropout masks. Then their losses cannot agree seed by seed, only on average.
    """
    moved = []
    for at, seed in enumerate(found.seeds):
        again = learn(own, workload, seed, found.steps, disturbed=True)
        before = (found.held_out.losses[OWN][at], found.training.losses[OWN][at])
        moved += [abs(new - old) for new, old in zip(again, before, strict=True)]
    return max(moved)


def _sd(values: np.ndarray) -> float:
    return statistics.stdev(values.tolist()) if len(values) > 1 and np.isfinite(values).all() else 0.0

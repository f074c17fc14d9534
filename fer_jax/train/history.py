"""The data that one run collects while it trains: history, best epochs, learning rate, times, checkpoints, result."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.machine.digests import arrays_sha256
from fer_jax.train.batches import Stretch
from fer_jax.train.checkpoint import CheckpointError
from fer_jax.train.constant_answer import ConstantAnswer, constant_answer, never_learned
from fer_jax.train.plateau import LearningRate, has_stopped
from fer_jax.train.schedules import clock_of
from fer_jax.train.shared_checkpoints import KeptStates
from fer_jax.train.states import EpochFigures, TrainState
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.network import Network

Figures = dict[str, float]  # {"loss": ..., "accuracy": ..., "n": ...}


@dataclass
class Clock:
    """Seconds by purpose over all sessions of a run, measured after waiting for the device.

    If runs trained side by side, every value is this run's share of the program's seconds, equal for all active runs.
    Only wall_s and first_step_s are the program's own. first_step_s: from the request for the run until the first
    update; None if no update was made.
    """

    compile_s: float = 0.0
    train_s: float = 0.0
    eval_s: float = 0.0
    checkpoint_s: float = 0.0
    total_s: float = 0.0
    wall_s: float = 0.0
    first_step_s: float | None = None
    epochs: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class TrainResult:
    """history: one entry per epoch, plain numbers. metrics and predictions: every split, with the reported parameters.

    predictions[split]: probability (N, 7) float32, label (N,), origin (N,). Both are empty if the run failed; `error`
    then says why. failed_step: the update (from 0) whose loss, or whose evaluation afterwards, was not finite; the
    history ends before that epoch. If `never_learned` stopped the run, failed_step is its last update, and the history
    includes that epoch. failed_epoch: the epoch (from 1) of failed_step. kernels: see `Engine.kernels`.
    """

    history: list[dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    predictions: dict[str, dict[str, np.ndarray]]
    best: dict[str, dict[str, float]]
    reported_epoch: int
    parameters: tuple[int, int]
    state: TrainState
    clock: Clock
    trained_images: int
    resumed: int
    error: str = ""
    failed_step: int | None = None
    failed_epoch: int | None = None
    kernels: str = ""


@dataclass(frozen=True)
class SeedData:
    """A seed with its splits, which data steps may have drawn by that seed, and its checkpoints. targets: the share of
    each class in a training sample, float32 (N, 7), in place of its label."""

    seed: int
    splits: dict[str, Faces]
    checkpoints: KeptStates | None = None
    targets: np.ndarray | None = None


class TrainingRun:
    """One run in progress."""

    def __init__(self, network: Network, given: SeedData) -> None:
        self.training = network.training
        self.seed, self.splits, self.checkpoints = given.seed, given.splits, given.checkpoints
        self.rate = LearningRate(self.training.schedule, self.training.optimizer.learning_rate)
        self.schedule_clock = clock_of(self.training, len(given.splits["train"]))
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, dict[str, float]] = {}
        self.clock = Clock()
        self.resumed = 0
        self.error = ""
        self.failed_step: int | None = None
        self.failed_epoch: int | None = None
        self._failed_state: TrainState | None = None
        self._best_in_memory: TrainState | None = None  # None if it is on disk, or if there is none yet

    def reported_epoch(self) -> int:
        if self.training.report == "best" and self.training.report_split in self.best:
            return int(self.best[self.training.report_split]["epoch"])
        return len(self.history)

    def take(self, entry: dict[str, Any], seconds: dict[str, float]) -> None:
        """Add a finished epoch. Its seconds count only now, so that images per second cover finished epochs alone."""
        self.history.append(entry)
        self.clock.train_s += seconds["train_s"]
        self.clock.eval_s += seconds["eval_s"]
        self.clock.epochs.append(seconds)
        for name, figures in entry["splits"].items():
            if name not in self.best or self._is_better(figures, self.best[name]):
                self.best[name] = {"epoch": entry["epoch"], "accuracy": figures["accuracy"]}
                if self.training.report_metric == "loss":
                    self.best[name]["loss"] = figures["loss"]
        self.rate.after_epoch(entry["splits"])

    def _is_better(self, figures: Figures, best: Figures) -> bool:
        if self.training.report_metric == "loss":
            return figures["loss"] < best["loss"]
        return figures["accuracy"] > best["accuracy"]

    def rates(self, stretch: Stretch) -> np.ndarray:
        """The learning rate of every batch of a stretch."""
        return self.rate.of_batches(self.schedule_clock, stretch)

    def has_stopped(self) -> bool:
        """Whether early stopping has ended the run."""
        return has_stopped(self.training.early_stopping, self.history)

    def fail(self, error: str, epoch: int, step: int, state: TrainState) -> None:
        """End this run. Others that train side by side with it continue."""
        self.error, self.failed_step, self.failed_epoch, self._failed_state = error, step, epoch, state

    def never_learned(self, planned_updates: int) -> str:
        """See `fer_jax.train.constant_answer.never_learned`."""
        return never_learned(self.history, self._constant_answers, planned_updates=planned_updates)

    @cached_property
    def _constant_answers(self) -> dict[str, ConstantAnswer]:
        loss, train = self.training.loss, self.splits["train"].labels
        evaluated = {name: constant_answer(self.splits[name].labels, loss) for name in self.training.evaluate}
        return {"train": constant_answer(train, loss, weighted=True), **evaluated}

    def _is_best(self) -> bool:
        split = self.training.report_split
        return split in self.best and self.best[split]["epoch"] == len(self.history)

    def keeps_best(self) -> bool:
        """Whether the epoch that just ended is the best so far, and its parameters may be reported."""
        return self._is_best() and (self.training.report == "best" or self.checkpoints is not None)

    def keep_best(self, state: TrainState) -> None:
        """Hold a copy of the best epoch's state in memory until `save` writes it."""
        self._best_in_memory = jax.tree.map(lambda a: a.copy(), state)

    def save(self, state: TrainState) -> None:
        """Write the checkpoints of the epoch that just ended; the best one first, if it is not on disk yet."""
        assert self.checkpoints is not None
        epoch = len(self.history)
        if self._is_best():
            self.checkpoints.save("best", epoch, state, {"epoch": epoch})
        elif self._best_in_memory is not None:
            best = int(self.best[self.training.report_split]["epoch"])
            self.checkpoints.save("best", best, jax.device_get(self._best_in_memory), {"epoch": best})
        self._best_in_memory = None
        meta = {
            "history": self.history,
            "best": self.best,
            "rate": self.rate.memory(),
            "clock": vars(self.clock),
            "resumed": self.resumed,
        }
        self.checkpoints.save("last", epoch, state, meta)

    def resume(self, fresh: TrainState) -> TrainState:
        """The state of the last checkpoint, with everything collected until then; or the fresh state."""
        found = self.checkpoints.restore("last", fresh, usable=self._has_best) if self.checkpoints else None
        if found is None:
            return fresh
        state, meta = found
        self.history, self.best = meta["history"], meta["best"]
        self.rate.restore(meta["rate"])
        self.clock = Clock(**{"wall_s": meta["clock"]["total_s"], **meta["clock"]})
        self.resumed = meta["resumed"] + 1
        return state

    def _has_best(self, meta: dict[str, Any]) -> bool:
        """Whether the best checkpoint so far, which a run resumed from `meta` may report, is there and sound.

        A newer one will be computed again: the process was killed before it could write that epoch's last checkpoint.
        """
        assert self.checkpoints is not None
        best = meta["best"].get(self.training.report_split)
        if self.training.report != "best" or best is None:
            return True
        there = self.checkpoints.epochs().get("best", [])
        if best["epoch"] in there:
            return self.checkpoints.trouble("best", int(best["epoch"])) is None
        return any(epoch > len(meta["history"]) for epoch in there)

    def best_state(self, last: TrainState) -> TrainState:
        if self.checkpoints is None or self._best_in_memory is not None:
            return self._best_in_memory or last
        epoch = self.reported_epoch()
        found = self.checkpoints.restore("best", last, epoch=epoch)
        if found is None:
            raise CheckpointError(f"{self.checkpoints.folder}: the best checkpoint, of epoch {epoch}, is gone")
        return found[0]

    def forget_older(self) -> None:
        """Keep of a run that has ended only its last checkpoint and its best."""
        if self.checkpoints is not None and not self.error:
            kept = {"last": len(self.history)}
            if self.training.report_split in self.best:
                kept["best"] = int(self.best[self.training.report_split]["epoch"])
            self.checkpoints.keep_only(kept)

    def result(
        self,
        state: TrainState,
        metrics: dict[str, dict[str, Any]],
        predictions: dict[str, dict[str, np.ndarray]],
        kernels: str,
    ) -> TrainResult:
        """state: the reported one. If the run failed, the state at the failure is kept."""
        trainable = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        held = sum(leaf.size for leaf in jax.tree.leaves(state.batch_stats))
        return TrainResult(
            history=self.history,
            metrics={} if self.error else metrics,
            predictions={} if self.error else predictions,
            best=self.best,
            reported_epoch=self.reported_epoch(),
            parameters=(trainable + held, trainable),
            state=self._failed_state or state,
            clock=self.clock,
            trained_images=sum(entry["train"]["n"] for entry in self.history),
            resumed=self.resumed,
            error=self.error,
            failed_step=self.failed_step,
            failed_epoch=self.failed_epoch,
            kernels=kernels,
        )


def history_entry(stretch: Stretch, rate: float, figures: EpochFigures, splits: dict[str, Figures]) -> dict[str, Any]:
    """Plain numbers. `train` is the running mean over the epoch's examples, as Keras prints it."""
    examples = np.asarray(figures.examples, np.float64)
    total = examples.sum()
    return {
        "epoch": stretch.epoch,
        "step": stretch.first + stretch.steps,
        "learning_rate": rate,
        "train": {
            "loss": float((np.asarray(figures.loss, np.float64) * examples).sum() / total),
            "accuracy": float(np.asarray(figures.correct, np.float64).sum() / total),
            "n": int(total),
        },
        "minibatch": {
            "loss": float(figures.loss[-1]),
            "accuracy": float(figures.correct[-1] / figures.examples[-1]),
            "n": int(figures.examples[-1]),
        },
        "splits": splits,
    }


def network_sha256(params: Any, batch_stats: Any) -> str:
    """Digest of a network's arrays, whatever holds them: trees of arrays as in `TrainState`, on any device."""
    leaves = jax.tree_util.tree_leaves_with_path({"params": params, "batch_stats": batch_stats})
    return arrays_sha256({jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves})


def confusion(labels: np.ndarray, predicted: np.ndarray) -> list[list[int]]:
    """confusion[label][predicted], 7 x 7 counts."""
    k = len(EMOTIONS)
    return np.bincount(labels.astype(np.int64) * k + predicted, minlength=k * k).reshape(k, k).tolist()

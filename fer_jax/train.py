"""The training loop: epochs, evaluations, checkpoints, times. Arrays in, trained parameters and history out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from fer_jax.batches import Stretch, evaluation_batches, stretches, training_batches
from fer_jax.checkpoint import Checkpoints
from fer_jax.devices import device_kind
from fer_jax.engine import DeviceRows, Engine, EpochFigures, TrainState
from fer_jax.faces import EMOTIONS, Faces
from fer_jax.network import Network
from fer_jax.plateau import LearningRate

# Rows per evaluation batch: what stays in the caches of a CPU (64 was the fastest of 16 to 256 for teta2022); a GPU
# takes more.
EVALUATION_BATCH = {"cpu": 64, "gpu": 2048}

Figures = dict[str, float]  # {"loss": ..., "accuracy": ..., "n": ...}


@dataclass(frozen=True)
class Progress:
    """What the loop tells after each epoch: its history entry, and how fast it went."""

    entry: dict[str, Any]
    epochs: int
    images_per_s: float
    train_s: float
    eval_s: float


@dataclass
class Clock:
    """Seconds by purpose, with the device waited for, over all sessions of a run."""

    compile_s: float = 0.0
    train_s: float = 0.0
    eval_s: float = 0.0
    checkpoint_s: float = 0.0
    total_s: float = 0.0
    epochs: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class TrainResult:
    """history: one entry per epoch, plain numbers. metrics and predictions: every split, with the reported parameters.

    predictions[split]: probability (N, 7) float32, label (N,), origin (N,). failed_step: the update (from 0) whose
    loss, or whose evaluation afterwards, was not finite, and `error` says so; the history then ends before that epoch
    and metrics are empty.
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


def fit(
    network: Network,
    splits: dict[str, Faces],
    *,
    seed: int,
    devices: list[jax.Device],
    checkpoints: Checkpoints | None = None,
    report: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train on splits["train"] and evaluate every split.

    With `checkpoints`, goes on from the last epoch found there and ends with the same parameters and history as an
    uninterrupted run (bit for bit on CPU).
    Raises TooFewRows when there are too few training rows for one batch.
    """
    training = network.training
    engine = Engine(network, devices)
    rows = len(splits["train"])
    plan = stretches(training, rows)
    data = {name: engine.put_rows(part.images, part.labels) for name, part in splits.items()}
    run = _Run(engine, splits, data, LearningRate(training.schedule, training.optimizer.learning_rate))
    state = run.resume(engine.init_state(seed), checkpoints)

    for stretch in plan[len(run.history) :]:
        begin = time.perf_counter()
        compiled_before = engine.compile_s
        rate = run.rate.value
        batches = training_batches(training, rows, stretch, seed, multiple=len(devices))
        state, figures = engine.run_epoch(state, data["train"], batches, rate)
        figures = jax.device_get(figures)  # waits for the device
        train_s = time.perf_counter() - begin - (engine.compile_s - compiled_before)

        broken = np.flatnonzero(~np.isfinite(figures.loss))
        if broken.size:
            step = stretch.first + int(broken[0])
            error = f"the loss of step {step} (epoch {stretch.epoch}) is {figures.loss[broken[0]]}"
            return run.result(state, {}, {}, error=error, failed_step=step)

        begin, compiled_before = time.perf_counter(), engine.compile_s
        evaluated = {name: run.evaluate(state, name, stretch.epoch)[0] for name in training.evaluate}
        eval_s = time.perf_counter() - begin - (engine.compile_s - compiled_before)
        if not_finite := _not_finite(evaluated):
            step = stretch.first + stretch.steps - 1
            error = f"the loss on {not_finite} after step {step} (epoch {stretch.epoch}) is not finite"
            return run.result(state, {}, {}, error=error, failed_step=step)

        entry = _history_entry(stretch, rate, figures, evaluated)
        run.take(entry, {"train_s": train_s, "eval_s": eval_s})
        run.save(state, checkpoints)
        if report:
            report(Progress(entry, len(plan), float(figures.examples.sum()) / train_s, train_s, eval_s))

    if training.report == "best":
        state = run.best_state(state, checkpoints)
    begin, compiled_before = time.perf_counter(), engine.compile_s
    metrics, predictions = run.evaluate_all(state)
    run.clock.eval_s += time.perf_counter() - begin - (engine.compile_s - compiled_before)
    if not_finite := _not_finite(metrics):
        step = run.history[run.reported_epoch() - 1]["step"] - 1
        error = f"the loss on {not_finite} after step {step} (epoch {run.reported_epoch()}) is not finite"
        return run.result(state, {}, {}, error=error, failed_step=step)
    return run.result(state, metrics, predictions)


class _Run:
    """What one run has gathered so far: history, best epochs, learning rate, times."""

    def __init__(
        self, engine: Engine, splits: dict[str, Faces], data: dict[str, DeviceRows], rate: LearningRate
    ) -> None:
        self.engine, self.splits, self.data, self.rate = engine, splits, data, rate
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, dict[str, float]] = {}
        self.clock = Clock()
        self.resumed = 0
        self.started = time.perf_counter()
        self._best_in_memory: TrainState | None = None

    def evaluate(self, state: TrainState, split: str, epoch: int) -> tuple[Figures, np.ndarray]:
        """(figures, probabilities) of every row of a split."""
        devices = self.engine.devices
        size = EVALUATION_BATCH[device_kind(devices[0])]
        part = self.splits[split]
        batches = evaluation_batches(len(part), size, multiple=len(devices))
        probability, loss = self.engine.predict(state, self.data[split], batches, split, epoch)
        assert len(probability) == len(part), "every row is evaluated exactly once"
        correct = probability.argmax(1) == part.labels
        figures = {"loss": float(loss.mean(dtype=np.float64)), "accuracy": float(correct.mean()), "n": len(part)}
        return figures, probability

    def evaluate_all(self, state: TrainState) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, np.ndarray]]]:
        metrics: dict[str, dict[str, Any]] = {}
        predictions: dict[str, dict[str, np.ndarray]] = {}
        for name, part in self.splits.items():
            figures, probability = self.evaluate(state, name, self.reported_epoch())
            metrics[name] = {**figures, "confusion": confusion(part.labels, probability.argmax(1))}
            predictions[name] = {"probability": probability, "label": part.labels, "origin": part.origin}
        return metrics, predictions

    def reported_epoch(self) -> int:
        training = self.engine.network.training
        if training.report == "best" and training.report_split in self.best:
            return int(self.best[training.report_split]["epoch"])
        return len(self.history)

    def take(self, entry: dict[str, Any], seconds: dict[str, float]) -> None:
        """Add a finished epoch. Its seconds count only now, so that images per second are those of finished epochs."""
        self.history.append(entry)
        self.clock.train_s += seconds["train_s"]
        self.clock.eval_s += seconds["eval_s"]
        self.clock.epochs.append(seconds)
        for name, figures in entry["splits"].items():
            if name not in self.best or figures["accuracy"] > self.best[name]["accuracy"]:
                self.best[name] = {"epoch": entry["epoch"], "accuracy": figures["accuracy"]}
        self.rate.after_epoch(entry["splits"])

    def _is_best(self) -> bool:
        split = self.engine.network.training.report_split
        return split in self.best and self.best[split]["epoch"] == len(self.history)

    def save(self, state: TrainState, checkpoints: Checkpoints | None) -> None:
        if checkpoints is None:
            if self._is_best() and self.engine.network.training.report == "best":
                self._best_in_memory = jax.tree.map(lambda a: a.copy(), state)
            return
        begin = time.perf_counter()
        epoch = len(self.history)
        if self._is_best():
            checkpoints.save("best", epoch, state, {"epoch": epoch})
        meta = {
            "history": self.history,
            "best": self.best,
            "rate": self.rate.memory(),
            "clock": vars(self.elapsed()),
            "resumed": self.resumed,
        }
        checkpoints.save("last", epoch, state, meta)
        self.clock.checkpoint_s += time.perf_counter() - begin

    def elapsed(self) -> Clock:
        """The times of earlier sessions and of this one until now."""
        now = time.perf_counter() - self.started
        return replace(
            self.clock, compile_s=self.clock.compile_s + self.engine.compile_s, total_s=self.clock.total_s + now
        )

    def resume(self, fresh: TrainState, checkpoints: Checkpoints | None) -> TrainState:
        """The state of the last checkpoint and all that was gathered until then, or the fresh one."""
        found = checkpoints.restore("last", fresh) if checkpoints else None
        if found is None:
            return fresh
        state, meta = found
        self.history, self.best = meta["history"], meta["best"]
        self.rate.restore(meta["rate"])
        self.clock = Clock(**meta["clock"])
        self.resumed = meta["resumed"] + 1
        return state

    def best_state(self, last: TrainState, checkpoints: Checkpoints | None) -> TrainState:
        if checkpoints is None:
            return self._best_in_memory or last
        found = checkpoints.restore("best", last)
        return found[0] if found else last

    def result(
        self,
        state: TrainState,
        metrics: dict[str, dict[str, Any]],
        predictions: dict[str, dict[str, np.ndarray]],
        error: str = "",
        failed_step: int | None = None,
    ) -> TrainResult:
        trainable = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        held = sum(leaf.size for leaf in jax.tree.leaves(state.batch_stats))
        return TrainResult(
            history=self.history,
            metrics=metrics,
            predictions=predictions,
            best=self.best,
            reported_epoch=self.reported_epoch(),
            parameters=(trainable + held, trainable),
            state=state,
            clock=self.elapsed(),
            trained_images=sum(entry["train"]["n"] for entry in self.history),
            resumed=self.resumed,
            error=error,
            failed_step=failed_step,
        )


def _not_finite(figures: dict[str, dict[str, Any]]) -> str | None:
    """The first split whose loss is NaN or infinite."""
    return next((name for name, of_split in figures.items() if not np.isfinite(of_split["loss"])), None)


def _history_entry(stretch: Stretch, rate: float, figures: EpochFigures, splits: dict[str, Figures]) -> dict[str, Any]:
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


def confusion(labels: np.ndarray, predicted: np.ndarray) -> list[list[int]]:
    """confusion[label][predicted], 7 x 7 counts."""
    k = len(EMOTIONS)
    return np.bincount(labels.astype(np.int64) * k + predicted, minlength=k * k).reshape(k, k).tolist()

"""The training loop: epochs, evaluations, checkpoints, times. Arrays in, trained parameters and history out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.machine import hosts
from fer_jax.machine.devices import device_kind
from fer_jax.train import averaging
from fer_jax.train.batches import Stretch, evaluation_batch, evaluation_batches, stretches, training_batches
from fer_jax.train.engine import Engine
from fer_jax.train.history import Figures, SeedData, TrainingRun, TrainResult, confusion, history_entry
from fer_jax.train.shared_checkpoints import KeptStates
from fer_jax.train.states import DeviceRows, EpochFigures, TrainState
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Precision

# Samples of each run at a time, where several are evaluated side by side.
_FEWEST_EVALUATED = 64
# Least seconds between two checkpoints of a run. Writing one takes 0.1 to 0.3 s on a CPU machine. There that is a
# fraction of an epoch, but on a GPU several times as long as an epoch of a small network.
CHECKPOINT_EVERY_S = {"cpu": 0.0, "gpu": 30.0}


class SplitsDiffer(ValueError):
    """Runs cannot train side by side, because a split has different sizes for different seeds."""


@dataclass(frozen=True)
class Progress:
    """Reported after each epoch: its history entry, and the speed.

    For runs side by side: the means of their entries, the total number of images, and the program's own seconds.
    histories: of each run that the epoch belongs to, by its seed: all entries so far.
    """

    entry: dict[str, Any]
    epochs: int
    images_per_s: float
    train_s: float
    eval_s: float
    histories: Mapping[int, Sequence[dict[str, Any]]] = field(default_factory=dict)


def fit(
    network: Network,
    splits: dict[str, Faces],
    *,
    seed: int,
    devices: list[jax.Device],
    precision: Precision | None = None,
    checkpoints: KeptStates | None = None,
    checkpoint_every_s: float | None = None,
    report: Callable[[Progress], None] | None = None,
    asked_at: float | None = None,
    stop_failed: bool = False,
) -> TrainResult:
    """Train on splits["train"] and evaluate every split.

    With `checkpoints`, resumes from the last epoch found there and ends with the same parameters and history as an
    uninterrupted run (bit for bit on CPU). checkpoint_every_s: least seconds between two checkpoints, 0 for one after
    every epoch; by default `CHECKPOINT_EVERY_S` of the device. The last epoch is always written. asked_at: start of
    the time to the first update, by time.perf_counter; by default now. stop_failed: end the run with an error as soon
    as it has plainly failed, by `fer_jax.train.constant_answer.never_learned`; a loss that is not finite always ends
    it.
    Raises TooFewSamples if there are too few training samples for one batch, PrecisionError.
    """
    given = SeedData(seed, splits, checkpoints)
    return fit_seeds(
        network,
        [given],
        devices=devices,
        precision=precision,
        checkpoint_every_s=checkpoint_every_s,
        report=report,
        asked_at=asked_at,
        stop_failed=stop_failed,
    )[0]


def fit_seeds(
    network: Network,
    given: list[SeedData],
    *,
    devices: list[jax.Device],
    precision: Precision | None = None,
    checkpoint_every_s: float | None = None,
    report: Callable[[Progress], None] | None = None,
    asked_at: float | None = None,
    stop_failed: bool = False,
) -> list[TrainResult]:
    """`fit` for several seeds, side by side in one program. Each seed has its own data, order of samples, dropout,
    schedule, best epoch and checkpoints. A run that fails ends alone.

    Raises SplitsDiffer if the seeds' splits have different sizes, and what `fit` raises.
    """
    asked_at = time.perf_counter() if asked_at is None else asked_at
    _check_sizes(given)
    engine = Engine(network, devices, seeds=len(given) if len(given) > 1 else None, precision=precision)
    runs = [TrainingRun(network, of_seed) for of_seed in given]
    plan = stretches(network.training, len(given[0].splits["train"]))
    if checkpoint_every_s is None:
        checkpoint_every_s = CHECKPOINT_EVERY_S[device_kind(devices[0])]
    together = _SideBySide(engine, runs, _stacked_samples(engine, given), asked_at, checkpoint_every_s)
    state = engine.join([run.resume(engine.init_state(run.seed)) for run in runs])

    while moving := _furthest_behind(runs, len(plan)):
        stretch = plan[len(runs[moving[0]].history)]
        # If the process was killed while saving an epoch, some seeds are one epoch ahead. They are recomputed with the
        # others, and their result is discarded.
        kept = None if len(moving) == len(runs) else jax.tree.map(jnp.copy, state)
        state, figures, train_s = together.train(state, stretch, moving)
        if kept is not None:
            state = engine.put_back(state, kept, moving)
        for k in moving:
            if broken := _broken_step(stretch, figures[k]):
                error, step = broken
                runs[k].fail(error, stretch.epoch, step, engine.part(state, k))

        evaluated, eval_s = together.evaluate_after(state, stretch, moving)
        for k in moving:
            if not runs[k].error and (split := _not_finite(evaluated[k])):
                step = stretch.first + stretch.steps - 1
                error = f"the loss on {split} after step {step} (epoch {stretch.epoch}) is not finite"
                runs[k].fail(error, stretch.epoch, step, engine.part(state, k))

        going = [k for k in moving if not runs[k].error]
        for k in going:
            entry = history_entry(stretch, float(runs[k].rates(stretch)[-1]), figures[k], evaluated[k])
            runs[k].take(entry, {"train_s": train_s / len(moving), "eval_s": eval_s / len(moving)})
            if stop_failed and (why := runs[k].never_learned(plan[-1].first + plan[-1].steps)):
                runs[k].fail(why, stretch.epoch, entry["step"] - 1, engine.part(state, k))
        alive = [k for k in going if not runs[k].error]
        together.save(state, alive, charged=moving, last=stretch.epoch == len(plan))
        if report and going:
            entry = _mean([runs[k].history[-1] for k in going])
            images = sum(float(figures[k].examples.sum()) for k in moving)
            histories = {runs[k].seed: runs[k].history for k in going}
            report(Progress(entry, len(plan), images / train_s, train_s, eval_s, histories))

    return together.finish(state)


class _SideBySide:
    """The runs of one program, with its seconds divided among them."""

    def __init__(
        self,
        engine: Engine,
        runs: list[TrainingRun],
        data: dict[str, DeviceRows],
        asked_at: float,
        checkpoint_every_s: float,
    ) -> None:
        self.engine, self.runs, self.data, self.asked_at = engine, runs, data, asked_at
        self.training = engine.network.training
        self.checkpoint_every_s, self._saved_at = checkpoint_every_s, time.perf_counter()
        self._charged_until = time.perf_counter()
        self._charged_compiling = 0.0

    def charge(self, to: list[int]) -> None:
        """Charge the seconds since the last call, compile time included, to some runs in equal parts."""
        now, compiled = time.perf_counter(), self.engine.compile_s
        for k in to:
            clock = self.runs[k].clock
            clock.wall_s += now - self._charged_until
            clock.total_s += (now - self._charged_until) / len(to)
            clock.compile_s += (compiled - self._charged_compiling) / len(to)
        self._charged_until, self._charged_compiling = now, compiled

    def train(
        self, state: TrainState, stretch: Stretch, moving: list[int]
    ) -> tuple[TrainState, list[EpochFigures], float]:
        """The updates of a stretch. Returns the state of all, and each run's figures, and the seconds it took."""
        self.charge(moving)
        begin, compiled_before = time.perf_counter(), self.engine.compile_s
        devices, samples = len(self.engine.devices), len(self.runs[0].splits["train"])
        batches = [training_batches(self.training, samples, stretch, run.seed, multiple=devices) for run in self.runs]
        rates = [run.rates(stretch) for run in self.runs]
        one = self.engine.seeds is None
        state, figures = self.engine.run_epoch(
            state, self.data["train"], batches[0] if one else np.stack(batches), rates[0] if one else np.stack(rates)
        )
        figures = jax.device_get(figures)  # waits for the device
        train_s = time.perf_counter() - begin - (self.engine.compile_s - compiled_before)
        assert self.engine.first_update_at is not None
        for k in moving:
            if self.runs[k].clock.first_step_s is None:
                self.runs[k].clock.first_step_s = self.engine.first_update_at - self.asked_at
        return state, [self.engine.part(figures, k) for k in range(len(self.runs))], train_s

    def evaluate(self, state: TrainState, split: str, epochs: list[int]) -> list[tuple[Figures, np.ndarray]]:
        """Per run (figures, probabilities) of every sample of a split. epochs: as the runs count them."""
        devices, one = self.engine.devices, self.engine.seeds is None
        size = evaluation_batch(self.engine.network, device_kind(devices[0]))
        if not one:
            size = max(size // len(self.runs), min(size, _FEWEST_EVALUATED))
        samples = len(self.runs[0].splits[split])
        batches = evaluation_batches(samples, size, multiple=len(devices))
        number = epochs[0] if one else np.array(epochs)
        out = self.engine.predict(averaging.evaluated(self.training, state), self.data[split], batches, split, number)
        found = []
        for k, run in enumerate(self.runs):
            probability, loss = self.engine.part(out, k)
            assert len(probability) == samples, "every sample is evaluated exactly once"
            correct = probability.argmax(1) == run.splits[split].labels
            figures = {"loss": float(loss.mean(dtype=np.float64)), "accuracy": float(correct.mean()), "n": samples}
            found.append((figures, probability))
        return found

    def evaluate_after(
        self, state: TrainState, stretch: Stretch, moving: list[int]
    ) -> tuple[list[dict[str, Figures]], float]:
        """Per run the figures of the splits that are evaluated after each epoch, and the seconds it took."""
        begin, compiled_before = time.perf_counter(), self.engine.compile_s
        out: list[dict[str, Figures]] = [{} for _ in self.runs]
        if all(self.runs[k].error for k in moving):
            return out, 0.0
        for name in self.training.evaluate:
            for k, (figures, _) in enumerate(self.evaluate(state, name, [stretch.epoch] * len(self.runs))):
                out[k][name] = figures
        if self.engine.spread:  # what follows from them must be the same everywhere, to the last bit
            out = hosts.agreed("evaluated", out)
        return out, time.perf_counter() - begin - (self.engine.compile_s - compiled_before)

    def save(self, state: TrainState, going: list[int], *, charged: list[int], last: bool) -> None:
        """Save the runs that continue, with their current clocks, if a checkpoint is due or this is the last epoch.
        Until the next checkpoint the best state stays on the device."""
        self.charge(charged)
        begin = time.perf_counter()
        due = last or begin - self._saved_at >= self.checkpoint_every_s
        if self.engine.spread:
            due = hosts.agreed("due", due)  # clocks differ
        written = [k for k in going if self.runs[k].checkpoints and (due or self.runs[k].has_stopped())]
        for k in going:
            if k not in written and self.runs[k].keeps_best():
                self.runs[k].keep_best(self.engine.part(state, k))
        if written:
            state = jax.device_get(state)  # once for all
            for k in written:
                self.runs[k].save(self.engine.part(state, k))
            self._saved_at = time.perf_counter()
        for k in written:
            self.runs[k].clock.checkpoint_s += (self._saved_at - begin) / len(written)

    def finish(self, state: TrainState) -> list[TrainResult]:
        """Evaluate the reported parameters of each run on every split."""
        everyone = range(len(self.runs))
        going = [k for k in everyone if not self.runs[k].error]
        if self.training.report == "best" and going:
            last = [self.engine.part(state, k) for k in everyone]
            states = [last[k] if run.error else run.best_state(last[k]) for k, run in enumerate(self.runs)]
            state = self.engine.join(states)
        begin, compiled_before = time.perf_counter(), self.engine.compile_s
        metrics: list[dict[str, dict[str, Any]]] = [{} for _ in everyone]
        predictions: list[dict[str, dict[str, np.ndarray]]] = [{} for _ in everyone]
        epochs = [run.reported_epoch() for run in self.runs]
        for name in self.data if going else ():
            for k, (figures, probability) in enumerate(self.evaluate(state, name, epochs)):
                part = self.runs[k].splits[name]
                metrics[k][name] = {**figures, "confusion": confusion(part.labels, probability.argmax(1))}
                predictions[k][name] = {"probability": probability, "label": part.labels, "origin": part.origin}
        eval_s = time.perf_counter() - begin - (self.engine.compile_s - compiled_before)
        for k in going:
            run = self.runs[k]
            run.clock.eval_s += eval_s / len(going)
            if split := _not_finite(metrics[k]):
                epoch = run.reported_epoch()
                step = run.history[epoch - 1]["step"] - 1
                error = f"the loss on {split} after step {step} (epoch {epoch}) is not finite"
                run.fail(error, epoch, step, self.engine.part(state, k))
        for k in going:
            self.runs[k].forget_older()
        self.charge(going)
        kernels = self.engine.kernels()
        state = averaging.evaluated(self.training, state)
        return [
            run.result(self.engine.part(state, k), metrics[k], predictions[k], kernels)
            for k, run in enumerate(self.runs)
        ]


def _check_sizes(given: list[SeedData]) -> None:
    sizes = [{name: (len(part), part.images.shape[1:]) for name, part in one.splits.items()} for one in given]
    for one, found in zip(given, sizes, strict=True):
        if found != sizes[0]:
            differing = [{name: samples for name, (samples, _) in of_seed.items()} for of_seed in (sizes[0], found)]
            raise SplitsDiffer(f"seed {given[0].seed} has the splits {differing[0]}, seed {one.seed} {differing[1]}")


def _stacked_samples(engine: Engine, given: list[SeedData]) -> dict[str, DeviceRows]:
    def stacked(arrays: list[np.ndarray]) -> np.ndarray:
        return arrays[0] if engine.seeds is None else np.stack(arrays)

    data = {}
    for name in given[0].splits:
        parts = [one.splits[name] for one in given]
        targets = [one.targets for one in given if one.targets is not None and name == "train"]
        data[name] = engine.put_samples(
            stacked([p.images for p in parts]),
            stacked([p.labels for p in parts]),
            stacked(targets) if targets else None,
        )
    return data


def _furthest_behind(runs: list[TrainingRun], epochs: int) -> list[int]:
    """The runs that train next: those with the fewest finished epochs, until all runs have finished all epochs or were
    stopped early."""
    open_runs = ((k, run) for k, run in enumerate(runs) if not run.error and not run.has_stopped())
    done = {k: len(run.history) for k, run in open_runs if len(run.history) < epochs}
    return [k for k in done if done[k] == min(done.values())]


def _broken_step(stretch: Stretch, figures: EpochFigures) -> tuple[str, int] | None:
    """The message about the first update whose loss is NaN or infinite, and the number of that update."""
    broken = np.flatnonzero(~np.isfinite(figures.loss))
    if not broken.size:
        return None
    step = stretch.first + int(broken[0])
    return f"the loss of step {step} (epoch {stretch.epoch}) is {figures.loss[broken[0]]}", step


def _not_finite(figures: dict[str, dict[str, Any]]) -> str | None:
    """The first split whose loss is NaN or infinite."""
    return next((name for name, of_split in figures.items() if not np.isfinite(of_split["loss"])), None)


def _mean(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """One history entry that averages several entries of the same epoch."""
    if len(entries) == 1:
        return entries[0]
    return {
        key: _mean([entry[key] for entry in entries])
        if isinstance(value, dict)
        else value
        if isinstance(value, int)
        else sum(entry[key] for entry in entries) / len(entries)
        for key, value in entries[0].items()
    }

"""The trials of a sweep, which processes on any number of machines share: Optuna's journal file, without a server.

``results/sweeps/<paper>/<name>/journal.log`` holds every trial: its settings, its accuracies by epoch, its state. A
process asks for a trial while it holds the claim in ``asking/`` (`repro.runs.claim`), so there are never more trials
than asked for, and works on it while it holds the claim in ``trials/<number>/``. A trial whose process has died is
taken over with the same settings; its run is resumed from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from repro.runs.claim import RunClaim, held, holder_of, take
from repro.sweep.dimension import Dimension
from repro.sweep.errors import SweepError
from repro.sweep.search import SettingSearch

# running: a process works on it, or did when it died.
TrialState = Literal["running", "done", "pruned", "failed"]
JOURNAL = "journal.log"
STUDY = "sweep"
STARTUP_TRIALS = 5  # that end before any is pruned; Optuna's default
FIRST_PRUNED = 2  # the first epoch after which a trial may be pruned: one epoch alone shows little
_STATES: dict[str, TrialState] = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass(frozen=True)
class SweepTrial:
    """number: from 0. values: by the dimensions' keys. curve: accuracy on the samples that choose, by epoch, of the
    first seed. value: the mean over the seeds at their end; None until then, and for a trial that was pruned."""

    number: int
    state: TrialState
    values: Mapping[str, Any]
    curve: Mapping[int, float]
    value: float | None


def optuna_module() -> Any:
    """Raises SweepError if Optuna is not installed."""
    try:
        import optuna  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise SweepError(
            'a sweep needs Optuna: pip install "fer-repro[sweep]" (from a checkout: pip install ".[sweep]")'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class SharedTrials:
    """The trials of one search. folder: of the sweep; made if it is not there. say: see `RunContext.say`.

    Raises SweepError if Optuna is not installed, and OSError if the folder cannot be written to.
    """

    def __init__(self, search: SettingSearch, folder: Path, say: Callable[[str], None]) -> None:
        self.search, self.folder, self.say = search, folder, say
        self._optuna = optuna_module()
        folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            _mend(self._optuna, folder / JOURNAL)
            self._study = _study(self._optuna, folder, self._sampler(0))

    def next(self) -> WorkedTrial | None:
        """A trial to work on: one whose process died, else a new one; None if all are made or others work on them."""
        with self._alone():
            found = self._study.get_trials(deepcopy=False)
            for one in found:
                if one.state.name == "RUNNING" and (claim := self._take(one.number)) is not None:
                    return self._worked(self._trial_of(one), claim)
            if sum(one.state.name != "WAITING" for one in found) >= self.search.most_trials:
                return None
            trial = self._ask(found)
            claim = self._take(trial.number)
            return None if claim is None else self._worked(trial, claim)

    def all(self) -> list[SweepTrial]:
        """Every trial that was begun, by number."""
        trials = [one for one in self._study.get_trials(deepcopy=False) if one.state.name != "WAITING"]
        return [_trial(one) for one in sorted(trials, key=lambda one: one.number)]

    def holders(self) -> list[str]:
        """Who works on the trials that have not ended, in words."""
        running = [one.number for one in self.all() if one.state == "running"]
        found = ((number, holder_of(self._folder(number))) for number in running)
        return [f"trial {number + 1}: {holder.spoken()}" for number, holder in found if holder is not None]

    def _ask(self, found: list[Any]) -> Any:
        self._study.sampler = self._sampler(len(found))
        if self.search.sampler == "grid" and not any(one.state.name == "WAITING" for one in found):
            values = next(islice(self.search.grid(), len(found), None))
            self._study.enqueue_trial(values)
        trial = self._study.ask()
        self._suggest(trial)
        return trial

    def _trial_of(self, frozen: Any) -> Any:
        """A trial whose process died. If it died before it had all values, the others are drawn now."""
        self._study.sampler = self._sampler(frozen.number)
        trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
        self._suggest(trial)
        return trial

    def _suggest(self, trial: Any) -> None:
        for one in self.search.dimensions:
            _suggest(trial, one)

    def _worked(self, trial: Any, claim: RunClaim) -> WorkedTrial:
        return WorkedTrial(self._study, trial, claim)

    def _take(self, number: int) -> RunClaim | None:
        claim = take(self._folder(number))
        return claim if isinstance(claim, RunClaim) else None

    def _folder(self, number: int) -> Path:
        return self.folder / "trials" / str(number)

    def _sampler(self, number: int) -> Any:
        """A sampler for one trial. It begins from the trial's number, so that random trials do not depend on which
        process asks; those of TPE depend on the trials that have ended by then."""
        name = hashlib.sha256(f"{self.search.digest()} {number}".encode()).digest()
        seed = int.from_bytes(name[:4], "big")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `constant_liar` is called experimental before Optuna 5
            if self.search.sampler == "tpe":
                return self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            return self._optuna.samplers.RandomSampler(seed=seed)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with held(self.folder / "asking", self.say):
            yield


class WorkedTrial:
    """A trial that this process works on, until one of `done`, `pruned`, `failed` and `leave`."""

    def __init__(self, study: Any, trial: Any, claim: RunClaim) -> None:
        self._study, self._trial = study, trial
        self._claim: RunClaim | None = claim
        self.number: int = trial.number
        self.values: dict[str, Any] = dict(trial.params)
        self._reported = set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def report(self, epoch: int, accuracy: float) -> None:
        """Note an epoch's accuracy, once."""
        if epoch not in self._reported:
            self._trial.report(accuracy, epoch)
            self._reported.add(epoch)

    def lags(self) -> bool:
        """Whether its best accuracy so far is below the median of the finished trials at its last epoch."""
        return bool(self._reported) and self._trial.should_prune()

    def done(self, value: float) -> None:
        self._study.tell(self._trial, value, skip_if_finished=True)
        self.leave()

    def pruned(self) -> None:
        self._end("PRUNED")

    def failed(self) -> None:
        self._end("FAIL")

    def leave(self) -> None:
        """Let others work on it, if it has not ended. Once: a second release could end the claim of another process."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()
            with contextlib.suppress(OSError):
                claim.path.parent.rmdir()

    def _end(self, state: str) -> None:
        states = optuna_module().trial.TrialState
        self._study.tell(self._trial, state=states[state], skip_if_finished=True)
        self.leave()


def read_trials(folder: Path) -> list[SweepTrial]:
    """The trials of a sweep's folder as they are now, by number; writes nothing. Empty if there is no journal."""
    optuna = optuna_module()
    if not (folder / JOURNAL).is_file():
        return []
    try:
        study = optuna.load_study(study_name=STUDY, storage=_storage(optuna, folder))
    except KeyError:
        return []
    return [_trial(one) for one in study.get_trials(deepcopy=False) if one.state.name != "WAITING"]


def _study(optuna: Any, folder: Path, sampler: Any) -> Any:
    return optuna.create_study(
        study_name=STUDY,
        storage=_storage(optuna, folder),
        direction="maximize",
        sampler=sampler,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=FIRST_PRUNED),
        load_if_exists=True,
    )


def _storage(optuna: Any, folder: Path) -> Any:
    """The lock is a file that is created exclusively, which NFS does without locks."""
    journal = optuna.storages.journal
    path = str(folder / JOURNAL)
    try:
        return optuna.storages.JournalStorage(journal.JournalFileBackend(path, journal.JournalFileOpenLock(path)))
    except ValueError as error:  # json.JSONDecodeError is one
        raise SweepError(f"{path}: cannot be read ({error}); move it elsewhere to start the sweep again") from None


def _mend(optuna: Any, journal: Path) -> None:
    """Cut off a last line that a full disk or a power cut left unfinished: what follows it could not be read."""
    if not journal.is_file():
        return
    lock = optuna.storages.journal.JournalFileOpenLock(str(journal))
    lock.acquire()
    try:
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(journal, whole)
    finally:
        lock.release()


def _suggest(trial: Any, one: Dimension) -> Any:
    if not one.is_range:
        return trial.suggest_categorical(one.key, one.choices)
    if one.whole:
        return trial.suggest_int(one.key, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(one.key, one.low, one.high, log=one.log)


def _trial(frozen: Any) -> SweepTrial:
    state = _STATES.get(frozen.state.name, "running")
    value = frozen.value if state == "done" else None
    return SweepTrial(frozen.number, state, dict(frozen.params), dict(frozen.intermediate_values), value)

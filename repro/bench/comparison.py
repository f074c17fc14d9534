"""One comparison: a paper's network, trained or used for prediction by this suite and by every rival."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.layers import parameter_count
from repro.bench import contenders
from repro.bench.arithmetic import multiply_adds
from repro.bench.measure import PAUSE_S, Entrant, duel, finalists, scout
from repro.bench.records import Candidate, Duel, LearningAgreement, RivalComparison
from repro.bench.worker import Worker, WorkerError, thread_environment
from repro.bench.workload import Workload

OWN = "own"
SCOUTING_ROUNDS = 3
# Scouting only ranks; the reported values come from the duels.
SCOUTING_SHARE = 1 / 3
PREDICT_BATCHES = (16, 64, 256, 1024)


class BenchError(UserError):
    """A comparison that cannot be made; the message says what to do about it."""


@dataclass(frozen=True)
class ComparisonSettings:
    """How to compare. device: cpu or gpu. rivals: by name, as in `contenders.NAMES`. seconds: of one timing. modes: of
    the rivals to try; by default all."""

    device: str
    rivals: tuple[str, ...]
    rounds: int
    seconds: float
    threads: int
    pause_s: float = PAUSE_S
    predict_batches: tuple[int, ...] = PREDICT_BATCHES
    modes: tuple[str, ...] | None = None

    def modes_of(self, name: str) -> tuple[str, ...]:
        """The modes in which a contender is tried."""
        there_are = contenders.modes(name, self.device)
        return there_are if name == OWN or self.modes is None else tuple(m for m in there_are if m in self.modes)


def choose_rivals(asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """The requested rivals, or all installed ones if none was requested.

    Raises BenchError for a rival that is unknown or not installed, or if none is installed.
    """
    known = tuple(name for name in contenders.NAMES if name != OWN)
    install = 'pip install "fer-repro[bench]" (from a checkout: pip install ".[bench]")'
    for name in asked or ():
        if name not in known:
            raise BenchError(f"--against: no rival {name!r}; accepted: {', '.join(known)}")
        if not contenders.installed(name):
            raise BenchError(f"--against: {name} is not installed here; install the rivals with {install}")
    chosen = tuple(dict.fromkeys(asked or [name for name in known if contenders.installed(name)]))
    if not chosen:
        raise BenchError(f"none of the rivals ({', '.join(known)}) is installed here; install them with {install}")
    return chosen


def chosen_modes(asked: tuple[str, ...] | None, rivals: tuple[str, ...], device: str) -> tuple[str, ...] | None:
    """The requested modes; None for all. Raises BenchError for a mode that no rival has on the device."""
    known = [mode for rival in rivals for mode in contenders.modes(rival, device)]
    for mode in asked or ():
        if mode not in known:
            raise BenchError(
                f"--modes: no mode {mode!r} of {', '.join(rivals)} on {device}; accepted: {', '.join(known)}"
            )
    return asked


def start_worker(name: str, mode: str, workload: Workload, settings: ComparisonSettings) -> Worker:
    """Raises WorkerError."""
    return Worker(
        contenders.start,
        (name, mode, workload, settings.device),
        label=f"{name} {mode} on {workload.name}",
        variables=thread_environment(settings.threads, settings.device),
    )


def compare(
    workload: Workload,
    what: Literal["train", "predict"],
    settings: ComparisonSettings,
    *,
    agreements: tuple[LearningAgreement, ...],
    between: Callable[[], object],
    say: Callable[[str], None],
) -> RivalComparison:
    """Scout all modes, then time ours against the best of every rival in alternating rounds.

    between: called after every round, while no contender works. Raises BenchError if ours or every rival fails.
    """
    scouted = _scout(workload, what, settings, say)
    ours = finalists([c for c in scouted if c.name == OWN])
    if not ours:
        raise BenchError(f"{workload.name}: this suite's own contender failed:\n{_errors(scouted, OWN)}")
    duels: list[Duel] = []
    with _entrant(workload, what, ours[0], settings) as own:
        own.calibrate(settings.seconds)
        for name in settings.rivals:
            for candidate in finalists([c for c in scouted if c.name == name]):
                met = _meet(workload, what, own, candidate, settings, between, say)
                if met is not None:
                    duels.append(met)
    if not duels:
        raise BenchError(f"{workload.name}: every rival failed:\n{_errors(scouted, *settings.rivals)}")
    network = workload.network
    costs = multiply_adds(network.layers, network.image_size)
    return RivalComparison(
        paper=workload.name,
        precision=workload.precision,
        parameters=parameter_count(network.layers, (network.image_size, network.image_size, 1))[0],
        multiply_adds=getattr(costs, what),
        seconds=settings.seconds,
        agreements=agreements,
        scouted=tuple(scouted),
        duels=tuple(duels),
    )


def _errors(scouted: list[Candidate], *names: str) -> str:
    return "\n".join(c.error for c in scouted if c.name in names and c.error)


def _scout(
    workload: Workload, what: Literal["train", "predict"], settings: ComparisonSettings, say: Callable[[str], None]
) -> list[Candidate]:
    """Time every mode of every contender with every batch size, in interleaved rounds."""
    sizes = (workload.network.training.batch_size,) if what == "train" else settings.predict_batches
    found: list[Candidate] = []
    with ExitStack() as stack:
        entrants: list[Entrant] = []
        for name in (OWN, *settings.rivals):
            for mode in settings.modes_of(name):
                try:
                    worker = stack.enter_context(start_worker(name, mode, workload, settings))
                except WorkerError as error:
                    say(f"  {name} {mode} is left out: {error}")
                    found += [Candidate(name=name, mode=mode, batch_size=size, error=error.reason) for size in sizes]
                    continue
                entrants += [_new_entrant(worker, name, mode, what, size, workload, settings) for size in sizes]
        # On a GPU each rival's compiler takes minutes of one core. The reported values come from the duels.
        together = settings.threads if settings.device == "gpu" else 1
        seconds = settings.seconds * SCOUTING_SHARE
        scout(entrants, rounds=SCOUTING_ROUNDS, seconds=seconds, say=say, together=together)
        found += [entrant.candidate() for entrant in entrants]
    return found


def _new_entrant(
    worker: Worker,
    name: str,
    mode: str,
    what: Literal["train", "predict"],
    size: int,
    workload: Workload,
    settings: ComparisonSettings,
) -> Entrant:
    return Entrant(worker, name, mode, what, size, samples=len(workload.labels), pause_s=settings.pause_s)


@contextmanager
def _entrant(
    workload: Workload, what: Literal["train", "predict"], candidate: Candidate, settings: ComparisonSettings
) -> Iterator[Entrant]:
    """A candidate in a fresh process, so that its memory and compile time are those of this batch size only."""
    with start_worker(candidate.name, candidate.mode, workload, settings) as worker:
        yield _new_entrant(worker, candidate.name, candidate.mode, what, candidate.batch_size, workload, settings)


def _meet(
    workload: Workload,
    what: Literal["train", "predict"],
    own: Entrant,
    candidate: Candidate,
    settings: ComparisonSettings,
    between: Callable[[], object],
    say: Callable[[str], None],
) -> Duel | None:
    """The duel with one candidate; None if it fails although scouting succeeded."""
    try:
        with _entrant(workload, what, candidate, settings) as rival:
            rival.calibrate(settings.seconds)
            return duel(own, rival, rounds=settings.rounds, cores=settings.threads, between=between, say=say)
    except WorkerError as error:
        if error.label == own.worker.label:
            raise
        say(f"  {candidate.name} {candidate.mode} is left out: {error}")
        return None

"""Whether the rivals learn as this suite does: checked once per network, versions and code, and kept in the records."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import fer_jax
from repro.bench import contenders
from repro.bench.agreement import OWN, ROUNDING, STEPS, LearningCheck, amplified_rounding, check, draws_at_random
from repro.bench.comparison import ComparisonSettings, start_worker
from repro.bench.records import BenchRecord, LearningAgreement
from repro.bench.worker import WorkerError
from repro.bench.workload import Workload, initial_variables

SEEDS = (0, 1, 2)
# If dropout or flips are drawn, chance sometimes makes a difference: the check is repeated with these seeds.
OTHER_SEEDS = (3, 4, 5, 6, 7, 8)

DISTRIBUTIONS = {
    "torch": ("torch",),
    "keras": ("keras", "tensorflow", "tensorflow-cpu"),
}
OWN_DISTRIBUTIONS = ("jax", "jaxlib", "flax", "optax")


def stored_agreements(records: Iterable[BenchRecord]) -> list[LearningAgreement]:
    """The verdicts of earlier comparisons."""
    return [a for record in records if record.comparison is not None for a in record.comparison.agreements]


def agreement_key(workload: Workload, rival: str, device: str) -> str:
    """A key that changes if either side could learn differently: it covers network, rows, starting weights, versions,
    and the training code here, because a new routine may be wrong."""
    digest = hashlib.sha256()
    for name in (*OWN_DISTRIBUTIONS, *DISTRIBUTIONS.get(rival, ())):
        try:
            digest.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            continue
    network = dataclasses.asdict(workload.network)
    about = [rival, device, workload.precision, training_code(), STEPS, network]
    digest.update(msgspec.json.encode(about, order="sorted"))
    for array in (workload.images, workload.labels, *_leaves(workload.variables)):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]


@functools.cache
def training_code() -> str:
    """A digest of all sources of the package that trains."""
    folder = Path(fer_jax.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".cc", ".h")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _leaves(tree: object) -> list[np.ndarray]:
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _leaves(tree[key])]
    assert isinstance(tree, np.ndarray)
    return [tree]


def agreements_with(
    workload: Workload, settings: ComparisonSettings, known: Sequence[LearningAgreement], say: Callable[[str], None]
) -> tuple[LearningAgreement, ...]:
    """One verdict per rival, in their order: from `known` if still valid, otherwise by training.

    Each rival uses its plainest mode (`PlainestMode`). Raises WorkerError if a contender fails in all of its modes.
    """
    keys = {rival: agreement_key(workload, rival, settings.device) for rival in settings.rivals}
    found = {a.rival: a for a in known if keys.get(a.rival) == a.key}
    missing = [rival for rival in settings.rivals if rival not in found]
    if missing:
        say(f"  do {', '.join(missing)} learn alike? {STEPS} updates from each of {len(SEEDS)} seeds")
        result, amplified = _train(workload, missing, SEEDS, settings, say)
        doubtful = [rival for rival in missing if not result.alike_with(rival)]
        found |= {rival: _verdict(rival, keys[rival], result, amplified) for rival in missing}
        random = draws_at_random(workload.network) or amplified > ROUNDING
        if doubtful and random:
            say(f"  {', '.join(doubtful)} differ: once more with {len(OTHER_SEEDS)} other seeds")
            result, _ = _train(workload, doubtful, OTHER_SEEDS, settings, say, random=True)
            found |= {rival: _verdict(rival, keys[rival], result, amplified) for rival in doubtful}
    for rival in settings.rivals:
        say(f"  {rival} {'learns' if found[rival].agrees else 'DOES NOT learn'} alike: {found[rival].summary}")
    return tuple(found[rival] for rival in settings.rivals)


def _train(
    workload: Workload,
    rivals: Sequence[str],
    seeds: tuple[int, ...],
    settings: ComparisonSettings,
    say: Callable[[str], None],
    *,
    random: bool | None = None,
) -> tuple[LearningCheck, float]:
    """The check; and if a rival differs in a network that draws nothing, what `amplified_rounding` gives, else 0."""
    started = dataclasses.replace(
        workload, variables={seed: initial_variables(workload.network, seed) for seed in seeds}
    )
    with ExitStack() as stack:
        workers = {name: stack.enter_context(PlainestMode(name, started, settings, say)) for name in (OWN, *rivals)}
        result = check(workers, started, seeds=seeds, random=random, say=lambda line: say(f"  {line}"))
        amplified = 0.0
        if not (result.alike or random or draws_at_random(workload.network)):
            amplified = amplified_rounding(workers[OWN], started, result)
            say(f"  weights disturbed by a millionth move this suite's own losses by up to {amplified:.4f}")
            if amplified > ROUNDING:
                result = result.on_average()
        return result, amplified


class PlainestMode:
    """A contender in the first of its modes in which its process survives: where one fails, the next one takes over and
    repeats the calls since the last `reset`. A context manager, which ends the process."""

    def __init__(self, name: str, workload: Workload, settings: ComparisonSettings, say: Callable[[str], None]) -> None:
        self._start = functools.partial(start_worker, name, workload=workload, settings=settings)
        self._name, self._modes, self._say = name, list(contenders.modes(name, settings.device)), say
        self._process = ExitStack()
        self._worker: Any = None
        self._calls: list[tuple[str, tuple[Any, ...]]] = []  # since the last reset
        self.versions: dict[str, str] = {}

    def __enter__(self) -> PlainestMode:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def reset(self, seed: int) -> None:
        self._calls = []
        self._call("reset", seed)

    def disturb(self) -> None:
        self._call("disturb")

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        return self._call("train", rows_SB)

    def predict(self, rows_SB: np.ndarray) -> np.ndarray:
        return self._call("predict", rows_SB)

    def device_memory_bytes(self) -> int | None:
        return self._call("device_memory_bytes")

    def _call(self, method: str, *arguments: Any) -> Any:
        self._calls.append((method, arguments))
        while True:
            try:
                todo = self._calls[-1:]
                if self._worker is None:
                    self._worker = self._process.enter_context(self._start(self._modes[0]))
                    self.versions, todo = self._worker.versions, self._calls
                return [getattr(self._worker, name)(*given) for name, given in todo][-1]
            except WorkerError as error:
                self._process.close()
                self._worker = None
                failed = self._modes.pop(0)
                if not self._modes:
                    raise
                self._say(f"  {self._name} {failed} fails ({error.reason}); {self._modes[0]} is checked instead")


def _verdict(rival: str, key: str, result: LearningCheck, amplified: float) -> LearningAgreement:
    """amplified: see `_train`."""
    moved = f"; rounding moves our own by up to {amplified:.4f}" if amplified else ""
    figures = {
        "steps": result.steps,
        "seeds": list(result.seeds),
        "held_out_loss": {name: list(result.held_out.losses[name]) for name in (OWN, rival)},
        "training_loss": {name: list(result.training.losses[name]) for name in (OWN, rival)},
        **({"rounding_amplified": amplified} if amplified else {}),
    }
    return LearningAgreement(
        rival=rival, key=key, agrees=result.alike_with(rival), summary=result.summary(rival) + moved, figures=figures
    )

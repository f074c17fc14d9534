"""What the first host gives the others to train, when several share each batch (`fer_jax.machine.hosts`).

An order holds the resolved settings, so the others need neither the spec's file nor the results folder. Each prepares
the samples from its own copy of the dataset. All compare what came out before anything is trained.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from fer_jax import TRAINING_VERSION
from fer_jax.data.steps import Prepared
from fer_jax.machine import hosts
from fer_jax.machine.digests import arrays_sha256
from fer_jax.train.loop import SplitsDiffer
from fer_jax.vocabulary.errors import HostLost
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Precision
from repro.runs.dataset import Dataset
from repro.runs.environment import versions
from repro.runs.plan import RunPlan
from repro.runs.preparation import network_of, prepare
from repro.runs.records import Overrides
from repro.runs.run_context import RunContext
from repro.specs.spec import Spec

_LONGEST = 200  # characters of a host's trouble that the others get
Timed = list[tuple[Prepared, float]]  # per seed, with the seconds that it took


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The plans of one program, which differ in their seed, without what only records need."""

    spec: Spec
    spec_path: str
    sha256: str
    variant: str
    protocol: str
    seeds: tuple[int, ...]
    overrides: Overrides
    precision: Precision | None
    keep_going: bool
    fingerprint: str
    dataset: str
    checkpoint_every_s: float | None

    def plans(self) -> list[RunPlan]:
        """Raises HostError if this version of the suite understands other settings."""
        path = Path(self.spec_path)
        plans = [
            RunPlan(
                self.spec, path, "", self.variant, self.protocol, seed, self.overrides, self.precision, self.keep_going
            )
            for seed in self.seeds
        ]
        if plans[0].sha256 != self.sha256:
            raise hosts.HostError("this host runs another version of the suite: the settings have another SHA-256")
        return plans


def equal_on_all_hosts() -> dict[str, str | int]:
    """What must be the same everywhere, by its name in a message."""
    known = versions()
    of_packages = {f"version of {name}": known.get(name, "none") for name in ("fer-repro", "jax", "numpy")}
    return {**of_packages, "version of the training code": TRAINING_VERSION}


def order_of(plans: list[RunPlan], context: RunContext) -> Order:
    plan = plans[0]
    return Order(
        spec=plan.spec,
        spec_path=plan.spec_path.name,
        sha256=plan.sha256,
        variant=plan.variant,
        protocol=plan.protocol,
        seeds=tuple(plan.seed for plan in plans),
        overrides=plan.overrides,
        precision=plan.precision,
        keep_going=plan.keep_going,
        fingerprint=context.dataset.faces.fingerprint,
        dataset=context.dataset.tag,
        checkpoint_every_s=context.checkpoint_every_s,
    )


def prepare_on_every_host(plans: list[RunPlan], context: RunContext) -> tuple[Network, Timed]:
    """The network, and each plan's samples; with several hosts, on each.

    Raises what `prepare` raises, SplitsDiffer if the seeds' data steps end in different networks, and HostError if
    another host cannot prepare the same.
    """
    if hosts.several():
        hosts.say("train", order=msgspec.to_builtins(order_of(plans, context)))
        return prepared_alike(lambda: prepared(plans, context.dataset))
    return prepared(plans, context.dataset)


def prepared(plans: list[RunPlan], dataset: Dataset) -> tuple[Network, Timed]:
    """As `prepare_on_every_host`, on this host."""
    timed = []
    for plan in plans:
        begin = time.perf_counter()
        timed.append((prepare(plan, dataset), time.perf_counter() - begin))
    network = network_of(plans[0], timed[0][0])
    if any(network_of(plan, one) != network for plan, (one, _) in zip(plans, timed, strict=True)):
        raise SplitsDiffer("the seeds' data steps end in different networks")
    return network, timed


def prepared_alike(do: Callable[[], tuple[Network, Timed]]) -> tuple[Network, Timed]:
    """What `do` returns, once all hosts have done it and have the same samples. Raises what it raises, else HostError
    if another host failed or has other samples."""
    trouble: Exception | None = None
    done: tuple[Network, Timed] | None = None
    report: dict[str, Any] = {}
    try:
        done = do()
        report["samples"] = _digest(done[1])
    except Exception as error:
        trouble = error
        report["trouble"] = (str(error) or type(error).__name__)[:_LONGEST]
    found = [json.loads(one) for one in hosts.gather(json.dumps(report, ensure_ascii=False))]
    if trouble is not None:
        raise trouble
    for number, other in enumerate(found):
        if "trouble" in other:
            raise hosts.HostError(f"process {number}: {other['trouble']}")
        if other != found[0]:
            raise hosts.HostError(f"process {number} prepared other samples than process 0; install the same versions")
    assert done is not None
    return done


def _digest(timed: Timed) -> str:
    """Of the labels, the origin and the targets of all samples, in their order."""
    targets = {f"{seed} targets": one.targets for seed, (one, _) in enumerate(timed) if one.targets is not None}
    return arrays_sha256(
        targets
        | {
            f"{seed} {name} {field}": getattr(part, field)
            for seed, (one, _) in enumerate(timed)
            for name, part in one.splits.items()
            for field in ("labels", "origin")
        }
    )


@contextlib.contextmanager
def train_on_every_host() -> Iterator[None]:
    """Around the training of an order, on the first host. If it fails here alone, such as by a full disk, the others
    give it up too, and wait for the next order. Raises HostLost if one of them is gone."""
    if not hosts.several():
        yield
        return
    try:
        with hosts.ends_with_the_others():
            yield
    except HostLost:
        raise
    except MemoryError as error:  # the others may be in the middle of a program
        raise HostLost(str(error), "not enough memory on the first host") from error
    except Exception as error:
        with contextlib.suppress(HostLost):
            hosts.say("abandoned", why=str(error)[:_LONGEST])
        raise

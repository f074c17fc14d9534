"""A process that is not the first of several: it trains what the first orders, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fer_jax.machine import hosts
from fer_jax.train.history import SeedData
from fer_jax.train.loop import SplitsDiffer, fit_seeds
from fer_jax.train.shared_checkpoints import SharedCheckpoints
from fer_jax.vocabulary.errors import HostLost, UserError
from repro.runs.orders import Order, prepared, prepared_alike
from repro.runs.plan import seeds_text
from repro.runs.run_context import RunContext


def follow(open_context: Callable[[], RunContext], say: Callable[[str], None]) -> hosts.Ended:
    """Train with the others until the first process ends; returns how it ended.

    open_context: this host's dataset and devices. If they cannot be had, the first process reports it and ends.
    say: called with a line for the user. Raises HostLost if another process is gone.
    """
    try:
        opened: RunContext | Exception = open_context()
    except Exception as error:
        opened = error
    while True:
        try:
            _take_part(hosts.hear("train"), opened, say)
        except hosts.Abandoned as abandoned:
            say(f"the first host gave the run up: {abandoned}")
        except hosts.Ended as ended:
            return ended


def _take_part(message: dict[str, Any], opened: RunContext | Exception, say: Callable[[str], None]) -> None:
    def prepare() -> Any:
        if isinstance(opened, Exception):
            raise opened
        if (found := opened.dataset).faces.fingerprint != order.fingerprint:
            raise hosts.HostError(f"its dataset is {found.tag}, not {order.dataset} as that of process 0")
        return prepared(order.plans(), found)

    order = msgspec.convert(message["order"], Order)
    try:
        network, timed = prepared_alike(prepare)
    except HostLost:
        raise
    except Exception as error:
        say(str(error))  # the first process knows it, and decides
        return
    assert isinstance(opened, RunContext)
    plan = order.plans()[0]
    say(f"training {plan.name}, seeds {seeds_text(order.seeds)}, with the other hosts")
    given = [
        SeedData(seed, one.splits, SharedCheckpoints(None), one.targets)
        for seed, (one, _) in zip(order.seeds, timed, strict=True)
    ]
    try:
        with hosts.ends_with_the_others():
            fit_seeds(
                network,
                given,
                devices=opened.devices,
                precision=order.precision,
                checkpoint_every_s=order.checkpoint_every_s,
                stop_failed=not order.keep_going,
            )
    except (UserError, SplitsDiffer) as error:
        # The settings do not fit the samples, which all hosts find alike: the first one is about to say so.
        hosts.hear("abandoned")
        raise AssertionError("`hear` has raised Abandoned") from error

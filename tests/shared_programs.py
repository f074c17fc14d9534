"""The engine's programs of a process, shared by all tests that train the same network on data of the same shapes.

A test that resumes a run, or compares one alone with one among others, makes three or four engines of one network. Each
would trace and load its programs anew, which takes ten times as long as the training of a tiny network.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import msgspec
import pytest

from fer_jax.network.native import calls
from fer_jax.train.engine import Engine
from fer_jax.vocabulary.custom_layer import own_modules
from fer_jax.vocabulary.network import Network

MOST = 24  # engines whose programs are kept: the networks of papers have large ones
# What the loop does with a program, which does not know of it.
OUTSIDE = {"epochs", "report", "schedule", "early_stopping"}

programs: OrderedDict[bytes, tuple[Any, dict[Any, Any]]] = OrderedDict()


def what_a_program_depends_on(engine: Engine, network: Network) -> bytes | None:
    """None if it is not known: the layers of a user's own module are its code."""
    if own_modules(network.layers):
        return None
    training = {name: value for name, value in msgspec.structs.asdict(network.training).items() if name not in OUTSIDE}
    optimizer = msgspec.structs.asdict(network.training.optimizer) | {"learning_rate": "an argument of the program"}
    training["optimizer"] = type(network.training.optimizer).__name__, optimizer
    parts = (
        (training, {**vars(network), "training": None}, engine.seeds, engine.precision, engine.temperature),
        (repr(engine.backend), engine.backend.compiler_options, calls.available()),
        [str(device) for device in engine.devices],
    )
    return pickle.dumps(parts)


def share(patch: pytest.MonkeyPatch) -> None:
    """Every engine made from now on has the programs of those made before with the same settings."""
    made = Engine.__init__

    def init(engine: Engine, network: Network, *arguments: Any, **settings: Any) -> None:
        made(engine, network, *arguments, **settings)
        key = what_a_program_depends_on(engine, network)
        if key is None:
            return
        engine._fresh_state, engine._compiled = programs.setdefault(key, (engine._fresh_state, engine._compiled))
        programs.move_to_end(key)
        if len(programs) > MOST:
            programs.popitem(last=False)

    patch.setattr(Engine, "__init__", init)

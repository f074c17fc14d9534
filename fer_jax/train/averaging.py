"""A running mean of the parameters, with which the network is evaluated (`settings.Training.average_weights`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fer_jax.vocabulary.settings import Training


class AveragedState(NamedTuple):
    """The optimizer's state, and the running mean of the parameters."""

    optimizer: Any
    mean: Any


def initial(training: Training, optimizer_state: Any, params: Any) -> Any:
    """The state of the optimizer as `TrainState` holds it. The mean starts at the initial parameters."""
    if not training.average_weights:
        return optimizer_state
    return AveragedState(optimizer_state, jax.tree.map(jnp.copy, params))


def optimizer_state(training: Training, state: Any) -> Any:
    return state.optimizer if training.average_weights else state


def following(training: Training, before: Any, optimizer_state: Any, params: Any) -> Any:
    """The state after a batch. before: as `initial` gives it. params: after the batch; with `accumulate` they change
    only with the last batch of an update, and so does the mean."""
    if not training.average_weights:
        return optimizer_state
    share = training.average_weights
    mean = jax.tree.map(lambda mean, p: share * mean + (1 - share) * p, before.mean, params)
    if isinstance(optimizer_state, optax.MultiStepsState):
        updated = optimizer_state.mini_step == 0
        mean = jax.tree.map(lambda new, old: jnp.where(updated, new, old), mean, before.mean)
    return AveragedState(optimizer_state, mean)


def evaluated(training: Training, state: Any) -> Any:
    """A `TrainState` with the parameters that are evaluated, reported and used again. state: of the whole run or of
    some seeds, as it trains or as a checkpoint holds it."""
    return state._replace(params=state.opt_state.mean) if training.average_weights else state

"""One training step, one epoch, one evaluation: everything that runs on the device (the loop is in ``loop.py``).

The step is the same code for one device and for several. With several, ``jax.shard_map`` gives each device its part
of every batch, and the sums (loss, gradients, batch statistics) are added up over the mesh axis "data". For runs that
differ in their seed and train side by side, ``jax.vmap`` adds a leading axis in front of that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from fer_jax.machine import hosts
from fer_jax.machine.devices import data_mesh, device_kind
from fer_jax.machine.precision import choose_precision, products_in
from fer_jax.machine.process_settings import pin
from fer_jax.network.backends import choose_backend
from fer_jax.network.model import build, init_variables, output_activation
from fer_jax.network.native import library
from fer_jax.train import averaging
from fer_jax.train.batches import NO_ROW
from fer_jax.train.inputs import Inputs, views_at
from fer_jax.train.losses import class_weights, example_losses, l2_penalty, probabilities, target_losses
from fer_jax.train.mixing import mean_logits
from fer_jax.train.optim import make_optimizer
from fer_jax.train.states import (
    DROPOUT_STREAM,
    EVALUATION_AUGMENT_STREAM,
    EVALUATION_FLIP_STREAM,
    INIT_STREAM,
    DeviceRows,
    EpochFigures,
    TrainState,
    stream_key,
)
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.layers import BatchNorm, Conv, every_layer
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Precision

_log = logging.getLogger(__name__)


class Engine:
    """Compiled functions for one network on given devices. It holds no state of a run.

    seeds: None for one run at a time. A number is for runs that train side by side in one program: states, data,
    training batches, learning rates, epochs and all results then have a leading axis over the runs (see `join`). Each
    run draws from its own key, as it does alone.
    precision: of products; by default the device's.

    Raises PrecisionError if the device does not support it, and SettingsError inside a context of JAX that changes
    results, such as `jax.enable_x64(True)`. Outside of one, what the environment says of JAX is overruled.
    """

    def __init__(
        self,
        network: Network,
        devices: list[jax.Device],
        *,
        seeds: int | None = None,
        precision: Precision | None = None,
        temperature: float = 1.0,
    ) -> None:
        pin()
        self.network = network
        self.devices = devices
        self.seeds = seeds
        self.precision: Precision = choose_precision(precision, devices[0])
        self.mesh = data_mesh(devices)
        self.spread = hosts.spread(devices)  # over several hosts
        self.axis = "data" if self.mesh else None
        compute_dtype = "bfloat16" if self.precision == "bfloat16" else "float32"
        self.backend = choose_backend(device_kind(devices[0]), compute_dtype, network.layers)
        self.inputs = Inputs(network, self.axis, len(devices))
        self.module = build(
            network.layers,
            backend=self.backend,
            axis_name=self.axis,
            batch_size=network.training.batch_size * self.inputs.crops,
        )
        self.output = output_activation(network.layers)
        self.temperature = temperature  # of the probabilities that `predict` gives; training does not see it
        self.compile_s = 0.0
        self.first_update_at: float | None = None  # by time.perf_counter
        self._compiled: dict[Any, Any] = {}
        self._fresh_state = jax.jit(self._init)

    def kernels(self) -> str:
        """What computes convolutions and batch norm: C++, JAX or XLA; empty if the network has neither. They give the
        same but for rounding."""
        convolves = any(isinstance(layer, Conv | BatchNorm) for _, _, layer, _ in every_layer(self.network.layers))
        return self.backend.kernels() if convolves else ""

    # --- placing things ---------------------------------------------------------------------------------------------

    def _everywhere(self, tree: Any) -> Any:
        return self._put(tree, PartitionSpec())

    def _put(self, tree: Any, spec: PartitionSpec) -> Any:
        """Arrays on the devices. On several hosts each puts its part of what all have."""
        if not self.mesh:
            return jax.device_put(tree, self.devices[0])
        where = NamedSharding(self.mesh, spec)
        if not self.spread:
            return jax.device_put(tree, where)
        arrays = jax.tree.map(np.asarray, tree)
        return jax.tree.map(lambda a: jax.make_array_from_callback(a.shape, where, lambda place: a[place]), arrays)

    def put_samples(self, images: np.ndarray, labels: np.ndarray, targets: np.ndarray | None = None) -> DeviceRows:
        """Put a split, uint8 as it is, on every device: images (N, H, W), labels (N,) and perhaps targets (N, K), for
        seeds with one more axis in front."""
        return DeviceRows(*self._everywhere((images, labels.astype(np.int32), targets)))

    def put_batches(self, rows_SB: np.ndarray) -> Array:
        """Put row numbers of batches (the last axis) on the devices; each holds its share of every batch."""
        return self._put(rows_SB, _by_batch(rows_SB.ndim))

    def init_state(self, seed: int) -> TrainState:
        """Fresh parameters of one run. The same seed gives the same parameters on every kind and number of devices."""
        with jax.default_device(hosts.own(self.devices)[0]):
            key = jax.random.key(seed, impl="threefry2x32")
            state = self._fresh_state(jax.random.key_data(key))
        return self._everywhere(state)

    def _init(self, key_data: Array) -> TrainState:
        network = self.network
        key = jax.random.fold_in(jax.random.wrap_key_data(key_data, impl="threefry2x32"), INIT_STREAM)
        variables = init_variables(network.layers, (network.image_size, network.image_size, 1), key)
        training, params = network.training, variables["params"]
        optimizer = make_optimizer(training.optimizer, training.optimizer.learning_rate, training.accumulate)
        return TrainState(
            params,
            variables.get("batch_stats", {}),
            averaging.initial(training, optimizer.init(params), params),
            jnp.zeros((), jnp.int32),
            key_data,
        )

    def join(self, states: list[TrainState]) -> TrainState:
        """The states of several runs, one per seed, in the form that the engine takes."""
        if self.seeds is None:
            # A state that came from the first host is not on the devices yet.
            return self._everywhere(states[0]) if self.spread else states[0]
        return self._everywhere(jax.tree.map(lambda *leaves: np.stack(leaves), *jax.device_get(states)))

    def put_back(self, state: TrainState, kept: TrainState, moving: list[int]) -> TrainState:
        """The new state of the runs in `moving`, and the kept state of all others."""
        places = np.array(moving)
        return self._everywhere(jax.tree.map(lambda old, new: old.at[places].set(new[places]), kept, state))

    def part(self, tree: Any, run: int) -> Any:
        """The part of a result that belongs to one run."""
        return tree if self.seeds is None else jax.tree.map(lambda leaf: leaf[run], tree)

    # --- one step ---------------------------------------------------------------------------------------------------

    def _sum(self, tree: Any) -> Any:
        return tree if self.axis is None else jax.lax.psum(tree, self.axis)

    def _step(
        self, data: DeviceRows, class_weight: Array | None, state: TrainState, batch: tuple[Array, Array]
    ) -> tuple[TrainState, EpochFigures]:
        """One batch: its rows, and the learning rate. Rows numbered NO_ROW have weight 0. B counts crops of samples, if
        the network trains on several of each."""
        own_rows, learning_rate = batch
        rows_B = self.inputs.repeated(own_rows)
        training = self.network.training
        key = jax.random.wrap_key_data(state.key, impl="threefry2x32")

        def stream(purpose: int) -> Array:
            return stream_key(key, purpose, number=state.step)

        weight_B = (rows_B != NO_ROW).astype(jnp.float32)
        examples = self._sum(weight_B.sum())
        labels_B = data.labels[jnp.maximum(rows_B, 0)]
        images, other_rows_B, own_share = self.inputs.for_training(data, own_rows, stream)
        other_labels_B = None if other_rows_B is None else data.labels[other_rows_B]
        loss_weight_B = other_weight_B = weight_B
        divisor = examples
        if class_weight is not None:
            loss_weight_B = weight_B * class_weight[labels_B]
            if other_labels_B is not None:
                other_weight_B = weight_B * class_weight[other_labels_B]
            if training.loss.class_weights_mean == "weights":
                both = own_share * loss_weight_B + (1 - own_share) * other_weight_B
                divisor = self._sum((loss_weight_B if other_labels_B is None else both).sum())

        def losses_of(logits: Array, places: Array, labels: Array) -> Array:
            if data.targets is None:
                return example_losses(training.loss, logits, labels, self.output)
            return target_losses(training.loss, logits, data.targets[places], self.output)

        def loss_of(params: Any) -> tuple[Array, tuple[Array, Array, Any]]:
            logits, updated = self.module.apply(
                {"params": params, "batch_stats": state.batch_stats},
                images,
                train=True,
                weight_B=weight_B,
                rngs={"dropout": stream(DROPOUT_STREAM)},
                mutable=["batch_stats"],
            )
            losses = losses_of(logits, jnp.maximum(rows_B, 0), labels_B) * loss_weight_B
            right = logits.argmax(-1) == labels_B
            if other_rows_B is not None and other_labels_B is not None:
                others = losses_of(logits, other_rows_B, other_labels_B) * other_weight_B
                losses = own_share * losses + (1 - own_share) * others
                right = own_share * right + (1 - own_share) * (logits.argmax(-1) == other_labels_B)
            data_loss = jnp.sum(losses) / divisor
            total = data_loss
            if training.loss.l2:
                total = total + l2_penalty(training.loss, params) / len(self.devices)
            correct = jnp.sum(right * weight_B)
            return total, (data_loss, correct, updated.get("batch_stats", {}))

        (_, (data_loss, correct, batch_stats)), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        grads, data_loss, correct = self._sum((grads, data_loss, correct))
        optimizer = make_optimizer(training.optimizer, learning_rate, training.accumulate)
        before = averaging.optimizer_state(training, state.opt_state)
        updates, opt_state = optimizer.update(grads, before, state.params)
        params = optax.apply_updates(state.params, updates)
        opt_state = averaging.following(training, state.opt_state, opt_state, params)
        state = TrainState(params, batch_stats, opt_state, state.step + 1, state.key)
        return state, EpochFigures(data_loss, correct, examples)

    def _epoch(
        self, state: TrainState, data: DeviceRows, rows_SB: Array, rates_S: Array
    ) -> tuple[TrainState, EpochFigures]:
        weights = class_weights(self.network.training.loss, data.labels, len(EMOTIONS))
        return jax.lax.scan(partial(self._step, data, weights), state, (rows_SB, rates_S))

    def _predict(
        self, state: TrainState, data: DeviceRows, rows_SB: Array, epoch: Array, *, split: str
    ) -> tuple[Array, Array]:
        """Class probabilities (S, B, K) and losses (S, B) of every row, in evaluation mode."""
        loss, output = self.network.training.loss, self.output
        key = jax.random.wrap_key_data(state.key, impl="threefry2x32")
        # Drawn by row, so that it does not depend on how the rows are cut into batches.
        flip_key, augment_key = (
            stream_key(key, purpose, number=epoch) for purpose in (EVALUATION_FLIP_STREAM, EVALUATION_AUGMENT_STREAM)
        )
        draws_N = self.inputs.draw(split, flip_key, augment_key, len(data.labels))
        views = views_at(self.network, split)

        def answers(images: Array) -> Array:
            variables = {"params": state.params, "batch_stats": state.batch_stats}
            logits: Any = self.module.apply(variables, images, train=False, weight_B=None)
            return logits

        def one(carry: None, rows_B: Array) -> tuple[None, tuple[Array, Array]]:
            rows = jnp.maximum(rows_B, 0)
            images, draws = data.images[rows], draws_N.of(rows)
            if views is None:
                logits = answers(self.inputs.prepare(images, draws))
            else:
                each = self.inputs.prepare_views(images, draws, views)
                logits_VBK = answers(each.reshape(-1, *each.shape[2:])).reshape(*each.shape[:2], -1)
                logits = mean_logits(logits_VBK, output, "logits" if loss.kind == "squared_hinge" else views.average)
            losses = example_losses(loss, logits, data.labels[rows], output)
            return carry, (probabilities(logits, output, self.temperature), losses)

        _, out = jax.lax.scan(one, None, rows_SB)
        return out

    # --- compiling and calling --------------------------------------------------------------------------------------

    def _for_seeds(self, function: Callable[..., Any], *, rows: bool) -> Callable[..., Any]:
        """The function of (state, data, rows, number) with a leading axis of seeds. `rows`: each seed has its own."""
        return function if self.seeds is None else jax.vmap(function, in_axes=(0, 0, 0 if rows else None, 0))

    def _shared_out(self, function: Callable[..., Any], rows_ndim: int, out_specs: Any) -> Callable[..., Any]:
        """The function with its third argument, batches, split over the devices; everything else is on each device."""
        if self.mesh is None:
            return function
        everywhere = PartitionSpec()
        in_specs = (everywhere, everywhere, _by_batch(rows_ndim), everywhere)
        # Gradients and statistics are added up by hand in the step, so JAX need not infer which values are equal.
        return jax.shard_map(function, mesh=self.mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)

    def _call(
        self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], donate: tuple[int, ...]
    ) -> Any:
        """Run a function compiled ahead for these shapes. The compile time is recorded separately."""
        shapes = tuple((a.shape, str(a.dtype)) for a in jax.tree.leaves(arguments))
        if (name, shapes) not in self._compiled:
            begin = time.perf_counter()
            if library.compiling():
                _log.info("waiting for the C++ kernels, which are being compiled")
                library.wait()
            _log.info("compiling the program of the network")
            with products_in(self.precision, self.devices[0]):
                lowered = jax.jit(function, donate_argnums=donate).lower(*arguments)
            self._compiled[name, shapes] = lowered.compile(compiler_options={**self.backend.compiler_options} or None)
            self.compile_s += time.perf_counter() - begin
            _log.info("training" if name == "epoch" else "evaluating")
        if self.spread:
            hosts.meet()  # one may have compiled, prepared or written for longer than a collective waits
        if name == "epoch" and self.first_update_at is None:
            self.first_update_at = time.perf_counter()
        return self._compiled[name, shapes](*arguments)

    def run_epoch(
        self, state: TrainState, data: DeviceRows, rows_SB: np.ndarray, learning_rate: float | np.ndarray
    ) -> tuple[TrainState, EpochFigures]:
        """All batches of a stretch on the device, with no transfer in between. `state` is consumed. learning_rate: of
        each batch, (S,), or of all; for seeds with one more axis in front."""
        everywhere = PartitionSpec()
        function = self._for_seeds(self._epoch, rows=True)
        function = self._shared_out(function, rows_SB.ndim, (everywhere, everywhere))
        rates = np.asarray(learning_rate, np.float32)
        if rates.ndim < rows_SB.ndim - 1:
            rates = np.broadcast_to(rates[..., None], rows_SB.shape[:-1])
        arguments = (state, data, self.put_batches(rows_SB), self._everywhere(rates))
        return self._call("epoch", function, arguments, donate=(0,))

    def predict(
        self, state: TrainState, data: DeviceRows, rows_SB: np.ndarray, split: str, epoch: int | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(probability (N, K) float32, loss (N,) float32) of the N rows in `rows_SB`, in their order. All seeds use
        the same rows."""
        lead = 0 if self.seeds is None else 1
        shared = _by_batch(lead + 2, axis=lead + 1)
        function = self._for_seeds(partial(self._predict, split=split), rows=False)
        function = self._shared_out(function, rows_SB.ndim, (shared, shared))
        name = f"predict-{split}" if self.inputs.is_drawn(split) else "predict"
        name += "-views" if views_at(self.network, split) else ""
        number = self._everywhere(np.asarray(epoch, np.int32))
        out = self._call(name, function, (state, data, self.put_batches(rows_SB), number), donate=())
        real = rows_SB.reshape(-1) != NO_ROW
        if self.spread:
            out = multihost_utils.process_allgather(out, tiled=True)
        probability, loss = (np.asarray(array) for array in out)
        in_order = (*loss.shape[:lead], rows_SB.size)
        return probability.reshape(*in_order, -1)[..., real, :], loss.reshape(in_order)[..., real]


def _by_batch(ndim: int, axis: int = -1) -> PartitionSpec:
    """One axis, by default the last, split over the devices."""
    return PartitionSpec(*("data" if i == axis % ndim else None for i in range(ndim)))

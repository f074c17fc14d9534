"""The same training in Keras 3 on TensorFlow, its whole step compiled, with the data in the device's memory."""

from __future__ import annotations

import os

# Read when the packages are imported: Keras' backend, and that TensorFlow logs only errors.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from typing import Any

import keras  # pyright: ignore[reportMissingImports]
import numpy as np
import tensorflow as tf  # pyright: ignore[reportMissingImports]

from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Adam, Loss, RmsProp, Sgd
from repro.bench.contenders import complete_batches
from repro.bench.contenders.keras_layers import KerasBuilder
from repro.bench.contenders.stages import PROBABILITY_CLIP, hidden_stages, input_shape, output
from repro.bench.workload import Workload


class KerasRival:
    """Keras in one mode: `graph` is tf.function, `jit` compiles it with XLA; with `-loop` one call makes all steps."""

    def __init__(self, mode: str, workload: Workload, device: str) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError("Keras was imported with another backend than TensorFlow; use a separate process")
        self.workload, self.network = workload, workload.network
        kind = mode.removesuffix("-loop")
        self.loop = mode != kind
        self.device = _place(device, workload.precision)
        policy = keras.DTypePolicy("mixed_bfloat16" if workload.precision == "bfloat16" else "float32")
        with tf.device(self.device):
            self.images = tf.constant(workload.images)
            self.labels = tf.constant(workload.labels)
            self.offset, self.factor = map(tf.constant, self.network.scaling)
            self.builder = KerasBuilder(self.network.training.loss, policy)
            self.model = _build(self.network, self.builder)
            self.optimizer = _make_optimizer(self.network)
            self.optimizer.build(self.model.trainable_variables)
            self.flip_seed = keras.random.SeedGenerator(0)
        self.output = output(self.network)
        self.versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
        compiled = {"jit_compile": True} if kind == "jit" else {"jit_compile": False}
        self._train = tf.function(self._steps if self.loop else self._step, **compiled)
        self._predict = tf.function(self._all_classes if self.loop else self._classes, **compiled)

    def reset(self, seed: int) -> None:
        variables = self.workload.variables[seed]
        for variable, (kind, name, part) in self._places():
            variable.assign(np.reshape(variables[kind][name][part], variable.shape))
        settings = self.network.training.optimizer
        for variable in self.optimizer.variables:
            if variable.name == "learning_rate":
                continue
            # RMSprop's running mean of squares is a "velocity" in Keras.
            squares = isinstance(settings, RmsProp) and "velocity" in variable.path
            start = settings.initial_accumulator if squares and isinstance(settings, RmsProp) else 0
            variable.assign(tf.fill(variable.shape, tf.cast(start, variable.dtype)))
        # A dropout layer of rate 0 draws nothing and has no generator.
        random = [layer.seed_generator for layer in self.model.layers if hasattr(layer, "seed_generator")]
        for i, generator in enumerate([self.flip_seed, *random]):
            generator.state.assign([seed, i])

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        rows = self._put(rows_SB)
        losses = self._train(rows) if self.loop else tf.stack([self._train(rows_B) for rows_B in tf.unstack(rows)])
        return losses.numpy()

    def predict(self, rows_SB: np.ndarray) -> np.ndarray:
        rows = self._put(rows_SB)
        if self.loop:
            p = self._predict(rows).numpy()
            return p.reshape(-1, p.shape[-1])
        return tf.concat([self._predict(rows_B) for rows_B in tf.unstack(rows)], 0).numpy()

    def device_memory_bytes(self) -> int | None:
        if "GPU" not in self.device:
            return None
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])

    def variables(self) -> dict[str, Any]:
        """The current weights, in the form of `Workload.variables`."""
        tree: dict[str, Any] = {"params": {}, "batch_stats": {}}
        for variable, (kind, name, part) in self._places():
            shape = self.workload.variables[0][kind][name][part].shape
            tree[kind].setdefault(name, {})[part] = np.asarray(variable).reshape(shape)
        return tree

    def _put(self, rows_SB: np.ndarray) -> Any:
        # int64: TensorFlow keeps int32 in host memory, even for an operation on a GPU.
        with tf.device(self.device):
            return tf.constant(complete_batches(rows_SB, self.workload.labels.size))

    def _places(self) -> list[tuple[Any, tuple[str, str, str]]]:
        """Every variable of the model, and the place of its values in this suite's variables (the same shape but for
        axes of 1)."""
        return [(getattr(layer, variable), place) for layer, variable, place in self.builder.noted]

    # --- compiled functions -----------------------------------------------------------------------------------------

    def _logits(self, rows_B: Any, chance: float, training: bool) -> Any:
        images = tf.gather(self.images, rows_B)
        if chance:
            mirrored = keras.random.uniform(tf.shape(rows_B), seed=self.flip_seed) < chance
            images = tf.where(mirrored[:, None, None], images[:, :, ::-1], images)
        x = (tf.cast(images, tf.float32) - self.offset) * self.factor
        return tf.cast(self.model(tf.expand_dims(x, -1), training=training), tf.float32)

    def _step(self, rows_B: Any) -> Any:
        """One update of the weights; returns the loss before it, without L2."""
        training = self.network.training
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self._logits(rows_B, (self.network.random_flip or {}).get("train", 0.0), training=True)
            loss = _mean_loss(training.loss, logits, tf.gather(self.labels, rows_B), self.output)
            total = loss + tf.add_n(self.model.losses) if self.model.losses else loss
        gradients = tape.gradient(total, [weight.value for weight in weights])
        self.optimizer.apply(gradients, weights)
        return loss

    def _steps(self, rows_SB: Any) -> Any:
        losses = tf.TensorArray(tf.float32, size=rows_SB.shape[0])
        for i in tf.range(rows_SB.shape[0]):
            losses = losses.write(i, self._step(rows_SB[i]))
        return losses.stack()

    def _classes(self, rows_B: Any) -> Any:
        return _probabilities(self._logits(rows_B, 0.0, training=False), self.output)

    def _all_classes(self, rows_SB: Any) -> Any:
        found = tf.TensorArray(tf.float32, size=rows_SB.shape[0])
        for i in tf.range(rows_SB.shape[0]):
            found = found.write(i, self._classes(rows_SB[i]))
        return found.stack()


def _place(device: str, precision: str) -> str:
    """Set the precision of multiplications on a device and return its name."""
    if device == "cpu":
        if precision == "tensorfloat32":
            raise ValueError("a CPU has no tensorfloat32")
        return "/CPU:0"
    for gpu in tf.config.list_physical_devices("GPU"):
        # The compared processes share the memory; TensorFlow would otherwise take all of it.
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tensorfloat32")
    return "/GPU:0"


def _build(network: Network, builder: KerasBuilder) -> Any:
    images = keras.Input(input_shape(network))
    return keras.Model(images, builder.sequence(hidden_stages(network), images))


def _make_optimizer(network: Network) -> Any:
    """The update rule, by the same formulas with one exception. Keras' Adam knows only `epsilon_hat`, so a spec
    without it gets an epsilon smaller by sqrt(1 - b2^t). This matters only for gradients near epsilon."""
    settings = network.training.optimizer
    if isinstance(settings, Sgd):
        return keras.optimizers.SGD(settings.learning_rate, settings.momentum, settings.nesterov)
    if isinstance(settings, Adam):
        return keras.optimizers.Adam(settings.learning_rate, settings.b1, settings.b2, settings.epsilon)
    assert isinstance(settings, RmsProp), "`make_workload` lets no others through"
    return keras.optimizers.RMSprop(settings.learning_rate, settings.decay, settings.momentum, settings.epsilon)


def _probabilities(logits_BK: Any, output: str) -> Any:
    """Class weights that sum to one."""
    if output == "sigmoid":
        p = tf.sigmoid(logits_BK)
        return p / tf.reduce_sum(p, -1, keepdims=True)
    return tf.nn.softmax(logits_BK)


def _mean_loss(loss: Loss, logits_BK: Any, labels_B: Any, output: str) -> Any:
    """The loss of a batch without L2. See `settings.Loss` for the formulas."""
    if loss.kind == "mean_squared_error":
        outputs = tf.sigmoid(logits_BK) if output == "sigmoid" else tf.nn.softmax(logits_BK)
        return tf.reduce_mean((outputs - tf.one_hot(labels_B, logits_BK.shape[-1])) ** 2)
    if output == "sigmoid":
        p = tf.clip_by_value(_probabilities(logits_BK, output), PROBABILITY_CLIP, 1 - PROBABILITY_CLIP)
        return -tf.reduce_mean(tf.math.log(tf.gather(p, labels_B, batch_dims=1)))
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels_B, logits_BK))

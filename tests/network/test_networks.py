"""The networks of the papers, and of some models, as wide as they are: float32 gradients on a CPU against float64.

Some versions of XLA's CPU compiler compute fusions wrongly (JAX issues #39103 and #39257), and our routines are our
own, so what a run computes is held against another layout, another routine and twice the digits.

Where rounding turns round which of two values is the larger, a pooling or a ReLU sends a gradient another way, and the
difference is as large as the gradient. So the float32 network tells what it decided, float64 computes with the same
decisions, and each of these must be one that rounding explains.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FULLY_OPTIMIZED

from fer_jax.network import model, pooling
from fer_jax.network.backends import ChwnBackend, LayerStage, NhwcBackend
from fer_jax.network.native import batch_norm as native_batch_norm
from fer_jax.network.native import calls, overlapping
from fer_jax.network.native import convolution as native_convolution
from fer_jax.network.native import pooling as native_pooling
from fer_jax.vocabulary.layers import Dropout
from repro.specs.catalog import find_paper, papers_folder

PAPERS = {"basani2017": 28, "chavan2020": 48, "onghena": 48, "teta2022": 48, "zhaqsylyq": 48}  # size of the images
# Strides, separable convolutions and windows that overlap. In pure JAX a large window is pooled in two steps, whose
# places are not those of the window.
WITH_STRIDES = {"arriaga2017": 64, "serengil2018": 48, str(papers_folder() / "bench" / "resnet18_quarter.toml"): 40}
SIZES = PAPERS | WITH_STRIDES
ROWS = 6

# Of the largest gradient. Batch norm over six rows divides by small deviations, and so enlarges rounding.
ERROR, ERROR_BEHIND_BATCH_NORM = 2e-5, 5e-5
# By how much less than the largest, of a map's largest value, a pooling may choose, and a ReLU cut off or let pass.
ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Telling(ChwnBackend):
    """The backend of a CPU, which tells where each ReLU lets its input pass."""

    tell: Callable[[jax.Array], None] = print

    def conv(self, x, kernel_HWIO, bias, stage, added=None):
        y = super().conv(x, kernel_HWIO, bias, stage, added)
        if stage.rectify:
            self.tell(y > 0)
        return y

    def activate(self, x, function):
        if function == "relu":
            self.tell(x > 0)
        return super().activate(x, function)


@dataclass(frozen=True, eq=False)
class Told(NhwcBackend):
    """The plain network, in the order of a CPU's, whose poolings and ReLUs choose what they are told.

    gaps: by how much less than the largest each choice was.
    """

    decisions: Iterator[np.ndarray] = field(default_factory=lambda: iter(()))
    gaps: list[float] = field(default_factory=list)

    def stages(self, layers, prefix="", *, train):
        return ChwnBackend().stages(layers, prefix, train=train)

    def conv(self, x, kernel_HWIO, bias, stage, added=None):
        y = self.pooled(super().conv(x, kernel_HWIO, bias, stage, added), stage.pool)
        return self.activate(y, "relu") if stage.rectify else y

    def normalise_batch(self, x, scale, bias, rows, stage):
        y, mean, var = super().normalise_batch(x, scale, bias, rows, LayerStage(stage.name, stage.layer))
        y = self.pooled(y, stage.pool)
        return (self.activate(y, "relu") if stage.rectify else y), mean, var

    def max_pool(self, x, layer):
        return self.pooled(x, layer)

    def pooled(self, x, pool):
        if pool is None:
            return x
        (window, _), (stride, _) = pool.sides, pool.strides
        for axis, pad in zip((1, 2), pool.pads(x.shape[1:3]), strict=True):
            x = pooling.pad(x, axis, *pad, value=-jnp.inf)
        rows, columns = ((size - window) // stride + 1 for size in x.shape[1:3])
        candidates = jnp.stack([
            pooling.window_positions(pooling.window_positions(x, 1, i, rows, stride), 2, j, columns, stride)
            for i in range(window)
            for j in range(window)
        ])  # fmt: skip
        places = next(self.decisions).astype(int).transpose(3, 1, 2, 0)
        chosen = jnp.take_along_axis(candidates, jnp.asarray(places)[None], 0)[0]
        self.compare(candidates.max(0) - chosen, chosen)
        return chosen

    def activate(self, x, function):
        if function != "relu":
            return super().activate(x, function)
        passed = next(self.decisions)
        passed = passed.transpose(3, 1, 2, 0) if passed.ndim == 4 else passed.T
        self.compare(jnp.where(passed == (x > 0), 0, jnp.abs(x)), x)
        return jnp.where(passed, x, 0)

    def compare(self, gap, x):
        # In float32: callbacks run in threads of their own, for which double precision is off.
        jax.debug.callback(self.gaps.append, (jnp.max(gap) / jnp.max(jnp.abs(x))).astype(jnp.float32))


def loss_and_gradients(layers, backend, variables, x, dtype):
    """Mean cross-entropy in training and its gradients, compiled as the engine does."""
    with jax.enable_x64(dtype == np.float64):
        params, held = (
            jax.tree.map(lambda a: jnp.asarray(np.asarray(a), dtype), variables[k]) for k in ("params", "batch_stats")
        )
        network = model.build(layers, backend=backend)
        images, labels, weight_B = jnp.asarray(x, dtype), jnp.arange(len(x)) % 7, jnp.ones(len(x), dtype)

        def loss(params):
            logits, _ = network.apply(
                {"params": params, "batch_stats": held}, images, train=True, weight_B=weight_B, mutable=["batch_stats"]
            )
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()

        options = {**backend.compiler_options, **(FULLY_OPTIMIZED if dtype == np.float32 else {})}
        compiled = jax.jit(jax.value_and_grad(loss), compiler_options=options or None)
        result = jax.tree.map(np.asarray, compiled(params))
        jax.effects_barrier()
        return result


def telling_backend(monkeypatch):
    """The backend, and a function that gives what was decided since, in the order of the stages."""
    told = {}
    numbers = itertools.count()

    def tell(decision):
        jax.debug.callback(functools.partial(told.__setitem__, next(numbers)), decision)

    def telling(module, name, rectifies=lambda *args: False):
        original = getattr(module, name)

        def wrapped(*args, **kwargs):
            values, places = original(*args, **kwargs)
            if places.ndim == 4:  # one axis where nobody asks for places
                tell(places)
            if rectifies(*args):
                tell(values > 0)
            return values, places

        monkeypatch.setattr(module, name, wrapped)

    telling(native_convolution, "_call")
    telling(overlapping, "_call")
    telling(native_pooling, "_call")
    telling(native_batch_norm, "_normalise", lambda x, factor, offset, window, rectify: rectify)
    telling(pooling, "_maximum_and_index")
    return Telling(tell=tell), lambda: [np.asarray(told[number]) for number in sorted(told)]


# Each compiles for many seconds. With these, tests/network/test_backends.py and tests/network/native/test_kernels.py,
# every routine is tried beside every change.
BESIDE_EVERY_CHANGE = {("basani2017", "native"), ("chavan2020", "native"), ("teta2022", "pure JAX")}


@pytest.mark.parametrize(
    ("paper", "routines"),
    [
        pytest.param(paper, routines, marks=[] if (paper, routines) in BESIDE_EVERY_CHANGE else [pytest.mark.slow])
        for paper in SIZES
        for routines in ("native", "pure JAX")
        if not (paper == "serengil2018" and routines == "pure JAX")
    ],
)
def test_gradients(paper, routines, monkeypatch):
    if routines == "pure JAX":
        monkeypatch.setattr(calls, "available", lambda: False)
    elif not calls.available():
        pytest.skip("no C++ compiler")
    # Without dropout: each backend draws masks in its own layout.
    layers = find_paper(paper).resolve("default").model.layers
    layers, size = tuple(layer for layer in layers if not isinstance(layer, Dropout)), SIZES[paper]
    variables = model.init_variables(layers, (size, size, 1), jax.random.key(0))
    x = np.random.default_rng(0).random((ROWS, size, size)).astype(np.float32)

    backend, decided = telling_backend(monkeypatch)
    loss, gradients = loss_and_gradients(layers, backend, variables, x, np.float32)
    reference = Told(decisions=iter(decided()))
    expected_loss, expected = loss_and_gradients(layers, reference, variables, x, np.float64)

    assert not list(reference.decisions) and len(reference.gaps) == len(decided()) > 2
    assert max(reference.gaps) <= ROUNDING
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    largest = max(np.abs(g).max() for g in jax.tree.leaves(expected))
    assert largest > 1e-3
    bound = ERROR_BEHIND_BATCH_NORM if variables["batch_stats"] else ERROR
    for ours, theirs in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound * largest)

"""The networks of the five papers, as wide as they are: float32 gradients on a CPU against float64.

Some versions of XLA's CPU compiler compute fusions wrongly (JAX issues #39103 and #39257), and our routines are our
own, so what a run computes is held against another layout, another routine and twice the digits.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax import model, native
from fer_jax.backends import ChwnBackend, NhwcBackend
from fer_jax.layers import Dropout
from repro.catalog import find_paper

PAPERS = {"basani2017": 28, "chavan2020": 48, "onghena": 48, "teta2022": 48, "zhaqsylyq": 48}  # size of the images


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

        compiled = jax.jit(jax.value_and_grad(loss), compiler_options={**backend.compiler_options} or None)
        return jax.tree.map(np.asarray, compiled(params))


@pytest.fixture(scope="module", params=PAPERS)
def case(request):
    """(layers, initial variables, images, reference). Without dropout: each backend draws masks in its own layout."""
    layers = find_paper(request.param).resolve("default").model.layers
    layers, size = tuple(layer for layer in layers if not isinstance(layer, Dropout)), PAPERS[request.param]
    variables = model.init_variables(layers, (size, size, 1), jax.random.key(1))
    x = np.random.default_rng(0).random((6, size, size)).astype(np.float32)
    return layers, variables, x, loss_and_gradients(layers, NhwcBackend(), variables, x, np.float64)


@pytest.mark.parametrize("routines", ["native", "pure JAX"])
def test_gradients(case, routines, monkeypatch):
    if routines == "pure JAX":
        monkeypatch.setattr(native, "available", lambda: False)
    elif not native.available():
        pytest.skip("no C++ compiler")
    layers, variables, x, (loss, gradients) = case
    ours, ours_gradients = loss_and_gradients(layers, ChwnBackend(), variables, x, np.float32)
    np.testing.assert_allclose(ours, loss, rtol=1e-5)
    largest = max(np.abs(g).max() for g in jax.tree.leaves(gradients))
    assert largest > 1e-3
    for a, b in zip(jax.tree.leaves(ours_gradients), jax.tree.leaves(gradients), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * largest)

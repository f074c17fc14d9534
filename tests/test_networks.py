"""The networks of the five papers, as wide as they are: float32 gradients on a CPU against float64.

Some versions of XLA's CPU compiler compute fusions wrongly (JAX issues #39103 and #39257), and our routines are our
own, so what a run computes is held against another layout, another routine and twice the digits.
"""

import functools

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


# Of the largest gradient. Batch norm over six rows divides by small deviations, and so enlarges rounding.
ERROR, ERROR_BEHIND_BATCH_NORM = 2e-5, 5e-5
# Where rounding turns round which of two values is the larger, a pooling or a ReLU sends a gradient another way. All of
# our routines meet such a case for some weights and images; a fault would show for all of them.
DRAWS, ERROR_OF_A_DECISION = 3, 1e-2


def draw(paper, number):
    """(layers, initial variables, images, reference). Without dropout: each backend draws masks in its own layout."""
    layers = find_paper(paper).resolve("default").model.layers
    layers, size = tuple(layer for layer in layers if not isinstance(layer, Dropout)), PAPERS[paper]
    variables = model.init_variables(layers, (size, size, 1), jax.random.key(number))
    x = np.random.default_rng(number).random((6, size, size)).astype(np.float32)
    return layers, variables, x, loss_and_gradients(layers, NhwcBackend(), variables, x, np.float64)


@pytest.fixture(scope="module", params=PAPERS)
def case(request):
    """Draws of one paper, each made once."""
    return functools.cache(functools.partial(draw, request.param))


@pytest.mark.parametrize("routines", ["native", "pure JAX"])
def test_gradients(case, routines, monkeypatch):
    if routines == "pure JAX":
        monkeypatch.setattr(native, "available", lambda: False)
    elif not native.available():
        pytest.skip("no C++ compiler")
    errors = []
    for number in range(DRAWS):
        layers, variables, x, (loss, gradients) = case(number)
        ours, ours_gradients = loss_and_gradients(layers, ChwnBackend(), variables, x, np.float32)
        np.testing.assert_allclose(ours, loss, rtol=1e-5)
        assert all(a.dtype == np.float32 for a in jax.tree.leaves(ours_gradients))
        largest = max(np.abs(g).max() for g in jax.tree.leaves(gradients))
        assert largest > 1e-3
        errors.append(max(jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), ours_gradients, gradients))))
        errors[-1] /= largest
        assert errors[-1] <= ERROR_OF_A_DECISION
        if errors[-1] <= (ERROR_BEHIND_BATCH_NORM if variables["batch_stats"] else ERROR):
            return
    pytest.fail(f"gradients are off for each of {DRAWS} draws: {errors}")

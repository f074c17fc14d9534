"""The precision of products: what a device has, what is refused, and what the programs are told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICK
from jax import lax

from fer_jax.machine.precision import PrecisionError, choose_precision, default_precision, products_in
from fer_jax.network.backends import ChwnBackend, NhwcBackend, choose_backend
from fer_jax.network.model import build, init_variables
from fer_jax.train.engine import Engine

CPU = jax.devices("cpu")[0]


class Gpu:
    platform = "gpu"

    def __init__(self, kind, capability):
        self.device_kind, self.compute_capability = kind, capability


H200, V100, INSTINCT = Gpu("NVIDIA H200", "9.0"), Gpu("Tesla V100", "7.0"), Gpu("AMD Instinct MI300X", "gfx942")


@pytest.mark.parametrize(
    ("device", "expected"), [(CPU, "float32"), (H200, "tensorfloat32"), (V100, "float32"), (INSTINCT, "float32")]
)
def test_the_default_is_what_the_device_does(device, expected):
    assert default_precision(device) == choose_precision(None, device) == expected


def test_what_a_device_does_not_have_is_refused():
    for asked in ("tensorfloat32", "bfloat16"):
        with pytest.raises(PrecisionError, match=f"--precision {asked}: on a CPU there is only float32"):
            choose_precision(asked, CPU)
    assert choose_precision("float32", CPU) == "float32"
    with pytest.raises(PrecisionError, match="Tesla V100 has none"):
        choose_precision("tensorfloat32", V100)
    assert [choose_precision(p, H200) for p in ("float32", "tensorfloat32", "bfloat16")] == [
        "float32",
        "tensorfloat32",
        "bfloat16",
    ]


def precisions_of_products(precision, device):
    """Of a convolution, a dense layer and all their gradients, as they are traced."""
    kernel, image, weight = jnp.ones((3, 3, 1, 2)), jnp.ones((1, 4, 4, 1)), jnp.ones((32, 5))

    def loss(kernel, weight):
        y = lax.conv_general_dilated(image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jnp.sum((y.reshape(1, -1) @ weight) ** 2)

    with products_in(precision, device):
        traced = jax.make_jaxpr(jax.grad(loss, (0, 1)))(kernel, weight)
    products = ("conv_general_dilated", "dot_general")
    return [e.params["precision"] for e in traced.jaxpr.eqns if e.primitive.name in products]


@pytest.mark.parametrize(
    ("precision", "asked"),
    [("float32", lax.Precision.HIGHEST), ("tensorfloat32", lax.Precision.DEFAULT)],
)
def test_every_product_on_a_gpu_is_told_the_precision(precision, asked):
    found = precisions_of_products(precision, H200)
    assert len(found) >= 5
    assert set(found) == {(asked, asked)}


def test_programs_for_the_cpu_stay_as_they_were():
    assert set(precisions_of_products("float32", CPU)) == {None}


def test_bfloat16_is_for_the_backend_of_accelerators():
    assert choose_backend("gpu", "bfloat16") == NhwcBackend(compute_dtype="bfloat16")
    assert choose_backend("cpu") == ChwnBackend()
    with pytest.raises(ValueError, match="float32 alone"):
        choose_backend("cpu", "bfloat16")


def test_an_engine_refuses_what_its_device_does_not_have(tiny_network):
    with pytest.raises(PrecisionError, match="bfloat16"):
        Engine(tiny_network(), [CPU], precision="bfloat16")


def test_in_bfloat16_products_are_and_all_else_is_float32(tiny_network, tiny_faces):
    """Logits, statistics of batch norm and gradients are float32, near those of float32 but not equal."""
    layers = tiny_network(convolutional=True).layers
    faces = tiny_faces(32)
    images = jnp.asarray(faces.images, jnp.float32)[..., None] / 255
    variables = init_variables(layers, (12, 12, 1), jax.random.key(0))

    def figures(dtype):
        module = build(layers, backend=NhwcBackend(compute_dtype=dtype))

        def loss(params):
            state = {**variables, "params": params}
            rngs = {"dropout": jax.random.key(1)}
            logits, updated = module.apply(
                state, images, train=True, weight_B=jnp.ones(32), rngs=rngs, mutable=["batch_stats"]
            )
            picked = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.asarray(faces.labels)[:, None].astype(int), 1)
            return -picked.mean(), (logits, updated)

        function = jax.value_and_grad(loss, has_aux=True)
        return function, jax.jit(function, compiler_options=QUICK)(variables["params"])

    function, rounded = figures("bfloat16")
    _, exact = figures("float32")
    assert {leaf.dtype for leaf in jax.tree.leaves(rounded)} == {jnp.dtype("float32")}
    assert float(rounded[0][0]) == pytest.approx(float(exact[0][0]), rel=0.02) and rounded[0][0] != exact[0][0]
    # Also of conv1's bias, which batch norm takes away again, so that all of its gradient is rounding.
    for (path, a), b in zip(jax.tree.leaves_with_path(rounded), jax.tree.leaves(exact), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.linalg.norm(a - b) <= 0.25 * np.linalg.norm(b) + 5e-3, path
    text = str(jax.make_jaxpr(function)(variables["params"]))
    convolved = [line for line in text.splitlines() if "conv_general_dilated[" in line]
    assert convolved and all("bf16" in line for line in convolved)
    assert (rounded[0][1][1]["batch_stats"]["batch_norm1"]["mean"] != 0).any()

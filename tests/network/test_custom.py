"""fer_jax.network.custom: modules of the user's own run, by the hash of their source, in the plain layout."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.network import model
from fer_jax.network.backends import ChwnBackend, NhwcBackend, choose_backend
from fer_jax.network.custom import CustomLayerError
from fer_jax.vocabulary.custom_layer import Custom, own_modules, source_file, source_sha256
from fer_jax.vocabulary.layers import Conv, Dense, Flatten, Residual

FILE = source_file("own_layers:Gate")
assert FILE is not None
SHA256 = source_sha256(FILE)


def own(name, **more):
    return Custom(module=f"own_layers:{name}", sha256=SHA256, **more)


def variables_of(*layers):
    return model.init_variables((*layers, Flatten(), Dense(units=7)), (4, 4, 1), jax.random.key(0))


def test_it_is_trained_and_kept_like_other_layers():
    layers = (Conv(filters=4, kernel=1), own("Gate", settings={"start": 2.0}), own("Halves", output=(4, 4, 2)))
    variables = variables_of(*layers)
    assert jax.tree.map(jnp.shape, variables["params"]["python1"]) == {"factor": (4,)}
    assert jax.tree.map(jnp.shape, variables["params"]["python2"]) == {"Dense_0": {"bias": (2,), "kernel": (4, 2)}}
    network = model.build((*layers, Flatten(), Dense(units=7)), backend=choose_backend("cpu", layers=layers))
    x = np.ones((2, 4, 4), np.float32)

    def loss(params):
        logits, updated = network.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return logits.sum(), updated

    gradients, updated = jax.grad(loss, has_aux=True)(variables["params"])
    assert np.abs(gradients["python1"]["factor"]).max() > 0
    assert np.abs(updated["batch_stats"]["python1"]["average"]).max() > 0
    bare = {**variables["params"], "python1": {"factor": np.zeros(4, np.float32)}}
    quiet = np.asarray(network.apply({**variables, "params": bare}, x, train=False))
    heard = np.asarray(network.apply(variables, x, train=False))
    assert np.ptp(quiet, 0).max() == 0 and not np.allclose(quiet, heard)


def test_a_network_with_one_takes_the_plain_layout():
    layers = (Residual(body=(own("Gate"),)),)
    assert own_modules(layers) == [own("Gate")]
    assert choose_backend("cpu", layers=layers) == NhwcBackend()
    assert choose_backend("cpu", layers=(Flatten(),)) == ChwnBackend()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (own("Missing"), "Missing is not a subclass of flax.linen.Module"),
        (own("not_a_module"), "not_a_module is not a subclass"),
        (own("Gate", settings={"width": 3}), "unexpected keyword argument 'width'"),
        (own("Halves"), r"it makes 4 x 4 x 2 of 4 x 4 x 4, but .* write output = \[4, 4, 2\]"),
        (
            Custom(module="own_layers:Gate", sha256="1" * 64),
            f'not the one of this hash: own_layers.py has sha256 = "{SHA256}',
        ),
        (Custom(module="nowhere.at_all:Gate", sha256="1" * 64), "no module nowhere.at_all in the working directory"),
    ],
    ids=lambda value: value.module if isinstance(value, Custom) else "",
)
def test_what_cannot_be_used_is_said(layer, said):
    with pytest.raises(CustomLayerError, match=said):
        variables_of(Conv(filters=4, kernel=1), layer)


def test_a_module_that_fails_when_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "broken_layers.py").write_text("raise RuntimeError('boom')")
    monkeypatch.chdir(tmp_path)
    layer = Custom(module="broken_layers:Gate", sha256=source_sha256(tmp_path / "broken_layers.py"))
    with pytest.raises(CustomLayerError, match="RuntimeError: boom"):
        variables_of(layer)

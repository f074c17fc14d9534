"""repro.bench.workload: a paper's samples as it prepares them, and the weights that its runs start from."""

from __future__ import annotations

import pickle
from typing import Any

import jax
import numpy as np
import pytest
from tiny_paper import load_tiny

from fer_jax.data.faces import DataError
from fer_jax.data.synthetic import draw_faces
from fer_jax.network.backends import NhwcBackend
from fer_jax.network.model import build, init_variables, output_activation
from fer_jax.train.losses import probabilities
from fer_jax.vocabulary.layers import layer_names
from repro.bench import contenders
from repro.bench.workload import make_workload
from repro.specs.catalog import find_paper


@pytest.fixture(scope="module")
def faces():
    return draw_faces(counts={"Training": (12,) * 7, "PublicTest": (2,) * 7, "PrivateTest": (2,) * 7})


def test_samples_are_those_of_training_evenly_spaced(faces):
    workload = make_workload(find_paper("zhaqsylyq"), faces, seeds=(), samples=70)
    training = faces.take(faces.usage == 0)
    kept = np.linspace(0, 83, 70).astype(int)
    assert np.array_equal(workload.images, training.images[kept])
    assert np.array_equal(workload.labels, training.labels[kept]) and workload.labels.dtype == np.int32
    assert (workload.network.divide, workload.network.random_flip) == (255.0, None)
    assert workload.variables == {} and workload.name == "zhaqsylyq"


def test_a_paper_that_resizes_and_one_that_flips(faces):
    small = make_workload(find_paper("basani2017"), faces, seeds=())
    assert small.images.shape[1:] == (28, 28) and small.network.image_size == 28
    many = draw_faces(counts={"Training": (20,) * 7, "PublicTest": (2,) * 7, "PrivateTest": (2,) * 7})
    assert make_workload(find_paper("onghena"), many, seeds=()).network.random_flip == {"train": 0.5, "validation": 0.5}


def test_weights_are_those_of_a_run(faces):
    """Numbers, so that a rival needs no JAX to read them; and they give what our own contender gives."""
    workload = pickle.loads(pickle.dumps(make_workload(find_paper("zhaqsylyq"), faces, seeds=(0, 3))))
    assert set(workload.variables) == {0, 3}
    for leaf in jax.tree.leaves(workload.variables):
        assert type(leaf) is np.ndarray and leaf.dtype == np.float32
    params = workload.variables[3]["params"]
    assert set(params) <= set(layer_names(workload.network.layers))
    assert not np.array_equal(params["conv1"]["kernel"], workload.variables[0]["params"]["conv1"]["kernel"])
    key = jax.random.fold_in(jax.random.key(3, impl="threefry2x32"), 0)
    expected = init_variables(workload.network.layers, (48, 48, 1), key)["params"]
    assert np.array_equal(params["conv2"]["kernel"], expected["conv2"]["kernel"])

    own = contenders.start("own", "default", workload, "cpu")
    own.reset(3)
    images = workload.images[:4].astype(np.float32) / 255
    layers = workload.network.layers
    logits: Any = build(layers, backend=NhwcBackend()).apply({"params": params}, images, train=False)
    probability = own.predict(np.arange(4, dtype=np.int32).reshape(1, 4))
    assert np.allclose(probability, probabilities(logits, output_activation(layers)), atol=1e-5)


def test_too_few_samples():
    few = draw_faces(counts={"Training": (2,) * 7, "PublicTest": (1,) * 7, "PrivateTest": (1,) * 7})
    with pytest.raises(DataError, match=r"teta2022: the data leave 14 training samples, fewer than one batch of 32"):
        make_workload(find_paper("teta2022"), few)


CROP = '[[data.steps]]\nstep = "random_crop"\nsize = 6\nprovenance = [{ kind = "assumed", reason = "invented" }]\n\n'


def test_of_a_network_with_a_crop_the_middle_is_timed(tmp_path, faces):
    loaded = load_tiny(tmp_path, ("[[model.layers]]", f"{CROP}[[model.layers]]"))
    whole, middle = (make_workload(one, faces, seeds=()) for one in (load_tiny(tmp_path), loaded))
    assert np.array_equal(middle.images, whole.images[:, 1:7, 1:7]) and middle.network.image_size == 6


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"sgd"', '"lion"', "the other frameworks of the benchmark do not have optimizer lion"),
        ('"sgd"', '"sgd"\nclip_value = 0.1', "do not have optimizer.clip_value"),
        ('"cross_entropy"', '"focal"', "do not have loss focal"),
        ("epochs = 5", "epochs = 5\naccumulate = 2", "do not have accumulate"),
    ],
)
def test_what_only_this_suite_has_is_not_compared(tmp_path, faces, old, new, said):
    with pytest.raises(DataError, match=said):
        make_workload(load_tiny(tmp_path, (old, new)), faces, seeds=())

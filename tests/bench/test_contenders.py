"""Every framework computes what this suite does: predictions, updates, batch statistics, in all modes.

PyTorch and TensorFlow come with the extra `bench` alone. One at a time: `-k torch`, `-k keras`, `-k "not compile"`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import layers_by_hand
import msgspec
import narrow_papers
import numpy as np
import pytest

from fer_jax.vocabulary.layers import Activation, BatchNorm, Conv, Dense, Dropout, Flatten, Layer, MaxPool, every_layer
from fer_jax.vocabulary.settings import Adam, Loss, Optimizer, RmsProp, Sgd, Training
from repro.bench import contenders
from repro.bench.workload import Workload

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def missing(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not contenders.installed(name), reason=f"{name} is not installed (extra `bench`)")


RIVALS = [pytest.param(name, marks=missing(name), id=name) for name in ("torch", "keras")]
# One mode of each that starts fast; the others are compared with it below.
MODE = {"torch": "eager-channels_last", "keras": "graph"}
MODES = [
    pytest.param(name, mode, marks=missing(name), id=f"{name}-{mode}")
    for name in ("torch", "keras")
    for mode in contenders.modes(name, "cpu")
]


def start(name: str, workload: Workload, mode: str | None = None) -> Any:
    contender: Any = contenders.start(name, mode or MODE.get(name, "default"), workload, "cpu")
    contender.reset(0)
    return contender


def batches(workload: Workload, steps: int) -> np.ndarray:
    size = workload.network.training.batch_size
    return np.random.default_rng(3).integers(0, len(workload.labels), (steps, size)).astype(np.int32)


def assert_same_variables(ours, theirs, atol: float) -> None:
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(ours)]
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for name, a, b in zip(names, jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol, err_msg=name)


def assert_same_training(name: str, workload: Workload, *, steps: int, mode: str | None = None, atol: float) -> None:
    """From the same weights: equal losses, and afterwards weights and statistics that differ by less than a twentieth
    of what they moved by."""
    own, rival = start("own", workload), start(name, workload, mode)
    before = own.variables()
    rows = batches(workload, steps)
    np.testing.assert_allclose(rival.train(rows), own.train(rows), rtol=1e-4, atol=atol)
    ours = own.variables()
    moved = max(np.abs(a - b).max() for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(ours), strict=True))
    assert moved > 1e-5, "hardly anything was trained, so nothing was compared"
    assert_same_variables(ours, rival.variables(), min(atol, moved / 20))


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("paper", narrow_papers.PAPERS)
def test_each_papers_network_predicts_the_same(paper: str, name: str) -> None:
    workload = narrow_papers.of_paper(paper)
    own, rival = start("own", workload), start(name, workload)
    rows = batches(workload, 2)
    ours, theirs = own.predict(rows), rival.predict(rows)
    assert theirs.shape == (rows.size, 7) and theirs.dtype == np.float32
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)
    assert ours.std(0).max() > 1e-4, "all rows alike would show nothing"


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("paper", narrow_papers.PAPERS)
def test_each_papers_first_updates_are_the_same(paper: str, steps: int, name: str) -> None:
    """Dropout is off: no two frameworks draw the same masks. Adam's update of a gradient that is all rounding (before
    batch norm, a bias has none else) can be anything up to the rate, so for that network plain descent is compared; and
    six batch norms over few values amplify rounding from step to step."""
    normalised = paper == "onghena"
    changed = {"optimizer": Sgd(learning_rate=0.01)} if normalised else {}
    workload = narrow_papers.of_paper(paper, dropout=False, batch_size=16, **changed)
    assert_same_training(name, workload, steps=steps, atol=2e-4 if normalised and steps > 1 else 5e-6)


CONVOLUTIONAL = (
    Conv(filters=3, kernel=3, padding="same"),
    BatchNorm(momentum=0.7, epsilon=0.01),
    Activation(function="elu"),
    MaxPool(window=3, stride=2, padding="same"),
    Conv(filters=4, kernel=4, stride=2, padding="same", bias=False),
    Activation(function="tanh"),
    Flatten(),
    BatchNorm(momentum=0.6),
    Dense(units=9),
    Activation(function="sigmoid"),
    Dense(units=7, bias=False),
)
CROSS_ENTROPY = Loss(kind="cross_entropy")


def small(
    layers: tuple[Layer, ...] = CONVOLUTIONAL, loss: Loss = CROSS_ENTROPY, optimizer: Optimizer | None = None, **more
) -> Workload:
    training = Training(batch_size=12, epochs=1, loss=loss, optimizer=optimizer or Sgd(learning_rate=0.05))
    return narrow_papers.make("small", layers, training, 11, samples=60, **more)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_every_mode_trains_alike(name: str, mode: str) -> None:
    """Uneven padding, strides, batch norm of maps and of flattened features, whose order depends on the layout."""
    workload = small()
    assert_same_training(name, workload, steps=3, mode=mode, atol=1e-5)
    own, rival, rows = start("own", workload), start(name, workload, mode), batches(workload, 3)
    for contender in (own, rival):
        contender.train(rows)
    np.testing.assert_allclose(rival.predict(rows), own.predict(rows), atol=1e-5)  # with the statistics just gathered


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
@pytest.mark.parametrize("kind", ["cross_entropy", "mean_squared_error"])
def test_every_loss(kind, end, name: str) -> None:
    workload = small((*CONVOLUTIONAL, Activation(function=end)), Loss(kind=kind), Sgd(learning_rate=0.5))
    assert_same_training(name, workload, steps=2, atol=5e-6)


DETERMINISTIC = [
    name for name, layers in layers_by_hand.CASES.items() if not any(one.layer.draws for one in every_layer(layers))
]
# PyTorch lays maps out in this suite's order or, here, in another; Keras has one order.
LAYER_MODE = {"torch": "eager", "keras": "graph"}


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("case", DETERMINISTIC)
def test_every_layer_trains_alike(case: str, name: str) -> None:
    layers = layers_by_hand.network_of(case)
    assert_same_training(name, small(layers), steps=2, mode=LAYER_MODE[name], atol=2e-5)


OPTIMIZERS = {
    "momentum": Sgd(learning_rate=0.05, momentum=0.8),
    "nesterov": Sgd(learning_rate=0.05, momentum=0.8, nesterov=True),
    "adam": Adam(learning_rate=0.01, epsilon=1e-3),
    "adam-epsilon-beside-corrected": Adam(learning_rate=0.01, epsilon=1e-3, epsilon_hat=False),
    "rmsprop": RmsProp(learning_rate=0.01, decay=0.8, momentum=0.5, epsilon=1e-10, initial_accumulator=0.5),
}


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("biases", [False, True], ids=["l2-kernels", "l2-all"])
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_every_optimizer_with_l2(rule: str, biases: bool, name: str) -> None:
    if name == "keras" and rule == "adam-epsilon-beside-corrected":
        pytest.skip("Keras' Adam has no such form")
    layers = (Conv(filters=3, kernel=3), Activation(function="relu"), Flatten(), BatchNorm(), Dense(units=7))
    loss = Loss(kind="cross_entropy", l2=0.05, l2_biases=biases)
    assert_same_training(name, small(layers, loss, OPTIMIZERS[rule]), steps=4, atol=2e-5)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_reset_starts_again_from_the_same_weights_and_an_empty_optimizer(name: str, mode: str) -> None:
    layers = (Flatten(), Dense(units=8), BatchNorm(), Dropout(rate=0.5), Dense(units=7))
    workload = small(layers, optimizer=Adam(learning_rate=0.01), random_flip={"train": 0.5})
    rival, rows = start(name, workload, mode), batches(workload, 4)
    first = rival.train(rows)
    assert not np.allclose(rival.train(rows), first, rtol=1e-3)  # it went on from where it was
    rival.reset(0)
    np.testing.assert_allclose(rival.train(rows), first, rtol=1e-5)


@pytest.mark.parametrize("name", RIVALS)
def test_dropout_drops_its_share_in_training_alone(name: str) -> None:
    """Under dropout, the first loss is that of inputs which are dropped or doubled."""
    layers = (Flatten(), Dropout(rate=0.5), Dense(units=7))
    workload, dry = small(layers), small((Flatten(), Dense(units=7)))
    rows = batches(workload, 1)
    rival, plain = start(name, workload), start(name, dry)
    np.testing.assert_allclose(rival.predict(rows), plain.predict(rows), atol=1e-6)
    wet_loss, dry_loss = float(rival.train(rows)[0]), float(plain.train(rows)[0])
    assert abs(wet_loss - dry_loss) > 1e-3


@pytest.mark.parametrize("name", RIVALS)
def test_flips_mirror_whole_rows(name: str) -> None:
    """With a chance of nearly one, training sees the mirrored faces; prediction never does."""
    plain = small((Flatten(), Dense(units=7)))
    mirrored = replace(plain, images=np.ascontiguousarray(plain.images[:, :, ::-1]))
    flipped = small((Flatten(), Dense(units=7)), random_flip={"train": 1 - 1e-7, "validation": 0.5})
    rows = batches(plain, 2)
    expected = start(name, mirrored).train(rows)
    rival = start(name, flipped)
    np.testing.assert_allclose(rival.predict(rows), start(name, plain).predict(rows), atol=1e-6)
    np.testing.assert_allclose(rival.train(rows), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["own", *RIVALS])
@pytest.mark.parametrize("row", [-1, 60])
def test_a_row_that_is_not_there_is_refused(row: int, name: str) -> None:
    contender = start(name, small((Flatten(), Dense(units=7))))
    rows = np.full((1, 12), row)
    for method in (contender.train, contender.predict):
        with pytest.raises(ValueError, match="from 0 to 59"):
            method(rows)


@pytest.mark.parametrize(("name", "module"), [("torch", "torch"), ("keras", "tensorflow")])
def test_a_rivals_process_never_imports_jax(name: str, module: str) -> None:
    """JAX beside it would take threads and memory from it; and naming the contenders imports no framework.

    Keras imports JAX by itself where it finds it, without starting it: there, what this suite builds on JAX counts.
    """
    if not contenders.installed(name):
        pytest.skip(f"{name} is not installed (extra `bench`)")
    refused = {"flax", "optax", "fer_jax.train.engine", "fer_jax.network.model"} | (
        {"jax"} if name == "torch" else set()
    )
    code = (
        "import sys, repro.bench.contenders as c, repro.bench.workload\n"
        f"assert not {{'jax', 'torch', 'tensorflow', 'keras'}} & set(sys.modules)\n"
        f"import repro.bench.contenders.{name}_rival\n"
        f"assert {module!r} in sys.modules\n"
        f"print(sorted({refused} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ, timeout=600
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_unknown_names_and_modes_are_refused() -> None:
    workload = small((Flatten(), Dense(units=7)))
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: contenders.modes("caffe", "cpu"), "own, torch, keras"),
        (lambda: contenders.modes("torch", "tpu"), "cpu and gpu"),
        (lambda: contenders.start("torch", "max-autotune", workload, "cpu"), "no mode 'max-autotune'"),
    ]
    for call, message in refused:
        with pytest.raises(ValueError, match=message):
            call()
    assert contenders.installed("own")
    assert set(contenders.modes("torch", "cpu")) < set(contenders.modes("torch", "gpu"))


def test_narrow_networks_keep_the_papers_layers() -> None:
    """What is compared above is the paper's list, with fewer filters and units alone."""
    layers = (Conv(filters=64, kernel=3), Flatten(), Dense(units=256), Dense(units=7))
    expected = (Conv(filters=8, kernel=3), Flatten(), Dense(units=32), Dense(units=7))
    assert tuple(map(msgspec.to_builtins, narrow_papers.narrow(layers))) == tuple(map(msgspec.to_builtins, expected))

"""Several CPU devices, a cache folder of the tests' own, and data and networks small enough to train in seconds."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
import shared_programs

from fer_jax.data.faces import Faces
from fer_jax.machine.compilation import keep_compiled_programs
from fer_jax.network import convolution
from fer_jax.network.backends import ChwnBackend, NhwcBackend
from fer_jax.network.native.compiler import compiler
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Dropout,
    Flatten,
    MaxPool,
    Residual,
    SpatialDropout,
    StochasticDepth,
)
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Loss, Sgd, Training

# Before JAX starts: work that is shared over devices is tested on every machine.
jax.config.update("jax_num_cpu_devices", 4)

# Without LLVM's optimisation, for programs that run once: it takes longer than they do.
QUICK = {"xla_backend_optimization_level": "0"}
# XLA's default, for tests of the compiler's own arithmetic (see `engine_compiles_quickly`).
FULLY_OPTIMIZED = {"xla_backend_optimization_level": "3"}

TINY_SIZE = 12  # pixels

# The files that take longest, by CPU seconds. They begin first, so that no worker of pytest-xdist is left with
# one while the others have ended.
LONGEST = (
    "test_seeds_together.py",
    "test_loop.py",
    "test_recipes.py",
    "test_browser.py",
    "test_model.py",
    "test_networks.py",
    "test_inputs.py",
    "test_measure.py",
    "test_process_settings.py",
    "test_explain.py",
    "test_time_estimate.py",
    "test_run.py",
    "test_convolution.py",
    "test_batch.py",
    "test_server.py",
    "test_kill.py",
    "test_runner.py",
    "test_search.py",
    "test_check.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache; processes that tests start inherit it.

    The C++ library is built once for all workers of pytest-xdist, whose base folders have one parent. Compiled programs
    are kept, because many tests train the same small network; each worker has its own, because JAX does not write them
    in one piece.
    """
    folder, base = tmp_path_factory.mktemp("cache"), tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "native"
    shared.mkdir(exist_ok=True)
    (folder / "fer_jax").mkdir()
    (folder / "fer_jax" / "native").symlink_to(shared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "FER_JAX_CACHE", str(folder / "fer_jax"))
        patch.setitem(os.environ, "XDG_CACHE_HOME", str(folder))
        patch.setitem(os.environ, "COLUMNS", "120")  # text wraps alike whatever terminal the tests run in
        if compiler() is None:
            patch.setitem(os.environ, "FER_JAX_NATIVE", "0")  # its absence is a warning, and so an error of a test
        keep_compiled_programs()
        yield


@pytest.fixture(scope="session", autouse=True)
def no_network_comes_with_the_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Otherwise it would answer wherever a test has nothing trained. `tests/use/test_packaged.py` has tests of it."""
    folder = tmp_path_factory.mktemp("networks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repro.use.packaged.networks_folder", lambda: folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def engine_compiles_quickly() -> Iterator[None]:
    """The engine's programs without LLVM's optimisation, which took half of the tests' time. Processes that tests start
    compile as those of users do."""
    with pytest.MonkeyPatch.context() as patch:
        nhwc = property(lambda backend: QUICK)
        patch.setattr(NhwcBackend, "compiler_options", nhwc)
        chwn = property(lambda backend: {**convolution.supported_compiler_options(), **QUICK})
        patch.setattr(ChwnBackend, "compiler_options", chwn)
        yield


@pytest.fixture(scope="session", autouse=True)
def programs_are_shared() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shared_programs.share(patch)
        yield


@pytest.fixture
def fresh_programs() -> None:
    """For a test that looks at the time to compile: nothing is compiled yet."""
    shared_programs.programs.clear()


@pytest.fixture(scope="module", autouse=True)
def platforms_as_before() -> Iterator[None]:
    """`repro serve` takes the CPU for its whole process. The tests of other files may ask for any device."""
    before = jax.config.values["jax_platforms"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_PLATFORMS", os.environ.get("JAX_PLATFORMS", ""))
        yield
    jax.config.update("jax_platforms", before)


def draw_tiny_faces(samples: int, seed: int = 0, size: int = TINY_SIZE, usage: int = 0) -> Faces:
    """Faces with a pattern per emotion under noise: learnable in a few epochs, but not without error."""
    patterns = np.random.default_rng(99).integers(0, 255, (len(EMOTIONS), size, size))
    random = np.random.default_rng([seed, usage])
    labels = random.integers(0, len(EMOTIONS), samples).astype(np.uint8)
    noise = random.normal(60, 60, (samples, size, size))
    images = np.clip(0.35 * patterns[labels] + noise, 0, 255).astype(np.uint8)
    return Faces(images, labels, np.full(samples, usage, np.uint8), np.arange(samples, dtype=np.int32))


@pytest.fixture
def tiny_faces() -> Callable[..., Faces]:
    """Call it with the number of samples, and perhaps seed, size and usage."""
    return draw_tiny_faces


# A dense layer alone compiles in a tenth of the time of a convolution.
DENSE = (Flatten(), Dense(units=16), Activation(function="tanh"), Dense(units=7), Activation(function="softmax"))
BLOCK = Residual(
    body=(DepthwiseConv(kernel=3, padding="same"), SpatialDropout(rate=0.25), StochasticDepth(rate=0.25)),
    shortcut=(BatchNorm(momentum=0.8),),
)
CONVOLUTIONAL = (
    *(Conv(filters=4, kernel=3, padding="same"), BatchNorm(momentum=0.8), Activation(function="relu")),
    *(MaxPool(window=2), Dropout(rate=0.25), BLOCK, Flatten(), Dense(units=16), BatchNorm()),
    Activation(function="relu"),
    *(Dropout(rate=0.5), Dense(units=7), Activation(function="softmax")),
)


@pytest.fixture
def tiny_network() -> Callable[..., Network]:
    """A network for tiny faces: dense layers, or with `convolutional` convolution, batch norm and dropout. Other
    keywords are settings of Training."""

    def make(
        *, convolutional: bool = False, random_flip: dict[str, float] | None = None, **settings: object
    ) -> Network:
        given: dict[str, object] = {
            "batch_size": 32,
            "loss": Loss(kind="cross_entropy"),
            "optimizer": Sgd(learning_rate=0.05, momentum=0.9),
            **settings,
        }
        if "steps" not in given:
            given.setdefault("epochs", 2)
        training = Training(**given)  # type: ignore[arg-type]
        layers = CONVOLUTIONAL if convolutional else DENSE
        return Network(layers, training, TINY_SIZE, divide=255.0, random_flip=random_flip)

    return make


PAPER = """
format = 1

[paper]
id = "tiny"
title = "A tiny network"
authors = ["A. Author"]
source = "tiny.txt"
summary = "A dense network on small faces."

[[data.steps]]
step = "split_by_usage"
into = {{ train = ["Training"], validation = ["PublicTest"], test = ["PrivateTest"] }}
{assumed}
[[data.steps]]
step = "resize"
size = {size}
{assumed}
{random_flip}
[[data.steps]]
step = "normalise"
{assumed}
[[model.layers]]
layer = "flatten"
{assumed}
[[model.layers]]
layer = "dense"
units = {units}
{assumed}
[[model.layers]]
layer = "activation"
function = "relu"
{assumed}
{dropout}
[[model.layers]]
layer = "dense"
units = 7
{assumed}
[[model.layers]]
layer = "activation"
function = "softmax"
{assumed}
[training]
batch_size = {batch_size}
epochs = {epochs}
report = "best"
{assumed}
[training.loss]
kind = "cross_entropy"
l2 = 1e-4
{assumed}
[training.optimizer]
optimizer = "sgd"
learning_rate = {learning_rate}
momentum = 0.9
{assumed}
[training.schedule]
schedule = "reduce_on_plateau"
split = "validation"
metric = "loss"
factor = 0.5
patience = 1
min_delta = 0.05
{assumed}
"""


def write_tiny_paper(folder: Path, *, drawn: bool = False, **settings: object) -> Path:
    """A spec file with the plateau schedule and the best epoch reported. `drawn` adds what is drawn at random in every
    step, dropout and flips, which take long to compile."""
    given: dict[str, object] = {
        "size": TINY_SIZE,
        "units": 16,
        "batch_size": 32,
        "epochs": 3,
        "learning_rate": 0.05,
        **settings,
    }
    path = folder / "tiny.toml"
    assumed = 'provenance = [{ kind = "assumed", reason = "a test" }]'
    flip = f'[[data.steps]]\nstep = "random_flip"\n{assumed}' if drawn else ""
    dropout = f'[[model.layers]]\nlayer = "dropout"\nrate = 0.25\n{assumed}' if drawn else ""
    path.write_text(PAPER.format(assumed=assumed, random_flip=flip, dropout=dropout, **given))
    return path


@pytest.fixture(scope="session")
def make_tiny_paper() -> Callable[..., Path]:
    """`write_tiny_paper`, for fixtures of a wider scope than one test."""
    return write_tiny_paper


@pytest.fixture
def tiny_paper(tmp_path: Path) -> Callable[..., Path]:
    """`write_tiny_paper` into the test's own folder."""
    return partial(write_tiny_paper, tmp_path)

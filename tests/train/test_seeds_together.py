"""Seeds side by side in one program: the same numbers as alone, and each a run of its own."""

import json
from dataclasses import replace

import jax
import msgspec
import numpy as np
import pytest

from fer_jax.data.faces import Faces
from fer_jax.data.steps import apply_steps
from fer_jax.network.backends import ChwnBackend, NhwcBackend
from fer_jax.train import engine as engine_module
from fer_jax.train.checkpoint import Checkpoints
from fer_jax.train.loop import SeedData, SplitsDiffer, fit, fit_seeds
from fer_jax.train.plateau import LearningRate
from fer_jax.vocabulary.layers import Conv, Dense, PadChannels, SeparableConv, changed_layers
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Adam, Loss, ReduceOnPlateau, Sgd
from repro.specs.catalog import bundled_papers, find_paper, paper_files

CPU = jax.devices("cpu")
SIZE = 24  # pixels: what all of the papers' networks leave something of
FLIPS = {"train": 0.5, "validation": 0.5}


@pytest.fixture
def draw(tiny_faces):
    """The splits of a seed: 203 training samples in an order of the seed's own, as a data step that shuffles leaves
    them."""

    def call(seed, samples=203, evaluated=(70, 70), size=None):
        more = {"size": size} if size else {}
        train = tiny_faces(samples, **more)
        order = np.random.default_rng(seed).permutation(samples)
        shuffled = Faces(train.images[order], train.labels[order], train.usage[order], train.origin[order])
        validation, test = (tiny_faces(n, usage=usage, **more) for usage, n in enumerate(evaluated, 1))
        return {"train": shuffled, "validation": validation, "test": test}

    return call


def narrow(network, width):
    """The network with fewer channels and units, but for the seven at its end."""

    def made(layer):
        if isinstance(layer, Conv | SeparableConv):
            return msgspec.structs.replace(layer, filters=min(layer.filters, width))
        if isinstance(layer, PadChannels):
            return msgspec.structs.replace(layer, channels=min(layer.channels, width))
        if isinstance(layer, Dense) and layer.units != 7:
            return msgspec.structs.replace(layer, units=min(layer.units, width))
        return layer

    return replace(network, layers=changed_layers(network.layers, made))


def figures_of(result):
    entry = result.history[0]
    per_split = [f["loss"] for f in (*entry["splits"].values(), *result.metrics.values())]
    return np.array([entry["train"]["loss"], entry["minibatch"]["loss"], *per_split])


# Each compiles for many seconds, so three, and one beside every change:
# `test_the_papers_trained_here_have_all_kinds_of_layers` holds the choice. `repro/gpu/checks.py` has every paper in a
# GPU's layout.
TRAINED = (("basani2017", ChwnBackend()), ("onghena", ChwnBackend()), ("chavan2020", NhwcBackend()))


def test_the_papers_trained_here_have_all_kinds_of_layers():
    def kinds(papers):
        specs = [find_paper(paper).resolve("default") for paper in papers]
        layers = {type(layer) for spec in specs for layer in spec.model.layers}
        return layers, {spec.training.steps is None for spec in specs}

    assert kinds(paper for paper, _ in TRAINED) == kinds(paper.id for paper in bundled_papers())


@pytest.mark.parametrize(
    ("paper", "backend"),
    [
        pytest.param(*one, id=f"{one[0]}-{one[1].name}", marks=[] if one[0] == "basani2017" else [pytest.mark.slow])
        for one in TRAINED
    ],
)
def test_a_paper_loses_the_same_side_by_side_as_alone(paper, backend, draw, monkeypatch):
    """Over the first epoch to 1e-4, with the paper's own optimizer, loss, dropout, batch norm and flips."""
    monkeypatch.setattr(engine_module, "choose_backend", lambda kind, dtype, layers: backend)
    spec = find_paper(paper).resolve("default")
    short = {"batch_size": min(spec.training.batch_size, 48)}
    short |= {"epochs": 1} if spec.training.steps is None else {"steps": 5, "evaluate_every_steps": 4}
    training = msgspec.structs.replace(spec.training, **short)
    # 32 channels: from where on the CPU's own routines filter minimally, in both directions.
    width = 32 if backend.name == "chwn" else 8
    network = narrow(Network(spec.model.layers, training, SIZE, divide=255.0, random_flip={"train": 0.5}), width)
    given = [SeedData(seed, draw(seed, samples=100, evaluated=(100, 100), size=SIZE)) for seed in (0, 3)]
    together = fit_seeds(network, given, devices=CPU[:1])
    for one, found in zip(given, together, strict=True):
        alone = fit(network, one.splits, seed=one.seed, devices=CPU[:1])
        np.testing.assert_allclose(figures_of(found), figures_of(alone), atol=1e-4, rtol=0)
        assert [e["train"]["n"] for e in found.history] == [e["train"]["n"] for e in alone.history]
    assert figures_of(together[0])[0] != figures_of(together[1])[0]


MODELS = [path.stem for path in paper_files("models")]
QUICK = ("atulapra2019",)  # the others compile for longer


@pytest.mark.parametrize(
    "model", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in MODELS]
)
def test_a_model_that_people_use_takes_two_steps(model, tiny_faces):
    """With its own layers, made narrow, its data steps, loss, optimizer and schedule."""
    spec = find_paper(model).resolve("default")
    faces = tiny_faces(16, size=48)
    usage = np.repeat([0, 1, 2], [8, 4, 4]).astype(faces.usage.dtype)
    prepared = apply_steps(replace(faces, usage=usage), spec.data.steps, seed=0)
    short = {"batch_size": 4}
    short |= {"epochs": 1} if spec.training.steps is None else {"steps": 2, "evaluate_every_steps": 1}
    network = Network(
        spec.model.layers,
        msgspec.structs.replace(spec.training, **short),
        prepared.image_size,
        prepared.subtract,
        prepared.divide,
        prepared.random_flip,
        prepared.pipeline,
    )
    result = fit(narrow(network, 8), prepared.splits, seed=0, devices=CPU[:1])
    crops = prepared.pipeline.train_crops.count if prepared.pipeline.train_crops else 1
    assert sum(entry["train"]["n"] for entry in result.history) == 8 * crops
    assert np.isfinite([figures["loss"] for figures in result.metrics.values()]).all()


@pytest.mark.parametrize(
    ("convolutional", "devices"),
    [(False, 1), pytest.param(True, 1, marks=pytest.mark.slow), pytest.param(True, 4, marks=pytest.mark.slow)],
)
def test_schedule_best_epoch_and_predictions_are_each_seeds_own(tiny_network, draw, convolutional, devices):
    plateau = ReduceOnPlateau(split="validation", metric="loss", factor=0.5, patience=1, min_delta=0.05)
    loss = Loss(kind="cross_entropy", l2=1e-3, l2_biases=True)
    initial = 0.01 if convolutional else 0.04  # so fast that the seeds part
    network = tiny_network(
        convolutional=convolutional, epochs=4, schedule=plateau, report="best", random_flip=FLIPS, loss=loss,
        batch_size=30,
        optimizer=Adam(learning_rate=initial),
    )  # fmt: skip
    given = [SeedData(seed, draw(seed)) for seed in (5, 1, 2)]
    told = []
    together = fit_seeds(network, given, devices=CPU[:devices], report=told.append)
    rates = {tuple(entry["learning_rate"] for entry in result.history) for result in together}
    assert len(rates) > 1, "the schedules must differ for this test to mean anything"
    assert len({r.reported_epoch for r in together}) > 1, "so must the best epochs"
    for one, found in zip(given, together, strict=True):
        alone = fit(network, one.splits, seed=one.seed, devices=CPU[:devices])
        first, expected = found.history[0], alone.history[0]
        assert first["train"]["loss"] == pytest.approx(expected["train"]["loss"], abs=1e-4)
        rate = LearningRate(plateau, initial)
        for entry in found.history:
            assert entry["learning_rate"] == rate.value
            rate.after_epoch(entry["splits"])
        accuracies = [e["splits"]["validation"]["accuracy"] for e in found.history]
        assert found.reported_epoch == 1 + int(np.argmax(accuracies)) == found.best["validation"]["epoch"]
        reported = found.history[found.reported_epoch - 1]["splits"]["validation"]
        assert reported == {key: found.metrics["validation"][key] for key in ("loss", "accuracy", "n")}
        for name, part in one.splits.items():
            np.testing.assert_array_equal(found.predictions[name]["origin"], part.origin)
            right = found.predictions[name]["probability"].argmax(1) == part.labels
            assert found.metrics[name]["accuracy"] == pytest.approx(right.mean())
        assert jax.tree.map(np.shape, found.state) == jax.tree.map(np.shape, alone.state)
    mean = np.mean([r.history[0]["train"]["loss"] for r in together])
    assert told[0].entry["train"]["loss"] == pytest.approx(mean) and told[0].entry["train"]["n"] == 203


@pytest.mark.usefixtures("fresh_programs")
def test_the_programs_seconds_are_dealt_out(tiny_network, draw, tmp_path):
    given = [SeedData(seed, draw(seed), Checkpoints(tmp_path / str(seed))) for seed in range(3)]
    told = []
    results = fit_seeds(tiny_network(epochs=3), given, devices=CPU[:1], report=told.append)
    clocks = [result.clock for result in results]
    for one in given:
        assert isinstance(one.checkpoints, Checkpoints)
        one.checkpoints.close()
    assert sum(c.train_s for c in clocks) == pytest.approx(sum(p.train_s for p in told))
    assert sum(e["eval_s"] for c in clocks for e in c.epochs) == pytest.approx(sum(p.eval_s for p in told))
    assert [p.images_per_s for p in told] == pytest.approx([3 * 203 / p.train_s for p in told])
    for clock in clocks:
        assert clock.wall_s == pytest.approx(clocks[0].wall_s)
        assert clock.total_s == pytest.approx(clock.wall_s / 3)
        assert 0 < clock.compile_s + clock.train_s + clock.eval_s + clock.checkpoint_s < clock.total_s
        assert clock.first_step_s is not None and 0 < clock.first_step_s < clock.wall_s


class Killed(Exception):
    pass


@pytest.mark.parametrize("convolutional", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_seeds_that_a_kill_left_at_different_epochs_go_on_together(
    tiny_network, draw, tmp_path, monkeypatch, convolutional
):
    """It comes between the checkpoints of one epoch: the seeds ahead wait, and nobody's numbers change."""
    faster = Sgd(learning_rate=0.2, momentum=0.9)
    network = tiny_network(convolutional=convolutional, epochs=5, report="best", optimizer=faster)

    def opened():
        return [SeedData(seed, draw(seed), Checkpoints(tmp_path / str(seed))) for seed in (0, 1, 2)]

    def train(**more):
        given = opened()
        try:
            return fit_seeds(network, given, devices=CPU[:1], **more)
        finally:
            for one in given:
                assert isinstance(one.checkpoints, Checkpoints)
                one.checkpoints.close()

    whole = fit_seeds(network, [replace(one, checkpoints=None) for one in opened()], devices=CPU[:1])
    save, saved = Checkpoints.save, []

    def killed_in_the_third_epoch(self, name, epoch, state, meta):
        if epoch == 3 and self.folder.name == "1":
            raise Killed
        saved.append((self.folder.name, name, epoch))
        save(self, name, epoch, state, meta)

    monkeypatch.setattr(Checkpoints, "save", killed_in_the_third_epoch)
    with pytest.raises(Killed):
        train()
    assert ("0", "last", 3) in saved and ("2", "last", 2) in saved and ("2", "last", 3) not in saved
    monkeypatch.setattr(Checkpoints, "save", save)
    told = []
    resumed = train(report=told.append)
    assert [p.entry["epoch"] for p in told] == [3, 4, 5]
    for found, expected in zip(resumed, whole, strict=True):
        assert found.resumed == 1 and len(found.clock.epochs) == 5
        assert json.dumps(found.history) == json.dumps(expected.history)
        assert json.dumps(found.metrics) == json.dumps(expected.metrics)
        jax.tree.map(np.testing.assert_array_equal, found.state, expected.state)


def test_a_seed_that_fails_ends_alone(tiny_network, draw, tmp_path):
    """A rate that a schedule cannot raise is let through a checkpoint that holds one far too large."""
    given = [SeedData(seed, draw(seed), Checkpoints(tmp_path / str(seed))) for seed in (0, 1, 2)]
    first = fit_seeds(tiny_network(epochs=2), given, devices=CPU[:1])
    broken = given[1].checkpoints
    assert broken is not None
    found = broken.restore("last", first[1].state)
    assert found is not None
    state, meta = found
    meta["rate"]["value"] = 1e38
    broken.save("last", 2, state, meta)
    told = []
    results = fit_seeds(tiny_network(epochs=5), given, devices=CPU[:1], report=told.append)
    for one in given:
        assert isinstance(one.checkpoints, Checkpoints)
        one.checkpoints.close()
    failed = results.pop(1)
    assert failed.failed_step is not None and 15 <= failed.failed_step <= 20  # epoch 3 is of updates 14 to 20
    assert f"step {failed.failed_step} (epoch 3)" in failed.error
    assert failed.history == first[1].history and failed.metrics == {} and failed.predictions == {}
    assert all(np.isfinite(progress.entry["train"]["loss"]) for progress in told)
    alone = [fit(tiny_network(epochs=5), draw(seed), seed=seed, devices=CPU[:1]) for seed in (0, 2)]
    for result, expected in zip(results, alone, strict=True):
        assert result.error == "" and len(result.history) == 5
        np.testing.assert_allclose(figures_of(result), figures_of(expected), atol=1e-4, rtol=0)


def test_all_seeds_may_fail(tiny_network, draw):
    loss = Loss(kind="cross_entropy", l2=1e3)
    network = tiny_network(epochs=3, loss=loss, optimizer=Sgd(learning_rate=1e38))
    results = fit_seeds(network, [SeedData(seed, draw(seed)) for seed in (0, 1)], devices=CPU[:1])
    assert [result.failed_step for result in results] == [1, 1]
    assert all(result.history == [] and result.metrics == {} for result in results)


def test_splits_of_different_sizes_cannot_share_a_program(tiny_network, draw):
    given = [SeedData(0, draw(0)), SeedData(7, draw(7, samples=190))]
    with pytest.raises(SplitsDiffer, match=r"seed 0 .*203.*seed 7 .*190"):
        fit_seeds(tiny_network(), given, devices=CPU[:1])

"""Random steps, mixing and views in whole runs: the same after an interruption, on several devices, side by side."""

import json
from dataclasses import replace

import jax
import msgspec
import numpy as np
import pytest
from tiny_runs import Killed, stop_at

from fer_jax.train.batches import evaluation_batches
from fer_jax.train.checkpoint import Checkpoints
from fer_jax.train.engine import Engine
from fer_jax.train.loop import SeedData, fit, fit_seeds
from fer_jax.vocabulary.augmentations import (
    AverageViews,
    CutMix,
    InputPipeline,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomJitter,
    TrainOnCrops,
)
from fer_jax.vocabulary.settings import Loss

CPU = jax.devices("cpu")
CROP = RandomCrop(size=10, padding=1)
PIPELINES = {
    "crops": InputPipeline(
        stored_size=12,
        before=(
            CROP,
            RandomAffine(rotation=10.0, zoom=(0.9, 1.1), probability=0.5, splits=("train", "validation")),
            RandomJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3)),
        ),
        after=(RandomErasing(splits=("train", "validation")),),
        mixing=Mixup(),
        views=AverageViews(views="ten_crops"),
    ),
    "many crops": InputPipeline(
        stored_size=12,
        before=(RandomAffine(shift_x=0.2, shift_y=0.2, form="torchvision", probability=0.5),),
        after=(RandomErasing(),),
        mixing=Mixup(),
        train_crops=TrainOnCrops(views="five_crops", size=10),
    ),
    "cutmix": InputPipeline(standardise="tensorflow", mixing=CutMix(), views=AverageViews(views="flips")),
}
FLIPS = {"train": 0.5}
WEIGHTED = Loss(kind="cross_entropy", class_weights=(1.0, 2.0, 1.0, 0.5, 1.0, 1.0, 1.0), class_weights_mean="weights")


@pytest.fixture
def splits(tiny_faces):
    return {"train": tiny_faces(203), "validation": tiny_faces(101, usage=1), "test": tiny_faces(60, usage=2)}


@pytest.fixture
def network(tiny_network):
    def make(name, **settings):
        made = tiny_network(random_flip=FLIPS, **settings)
        pipeline = PIPELINES[name]
        return replace(made, pipeline=pipeline, image_size=10 if pipeline.stored_size else 12)

    return make


def figures(result):
    per_epoch = [
        [e["train"]["loss"], e["train"]["accuracy"], e["splits"]["validation"]["loss"]] for e in result.history
    ]
    return np.array([*np.ravel(per_epoch), *(m["loss"] for m in result.metrics.values())])


@pytest.mark.slow  # .ci/run has test_recipes.test_one_and_four_devices_and_beside_another_seed
@pytest.mark.parametrize("name", ["crops", "many crops", "cutmix"])
def test_on_four_devices_and_beside_another_seed(network, splits, name):
    """Batches of 30 on four devices are filled up, and the last batch is incomplete."""
    made = network(name, batch_size=30, loss=WEIGHTED, epochs=1)
    splits = {name: splits[name] for name in ("train", "validation")}
    one, four = (fit(made, splits, seed=3, devices=CPU[:n]) for n in (1, 4))
    np.testing.assert_allclose(figures(four), figures(one), atol=2e-5, rtol=0)
    together = fit_seeds(made, [SeedData(3, splits), SeedData(4, splits)], devices=CPU[:1])
    np.testing.assert_allclose(figures(together[0]), figures(one), atol=1e-4, rtol=0)
    assert (figures(together[1]) != figures(together[0])).all()


def test_interrupted_and_resumed(network, splits, tmp_path):
    made = network("crops", epochs=2)
    whole = fit(made, splits, seed=1, devices=CPU[:1])

    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Killed):
        fit(made, splits, seed=1, devices=CPU[:1], checkpoints=checkpoints, report=stop_at(1))
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path)
    resumed = fit(made, splits, seed=1, devices=CPU[:1], checkpoints=checkpoints)
    checkpoints.close()
    assert json.dumps(resumed.history) == json.dumps(whole.history)
    jax.tree.map(np.testing.assert_array_equal, resumed.state, whole.state)
    for name in splits:
        np.testing.assert_array_equal(resumed.predictions[name]["probability"], whole.predictions[name]["probability"])


def test_evaluation_takes_the_middle_or_the_mean_over_views(network, splits):
    """By answers to each crop alone, given to a network without crops."""
    cropping = replace(network("crops").pipeline, before=(CROP,), after=())
    made = replace(network("crops"), pipeline=cropping)
    plain = replace(made, pipeline=InputPipeline())
    images, labels = splits["test"].images, splits["test"].labels

    def answers(which, images, split):
        engine = Engine(which, CPU[:1])
        data = engine.put_samples(images, labels)
        return engine.predict(engine.init_state(0), data, evaluation_batches(60, 32), split, 1)[0]

    corners = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
    cut = [images[:, y : y + 10, x : x + 10] for y, x in corners]
    each = [answers(plain, pixels, "") for pixels in (*cut, *(one[..., ::-1] for one in cut))]
    np.testing.assert_allclose(answers(made, images, "test"), np.mean(each, axis=0), atol=1e-6)
    middle = replace(made, pipeline=replace(cropping, views=None))
    np.testing.assert_allclose(answers(middle, images, "test"), each[4], atol=1e-6)
    only = replace(made, pipeline=replace(cropping, views=AverageViews(views="flips", splits=("validation",))))
    np.testing.assert_allclose(answers(only, images, "test"), each[4], atol=1e-6)
    np.testing.assert_allclose(answers(only, images, "validation"), (each[4] + each[9]) / 2, atol=1e-6)


def test_an_evaluated_split_is_drawn_anew_in_every_epoch(network, splits):
    engine = Engine(replace(network("crops"), pipeline=replace(PIPELINES["crops"], views=None)), CPU[:1])
    state, data = engine.init_state(0), engine.put_samples(splits["validation"].images, splits["validation"].labels)

    def answers(split, epoch, batch):
        return engine.predict(state, data, evaluation_batches(101, batch), split, epoch)[0]

    np.testing.assert_allclose(answers("validation", 1, 32), answers("validation", 1, 101), atol=1e-6)
    assert (answers("validation", 1, 32) != answers("validation", 2, 32)).any()
    np.testing.assert_array_equal(answers("test", 1, 32), answers("test", 2, 32))


@pytest.mark.parametrize("form", ["keras", "tensorflow"])
def test_each_image_is_standardised_by_itself(network, splits, form):
    """Also one of a single gray level, whose deviation is 0."""
    images = splits["test"].images.copy()
    images[0] = 90
    made = replace(network("cutmix"), pipeline=InputPipeline(standardise=form))
    found = Engine(made, CPU[:1]).inputs
    prepared = np.asarray(found.prepare(images, found.draw("test", jax.random.key(0), jax.random.key(1), 60)))
    pixels = images.astype(np.float64)
    mean, deviation = pixels.mean((1, 2), keepdims=True), pixels.std((1, 2), keepdims=True)
    least = deviation + 1e-6 if form == "keras" else np.maximum(deviation, 1 / 12)
    np.testing.assert_allclose(prepared, (pixels - mean) / least, atol=1e-4)
    assert (prepared[0] == 0).all()


@pytest.mark.parametrize("form", ["", "keras"])
def test_each_pixel_has_its_own_scale_also_after_each_image_was_standardised(network, splits, form):
    images = splits["test"].images
    draw = np.random.default_rng(3)
    mean, deviation = draw.normal(size=(12, 12)), draw.uniform(0.5, 2.0, (12, 12))
    rows = {"subtract": tuple(map(tuple, mean.tolist())), "divide": tuple(map(tuple, deviation.tolist()))}
    made = replace(network("cutmix"), pipeline=InputPipeline(standardise=form), **rows)
    found = Engine(made, CPU[:1]).inputs
    prepared = np.asarray(found.prepare(images, found.draw("test", jax.random.key(0), jax.random.key(1), 60)))
    pixels = images.astype(np.float64)
    if form:
        pixels = (pixels - pixels.mean((1, 2), keepdims=True)) / (pixels.std((1, 2), keepdims=True) + 1e-6)
    np.testing.assert_allclose(prepared, (pixels - mean) / deviation, rtol=1e-5, atol=1e-4)


def test_a_step_on_crops_is_a_step_on_a_batch_of_crops(network, splits):
    """The same update as that of a network of the crops' size on ten times the samples, cut and mirrored by hand."""
    images, labels = splits["train"].images[:6], splits["train"].labels[:6]
    crops = TrainOnCrops(views="ten_crops", size=10)
    made = replace(
        network("crops", batch_size=8), random_flip={}, pipeline=InputPipeline(stored_size=12, train_crops=crops)
    )
    plain = replace(made, pipeline=InputPipeline(), training=msgspec.structs.replace(made.training, batch_size=80))
    corners = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
    cut = np.stack([images[:, y : y + 10, x : x + 10] for y, x in corners], 1)
    each = np.concatenate([cut, cut[..., ::-1]], 1).reshape(-1, 10, 10)

    def after_one_update(which, images, labels, size):
        engine = Engine(which, CPU[:1])
        rows = np.full((1, size), -1, np.int32)
        rows[0, : len(images)] = np.arange(len(images))
        state, figures = engine.run_epoch(
            engine.init_state(0), engine.put_samples(images, labels), rows, np.array([0.1], np.float32)
        )
        return jax.device_get((state.params, figures))

    (ours, figures), (theirs, others) = (
        after_one_update(made, images, labels, 8),
        after_one_update(plain, each, np.repeat(labels, 10), 80),
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours, theirs)
    assert figures.examples == others.examples == 60


def test_a_network_trains_on_shares_alone_mixed_and_beside_another_seed(network, splits):
    """Shares of one class are labels. Other shares are other losses, for each seed its own."""
    made = replace(network("cutmix", epochs=1), pipeline=InputPipeline(mixing=Mixup()))
    splits = {name: splits[name] for name in ("train", "validation")}
    labels = np.eye(7, dtype=np.float32)[splits["train"].labels]
    even = np.full_like(labels, 1 / 7)
    given = [SeedData(3, splits), SeedData(3, splits, targets=labels), SeedData(3, splits, targets=even)]
    plain, same, other = (fit_seeds(made, [one], devices=CPU[:1])[0] for one in given)
    np.testing.assert_allclose(figures(same), figures(plain), atol=1e-5, rtol=0)
    assert abs(figures(other)[0] - figures(plain)[0]) > 1e-3
    together = fit_seeds(made, given[1:], devices=CPU[:1])
    for found, alone in zip(together, (same, other), strict=True):
        np.testing.assert_allclose(figures(found), figures(alone), atol=1e-4, rtol=0)

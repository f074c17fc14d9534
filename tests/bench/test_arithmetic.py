"""repro.bench.arithmetic: multiply-adds counted by hand."""

from fer_jax.vocabulary.layers import Activation, BatchNorm, Conv, Dense, Flatten, MaxPool
from repro.bench.arithmetic import flops_per_s, multiply_adds
from repro.specs.catalog import find_paper

LAYERS = (
    Conv(filters=4, kernel=3, padding="same"),  # 12 x 12 places x 4 filters x 9 x 1 = 5,184
    BatchNorm(),
    MaxPool(window=2),
    Conv(filters=5, kernel=3, padding="valid"),  # 4 x 4 x 5 x 9 x 4 = 2,880
    Flatten(),
    Dense(units=7),  # 80 x 7 = 560
    Activation(function="softmax"),
)


def test_forward_and_training():
    costs = multiply_adds(LAYERS, 12)
    assert costs.predict == 5_184 + 2_880 + 560
    # Two gradients per layer, but none of the first layer's input.
    assert costs.train == 3 * (5_184 + 2_880 + 560) - 5_184


def test_a_dense_layer_may_be_the_first():
    costs = multiply_adds((Flatten(), Dense(units=7)), 4)
    assert (costs.predict, costs.train) == (112, 224)


def test_a_stride_counts_the_places_that_are_left():
    assert multiply_adds((Conv(filters=2, kernel=3, stride=2, padding="same"),), 9).predict == 5 * 5 * 2 * 9


def test_a_network_of_the_suite():
    convolutions = 48 * 48 * 16 * 9 + 24 * 24 * 32 * 9 * 16 + 12 * 12 * 64 * 9 * 32
    dense = 4 * 4 * 64 * 512 + 512 * 7
    assert multiply_adds(find_paper("teta2022").resolve("default").model.layers, 48).predict == convolutions + dense


def test_a_multiply_add_is_two_operations():
    assert flops_per_s(100.0, 1_000) == 200_000.0

"""fer_jax.vocabulary.layers: sizes by counting windows one by one, parameters by hand, faults by their place."""

from __future__ import annotations

import pytest

from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    LayerError,
    MaxPool,
    layer_names,
    ordinal_names,
    output_shapes,
    parameter_count,
    same_padding,
    window_out,
)

SIZES = [(size, window, stride) for size in range(1, 14) for window in range(1, 7) for stride in range(1, 5)]


def test_valid_counts_the_windows_that_lie_inside():
    for size, window, stride in SIZES:
        if window <= size:
            inside = [start for start in range(0, size, stride) if start + window <= size]
            assert window_out(size, window, stride, "valid") == len(inside), (size, window, stride)


def test_same_covers_every_pixel_and_pads_evenly_with_the_odd_one_behind():
    for size, window, stride in SIZES:
        before, after = same_padding(size, window, stride)
        out = window_out(size, window, stride, "same")
        assert out == len(range(0, size, stride))
        assert 0 <= before <= after <= before + 1
        # The padded axis holds exactly the windows: none is missing, and no pad can be spared.
        assert window_out(size + before + after, window, stride, "valid") == out
        if before + after:
            assert (out - 1) * stride + window == size + before + after


def test_a_pool_without_a_stride_moves_by_its_window():
    assert MaxPool(window=3).strides == (3, 3)
    assert MaxPool(window=3, stride=2).strides == (2, 2)


def test_names_count_each_kind_by_itself():
    assert ordinal_names(["conv", "dense", "conv"]) == ("conv1", "dense1", "conv2")
    assert ordinal_names([]) == ()
    layers = (Conv(filters=1, kernel=1), MaxPool(window=2), Conv(filters=1, kernel=1), BatchNorm(), MaxPool(window=2))
    assert layer_names(layers) == ("conv1", "max_pool1", "conv2", "batch_norm1", "max_pool2")


NETWORK = (
    Conv(filters=4, kernel=5, padding="same", stride=2),
    BatchNorm(),
    Activation(function="elu"),
    MaxPool(window=2, padding="same"),
    Conv(filters=6, kernel=3, bias=False),
    Dropout(rate=0.5),
    Flatten(),
    Dense(units=10, bias=False),
    BatchNorm(),
    Dense(units=7),
    Activation(function="softmax"),
)


def test_shapes_of_a_whole_network():
    assert output_shapes(NETWORK, (21, 19, 3)) == (
        (11, 10, 4),  # ceil(21 / 2), ceil(19 / 2)
        (11, 10, 4),
        (11, 10, 4),
        (6, 5, 4),  # ceil(11 / 2), 10 / 2
        (4, 3, 6),
        (4, 3, 6),
        (72,),
        (10,),
        (10,),
        (7,),
        (7,),
    )


def test_parameters_of_a_whole_network():
    weights = (5 * 5 * 3 * 4 + 4) + 3 * 3 * 4 * 6 + 72 * 10 + (10 * 7 + 7)
    scale_and_offset = averages = 2 * 4 + 2 * 10
    assert parameter_count(NETWORK, (21, 19, 3)) == (weights + scale_and_offset + averages, weights + scale_and_offset)


@pytest.mark.parametrize(
    ("layers", "index", "message"),
    [
        ((Conv(filters=1, kernel=9),), 0, "a kernel of 9 is larger than its 8 x 8 map"),
        ((MaxPool(window=2), MaxPool(window=5)), 1, "a window of 5 is larger than its 4 x 4 map"),
        ((Conv(filters=1, kernel=18, padding="same"),), 0, "a kernel of 18 reaches beyond its padded 8 x 8 map"),
        ((Dense(units=7),), 0, "a dense layer needs a flatten layer before it"),
        ((Flatten(), Flatten()), 1, "the input is flat already"),
        ((Flatten(), Conv(filters=1, kernel=1)), 1, r"needs a map \(height, width, channels\) but gets 64 features"),
        ((Flatten(), Dense(units=3), MaxPool(window=1)), 2, "but gets 3 features; is it after flatten"),
        ((Activation(function="softmax"), Flatten()), 0, "softmax is only known as the last layer"),
    ],
)
def test_a_layer_that_does_not_fit_is_named_by_its_place(layers, index, message):
    with pytest.raises(LayerError, match=message) as error:
        output_shapes(layers, (8, 8, 1))
    assert error.value.index == index


def test_a_window_may_fill_its_map():
    assert output_shapes((Conv(filters=1, kernel=8), Flatten()), (8, 8, 1)) == ((1, 1, 1), (1,))

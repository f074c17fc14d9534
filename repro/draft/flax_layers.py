"""The layers of a Flax module (linen or nnx), or of any function of JAX: read from its jaxpr, the list of operations
that JAX makes of it. Nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from repro.draft.drafted import (
    DraftedLayer,
    DraftedModel,
    DraftError,
    activation,
    convolution,
    sides,
    unsupported,
)

_NAMED = ("relu", "elu", "tanh", "sigmoid", "softmax", "log_softmax", "leaky_relu", "gelu", "silu", "swish", "selu")
_SIZE = 48
_UNKNOWN = "momentum and epsilon are not in the operations: check them"


def draft_flax(model: Any, about: str) -> DraftedModel:
    """Raises DraftError if the model does not take a batch of one gray image of 48 x 48 pixels."""
    import jax
    import jax.numpy as jnp

    images = jax.ShapeDtypeStruct((1, _SIZE, _SIZE, 1), jnp.float32)
    try:
        operations = jax.make_jaxpr(_function(model, images))(images).jaxpr
    except Exception as error:  # whatever the user's module raises
        text = str(error).partition("\n")[0][:200]
        raise DraftError(
            f"{about}: the model does not take a batch of images {images.shape}: {type(error).__name__}: {text}"
        ) from None
    layers: list[DraftedLayer] = []
    for operation in _operations(operations):
        _add(operation, layers)
    return DraftedModel(tuple(layers), about, _SIZE, 1)


def _function(model: Any, images: Any) -> Callable[[Any], Any]:
    """What makes outputs of images, in the mode of evaluation."""
    import jax

    if not hasattr(model, "init") or not hasattr(model, "apply"):  # nnx, or a plain function
        if hasattr(model, "eval"):
            model.eval()
        return model
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    zeros = jax.tree.map(lambda one: jax.numpy.zeros(one.shape, one.dtype), variables)
    return lambda batch: model.apply(zeros, batch)


def _operations(jaxpr: Any) -> Iterator[Any]:
    """All operations in order; functions with the name of an activation as one."""
    for operation in jaxpr.eqns:
        if operation.params.get("name", "").lstrip("_") in _NAMED:
            yield operation
            continue
        inner = operation.params.get("jaxpr") or operation.params.get("call_jaxpr")
        if inner is not None:
            yield from _operations(getattr(inner, "jaxpr", inner))
        else:
            yield operation


def _add(operation: Any, layers: list[DraftedLayer]) -> None:
    name, given = operation.primitive.name, operation.params
    called = given.get("name", "").lstrip("_")
    shapes = [tuple(one.aval.shape) for one in operation.invars]
    if called in _NAMED or name in ("tanh", "logistic"):
        layers.append(activation({"logistic": "sigmoid"}.get(name, called or name), called or name))
    elif name == "exp" and len(shapes[0]) == 2:
        layers.append(activation("softmax", "exp, divided by its sum"))
    elif name == "conv_general_dilated":
        layers.append(_conv(given, shapes[1]))
    elif name == "dot_general" and len(shapes[1]) == 2:
        layers.append(DraftedLayer("dot_general", {"layer": "dense", "units": shapes[1][-1], "bias": False}))
    elif name == "add" and layers and layers[-1].settings.get("bias") is False:
        layers[-1] = replace(layers[-1], settings={**layers[-1].settings, "bias": True})
    elif name == "reduce_window_max":
        layers.append(_pool(given))
    elif name in ("reduce_window_sum", "reduce_window"):
        layers.append(unsupported("averagepool", name))
    elif name == "rsqrt":
        layers.append(DraftedLayer("rsqrt", {"layer": "batch_norm"}, (_UNKNOWN,)))
    elif name == "reshape" and len(shapes[0]) == 4 and len(given.get("new_sizes", ())) == 2:
        layers.append(DraftedLayer("reshape", {"layer": "flatten"}))


def _conv(given: dict[str, Any], weights: tuple[int, ...]) -> DraftedLayer:
    out, inputs, *window = (weights[axis] for axis in given["dimension_numbers"].rhs_spec)
    groups = given.get("feature_group_count", 1)
    return convolution(
        "conv_general_dilated",
        filters=out,
        channels=inputs * groups,
        kernel=sides(window),
        groups=groups,
        dilation=sides(given.get("rhs_dilation", 1)),
        stride=sides(given["window_strides"]),
        padding="same" if any(any(pair) for pair in given["padding"]) else "valid",
        bias=False,
    )


def _pool(given: dict[str, Any]) -> DraftedLayer:
    window, stride = (sides(list(given[key])[1:3]) for key in ("window_dimensions", "window_strides"))
    padded = any(any(pair) for pair in given["padding"])
    settings = {"layer": "max_pool", "window": window, "stride": stride, "padding": "same" if padded else "valid"}
    return DraftedLayer("reduce_window_max", settings)

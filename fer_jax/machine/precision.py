"""The precision of products: full float32, float32 rounded to TF32, or bfloat16."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax

from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.settings import PRECISIONS, Precision

# NVIDIA's tensor cores multiply TF32 from this compute capability on (A100); V100 is 7.0.
_TENSOR_FLOAT_CAPABILITY = 8.0

# Values of `jax_default_matmul_precision`. JAX's own name "tensorfloat32" asks for more than its default does
# (`jax.lax.Precision.HIGH`). Both mean TF32 on a GPU (see `jax.lax.Precision`), but only the default leaves XLA free to
# use all its kernels. The setting does not affect products of bfloat16 numbers. What stays float32 beside them
# (gradients of dense layers) is rounded to TF32 on devices that have it.
_JAX_PRECISION: dict[Precision, str] = {"float32": "highest", "tensorfloat32": "default", "bfloat16": "default"}


class PrecisionError(UserError):
    """The device does not support the requested precision. The message says which ones it supports."""


def default_precision(device: jax.Device) -> Precision:
    """JAX's own default: TF32 for convolutions and dense layers on a GPU that has it, else float32."""
    return "tensorfloat32" if _has_tensor_float(device) else "float32"


def choose_precision(asked: Precision | None, device: jax.Device) -> Precision:
    """The precision of a run on a device; None takes the default.

    Raises PrecisionError if the device does not support it.
    """
    if asked is None:
        return default_precision(device)
    if asked not in PRECISIONS:
        raise PrecisionError(f"--precision {asked}: known are {', '.join(PRECISIONS)}")
    if device.platform == "cpu" and asked != "float32":
        raise PrecisionError(
            f"--precision {asked}: on a CPU there is only float32; leave the flag out, or run with --device gpu"
        )
    if asked == "tensorfloat32" and not _has_tensor_float(device):
        raise PrecisionError(
            f"--precision tensorfloat32: {device.device_kind} has none (NVIDIA GPUs have it since A100); "
            "take float32 or bfloat16"
        )
    return asked


@contextlib.contextmanager
def products_in(precision: Precision, device: jax.Device) -> Iterator[None]:
    """Functions traced inside compute their products on the device in this precision."""
    if device.platform == "cpu":
        yield  # always float32 on this device, and no attribute of the program makes XLA do otherwise
        return
    with jax.default_matmul_precision(_JAX_PRECISION[precision]):
        yield


def _has_tensor_float(device: jax.Device) -> bool:
    """Only for NVIDIA GPUs does JAX give the compute capability as a number ("9.0"; for AMD's "gfx942")."""
    try:
        return float(getattr(device, "compute_capability", "")) >= _TENSOR_FLOAT_CAPABILITY
    except ValueError:
        return False

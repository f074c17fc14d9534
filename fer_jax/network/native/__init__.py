"""Convolution and batch norm with pooling in C++, called through XLA's foreign function interface; for CPU.

Matrix products, the only operation that XLA does fast on CPU, need every pixel written several times over, and the map
before pooling written and read again. The loops here (``convolution.cc``, ``strips.cc``, ``winograd.cc``) keep both in
registers.
Batch norm has separate calls, in ``batch_norm.py``.
If they cannot run (no C++ compiler, another dtype, an unknown window or kernel), ``backends.py`` uses the routines in
pure JAX. Results differ by rounding only.

The system's compiler builds the library for this very processor when it is first needed (some seconds). The library is
kept in the cache folder. ``FER_JAX_NATIVE=0`` in the environment switches it off.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fer_jax.machine.atomic_write import placed_whole
from fer_jax.machine.cache_folder import cache_folder
from fer_jax.machine.devices import processor
from fer_jax.network.pooling import AxisPadding

KERNEL_SIZES = (1, 3, 5, 7)
POOLING_WINDOWS = (1, 2, 3)

# The three ways to convolve; the first suitable one is used. The two with minimal filtering save products. The numbers,
# by kernel size, say from how many channels, in and out, their transforms pay: for maps (forward, and the gradient of
# the input) and for the gradient of the kernel.
_DIRECT, _STRIPS, _WINOGRAD = "fer", "fer_strips", "fer_winograd"
_CHANNELS_FROM = {_WINOGRAD: {3: 16}, _STRIPS: {3: 2, 5: 2}}
_GRADIENT_CHANNELS_FROM = {_WINOGRAD: {3: 32}, _STRIPS: {3: 2, 5: 2}}
# The pooling windows that fit into a strip's or tile's output, by the kernel's size.
_WINDOWS = {3: (1, 2, 3), 5: (1, 2)}

_SOURCES = sorted(Path(__file__).parent.glob("*.cc"))
_HEADERS = sorted(Path(__file__).parent.glob("*.h"))
_TARGETS = [
    *(
        f"{way}_{name}"
        for way in (_DIRECT, _STRIPS, _WINOGRAD)
        for name in ("convolve", "input_gradient", "kernel_gradient")
    ),
    *("fer_moments", "fer_normalise", "fer_normalise_sums", "fer_normalise_gradient"),
]
_COMPILE_LIMIT_S = 300


class NativeError(RuntimeError):
    """The library cannot be compiled or loaded here. The message says why."""


@functools.cache
def available() -> bool:
    """Whether the library can be used. The first call compiles it, and warns if a compiler is installed but fails."""
    if os.environ.get("FER_JAX_NATIVE", "1") == "0" or compiler() is None:
        return False
    try:
        library = ctypes.CDLL(str(compiled()))
    except (NativeError, OSError) as error:
        warnings.warn(f"convolutions run in pure JAX, more slowly: {error}", stacklevel=2)
        return False
    for target in _TARGETS:
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(library, target)), platform="cpu")
    return True


def compiler() -> list[str] | None:
    """The C++ compiler's command: $CXX, else the first of c++, g++, clang++ that is installed."""
    if named := os.environ.get("CXX"):
        return shlex.split(named)
    found = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    return [found] if found else None


def compiled(cache_dir: Path | None = None) -> Path:
    """The library. Compiled unless the cache has one for this source, jaxlib, compiler and processor.

    Raises NativeError if the compiler fails or the cache is not writable.
    """
    command = compiler()
    if command is None:
        raise NativeError("no C++ compiler: install one, such as g++, or name it in $CXX")
    flags = _flags()
    texts = [path.read_text() for path in (*_HEADERS, *_SOURCES)]
    identity = "\n".join([*texts, version("jaxlib"), *command, *flags, processor()])
    path = cache_folder(cache_dir) / "native" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
    if path.exists():
        return path
    try:
        with placed_whole(path) as aside, tempfile.TemporaryDirectory(prefix="fer-jax-") as folder:
            objects = [Path(folder) / f"{source.stem}.o" for source in _SOURCES]

            def compile_one(source: Path, target: Path) -> None:
                include = ["-isystem", jax.ffi.include_dir()]
                _call_compiler(command, [*flags, *include, "-c", str(source), "-o", str(target)], source.name)

            with ThreadPoolExecutor() as pool:
                list(pool.map(compile_one, _SOURCES, objects))
            _call_compiler(command, [*flags, "-shared", *map(str, objects), "-o", str(aside)], path.name)
    except OSError as error:
        raise NativeError(f"{' '.join(command)}: {error}") from None
    return path


def _call_compiler(command: list[str], arguments: list[str], what: str) -> None:
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=_COMPILE_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise NativeError(f"{' '.join(command)}: {error}") from None
    if done.returncode:
        raise NativeError(f"{' '.join(command)} could not compile {what}: {_first_error(done.stderr)}")


def _flags() -> list[str]:
    own = "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"
    return ["-O2", own, "-std=c++17", "-fPIC"]


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line]
    return (lines or text.splitlines() or ["it printed nothing"])[0]


def suits(x: Array, kernel: Array, window: int) -> bool:
    """Whether `convolve` can take these: float32, and loops written for this kernel size and window."""
    size = kernel.shape[0]
    return x.dtype == kernel.dtype == jnp.float32 and size in KERNEL_SIZES and window in POOLING_WINDOWS and available()


def convolve(x: Array, kernel: Array, padding: AxisPadding, window: int = 1) -> Array:
    """Convolution of stride 1, then the maximum over windows that touch but do not overlap (1: none).

    The first of equal maxima takes the gradient. An incomplete window at the border is left out.

    Args:
        x: (channels, height, width, batch), float32.
        kernel: (k, k, channels, filters), float32.
        padding: before and after, of the height and of the width.

    Returns:
        (filters, height // window, width // window, batch) of the convolution's height and width.
    """
    if not available():
        raise NativeError("the native library is not available here")
    return _convolve(x, kernel, padding, window)


def _way(kernel: Array, channels_from: dict[str, dict[int, int]], window: int = 1) -> str:
    """The way that suits a kernel and the pooling after it."""
    size, _, *channels = kernel.shape
    if window in _WINDOWS.get(size, ()):
        for way, least in channels_from.items():
            if size in least and min(channels) >= least[size]:
                return way
    return _DIRECT


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: Array, kernel: Array, padding: AxisPadding, window: int) -> Array:
    return _call(x, kernel, padding, window, keep_places=False)[0]


def _call(x: Array, kernel: Array, padding: AxisPadding, window: int, *, keep_places: bool) -> tuple[Array, Array]:
    """(values, places): `places` is the position of each maximum in its window. It has one element if not kept."""
    size, _, channels, filters = kernel.shape
    grown = sum(padding) - size + 1
    shape = (filters, (x.shape[1] + grown) // window, (x.shape[2] + grown) // window, x.shape[3])
    assert channels == x.shape[0] and min(shape) > 0
    target = f"{_way(kernel, _CHANNELS_FROM, window)}_convolve"
    call = jax.ffi.ffi_call(target, pooled(shape, keep_places and window > 1), vmap_method="sequential")
    values, places = call(x, kernel, **_attributes(padding, window))
    return values, places


def pooled(shape: tuple[int, ...], keep_places: bool) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """The outputs of a call with pooling: the values, and their places in the windows, or one element instead."""
    values = jax.ShapeDtypeStruct(shape, jnp.float32)
    return values, jax.ShapeDtypeStruct(shape if keep_places else (1,), jnp.uint8)


def _attributes(padding: AxisPadding, window: int) -> dict[str, np.int64]:
    return {"before": np.int64(padding[0]), "after": np.int64(padding[1]), "window": np.int64(window)}


def _forward(x: Array, kernel: Array, padding: AxisPadding, window: int) -> tuple[Array, tuple[Array, Array, Array]]:
    values, places = _call(x, kernel, padding, window, keep_places=True)
    return values, (x, kernel, places)


def _backward(
    padding: AxisPadding, window: int, residuals: tuple[Array, Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    x, kernel, places = residuals
    attributes = _attributes(padding, window)
    name = f"{_way(kernel, _CHANNELS_FROM)}_input_gradient"
    of_x = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(x.shape, x.dtype), vmap_method="sequential")
    name = f"{_way(kernel, _GRADIENT_CHANNELS_FROM)}_kernel_gradient"
    of_kernel = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(kernel.shape, kernel.dtype), vmap_method="sequential")
    return of_x(cotangent, places, kernel, **attributes), of_kernel(x, cotangent, places, **attributes)


_convolve.defvjp(_forward, _backward)

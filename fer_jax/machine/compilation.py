"""Compiled programs kept between processes, so that a run whose program was compiled before starts in seconds.

JAX's persistent compilation cache, in ``compiled/<machine>/`` of the user's cache folder (see `cache.py`). It may be
deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from fer_jax.machine.cache_folder import cache_folder
from fer_jax.machine.private_folder import private_folder
from fer_jax.machine.processor import processor

_KEPT = {
    # Every program, however small: a run starts with dozens that take 20 ms each.
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def keep_compiled_programs(cache_dir: Path | None = None) -> Path | None:
    """From now on, load compiled programs from the cache folder and save new ones there.

    cache_dir: as for `cache_folder`. Returns the folder, or None, with a warning, if the folder is not writable, or
    other users can change it.
    A folder that the user gave to JAX itself (JAX_COMPILATION_CACHE_DIR) is left as it is.
    """
    if own := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(own)
    folder = (cache_folder(cache_dir) / "compiled" / machine_tag()).absolute()
    try:
        private_folder(folder)  # it holds machine code
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        warnings.warn(
            f"{folder}: is not used ({error.strerror or error}), so every process compiles its programs again; "
            "name another cache folder with FER_JAX_CACHE",
            stacklevel=2,
        )
        return None
    if jax.config.values["jax_compilation_cache_dir"] != str(folder):
        for name, value in _KEPT.items():
            jax.config.update(name, value)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        compilation_cache.reset_cache()  # a cache that is already in use would keep its folder
    return folder


def machine_tag() -> str:
    """A name for machines that can run each other's programs, for example ``jaxlib0.10.2-x86_64-3f9c1d20``.

    JAX does not promise that its own key distinguishes processors. Machines may share a home folder, and a program with
    instructions that a processor lacks kills the process.
    """
    digest = hashlib.sha256(processor().encode()).hexdigest()[:8]
    return f"jaxlib{version('jaxlib')}-{platform.machine()}-{digest}"

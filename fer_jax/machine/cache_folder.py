"""The user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder(cache_dir: Path | None = None) -> Path:
    """``cache_dir``, else $FER_JAX_CACHE, else the system's cache folder ($XDG_CACHE_HOME or ~/.cache on Linux)."""
    if cache_dir is not None:
        return Path(cache_dir)
    named = os.environ.get("FER_JAX_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("fer_jax", appauthor=False))

"""The environment of a run: versions, code, command. For the record."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from repro import __version__
from repro.runs.records import Git

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python, this suite and the libraries that decide a run's numbers."""
    found = {"python": platform.python_version(), "fer-repro": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_state() -> Git:
    """The commit of the running code, and whether tracked files differ from it (not counting results, which runs
    themselves write)."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        # A copy of the sources on another machine: whoever copied them may name their commit.
        named = os.environ.get("REPRO_GIT_COMMIT", "").strip()
        return Git(commit=named if re.fullmatch(r"[0-9a-f]{40}", named) else "", dirty=False)
    commit = _git(here, "rev-parse", "HEAD")
    if not commit:
        return Git(commit="", dirty=False)
    changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
    return Git(commit=commit, dirty=bool(changed))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def load_average() -> float:
    """Processes that wanted a core, averaged over the last minute; 0 if the system does not report it."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def command_line() -> str:
    """As typed, without the path of the interpreter or of the script. Absolute paths keep only their last part, because
    the user's folders are private."""
    return " ".join(["repro", *(_without_folders(word) for word in sys.argv[1:])])


def _without_folders(word: str) -> str:
    flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{flag}{equals}{Path(value).name if Path(value).is_absolute() else value}"

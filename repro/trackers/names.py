"""The trackers by name, and whether one is installed. Imports nothing slow."""

from __future__ import annotations

import importlib.util
from typing import Literal

from fer_jax.vocabulary.errors import UserError

TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]
_PACKAGES: dict[TrackerName, tuple[str, ...]] = {
    "tensorboard": ("tensorboardX",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy"),  # mlflow-skinny comes without SQLAlchemy, which its local store needs
    "trackio": ("trackio",),
}


class TrackerError(UserError):
    """A tracker cannot be used; the message says what to install."""


def installed(name: TrackerName) -> None:
    """Raises TrackerError if the tracker's package is missing."""
    for package in _PACKAGES[name]:
        if importlib.util.find_spec(package) is None:
            raise TrackerError(
                f'{name}: the package {package} is missing: pip install "fer-repro[{name}]" (from a checkout: '
                f'pip install ".[{name}]")'
            )

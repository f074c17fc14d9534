"""An error in a sweep that the user can fix."""

from __future__ import annotations

from fer_jax.vocabulary.errors import UserError


class SweepError(UserError):
    """A sweep cannot be made as asked; the message says what to change."""

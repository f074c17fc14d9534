"""What a user can mend in a sweep."""

from __future__ import annotations

from fer_jax.vocabulary.errors import UserError


class SweepError(UserError):
    """A sweep cannot be made as asked; the message says what to change."""

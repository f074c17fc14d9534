"""Errors about an image or a camera. Each message is one sentence for the user."""

from fer_jax.vocabulary.errors import UserError


class RecognitionError(UserError):
    """Recognition cannot start: a package, a camera or a display is missing. The message names the remedy."""


class PictureError(UserError):
    """An image cannot be used: not readable, damaged or too large. The message begins with its name."""

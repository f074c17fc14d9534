"""What can go wrong with a picture or a camera, each told to the user in one sentence."""

from fer_jax.vocabulary.errors import UserError


class RecognitionError(UserError):
    """Recognition cannot start: a package, a camera or a display is missing. The message names the remedy."""


class PictureError(UserError):
    """One picture cannot be used: not readable, damaged or too large. The message begins with its name."""

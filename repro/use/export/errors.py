"""Errors for the user. Imports nothing, so that the command line can load it at once."""

from fer_jax.vocabulary.errors import UserError


class ExportError(UserError):
    """A network cannot be written; the message names the file or the package, and the remedy."""

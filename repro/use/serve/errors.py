"""Errors before the server answers. Each message is one sentence for the user."""

from fer_jax.vocabulary.errors import UserError


class ServeError(UserError):
    """The server cannot start; the message says why and what to do."""

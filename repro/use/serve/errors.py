"""What can go wrong before the server answers, told to the user in one sentence."""

from fer_jax.vocabulary.errors import UserError


class ServeError(UserError):
    """The server cannot start; the message says why and what to do."""

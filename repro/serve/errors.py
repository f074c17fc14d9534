"""What can go wrong before the server answers, told to the user in one sentence."""


class ServeError(Exception):
    """The server cannot start; the message says why and what to do."""

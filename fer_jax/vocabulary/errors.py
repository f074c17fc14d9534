"""The base of every error that the user can fix, and the end of another host. Imports nothing, so that a command line
can catch them at once."""


class UserError(Exception):
    """Something that the user gave cannot be used: a file, an option, a record, a machine.

    The message is one line. It names the place and, if there is one, the remedy. Commands print it without a
    traceback and exit with code 2. A command with several runs records it as a failed run.
    """


class HostLost(RuntimeError):
    """Another process of a run on several hosts is gone, or this one failed in what all compute. None can continue."""

    def __init__(self, reason: str, said: str = "another host ended or cannot be reached") -> None:
        """reason: of JAX, or empty."""
        because = f" ({reason})" if reason else ""
        super().__init__(f"{said}{because}; started again on every host, the run resumes from its last checkpoint")

"""The base of every error that the user can fix. Imports nothing, so that a command line can catch it at once."""


class UserError(Exception):
    """Something that the user gave cannot be used: a file, an option, a record, a machine.

    The message is one line. It names the place and, if there is one, the remedy. Commands print it without a
    traceback and exit with code 2. A command with several runs records it as a failed run.
    """

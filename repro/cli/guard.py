"""A process around the one that works with other hosts: JAX ends that one by abort() when another host is gone, or does
not come.

JAX's client of its coordination service does so in C++, with a stack trace on standard error and exit code 134. No
Python code runs then. (Its callback for this event cannot be used: in jaxlib 0.10.2 it ends in std::bad_cast.)
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import threading
from typing import IO, Any, NoReturn

import click

from fer_jax.vocabulary.errors import HostLost, UserError
from repro.cli.last_resort import show_error

_OTHER_HOST = b"JAX distributed service detected fatal errors"
_JOINED = b"all hosts have joined\n"
_ENDED = re.compile(rb"the runs have ended with (\d{1,3})\n")
_STATUS = re.compile(rb"absl::Status: (.{1,200}?)(?:\. |\n|$)")
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)


def guard_against_jax(not_joined: str) -> None:
    """Continue in a child process; this one waits for it, and says in a line how it ended. Before JAX is imported.

    not_joined: the message, without JAX's reason, if that is before `note_joined`.

    What C++ prints to standard error is kept from the terminal, and shown if the child is killed by a signal. The child
    ends if this process does.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    noise = tempfile.TemporaryFile()  # noqa: SIM115 (for the life of the process)
    held, end = os.pipe()
    child = os.fork()
    if child:
        os.close(held)
        _exit_as(child, noise, not_joined)
    os.close(end)
    threading.Thread(target=_end_with, args=(held,), daemon=True).start()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)
    os.dup2(noise.fileno(), 2)
    # Read by the C++ parts of JAX when they are loaded: without it each lost connection is a dozen lines.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def note_joined() -> None:
    """From here on an abort() means that another host is gone."""
    os.write(2, _JOINED)


def note_ended(code: int) -> None:
    """From here on this process ends with `code`, even if JAX aborts it: the first host that leaves ends the service
    that the others are about to leave."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(2, b"the runs have ended with %d\n" % code)


def _end_with(held: int) -> None:
    """End this process once the other end of the pipe is closed."""
    os.read(held, 1)
    os._exit(1)


def _exit_as(child: int, noise: IO[bytes], not_joined: str) -> NoReturn:
    """Wait for the child, and end as it does; if JAX aborted it, with a line that says why."""

    def pass_on(number: int, frame: Any) -> None:
        os.kill(child, number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both
    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        noise.seek(0)
        text = noise.read()
        if code == -signal.SIGABRT and (ended := _ENDED.search(text)):
            code = int(ended[1])
        elif code == -signal.SIGABRT and _OTHER_HOST in text:
            reason = _STATUS.search(text)
            because = f" ({reason[1].decode(errors='replace')})" if reason else ""
            code = show_error(HostLost("") if _JOINED in text else UserError(not_joined + because))
        else:
            click.echo(text, nl=False, err=True)
            if -code in _PASSED_ON:
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
    sys.stdout.flush()
    os._exit(code)

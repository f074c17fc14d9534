"""A limit on the memory that a piece of this process may take."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_at_most(n_bytes: int) -> Iterator[None]:
    """Inside, the process gets at most `n_bytes` of address space more than it has; beyond, allocations fail.

    For decoders in C++ that allocate what a file claims. They report a failed allocation as an error; without the limit
    the system would kill the process. Does nothing where /proc is missing (the limit exists, the present size is not
    known) or where the limit cannot be set. Other threads are limited too.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        wanted = pages * resource.getpagesize() + n_bytes
        limits = [limit for limit in before if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *limits]), before[1]))
    except (OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

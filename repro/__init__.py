"""Reproduce the numbers of facial-expression-recognition papers: specs, runs, records, tables, command line."""

import time

__version__ = "0.1.0"

STARTED_AT = time.perf_counter()  # the first line of the suite that a process runs

"""Reproduce the numbers of facial-expression-recognition papers: specs, runs, records, tables, command line."""

__version__ = "0.1.0"

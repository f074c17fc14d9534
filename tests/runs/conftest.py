"""Runs of the tiny paper, for tests of what is run and what is kept."""

from tiny_runs import dataset, do

__all__ = ["dataset", "do"]

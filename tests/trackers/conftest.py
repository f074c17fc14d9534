"""Runs of the tiny paper, for tests of what trackers get."""

from tiny_runs import dataset, do

__all__ = ["dataset", "do"]

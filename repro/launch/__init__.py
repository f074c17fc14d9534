"""Start the same `repro run` in many places. The results folder is the queue: workers claim runs there."""

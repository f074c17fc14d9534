"""Everything that is asked of a machine with a GPU, in one call that can be cut off at any moment: ``.ci/gpu``.

Runs and benchmarks are ordinary `repro` commands and leave ordinary records. What is new here: which commands, in which
order and within which time (``stages.py``, ``schedule.py``), what comes back (``archive.py``), the checks that a GPU
computes what a CPU does (``checks.py``, ``reruns.py``), and where its time goes (``profile.py``).
"""

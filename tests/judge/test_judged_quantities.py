"""repro.judge.judged_quantities: which claims get a verdict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from report_records import claim

from repro.judge.judged_quantities import has_verdict, is_fact


def test_times_never_get_a_verdict():
    for other in (claim(unit="h"), claim(unit="1"), claim(not_measured="it cannot be")):
        assert not has_verdict(other)
    counts = [claim(quantity=q, unit="rows") for q in ("predicted_rows", "true_positives")]
    assert all(map(has_verdict, [claim(), claim(unit="nat"), claim(unit="rows"), *counts]))
    measures = [
        claim(quantity="f1", average="macro"),
        claim(quantity="top_k", k=2),
        claim(quantity="balanced_accuracy"),
    ]
    assert all(map(has_verdict, measures))


def test_a_fact_is_the_same_in_every_run():
    assert is_fact(claim(unit="rows", value=10), [9, 9])
    assert not is_fact(claim(unit="rows", value=10), [9, 10])
    assert not is_fact(claim(), [0.5, 0.5])


def test_import_does_not_load_scipy():
    code = (
        "import sys, repro.judge.judged_quantities, repro.statistics\n"
        "print(*(m for m in ('scipy', 'jax') if m in sys.modules))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "")

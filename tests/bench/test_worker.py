"""repro.bench.worker: a process that dies, fails or floods its output is told with its last words, and never hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from bench_workload import tiny_workload

from repro.bench import contenders
from repro.bench.worker import Worker, WorkerError, environment, thread_environment

ROWS = np.arange(32, dtype=np.int32).reshape(2, 16)
CPU = thread_environment(1, "cpu")


class Faulty:
    """Does as the test says, in its own process."""

    versions = {"faulty": "1"}  # noqa: RUF012

    def __init__(self, manner: str) -> None:
        self.manner = manner
        if manner == "import":
            raise ImportError("no module named 'nothing'")

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        print("a word on standard output", flush=True)
        print("the last words", file=sys.stderr, flush=True)
        if self.manner == "exit":
            os._exit(3)
        if self.manner == "signal":
            os.abort()
        if self.manner == "child":  # it inherits the pipe, and outlives its parent
            if os.fork() == 0:
                time.sleep(120)
                os._exit(0)
            os._exit(4)
        if self.manner == "raise":
            raise RuntimeError("no memory for /home/somebody/data/x.bin left")
        os.write(2, b"x" * (1 << 20))
        return rows_SB.sum(1)

    def threads(self) -> str:
        return os.environ["OMP_NUM_THREADS"] + os.environ["NPROC"]


def faulty(manner: str) -> Worker:
    return Worker(Faulty, (manner,), label=f"faulty {manner}", variables=thread_environment(3, "cpu"))


@pytest.mark.parametrize(
    ("manner", "how"), [("exit", "exited with 3"), ("signal", "ended with signal 6"), ("child", "exited with 4")]
)
def test_a_process_that_dies_is_told_with_its_last_words(manner, how):
    begin = time.perf_counter()
    with faulty(manner) as worker, pytest.raises(WorkerError) as caught:
        worker.train(ROWS)
    text = str(caught.value)
    assert text.startswith(f"faulty {manner}: its process {how} during `train`; the last 2 lines that it wrote:")
    assert text.endswith("a word on standard output\nthe last words")
    assert caught.value.reason == f"its process {how} during `train`"
    assert time.perf_counter() - begin < 100


def test_an_exception_is_told_and_the_process_goes_on():
    with faulty("raise") as worker:
        for _ in range(2):
            with pytest.raises(WorkerError, match="in train") as caught:
                worker.train(ROWS)
            assert "the last words" in str(caught.value)
            assert caught.value.reason == "RuntimeError: no memory for x.bin left", "records hold no folders"
        assert worker.call("threads") == "33"


def test_a_contender_that_cannot_start():
    with pytest.raises(WorkerError, match="no module named 'nothing'") as caught:
        faulty("import")
    assert caught.value.label == "faulty import"


def test_much_output_does_not_block():
    with faulty("") as worker:
        assert worker.train(ROWS).tolist() == [120, 376]
        assert worker.versions == {"faulty": "1"} and worker.seconds > 0


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("NPROC", "5")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with environment({"NPROC": "2", "OMP_NUM_THREADS": "2"}):
        assert (os.environ["NPROC"], os.environ["OMP_NUM_THREADS"]) == ("2", "2")
    assert os.environ["NPROC"] == "5" and "OMP_NUM_THREADS" not in os.environ


def test_our_own_contender_trains_and_predicts_in_a_process():
    workload = tiny_workload()
    with Worker(contenders.start, ("own", "default", workload, "cpu"), label="own", variables=CPU) as worker:
        worker.reset(0)
        first = worker.train(ROWS)
        again = worker.train(ROWS)
        worker.reset(0)
        assert np.array_equal(worker.train(ROWS), first) and not np.array_equal(first, again)
        probability = worker.predict(ROWS)
        assert probability.shape == (32, 7) and np.allclose(probability.sum(1), 1, atol=1e-5)
        assert worker.device_memory_bytes() is None
        assert worker.peak_memory_bytes() > 50 << 20
        assert "jax" in worker.loaded_packages() and "pytest" not in worker.loaded_packages()


def test_a_process_starts_bare():
    """What a rival's process holds besides its framework: no other framework, and nothing of its parent's memory."""
    held = np.ones(400 << 20, np.uint8)
    with Worker(partial(Faulty, ""), (), label="bare", variables=CPU) as worker:
        assert not {"jax", "flax", "optax", "torch", "tensorflow"} & set(worker.loaded_packages())
        assert worker.peak_memory_bytes() < held.nbytes / 2


def test_reading_a_workload_loads_no_jax():
    code = "import sys, repro.bench.worker, repro.bench.workload, repro.bench.contenders; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr

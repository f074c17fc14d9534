"""repro.bench.measure and comparison: our own contender against itself in worker processes, and who goes on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench_workload import candidate, timing, tiny_workload

from repro.bench import comparison, contenders
from repro.bench.comparison import BenchError, ComparisonSettings, choose_rivals, compare, start_worker
from repro.bench.measure import Entrant, finalists
from repro.bench.worker import Worker
from repro.bench.workload import draw_batches

SETTINGS = ComparisonSettings("cpu", ("own",), rounds=3, seconds=0.05, threads=1, pause_s=0.0, predict_batches=(16, 32))


def scouted(name: str, mode: str, speed: float, **fields: object):
    return candidate(name, mode, timings=(timing(speed),), **fields)


def test_the_best_mode_and_what_is_near_goes_on():
    found = [
        scouted("torch", "eager", 89.0),
        scouted("torch", "compile", 100.0),
        scouted("torch", "other", 90.0),
        scouted("torch", "broken", 500.0, error="it died in round 2"),
        candidate("torch", "never ran", error="no"),
    ]
    assert [c.mode for c in finalists(found)] == ["compile", "other"]
    assert finalists([]) == [] and finalists(found[-2:]) == []


def test_each_mode_goes_on_with_its_best_batch_size():
    found = [scouted("torch", m, s, batch_size=b) for m, b, s in (("a", 64, 9.0), ("a", 256, 10.0), ("b", 64, 9.5))]
    assert [(c.mode, c.batch_size) for c in finalists(found)] == [("a", 256), ("b", 64)]


def test_the_median_of_scouting_ranks():
    steady = candidate("torch", "steady", timings=tuple(timing(s) for s in (10.0, 11.0, 12.0)))
    lucky = candidate("torch", "lucky", timings=tuple(timing(s) for s in (1.0, 2.0, 99.0)))
    assert [c.mode for c in finalists([lucky, steady])] == ["steady"]


@pytest.mark.slow
def test_ours_against_ours():
    """Prediction; `test_command.py` compares training from the command to the table."""
    lines: list[str] = []
    betweens: list[int] = []
    found = compare(
        tiny_workload(), "predict", SETTINGS, agreements=(), between=lambda: betweens.append(1), say=lines.append
    )
    (met,) = found.duels
    assert len(met.rounds) == len(betweens) == 3
    assert met.ratio_range[0] <= met.ratio <= met.ratio_range[1]
    assert met.ratio == sorted(each.ratio for each in met.rounds)[1], "the median"
    for each in met.rounds:
        assert each.ratio == each.own.images_per_s / each.rival.images_per_s
        assert each.own.elapsed_s > 0
    assert {(c.name, c.batch_size) for c in found.scouted} == {("own", 16), ("own", 32)}
    assert all(len(c.timings) == 3 and not c.error for c in found.scouted)
    assert met.own.compile_s > 0.05 and met.own.peak_memory_bytes > 50 << 20 and met.own.timings == ()
    assert found.multiply_adds == 144 * 8 + 8 * 7
    assert found.parameters == 144 * 8 + 8 + 8 * 7 + 7
    assert sum("round" in line for line in lines) == 3


class Clockwork:
    """Needs a second per step by its own account, on top of a second per call and ten for every new shape."""

    versions = {"clockwork": "1"}  # noqa: RUF012

    def __init__(self) -> None:
        self.seconds = 0.0
        self.known: set[tuple[int, ...]] = set()
        self.resets = 0
        self.pid = 1

    def reset(self, seed: int) -> None:
        self.resets += 1

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        self.seconds = 1 + len(rows_SB) + (0 if rows_SB.shape in self.known else 10)
        self.known.add(rows_SB.shape)
        return np.zeros(len(rows_SB))


def clockwork_entrant(batch_size: int = 64) -> tuple[Entrant, Clockwork]:
    worker = Clockwork()
    return Entrant(worker, "x", "y", "train", batch_size, samples=1000, pause_s=0), worker  # type: ignore[arg-type]


def test_calibration_finds_the_steps_and_the_time_to_compile():
    entrant, worker = clockwork_entrant()
    entrant.calibrate(seconds=60)
    assert entrant.compile_s == 10
    found = entrant.time()
    assert 30 <= found.elapsed_s <= 120
    assert math.isclose(found.images_per_s, (found.elapsed_s - 1) * 64 / found.elapsed_s)
    assert worker.resets == 2, "every timing of training starts from fresh weights"


def test_one_step_is_timed_where_it_takes_longer_than_asked():
    entrant, _ = clockwork_entrant(batch_size=1024)
    entrant.calibrate(seconds=0.1)
    assert entrant.time().elapsed_s == 2


def test_batches_are_complete_and_use_all_rows():
    rows = draw_batches(10, 4, 5)
    assert rows.shape == (5, 4) and rows.dtype == np.int32
    assert sorted(rows.reshape(-1)[:10]) == list(range(10)) == sorted(rows.reshape(-1)[10:])
    assert draw_batches(3, 8, 1).shape == (1, 8), "fewer samples than a batch are repeated"
    with pytest.raises(ValueError, match="no samples"):
        draw_batches(0, 4, 1)


def test_a_rival_that_is_not_installed_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(contenders, "installed", lambda name: name == "torch")
    assert choose_rivals(None) == ("torch",)
    assert choose_rivals(("torch", "torch")) == ("torch",)
    with pytest.raises(BenchError, match=r'keras is not installed here; .* pip install "fer-repro\[bench\]"'):
        choose_rivals(("torch", "keras"))
    with pytest.raises(BenchError, match="no rival 'own'; accepted: torch, keras"):
        choose_rivals(("own",))
    monkeypatch.setattr(contenders, "installed", lambda name: False)
    with pytest.raises(BenchError, match="none of the rivals"):
        choose_rivals(None)


def broken_start(name: str, mode: str, workload: object, device: str):
    raise RuntimeError("no compiler found")


def test_a_mode_that_fails_is_left_out_and_told(monkeypatch):
    def start(name, mode, workload, settings):
        if mode == "broken":
            return Worker(broken_start, (name, mode, None, "cpu"), label=f"{name} {mode}", variables={})
        return start_worker(name, "default", workload, settings)

    monkeypatch.setattr(comparison, "start_worker", start)
    monkeypatch.setattr(comparison.contenders, "modes", lambda name, device: ("default", "broken"))
    lines: list[str] = []
    alone = ComparisonSettings("cpu", (), rounds=1, seconds=0.02, threads=1, pause_s=0.0)
    found = comparison._scout(tiny_workload(), "train", alone, lines.append)
    assert {c.mode: (c.error, len(c.timings)) for c in found} == {
        "broken": ("RuntimeError: no compiler found", 0),
        "default": ("", 3),
    }
    assert any("own broken is left out" in line for line in lines)


def test_no_rival_left_is_an_error(monkeypatch):
    monkeypatch.setattr(
        comparison, "_scout", lambda *_: [scouted("own", "default", 1.0), candidate("torch", "x", error="boom")]
    )
    lone = ComparisonSettings("cpu", ("torch",), rounds=1, seconds=0.02, threads=1, pause_s=0.0)
    with pytest.raises(BenchError, match="every rival failed:\nboom"):
        compare(tiny_workload(), "train", lone, agreements=(), between=lambda: None, say=lambda line: None)

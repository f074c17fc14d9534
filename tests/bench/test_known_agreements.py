"""repro.bench.known_agreements: asked once per network and versions, asked again where chance may have spoken."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext

import msgspec
import pytest
from bench_workload import make_duel, make_record, tiny_workload

from fer_jax.vocabulary.layers import Dropout
from repro.bench import contenders, known_agreements
from repro.bench.agreement import LearningCheck, agree
from repro.bench.comparison import ComparisonSettings
from repro.bench.contenders.own import Own
from repro.bench.known_agreements import OTHER_SEEDS, SEEDS, agreement_key, agreements_with, stored_agreements
from repro.bench.worker import WorkerError
from repro.bench.workload import Workload, initial_variables

SETTINGS = ComparisonSettings("cpu", ("torch",), rounds=1, seconds=0.1, threads=1)


def twice_the_rate(workload: Workload) -> Workload:
    training = workload.network.training
    optimizer = msgspec.structs.replace(training.optimizer, learning_rate=2 * training.optimizer.learning_rate)
    network = dataclasses.replace(workload.network, training=msgspec.structs.replace(training, optimizer=optimizer))
    return dataclasses.replace(workload, network=network)


@pytest.fixture
def rival(monkeypatch):
    """In this process, ours under the name torch; call it to plant a fault in the workload that torch is given."""
    fault = [lambda workload: workload]

    def start(name, mode, workload, settings):
        assert (name, mode) in {("own", "default"), ("torch", "eager")}
        return nullcontext(
            contenders.start("own", "default", fault[0](workload) if name == "torch" else workload, "cpu")
        )

    monkeypatch.setattr(known_agreements, "start_worker", start)
    return lambda function: fault.__setitem__(0, function)


def test_the_same_network_agrees_and_is_not_asked_again(rival):
    lines: list[str] = []
    (first,) = agreements_with(tiny_workload(), SETTINGS, [], lines.append)
    assert first.agrees and first.rival == "torch" and first.figures["seeds"] == list(SEEDS)
    assert first.figures["held_out_loss"]["own"] == first.figures["held_out_loss"]["torch"]
    assert any("learn alike?" in line for line in lines)

    lines.clear()
    records = [make_record(make_duel([1.0], [1.0])), make_record(make_duel([1.0], [1.0]))]
    assert records[1].comparison
    records[1] = msgspec.structs.replace(
        records[1], comparison=msgspec.structs.replace(records[1].comparison, agreements=(first,))
    )
    assert agreements_with(tiny_workload(), SETTINGS, stored_agreements(records), lines.append) == (first,)
    assert len(lines) == 1 and "torch learns alike" in lines[0]


def test_another_learning_rate_is_found(rival):
    rival(twice_the_rate)
    (found,) = agreements_with(tiny_workload(), SETTINGS, [], lambda line: None)
    assert not found.agrees and "allowed" in found.summary


def test_where_masks_are_drawn_a_difference_is_asked_again(rival, monkeypatch):
    workload = tiny_workload()
    layers = (*workload.network.layers[:3], Dropout(rate=0.25), *workload.network.layers[3:])
    workload = dataclasses.replace(workload, network=dataclasses.replace(workload.network, layers=layers))
    asked: list[tuple[int, ...]] = []
    real = known_agreements.check

    def check(workers, workload, *, seeds, random, say):
        asked.append(seeds)
        found = real(workers, workload, seeds=seeds, steps=20, random=random, say=say)
        # The first time the rival has a fault, the second time it has none.
        rival(lambda w: w)
        return found

    rival(twice_the_rate)
    monkeypatch.setattr(known_agreements, "check", check)
    (found,) = agreements_with(workload, SETTINGS, [], lambda line: None)
    assert asked == [SEEDS, OTHER_SEEDS] and found.agrees and found.figures["seeds"] == list(OTHER_SEEDS)


def test_where_rounding_is_amplified_the_first_seeds_may_agree_on_average(rival, monkeypatch):
    def check(workers, workload, *, seeds, random, say):
        losses = {"own": (1.70, 1.75, 1.80), "torch": (1.76, 1.70, 1.79)}
        compared = agree(losses, random=bool(random))
        return LearningCheck(200, seeds, compared, compared)

    monkeypatch.setattr(known_agreements, "check", check)
    for amplified, agrees in ((0.001, False), (0.04, True)):
        monkeypatch.setattr(known_agreements, "amplified_rounding", lambda *_, moved=amplified: moved)
        (found,) = agreements_with(tiny_workload(), SETTINGS, [], lambda line: None)
        assert found.agrees is agrees and found.figures["seeds"] == list(SEEDS)


@pytest.mark.parametrize("amplified", [0.5, 0.001])
def test_a_network_that_amplifies_rounding_is_asked_as_one_that_draws_masks(rival, monkeypatch, amplified):
    asked: list[tuple[tuple[int, ...], bool | None]] = []
    real = known_agreements.check

    def check(workers, workload, *, seeds, random, say):
        asked.append((seeds, random))
        return real(workers, workload, seeds=seeds, steps=20, random=random, say=say)

    rival(twice_the_rate)
    monkeypatch.setattr(known_agreements, "check", check)
    monkeypatch.setattr(known_agreements, "amplified_rounding", lambda *_: amplified)
    (found,) = agreements_with(tiny_workload(), SETTINGS, [], lambda line: None)
    assert asked == [(SEEDS, None), *([(OTHER_SEEDS, True)] if amplified == 0.5 else [])]
    assert not found.agrees, "twice the rate is found by either rule"
    assert f"rounding moves our own by up to {amplified:.4f}" in found.summary


def test_a_mode_that_fails_is_left_for_the_next_one(monkeypatch):
    """As Keras' graph does with arriaga2017: its process dies while it trains."""
    asked: list[str] = []

    class Dies(Own):
        def train(self, rows_SB):
            raise WorkerError("keras", "its process ended", "its process ended with signal 11 during `train`")

    def start(name, mode, workload, settings):
        asked.append(f"{name} {mode}")
        return nullcontext((Dies if mode == "graph" else Own)("default", workload, "cpu"))

    monkeypatch.setattr(known_agreements, "start_worker", start)
    settings, lines = dataclasses.replace(SETTINGS, rivals=("keras",)), list[str]()
    (found,) = agreements_with(tiny_workload(), settings, [], lines.append)
    assert asked == ["own default", "keras graph", "keras graph-loop"] and found.agrees
    assert any("keras graph fails (its process ended with signal 11" in line for line in lines)
    monkeypatch.setattr(contenders, "modes", lambda name, device: ("graph",) if name == "keras" else ("default",))
    with pytest.raises(WorkerError, match="its process ended"):
        agreements_with(tiny_workload(), settings, [], lines.append)


def test_the_key_changes_with_whatever_changes_the_result(monkeypatch):
    workload = tiny_workload()
    weighed = dataclasses.replace(workload, variables={0: initial_variables(workload.network, 0)})
    reweighed = dataclasses.replace(workload, variables={0: initial_variables(workload.network, 1)})
    keys = {
        agreement_key(workload, "torch", "cpu"),
        agreement_key(workload, "keras", "cpu"),
        agreement_key(workload, "torch", "gpu"),
        agreement_key(twice_the_rate(workload), "torch", "cpu"),
        agreement_key(dataclasses.replace(workload, precision="bfloat16"), "torch", "cpu"),
        agreement_key(dataclasses.replace(workload, labels=workload.labels[::-1]), "torch", "cpu"),
        agreement_key(weighed, "torch", "cpu"),
        agreement_key(reweighed, "torch", "cpu"),
    }
    assert agreement_key(tiny_workload(), "torch", "cpu") in keys and len(keys) == 8
    with monkeypatch.context() as patch:
        patch.setattr(known_agreements, "training_code", lambda: "another")
        assert agreement_key(workload, "torch", "cpu") not in keys
    monkeypatch.setattr(known_agreements, "version", lambda name: "0.0")
    assert agreement_key(workload, "torch", "cpu") not in keys

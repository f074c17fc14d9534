"""Equal programs agree, whatever masks they draw; a wrong learning rate and a missing dropout are found."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import msgspec
import narrow_papers
import numpy as np
import pytest

from fer_jax.vocabulary.layers import Activation, Dense, Dropout, Flatten
from fer_jax.vocabulary.settings import Loss, Sgd, Training
from repro.bench import contenders
from repro.bench.agreement import OWN, agree, amplified_rounding, check, draws_at_random, learn, rows_apart
from repro.bench.contenders.own import Own
from repro.bench.workload import Workload

STEPS, SEEDS = 100, 5
LAYERS = (Flatten(), Dense(units=48), Activation(function="relu"), Dropout(rate=0.5), Dense(units=7))
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def workload(layers=LAYERS) -> Workload:
    training = Training(
        batch_size=16, epochs=1, loss=Loss(kind="cross_entropy"), optimizer=Sgd(learning_rate=0.02, momentum=0.5)
    )
    return narrow_papers.make("tiny", layers, training, 10, samples=800, seeds=SEEDS)


def faster(given: Workload, times: float = 2) -> Workload:
    """The same with a higher learning rate."""
    training = given.network.training
    optimizer = msgspec.structs.replace(training.optimizer, learning_rate=times * training.optimizer.learning_rate)
    training = msgspec.structs.replace(training, optimizer=optimizer)
    return replace(given, network=replace(given.network, training=training))


def dry(given: Workload) -> Workload:
    """The same without dropout."""
    layers = narrow_papers.without_dropout(given.network.layers)
    return replace(given, network=replace(given.network, layers=layers))


def own(given: Workload) -> Own:
    return Own("default", given, "cpu")


class OtherMasks(Own):
    """The same weights and batches, but other dropout masks: as another framework draws them."""

    def reset(self, seed: int) -> None:
        super().reset(seed)
        self._state = self.state._replace(key=self.engine.init_state(seed + 1000).key)


@pytest.fixture(scope="module")
def random_check():
    given = workload()
    entrants = {OWN: own(given), "masks": OtherMasks("default", given, "cpu")}
    entrants |= {"faster": own(faster(given)), "dry": own(dry(given))}
    lines: list[str] = []
    return check(entrants, given, steps=STEPS, say=lines.append), lines


def test_other_masks_are_alike(random_check) -> None:
    found, lines = random_check
    assert found.alike_with("masks")
    assert found.held_out.likeness["masks"].difference != 0  # they were other masks
    assert found.seeds == tuple(range(SEEDS)) and len(lines) == 4 * SEEDS
    assert "seed 4" in lines[-1]


@pytest.mark.parametrize("fault", ["faster", "dry"])
def test_a_fault_is_found_under_dropout(random_check, fault: str) -> None:
    found, _ = random_check
    assert not found.alike_with(fault), found.summary(fault)
    assert not found.alike
    assert found.alike_with("masks")  # one rival's fault is not another's


def test_the_networks_learned_something(random_check) -> None:
    found, _ = random_check
    assert found.held_out.likeness[OWN].mean < math.log(7) - 0.2


def test_without_randomness_seeds_are_compared_one_by_one() -> None:
    given = dry(workload())
    assert not draws_at_random(given.network) and draws_at_random(workload().network)
    nudged = {seed: {**tree, "params": _nudged(tree["params"])} for seed, tree in given.variables.items()}
    entrants = {OWN: own(given), "nudged": _From(given, nudged), "faster": own(faster(given))}
    found = check(entrants, given, seeds=(0, 1), steps=STEPS)
    assert found.alike_with("nudged") and not found.alike_with("faster"), found.summary("nudged")
    assert 0 < abs(found.held_out.likeness["nudged"].difference) < 1e-3


def _nudged(params):
    """A rounding error in every kernel."""
    return {name: {k: v * np.float32(1 + 1e-6) for k, v in layer.items()} for name, layer in params.items()}


class _From(Own):
    """Starts from given weights."""

    def __init__(self, given: Workload, variables) -> None:
        super().__init__("default", given, "cpu")
        self.start = variables

    def reset(self, seed: int) -> None:
        super().reset(seed)
        self._state = self.state._replace(params=self.start[seed]["params"])


@pytest.mark.parametrize(("name", "mode"), [("torch", "eager"), ("keras", "graph")])
def test_a_rival_is_alike_and_its_fault_is_found(name: str, mode: str) -> None:
    if not contenders.installed(name):
        pytest.skip(f"{name} is not installed (extra `bench`)")
    given = workload()
    entrants = {OWN: own(given)}
    for called, changed in {"rival": given, "faster": faster(given), "dry": dry(given)}.items():
        entrants[called] = contenders.start(name, mode, changed, "cpu")  # type: ignore[assignment]
    found = check(entrants, given, steps=STEPS)
    assert found.alike_with("rival"), found.summary("rival")
    for fault in ("faster", "dry"):
        assert not found.alike_with(fault), found.summary(fault)


def test_how_far_rounding_moves_the_losses() -> None:
    moved = []
    for given in (dry(workload()), faster(dry(workload()), 100)):
        found = check({OWN: own(given)}, given, seeds=(0, 1), steps=STEPS)
        moved.append(amplified_rounding(own(given), given, found))
        assert learn(own(given), given, 0, STEPS)[0] == found.held_out.losses[OWN][0], "no disturbance stays"
    assert 0 < moved[0] < 1e-3 and moved[1] > 10 * moved[0]


def test_the_rule_in_figures() -> None:
    """Variances 0.01 and 0.04 over three seeds: 2 * sqrt(0.05 / 3) = 0.2582."""
    ours, theirs = [1.0, 1.1, 0.9], [1.4, 1.2, 1.0]
    found = agree({OWN: ours, "rival": theirs})
    likeness = found.likeness["rival"]
    assert (likeness.mean, likeness.sd) == (pytest.approx(1.2), pytest.approx(0.2))
    assert (likeness.difference, likeness.allowed) == (pytest.approx(0.2), pytest.approx(0.2582, abs=1e-4))
    assert likeness.alike and found.alike
    assert not agree({OWN: ours, "rival": [v + 0.1 for v in theirs]}).alike
    # One by one, the largest difference of a seed counts, and the allowance is a tenth of 0.1.
    exact = agree({OWN: ours, "rival": [1.001, 1.1, 0.88]}, random=False).likeness["rival"]
    assert (exact.difference, exact.allowed) == (pytest.approx(-0.02), pytest.approx(0.01))
    assert not exact.alike
    assert agree({OWN: ours, "rival": [1.001, 1.1, 0.895]}, random=False).alike


@pytest.mark.parametrize("random", [True, False])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_never_alike(bad: float, random: bool) -> None:
    assert not agree({OWN: [1.0, 1.1], "rival": [1.0, bad]}, random=random).alike
    assert not agree({OWN: [1.0, bad], "rival": [1.0, 1.0]}, random=random).alike


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"rival": [1.0, 2.0]}, "'own' are missing"),
        ({OWN: [1.0, 2.0], "rival": [1.0]}, "one loss per seed"),
        ({OWN: [], "rival": []}, "one loss per seed"),
        ({OWN: [1.0], "rival": [1.0]}, "two seeds or more"),
    ],
)
def test_losses_that_cannot_be_compared_are_refused(losses, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agree(losses)


@pytest.mark.parametrize("rows", [16, 100, 800, 8192, 20000])
def test_rows_held_out_are_never_trained_on(rows: int) -> None:
    trained, held_out = rows_apart(rows)
    assert not set(trained.tolist()) & set(held_out.reshape(-1).tolist())
    assert len(set(held_out.reshape(-1).tolist())) == held_out.size <= 1024
    assert len(trained) == rows - -(-rows // 8)
    with pytest.raises(ValueError, match="15 samples"):
        rows_apart(15)


def test_a_seed_without_weights_is_named() -> None:
    given = workload((Flatten(), Dense(units=7)))
    with pytest.raises(KeyError, match="99"):
        check({OWN: own(given)}, given, seeds=(0, 99), steps=1)


def test_a_check_can_be_recorded() -> None:
    given = workload((Flatten(), Dense(units=7)))
    found = check({OWN: own(given), "rival": own(given)}, given, seeds=(0, 1), steps=2)
    assert json.loads(json.dumps(asdict(found)))["held_out"]["likeness"]["rival"]["difference"] == 0.0
    assert "2 updates, n = 2 seeds" in found.summary("rival")

"""What the first host orders is what the others train."""

from __future__ import annotations

import json

import jax
import msgspec
import numpy as np
import pytest

from fer_jax.machine import hosts
from repro.runs import orders
from repro.runs.orders import Order, order_of, prepared, prepared_alike
from repro.runs.plan import make_plan
from repro.runs.records import Overrides
from repro.runs.run_context import RunContext
from repro.specs.catalog import bundled_papers


@pytest.fixture
def context(dataset, tmp_path):
    return RunContext(dataset, jax.devices("cpu")[:1], tmp_path, checkpoint_every_s=2.5)


def test_every_bundled_plan_arrives_as_it_was(context):
    found = 0
    for loaded in bundled_papers("papers", "models"):
        for variant in loaded.variant_names():
            changed = Overrides(epochs=1, limit_train=50)
            plans = [make_plan(loaded, variant=variant, seed=seed, overrides=changed) for seed in (3, 4)]
            sent = json.dumps(msgspec.to_builtins(order_of(plans, context)))
            order = msgspec.convert(json.loads(sent), Order)
            for plan, arrived in zip(plans, order.plans(), strict=True):
                assert (arrived.spec, arrived.sha256, arrived.seed) == (plan.spec, plan.sha256, plan.seed)
                assert (arrived.training, arrived.overrides) == (plan.training, plan.overrides)
            assert (order.fingerprint, order.checkpoint_every_s) == (context.dataset.faces.fingerprint, 2.5)
            found += 1
    assert found > 40


def test_settings_that_this_version_understands_otherwise_are_refused(do, context):
    order = msgspec.structs.replace(order_of([do.plan()], context), sha256="0" * 64)
    with pytest.raises(hosts.HostError, match="another version of the suite"):
        order.plans()


def gathering(monkeypatch, other):
    """As if process 1 reported `other`, or what this process reports with changes."""
    monkeypatch.setattr(orders.hosts, "gather", lambda mine: [mine, json.dumps(json.loads(mine) | other)])


def test_hosts_with_other_samples_or_without_any_do_not_begin(do, dataset, monkeypatch):
    plans = [do.plan(seed) for seed in (0, 1)]
    gathering(monkeypatch, {})
    network, timed = prepared_alike(lambda: prepared(plans, dataset))
    assert len(timed) == 2 and network == prepared(plans, dataset)[0]
    gathering(monkeypatch, {"samples": "0" * 64})
    with pytest.raises(hosts.HostError, match="process 1 prepared other samples than process 0"):
        prepared_alike(lambda: prepared(plans, dataset))
    gathering(monkeypatch, {"trouble": "fer2013.csv: no such file"})
    with pytest.raises(hosts.HostError, match=r"process 1: fer2013\.csv: no such file"):
        prepared_alike(lambda: prepared(plans, dataset))


def test_the_own_trouble_comes_first(monkeypatch):
    def fail():
        raise LookupError("mine")

    gathering(monkeypatch, {"trouble": "theirs"})
    with pytest.raises(LookupError, match="mine"):
        prepared_alike(fail)


def test_the_digest_is_of_order_and_labels(do, dataset):
    plans = [do.plan(seed) for seed in (0, 1)]
    _, timed = prepared(plans, dataset)
    digest = orders._digest(timed)
    assert digest == orders._digest(prepared(plans, dataset)[1])
    turned = dataset.faces.take(np.arange(249, -1, -1))
    assert digest != orders._digest(prepared(plans, type(dataset)(turned, dataset.name))[1])

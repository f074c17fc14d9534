"""What processes of one run share. Two real ones: tests/cli/test_hosts.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from fer_jax.machine import hosts
from fer_jax.vocabulary.errors import HostLost


def test_a_process_alone_leads_and_has_all_devices():
    devices = jax.devices("cpu")
    assert (hosts.several(), hosts.leads(), hosts.spread(devices)) == (False, True, False)
    assert hosts.own(devices) == devices


def test_devices_of_another_process_are_not_its_own():
    mine, other = (SimpleNamespace(process_index=number) for number in (0, 1))
    devices: Any = [other, mine]
    assert hosts.spread(devices) and hosts.own(devices) == [mine]


@pytest.mark.parametrize("size", [0, 1, 1020, 1021, 3000, 4096, 4097])
def test_a_message_of_any_length_arrives_whole(size, monkeypatch):
    """What the second process receives of the blocks that the first gave to the collective."""
    content = bytes(np.random.default_rng(size).integers(0, 256, size, np.uint8))
    given: list[np.ndarray] = []

    def give(block):
        given.append(block)
        return block

    monkeypatch.setattr(hosts, "_barrier", lambda: None)
    monkeypatch.setattr(hosts.multihost_utils, "broadcast_one_to_all", give)
    assert hosts._exchange(content) == content
    sent = iter(given)

    def take(block):
        arrived = next(sent)
        assert block.shape == arrived.shape and block.dtype == arrived.dtype, "all give blocks of the same shape"
        return arrived

    monkeypatch.setattr(hosts.multihost_utils, "broadcast_one_to_all", take)
    assert hosts._exchange(None) == content
    assert next(sent, None) is None


def test_arrays_are_shared_bit_for_bit(monkeypatch):
    bits = np.array([-0.0, np.nan, 1e-45, 3.0], np.float32)
    tree = {"a": bits, "b": (np.int32(7), np.zeros((0, 3), np.uint32)), "c": np.arange(600.0).reshape(20, 30)}
    monkeypatch.setattr(hosts.multihost_utils, "broadcast_one_to_all", lambda block: block)
    found = hosts.share_arrays(tree)
    assert jax.tree.structure(found) == jax.tree.structure(tree)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(tree), strict=True):
        other = np.asarray(other)
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@pytest.mark.parametrize(
    ("said", "raised", "match"),
    [
        ({"kind": "abandoned", "why": "disk full"}, hosts.Abandoned, "disk full"),
        ({"kind": "end", "why": "no such paper", "code": 2}, hosts.Ended, "no such paper"),
        ({"kind": "go"}, HostLost, "out of step"),
    ],
)
def test_another_message_than_the_one_that_is_due(said, raised, match, monkeypatch):
    monkeypatch.setattr(hosts, "_exchange", lambda content: hosts.json.dumps(said).encode())
    with pytest.raises(raised, match=match):
        hosts.hear("train")


@pytest.mark.parametrize(
    ("error", "raised", "match"),
    [
        (ValueError("UNKNOWN: Gloo all-reduce failed: Connection closed by peer"), HostLost, "another host ended"),
        (jax.errors.JaxRuntimeError("INTERNAL: NCCL operation failed"), HostLost, "another host ended"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 9 GiB"), HostLost, "not enough memory on a device of this"),
        (ValueError("a mistake of this program"), ValueError, "a mistake of this program"),
    ],
)
def test_an_error_of_what_all_compute(error, raised, match):
    with pytest.raises(raised, match=match), hosts.ends_with_the_others():
        raise error

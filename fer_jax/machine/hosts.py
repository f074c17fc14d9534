"""One run on several hosts: JAX processes that share every batch, and what the first of them shares with the others.

Process 0 leads. It alone reads and writes files of a run and decides what depends on the clock; it `say`s so, and the
others `hear` it, in the same order. Every message begins with a barrier of JAX's coordination service, which waits as
long as the leader lives: a collective may give up after 30 s (jax-ml/jax issue 40831). Nothing is pickled.

The coordination service has no password: whoever reaches its port can take part. It belongs on a private network.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from fer_jax.vocabulary.errors import HostLost, UserError

AUTO = "auto"
# Seconds without a heartbeat after which a process counts as dead (JAX's own default is 100), and seconds for all
# processes to come: whoever starts them by hand types the command on every host.
HEARTBEAT_S = 20
JOIN_S = 300
_WAIT_MS = 10**9  # of a barrier: 11 days. A dead process ends it after HEARTBEAT_S
_BLOCK = 1024  # bytes that one small message takes, its length included


class HostError(UserError):
    """The processes cannot work together: an address, a number, a version, a dataset that differs. Nothing is lost."""


class Abandoned(Exception):
    """The leader gave up the present run, for a reason that it reports itself, and continues with the next."""


class Ended(Exception):
    """The leader has ended. code: its exit code. The message is empty if it ended as it should."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class Coordinator:
    """How the processes find each other: by JAX's own detection (`AUTO`: Slurm, Open MPI, Kubernetes), or by the
    address HOST:PORT on which process 0 listens, the number of processes and this one's, from 0."""

    address: str = AUTO
    processes: int | None = None
    process_id: int | None = None


def join(coordinator: Coordinator, *, device: str = "auto", card: dict[str, Any] | None = None) -> None:
    """Wait for all processes. To be called before JAX starts on any device.

    device: `cpu` keeps JAX off the GPUs. card: what must be equal on all hosts, such as the version of the program.
    Raises HostError, on every process that was reached, if they cannot work together.
    """
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    explicit = coordinator.address != AUTO
    try:
        jax.distributed.initialize(
            coordinator.address if explicit else None,
            coordinator.processes,
            coordinator.process_id,
            cluster_detection_method="deactivate" if explicit else None,
            initialization_timeout=JOIN_S,
            heartbeat_timeout_seconds=HEARTBEAT_S,
        )
    except (ValueError, RuntimeError) as error:  # JaxRuntimeError is a RuntimeError
        raise HostError(_join_trouble(coordinator, error)) from error
    if not several():
        return
    try:
        counts = [sum(one.process_index == k for one in jax.devices()) for k in range(jax.process_count())]
    except RuntimeError as error:
        raise HostError(
            f"the hosts' devices cannot be joined: {_first_line(error)}; all need a GPU, or none"
        ) from error
    if len(set(counts)) > 1:
        raise HostError(f"the hosts have different numbers of devices: {', '.join(map(str, counts))}")
    with _quiet_connection():
        cards = gather(json.dumps(card or {}, sort_keys=True))
    for key in card or {}:
        found = [json.loads(one).get(key) for one in cards]
        if others := [k for k, value in enumerate(found) if value != found[0]]:
            k = others[0]
            raise HostError(f"the hosts differ in {key}: {found[0]} in process 0, {found[k]} in process {k}")


def _join_trouble(coordinator: Coordinator, error: Exception) -> str:
    reason = _first_line(error)
    if coordinator.address == AUTO:
        if isinstance(error, ValueError):
            return (
                "--coordinator auto: JAX finds no Slurm step, Open MPI or Kubernetes job here; name the processes "
                "yourself: --coordinator HOST:PORT --processes N --process-id K"
            )
        return f"--coordinator auto: {reason}"
    who = f"process {coordinator.process_id} of {coordinator.processes}"
    return f"{who} could not join the others at {coordinator.address} within {JOIN_S} s: {reason}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0].partition(". ")[0][:200]


def several() -> bool:
    """Whether this process works with others. Starts no device if `join` was never called."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def leads() -> bool:
    """Whether this process reads, writes and decides: the first of several, or the only one."""
    return not several() or jax.process_index() == 0


def spread(devices: list[jax.Device]) -> bool:
    """Whether the devices belong to several processes."""
    return len({one.process_index for one in devices}) > 1


def own(devices: list[jax.Device]) -> list[jax.Device]:
    """Those of this process."""
    return [one for one in devices if one.process_index == jax.process_index()]


# --- messages --------------------------------------------------------------------------------------------------------


def say(kind: str, **content: Any) -> None:
    """From the leader to all others, as soon as they `hear`. content: JSON."""
    _exchange(json.dumps({"kind": kind, **content}).encode())


def hear(kind: str) -> dict[str, Any]:
    """The leader's next message. Raises Abandoned or Ended if it is that, and HostLost if it is of another kind."""
    message = json.loads(_exchange(None))
    if message["kind"] == "abandoned":
        raise Abandoned(message["why"])
    if message["kind"] == "end":
        raise Ended(message["why"], message["code"])
    if message["kind"] != kind:
        raise HostLost(f"{message['kind']} instead of {kind}", "the hosts are out of step")
    return message


def agreed(kind: str, value: Any) -> Any:
    """The leader's value (JSON), on every process."""
    if leads():
        say(kind, value=value)
        return value
    return hear(kind)["value"]


def meet() -> None:
    """Wait until every process is here."""
    agreed("go", None)


def share_arrays(tree: Any) -> Any:
    """The leader's arrays, bit for bit, on every process, as NumPy arrays. tree: of the same structure, shapes and
    types everywhere."""
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    size = sum(leaf.nbytes for leaf in leaves)
    content = b"".join(leaf.tobytes() for leaf in leaves) if leads() else bytes(size)
    with ends_with_the_others():
        content = _broadcast(content, -(-max(size, 1) // _BLOCK) * _BLOCK)
    found, start = [], 0
    for leaf in leaves:
        flat = np.frombuffer(content, leaf.dtype, leaf.size, start)
        found.append(flat.reshape(leaf.shape).copy())
        start += leaf.nbytes
    return jax.tree.unflatten(structure, found)


def gather(text: str) -> list[str]:
    """The text of every process, by its number. Cut to the size of a small message."""
    content = text.encode()[: _BLOCK - 4]
    with ends_with_the_others():
        _barrier()
        found = multihost_utils.process_allgather(_packed(content, _BLOCK))
    return [_unpacked(one).decode(errors="ignore") for one in found]


def _exchange(content: bytes | None) -> bytes:
    """The leader's bytes, on every process. None on the others."""
    with ends_with_the_others():
        _barrier()
        given = content or b""
        head = _broadcast(len(given).to_bytes(4, "little") + given[: _BLOCK - 4], _BLOCK)
        size = int.from_bytes(head[:4], "little")
        if size <= _BLOCK - 4:
            return head[4 : 4 + size]
        # Rounded up to a power of two: each size is another small program, which takes 0.05 s to compile.
        return _broadcast(given, 1 << (size - 1).bit_length())[:size]


def _broadcast(content: bytes, size: int) -> bytes:
    """The leader's bytes, filled up to `size`."""
    padded = np.frombuffer(content.ljust(size, b"\0"), np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()


def _packed(content: bytes, size: int) -> np.ndarray:
    return np.frombuffer((len(content).to_bytes(4, "little") + content).ljust(size, b"\0"), np.uint8)


def _unpacked(block: np.ndarray) -> bytes:
    content = np.asarray(block).tobytes()
    return content[4 : 4 + int.from_bytes(content[:4], "little")]


def _barrier() -> None:
    from orbax.checkpoint import multihost  # here, because it takes a second and a single process needs none of it

    multihost.get_barrier_sync_fn()(key="fer_jax", timeout_ms=_WAIT_MS)


@contextlib.contextmanager
def ends_with_the_others() -> Iterator[None]:
    """Around what all processes compute together: the error of one that has lost another becomes HostLost.

    An error of this process's own device, such as too little memory, is HostLost too: the others wait in the middle of
    a program for what never comes, so nobody can continue.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if not isinstance(error, jax.errors.JaxRuntimeError) and "Gloo" not in str(error):
            raise
        if "RESOURCE_EXHAUSTED" in str(error):
            raise HostLost(_first_line(error), "not enough memory on a device of this host") from error
        raise HostLost(_first_line(error)) from error


@contextlib.contextmanager
def _quiet_connection() -> Iterator[None]:
    """Gloo writes to standard output when it connects, where a command has its answer: send that to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def leave(why: str = "", code: int = 0) -> None:
    """The leader is about to end, and with it the others, which `hear` it. Raises HostLost if one is gone already."""
    say("end", why=why, code=code)


def disconnect() -> None:
    """Leave the group, after `leave`. Every process must, or the others wait. One that is slower may be aborted."""
    with contextlib.suppress(RuntimeError):
        jax.distributed.shutdown()

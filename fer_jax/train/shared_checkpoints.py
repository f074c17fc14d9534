"""The checkpoints of a run on several hosts: the first reads and writes them, the others get what it read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import jax

from fer_jax.machine import hosts
from fer_jax.train.checkpoint import Checkpoints


class KeptStates(Protocol):
    """What a training run asks of its checkpoints."""

    folder: Path

    def save(self, name: str, epoch: int, state: Any, meta: dict[str, Any]) -> None: ...
    def restore(
        self, name: str, like: Any, *, epoch: int | None = None, usable: Callable[[dict[str, Any]], bool] | None = None
    ) -> tuple[Any, dict[str, Any]] | None: ...
    def epochs(self) -> dict[str, list[int]]: ...
    def trouble(self, name: str, epoch: int) -> str | None: ...
    def keep_only(self, epochs: dict[str, int]) -> None: ...


class SharedCheckpoints:
    """`Checkpoints` for one of several processes. Only the first needs the folder: no disk is shared.

    kept: of the first process; None on the others. Each process calls the same methods in the same order.
    """

    def __init__(self, kept: Checkpoints | None) -> None:
        assert (kept is not None) == hosts.leads(), "the first process has the checkpoints, and no other"
        self._kept = kept
        self.folder = Path() if kept is None else kept.folder

    def save(self, name: str, epoch: int, state: Any, meta: dict[str, Any]) -> None:
        if self._kept is not None:
            self._kept.save(name, epoch, state, meta)

    def restore(
        self, name: str, like: Any, *, epoch: int | None = None, usable: Callable[[dict[str, Any]], bool] | None = None
    ) -> tuple[Any, dict[str, Any]] | None:
        """As `Checkpoints.restore`, with NumPy arrays in place of those on a device."""
        like = jax.device_get(like)
        found = self._kept.restore(name, like, epoch=epoch, usable=usable) if self._kept is not None else None
        meta = hosts.agreed("restored", None if found is None else found[1])
        if meta is None:
            return None
        return hosts.share_arrays(like if found is None else found[0]), meta

    # What only `usable` asks, on the first process, and the end of a run.

    def epochs(self) -> dict[str, list[int]]:
        return {} if self._kept is None else self._kept.epochs()

    def trouble(self, name: str, epoch: int) -> str | None:
        return None if self._kept is None else self._kept.trouble(name, epoch)

    def keep_only(self, epochs: dict[str, int]) -> None:
        if self._kept is not None:
            self._kept.keep_only(epochs)

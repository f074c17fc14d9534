"""Checkpoints with Orbax: the last epoch, from which a run resumes, and the best one, which is used afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from fer_jax.vocabulary.errors import UserError


class CheckpointError(UserError):
    """A checkpoint cannot be read. The message names the folder and the remedy."""


class Checkpoints:
    """Two Orbax folders below `folder`: ``last`` and ``best``, each holding one finished checkpoint.

    Orbax writes to a temporary folder, renames it, and only then deletes the older checkpoint. A process killed at any
    moment leaves a finished checkpoint, or none if it never wrote one. Writing is synchronous: a run that continues has
    its epoch on disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._managers = {name: self._open(name) for name in ("last", "best")}

    def _open(self, name: str) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(max_to_keep=1, create=True, enable_async_checkpointing=False)
        return ocp.CheckpointManager(self.folder / name, options=options)

    def save(self, name: str, epoch: int, state: Any, meta: dict[str, Any]) -> None:
        """Write `state` (a pytree of arrays) and `meta` (JSON) as the checkpoint of `epoch`."""
        manager = self._managers[name]
        # A newer checkpoint than this epoch was written by a process that was killed before it could write the others.
        # It would otherwise count as the newest.
        for later in [step for step in manager.all_steps() if step >= epoch]:
            manager.delete(later)
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        manager.save(epoch, args=items, force=True)

    def restore(self, name: str, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """(state, meta) of the newest checkpoint, or None if there is none.

        like: a pytree of the same structure, whose shapes, types and placement the restored arrays take.
        Raises CheckpointError if the checkpoint does not fit or cannot be read.
        """
        manager = self._managers[name]
        epoch = manager.latest_step()
        if epoch is None:
            return None
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        items = ocp.args.Composite(state=ocp.args.StandardRestore(abstract), meta=ocp.args.JsonRestore())
        try:
            restored = manager.restore(epoch, args=items)
        except (ValueError, KeyError, OSError) as error:
            reason = str(error).partition("\n")[0]  # Orbax prints whole trees after it
            raise CheckpointError(
                f"{self.folder / name}: checkpoint {epoch} cannot be read ({reason}); start anew with --fresh"
            ) from error
        return restored["state"], restored["meta"]

    def epochs(self) -> dict[str, int]:
        """The epoch of each existing checkpoint, by name."""
        newest = {name: manager.latest_step() for name, manager in self._managers.items()}
        return {name: epoch for name, epoch in newest.items() if epoch is not None}

    def close(self) -> None:
        for manager in self._managers.values():
            manager.close()

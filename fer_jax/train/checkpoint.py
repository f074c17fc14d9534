"""Checkpoints with Orbax: the last epochs, from which a run resumes, and the best one, which is used afterwards.

Beside them, ``digests.json`` holds the SHA-256 of each, because Orbax does not check what it reads. It is written after
the checkpoint: one that is not in it was not written to its end. Folders from before there were digests are read as
they are.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from fer_jax.machine import hosts
from fer_jax.machine.atomic_write import write_atomically
from fer_jax.machine.digests import folder_sha256
from fer_jax.machine.faults import fault_text
from fer_jax.vocabulary.errors import UserError

NAMES = ("last", "best")
_DIGESTS = "digests.json"
_KEPT = 2  # of each name while a run trains: the one before is there if the newest is damaged


class CheckpointError(UserError):
    """A checkpoint cannot be read or written. The message names the folder and the remedy."""


def is_written(folder: Path, name: str) -> bool:
    """Whether the folder has a checkpoint of this name that was written to its end; also while a run writes there."""
    return any(key.startswith(f"{name}/") for key in read_digests(folder) or ())


class Checkpoints:
    """Two Orbax folders below `folder`: ``last`` and ``best``, each with the newest finished checkpoints.

    Orbax writes to a temporary folder, renames it, and only then deletes the oldest checkpoint. A process killed at any
    moment leaves a finished checkpoint, or none if it never wrote one. Writing is synchronous: a run that continues has
    its epoch on disk.

    read_only: for use of a trained network. Otherwise the caller is alone in the folder, and what killed writers have
    left is removed.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder.resolve()
        if sys.unraisablehook is not _without_closed_loops:
            sys.unraisablehook = _without_closed_loops
        self._digests = read_digests(self.folder)
        names = [name for name in NAMES if not read_only or (self.folder / name).is_dir()]
        try:
            with _without_logs():
                self._managers = {name: self._open(name, read_only) for name in names}
        except OSError as error:
            raise CheckpointError(fault_text(error, self.folder)) from error

    def _open(self, name: str, read_only: bool) -> ocp.CheckpointManager:
        if read_only:
            options = ocp.CheckpointManagerOptions(read_only=True, multiprocessing_options=_of_this_process())
        else:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            options = ocp.CheckpointManagerOptions(
                max_to_keep=_KEPT,
                create=False,  # Orbax does not, if one of several processes is alone in it
                cleanup_tmp_directories=True,
                enable_async_checkpointing=False,
                multiprocessing_options=_of_this_process(),
            )
        return ocp.CheckpointManager(self.folder / name, options=options)

    def save(self, name: str, epoch: int, state: Any, meta: dict[str, Any]) -> None:
        """Write `state` (a pytree of arrays) and `meta` (JSON) as the checkpoint of `epoch`.

        Raises CheckpointError if that is not possible, for example because the disk is full. Earlier ones stay.
        """
        manager = self._managers[name]
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        try:
            # A newer checkpoint than this epoch is damaged, or was written by a process that was killed before it could
            # write the others. It would otherwise count as the newest.
            for later in [step for step in manager.all_steps() if step >= epoch]:
                manager.delete(later)
            with _without_logs():
                manager.save(epoch, args=items, force=True)
            self._note(name, epoch)
        except Exception as error:  # Orbax and TensorStore raise many kinds; a full disk is a ValueError
            for half in (self.folder / name).glob(f"{epoch}.orbax-checkpoint-tmp*"):
                shutil.rmtree(half, ignore_errors=True)
            cause = fault_text(error, self.folder)
            raise CheckpointError(f"{cause}; started again, the run resumes from its last checkpoint") from error

    def restore(
        self, name: str, like: Any, *, epoch: int | None = None, usable: Callable[[dict[str, Any]], bool] | None = None
    ) -> tuple[Any, dict[str, Any]] | None:
        """(state, meta) of the newest checkpoint, or of `epoch`; None if there is none.

        like: a pytree of the same structure, whose shapes, types and placement the restored arrays take. A checkpoint
        that is damaged, or that `usable` refuses by its meta, is named in a warning, and the one before it is taken.
        Raises CheckpointError if there are complete checkpoints, but none that can be used.
        """
        found = [one for one in self.epochs().get(name, ()) if epoch in (None, one)]
        troubles: list[str] = []
        for one in reversed(found):
            trouble = self.trouble(name, one)
            if trouble is None:
                restored = self._restore(name, one, like)
                if usable is None or usable(restored[1]):
                    if troubles:
                        warnings.warn(f"{'; '.join(troubles)}. The run resumes from epoch {one}", stacklevel=2)
                    return restored
                trouble = "the best checkpoint that it needs is damaged or missing"
            troubles.append(f"{self.folder / name}: checkpoint {one} cannot be used ({trouble})")
        if found and not any(self._has_digest(name, one) for one in found):
            # The process was killed before the first checkpoint was complete. Nothing is lost but that.
            warnings.warn(f"{'; '.join(troubles)}. The run starts at the beginning", stacklevel=2)
            return None
        if troubles:
            raise CheckpointError(f"{'; '.join(troubles)}; start again with --fresh")
        return None

    def _restore(self, name: str, epoch: int, like: Any) -> tuple[Any, dict[str, Any]]:
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        items = ocp.args.Composite(state=ocp.args.StandardRestore(abstract), meta=ocp.args.JsonRestore())
        try:
            with _without_logs():
                restored = self._managers[name].restore(epoch, args=items)
        except Exception as error:  # as many kinds as there are ways to be damaged
            reason = str(error).partition("\n")[0]  # Orbax prints whole trees after it
            raise CheckpointError(
                f"{self.folder / name}: checkpoint {epoch} cannot be read ({reason}); start again with --fresh"
            ) from error
        return restored["state"], restored["meta"]

    def epochs(self) -> dict[str, list[int]]:
        """The epochs of the existing checkpoints, oldest first, by name."""
        found = {name: sorted(manager.all_steps()) for name, manager in self._managers.items()}
        return {name: epochs for name, epochs in found.items() if epochs}

    def trouble(self, name: str, epoch: int) -> str | None:
        """Why a checkpoint that is there cannot be trusted; None if its content is what was written."""
        if self._digests is None:
            return None
        written = self._digests.get(f"{name}/{epoch}")
        if written is None:
            return f"it was not written to its end, or {_DIGESTS} is damaged"
        if not (self.folder / name / str(epoch)).is_dir():
            return "it was deleted"
        try:
            same = folder_sha256(self.folder / name / str(epoch)) == written
        except OSError as error:
            return fault_text(error, self.folder)
        return None if same else "damaged: its content is not what was written"

    def _has_digest(self, name: str, epoch: int) -> bool:
        return self._digests is None or f"{name}/{epoch}" in self._digests

    def keep_only(self, epochs: dict[str, int]) -> None:
        """Delete all checkpoints but these, by name: a run that has ended needs no others. Raises CheckpointError."""
        try:
            for name, manager in self._managers.items():
                for other in [step for step in manager.all_steps() if step != epochs.get(name)]:
                    manager.delete(other)
            self._note()
        except OSError as error:
            raise CheckpointError(fault_text(error, self.folder)) from error

    def close(self) -> None:
        for manager in self._managers.values():
            manager.close()

    def _note(self, name: str = "", epoch: int = 0) -> None:
        """Write the digests of all existing checkpoints; compute that of `epoch` again."""
        older = {} if self._digests is None else self._digests
        keys = [f"{one}/{step}" for one, steps in self.epochs().items() for step in steps]
        new = f"{name}/{epoch}"
        adopted = self._digests is None  # checkpoints of an older version are taken as they are
        self._digests = {
            key: folder_sha256(self.folder / key) if key == new or adopted else older[key]
            for key in keys
            if key == new or adopted or key in older
        }
        write_atomically(self.folder / _DIGESTS, json.dumps(self._digests, indent=1).encode())


def read_digests(folder: Path) -> dict[str, str] | None:
    """None in a folder from before there were digests; without entries if the file is damaged."""
    try:
        content = json.loads((folder / _DIGESTS).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _of_this_process() -> ocp.options.MultiprocessingOptions:
    """One of several processes is alone in the folder. Orbax would otherwise wait for the others."""
    if not hosts.several():
        return ocp.options.MultiprocessingOptions()
    here = jax.process_index()
    return ocp.options.MultiprocessingOptions(primary_host=here, active_processes={here})


_shown = sys.unraisablehook


def _without_closed_loops(unraisable: sys.UnraisableHookArgs) -> None:
    """If a write fails, TensorStore calls back into an event loop that Orbax has closed, and prints what that raises.
    It may do so after the error itself was raised."""
    if str(unraisable.exc_value) != "Event loop is closed":
        _shown(unraisable)


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    """Orbax logs each error with a traceback in several threads, before it raises the error itself, and what its own
    options change."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]

    def silent(record: logging.LogRecord) -> bool:
        return False

    for logger in loggers:
        logger.addFilter(silent)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(silent)

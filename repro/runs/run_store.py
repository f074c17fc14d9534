"""The folder of one run: when two runs are the same, whether a run is done, and everything that is written there.

Only training writes there too: checkpoints, into the folder that `StoredRun.open_checkpoints` returns.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

from fer_jax import TRAINING_VERSION
from fer_jax.machine.atomic_write import placed_whole, write_atomically
from fer_jax.machine.precision import choose_precision, default_precision
from fer_jax.machine.process_settings import switches
from fer_jax.train.checkpoint import Checkpoints
from repro.runs.claim import Holder, RunClaim, held, holder_of, take
from repro.runs.folders import refuse_links, run_folder
from repro.runs.identity import run_identity
from repro.runs.network_files import NETWORK_RECORD_NAME, compared, lacks_network
from repro.runs.plan import RunPlan
from repro.runs.predictions import PREDICTIONS_NAME
from repro.runs.record_files import RecordError
from repro.runs.recording import duplicates_version
from repro.runs.records import CHECKPOINTS_NAME, FAILURE_NAME, RECORD_NAME, RunRecord, marker_path
from repro.runs.run_context import RunContext
from repro.runs.set_aside import NO_RUN, aside_folder, bring_back, make_way
from repro.runs.stored_records import read_record, write_record
from repro.specs.protocols import ALL_PROTOCOLS

# done, failed: the record is of this very run. resumable: this run was begun and has not ended. stale: the folder holds
# another run (an edited spec, another version of the code), a record that cannot be read, or is half cleared. absent:
# there is nothing.
RunState = Literal["done", "failed", "resumable", "stale", "absent"]


class StoredRun:
    """A plan's place in the results folder.

    The marker (`marker_path`) exists from before the first change to the folder until the run's record is written. It
    holds the identity of the run that the checkpoints belong to. While it exists the run is not done, and run.json, if
    any, is the record of an older run. So a process may be killed at any moment.
    """

    def __init__(self, plan: RunPlan, context: RunContext) -> None:
        self.plan, self.context = plan, context
        self.folder = folder_of(plan, context)
        self._aside = aside_folder(self.folder, self.identity)

    @cached_property
    def identity(self) -> bytes:
        """The properties that make two runs the same, as canonical JSON. Checkpoints on users' disks carry it."""
        plan, device = self.plan, self.context.devices[0]
        return run_identity(
            spec_sha256=plan.sha256,
            overrides=plan.overrides,
            fingerprint=self.context.dataset.faces.fingerprint,
            seed=plan.seed,
            device=self.context.device_kind,
            training_version=TRAINING_VERSION,
            duplicates_version=duplicates_version(plan.spec.data.steps),
            precision=_other_precision(choose_precision(plan.precision, device), self.context),
            switches=switches(self.context.device_kind),
        )

    def claim(self) -> AbstractContextManager[RunClaim]:
        """Hold the run, and wait for another process that does. Raises RecordError if a link leads out of the results
        folder."""
        self._refuse_links()
        return held(self.folder, self.context.say)

    def try_claim(self) -> RunClaim | Holder:
        """Hold the run, or the process that does. The caller releases the claim. Raises RecordError as `claim`."""
        self._refuse_links()
        return take(self.folder)

    def holder(self) -> Holder | None:
        """The other process that works on this run."""
        return holder_of(self.folder, exactly=True)

    def _refuse_links(self) -> None:
        for folder in (self.folder, self._aside):
            refuse_links(self.context.results, folder)

    # --- what is there ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> RunState:
        return self._found()[0]

    def needs_training(self) -> bool:
        """Whether `known` has nothing to give. Writes nothing."""
        return self.context.fresh or (self._done() is None and self._source() is None)

    def done_here(self) -> RunRecord | None:
        """The record in the run's folder, if there is nothing left to do. Writes nothing, and needs no lock: records
        appear whole, and a marker is there before anything changes."""
        if self.context.fresh or self._look(self.folder)[0] not in ("done", "failed"):
            return None
        return self._done()

    def known(self) -> RunRecord | None:
        """The record, if training would only give it again; None with `fresh`.

        That is the run's own record, or the record of the same run under another protocol. If a paper evaluates without
        protocol errors, its own protocol and the official one have the same settings.
        """
        if self.context.fresh:
            return None
        if (record := self._done()) is not None:
            self._return()
            return record
        return self._taken_over()

    def _found(self) -> tuple[RunState, RunRecord | None]:
        """In the run's folder, or where it was set aside while its folder held a run of other settings."""
        found = self._look(self.folder)
        return self._look(self._aside) if found[0] in ("stale", "absent") and self._aside.is_dir() else found

    @property
    def _place(self) -> Path:
        """Where `_found` finds this run."""
        return self.folder if self._look(self.folder)[0] in ("done", "failed", "resumable") else self._aside

    def _look(self, folder: Path) -> tuple[RunState, RunRecord | None]:
        marker, path = marker_path(folder), folder / RECORD_NAME
        if marker.exists():
            return ("resumable" if marker.read_bytes() == self.identity else "stale"), None
        try:
            record = read_record(path)
        except FileNotFoundError:
            return "absent", None
        except RecordError:
            return "stale", None
        if self._identity_of(record) != self.identity:
            return "stale", record
        if record.status == "pruned":  # its checkpoints are gone, or there would be a marker
            return "absent", None
        return ("failed" if record.status == "failed" else "done"), record

    def _identity_of(self, record: RunRecord) -> bytes:
        return run_identity(
            spec_sha256=record.spec_sha256,
            overrides=record.overrides,
            fingerprint=record.data.fingerprint,
            seed=record.seed,
            device=record.device.kind,
            training_version=record.training_version,
            duplicates_version=record.data.duplicates_version,
            precision=_other_precision(record.matmul_precision, self.context),
            switches=record.switches,
        )

    def _ended(self) -> RunRecord | None:
        """The run's own record, if training it again would give the same.

        A run that training itself ended (a loss that is not finite, a network that learns nothing) would end in the
        same way, unless `keep_going` is set. A failure from outside, such as too little memory, may not recur.
        """
        state, record = self._found()
        if record is None or state not in ("done", "failed"):
            return None
        again = state == "failed" and (record.failed_epoch is None or self.plan.keep_going)
        return None if again else record

    def _done(self) -> RunRecord | None:
        """`_ended`, unless the network is wanted too and is not here."""
        record = self._ended()
        if record is None or not self.context.with_network:
            return record
        return None if lacks_network(self._place, record) else record

    def _source(self) -> tuple[StoredRun, RunRecord] | None:
        """The same run under another protocol, if it has ended. A run that was begun here is resumed instead."""
        if self.state == "resumable" or self._ended() is not None:
            return None
        others = (replace(self.plan, protocol=protocol) for protocol in ALL_PROTOCOLS if protocol != self.plan.protocol)
        runs = (StoredRun(plan, self.context) for plan in others)
        return next(((run, record) for run in runs if (record := run._done()) is not None), None)

    def _make_way(self) -> None:
        make_way(self.folder, self.identity, self._identity_of, self.context.say, replace=self.context.fresh)

    def _return(self) -> None:
        """Move this run back into its folder, if it was set aside."""
        if self._aside.is_dir():
            self._make_way()
            bring_back(self.folder, self._aside)

    # --- what is written ----------------------------------------------------------------------------------------------

    def _taken_over(self) -> RunRecord | None:
        found = self._source()
        if found is None:
            return None
        source, known = found
        trained_as = known.same_run_as or known.protocol
        record = msgspec.structs.replace(known, protocol=self.plan.protocol, same_run_as=trained_as)
        predictions = source._place / PREDICTIONS_NAME
        self._make_way()
        self._clear()  # otherwise checkpoints of a stale run would count as this run's
        self._put(record, predictions.read_bytes() if predictions.exists() else None)
        shutil.rmtree(self.folder / CHECKPOINTS_NAME)
        return record

    def open_checkpoints(self) -> Checkpoints:
        """The checkpoints to resume from, if the run is resumable and `fresh` is not set; else empty. The caller closes
        them. From here on the run counts as begun. A run of other settings in the folder is moved aside."""
        self._return()
        self._make_way()
        if self.context.fresh or self._look(self.folder)[0] != "resumable":
            self._clear()
            if self.context.fresh:
                write_atomically(self._replaces, b"")
            write_atomically(marker_path(self.folder), self.identity)
        return Checkpoints(self.folder / CHECKPOINTS_NAME)

    def register(self, asked: RunRecord) -> RunRecord:
        """Write down the request (settings, claims and their tolerances) before the first update.

        Returns the record to continue with. A resumed run keeps the claims of its first start for comparison, and the
        device if that was another one.
        """
        path = self._registration
        if not path.exists():
            write_record(path.parent, asked, path.name)
            return asked
        first = read_record(path)
        begun_on = None if first.device == asked.device else first.device
        return msgspec.structs.replace(
            asked,
            spec=first.spec,
            spec_file_sha256=first.spec_file_sha256,
            started=first.started,
            begun_on=begun_on,
        )

    def finish(self, record: RunRecord, predictions: bytes | None) -> RunRecord:
        """Write the record and the content of predictions.npz of a run that has ended. Returns the record as written,
        with the digest of that file."""
        if predictions is not None:
            record = msgspec.structs.replace(record, predictions_sha256=hashlib.sha256(predictions).hexdigest())
        kept = None if self._replaces.exists() else self._kept()
        if kept is None:
            self._put(record, predictions)
        else:
            write_record(self.folder, record, NETWORK_RECORD_NAME)
            self.context.say(f"{self.folder}: {compared(kept, record)}")
        marker_path(self.folder).unlink(missing_ok=True)
        self._registration.unlink(missing_ok=True)
        self._replaces.unlink(missing_ok=True)
        return kept or record

    def _kept(self) -> RunRecord | None:
        """The record of this very run that is there already. Only its network was missing."""
        try:
            record = read_record(self.folder / RECORD_NAME)
        except (FileNotFoundError, RecordError):
            return None
        return record if record.has_result and self._identity_of(record) == self.identity else None

    def prune(self, record: RunRecord) -> None:
        """Write the record of a run that is stopped as a trial of a sweep. It stays resumable: training it to the end
        replaces this record. Called by the holder of the run."""
        write_record(self.folder, record)

    def fail(self, record: RunRecord) -> Path:
        """Write the record of a run that could not be carried out, so that it stays visible, and return its path.

        It becomes the run's record unless an older record is there that did not fail, or that cannot be read. Such a
        record is worth more, so the failure is written next to it.
        """
        with self.claim():
            try:
                older = read_record(self.folder / RECORD_NAME).status
            except FileNotFoundError:
                older = "failed"
            except RecordError:
                older = "unknown"
            return write_record(self.folder, record, RECORD_NAME if older == "failed" else FAILURE_NAME)

    @property
    def _registration(self) -> Path:
        return self.folder / CHECKPOINTS_NAME / "asked.json"

    @property
    def _replaces(self) -> Path:
        """There while a run is made with `fresh`, also when it is resumed without: its record replaces the older."""
        return self.folder / CHECKPOINTS_NAME / "replaces-record"

    def _clear(self) -> None:
        """Remove everything of an older run except its record. The marker stays: if the process is killed in here, the
        folder is neither done nor resumable."""
        marker = marker_path(self.folder)
        write_atomically(marker, NO_RUN)
        for left in marker.parent.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            elif left != marker:
                left.unlink()

    def _put(self, record: RunRecord, predictions: bytes | None) -> None:
        """Write under the marker. Predictions are never next to another run's record: the old ones are removed first,
        the new ones are moved last, and are on disk before anything is touched."""
        path = self.folder / PREDICTIONS_NAME
        if predictions is None:
            path.unlink(missing_ok=True)
            write_record(self.folder, record)
        else:
            with placed_whole(path) as aside:
                aside.write_bytes(predictions)
                aside.chmod(0o644)
                path.unlink(missing_ok=True)
                write_record(self.folder, record)
        for older in (FAILURE_NAME, NETWORK_RECORD_NAME):
            (self.folder / older).unlink(missing_ok=True)


def folder_of(plan: RunPlan, context: RunContext) -> Path:
    """`run_folder` of a plan. Raises PrecisionError if the devices do not have the plan's."""
    return run_folder(
        context.results,
        paper=plan.paper,
        variant=plan.variant,
        device=context.device_kind,
        protocol=plan.protocol,
        data=context.dataset.tag,
        overrides=plan.overrides,
        seed=plan.seed,
        precision=_other_precision(choose_precision(plan.precision, context.devices[0]), context),
        switches=switches(context.device_kind),
    )


def _other_precision(precision: str, context: RunContext) -> str | None:
    """The precision if it is not the device's default."""
    return None if precision == default_precision(context.devices[0]) else precision

"""Where the trained network of a record is, and the command that trains it. No JAX here."""

from __future__ import annotations

import shlex
from pathlib import Path

from repro.runs.records import CHECKPOINTS_NAME, RunRecord, is_unfinished
from repro.runs.stored_records import read_record
from repro.specs.catalog import paper_files, run_command

# The record of a network that was trained again because only the record was there. It is beside the older record, which
# stays: another machine may give other numbers.
NETWORK_RECORD_NAME = "network.json"


def holders(folder: Path, record: RunRecord) -> list[Path]:
    """Run folders that may hold a run's parameters, including that of the protocol it was taken over from, if any."""
    if not record.same_run_as:
        return [folder]
    data, protocols = folder.parent, folder.parents[2]
    return [folder, protocols / record.same_run_as / data.name / folder.name]


def network_folder(folder: Path, record: RunRecord) -> Path | None:
    """The checkpoints with a run's parameters; None if they are not here. An unfinished run is skipped: its checkpoints
    are not those of the record."""
    places = (one / CHECKPOINTS_NAME for one in holders(folder, record) if not is_unfinished(one))
    return next((place for place in places if any((place / name).is_dir() for name in ("last", "best"))), None)


def network_record(folder: Path, record: RunRecord) -> RunRecord:
    """The record of the network that is here: of the one trained again, if it was. Raises RecordError."""
    place = network_folder(folder, record)
    again = place.parent / NETWORK_RECORD_NAME if place else None
    return read_record(again) if again and again.exists() else record


def lacks_network(folder: Path, record: RunRecord) -> bool:
    """Whether a run ended with a network, as its record says, that is not here."""
    return bool(record.metrics) and network_folder(folder, record) is None


def compared(kept: RunRecord, again: RunRecord) -> str:
    """Whether a network that was trained again gives the numbers of its record, in words."""
    if kept.history == again.history and kept.metrics == again.metrics:
        return "the network is trained again, with exactly the numbers of the record"
    numbers = "; ".join(
        f"{split} {metrics.accuracy:.2%} recorded, {again.metrics[split].accuracy:.2%} now"
        for split, metrics in kept.metrics.items()
        if split in again.metrics
    )
    return (
        f"the network is trained again, and its numbers differ ({numbers}; another machine rounds differently). The "
        f"record stays; the network has its own in {NETWORK_RECORD_NAME}"
    )


def training_command(record: RunRecord) -> str:
    """The command that makes the run."""
    bundled = {path.stem for path in paper_files()}
    paper = record.paper if record.paper in bundled else f"./{record.paper}.toml"
    words = [run_command(paper, record.variant, record.same_run_as or record.protocol)]
    words += ["--seed", str(record.seed)] if record.seed else []
    for option, value in (("--epochs", record.overrides.epochs), ("--limit-train", record.overrides.limit_train)):
        words += [option, str(value)] if value else []
    words += [word for line in record.overrides.settings or () for word in ("--set", shlex.quote(line))]
    words += ["--data", "synthetic"] if record.data.synthetic else []
    return " ".join([*words, "--device", record.device.kind])

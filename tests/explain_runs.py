"""A results folder with invented runs of an invented paper, for the tests of `repro explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from report_records import data, headline, make_record, make_spec, metrics

from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.explain.search import Search
from repro.runs.folders import record_folder
from repro.runs.plan import settings_sha256
from repro.runs.records import RunRecord
from repro.runs.stored_records import write_record
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import CLEAN, COMPLETE_SPLIT, under_protocol

PARTS = {"train": 28_709, "validation": 3_589, "test": 3_589}
OFFICIAL_STEPS = [
    {
        "step": "split_by_usage",
        "into": {"train": ["Training"], "validation": ["PublicTest"], "test": ["PrivateTest"]},
    }
]


def paper(value: float = 0.60, claims=(), **tables) -> LoadedSpec:
    """An invented paper that reports an accuracy of PrivateTest, without a word on where its settings come from."""
    main = headline(value=value, resolution=0.001)
    given: dict[str, Any] = {"data": {"steps": OFFICIAL_STEPS}} | tables
    return make_spec(claims=(main, *claims), **given)


def run_of(spec: LoadedSpec, protocol: str, seed: int, accuracy: float, **fields) -> RunRecord:
    """On 3,589 samples of each part; the accuracy after every epoch is a point lower for each epoch before the end."""
    measured = msgspec.structs.replace(metrics(accuracy), n=3_589)
    record = make_record(spec, seed=seed, accuracy=accuracy, protocol=protocol, data=data())
    splits = {name: measured for name in ("validation", "test", *([COMPLETE_SPLIT] if protocol == CLEAN else []))}
    history = tuple(
        msgspec.structs.replace(entry, splits={"validation": entry.splits["test"]}) for entry in record.history
    )
    rows = msgspec.structs.replace(
        data(),
        steps=(("split_by_usage", PARTS),),
        duplicates_version=DUPLICATES_VERSION if protocol == CLEAN else None,
    )
    return msgspec.structs.replace(
        record,
        spec_sha256=settings_sha256(under_protocol(spec.resolve("default"), protocol)),
        metrics=splits | {"train": metrics(accuracy + 0.2)},
        history=history,
        data=rows,
        **fields,
    )


def write_runs(results: Path, spec: LoadedSpec, runs: Mapping[str, Sequence[float]]) -> None:
    """Accuracies by protocol, one per seed."""
    for protocol, values in runs.items():
        for seed, value in enumerate(values):
            record = run_of(spec, protocol, seed, value)
            write_record(record_folder(results, record), record)


def explained(results: Path, spec: LoadedSpec):
    """Judged from these runs alone."""
    return Search(spec, data=None, device="auto", results=results, seeds=3, train=False).explain()


def standings(found) -> dict[str, str]:
    return {one.suspect: one.standing for one in found.suspects}

"""What makes two runs the same, and where they are kept: fixed for every record that is committed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fer_jax import TRAINING_VERSION
from fer_jax.duplicates import DUPLICATES_VERSION
from repro.catalog import find_paper
from repro.dataset import Dataset
from repro.known_runs import folder_of, identity
from repro.plan import RunPlan, make_plan, settings_sha256
from repro.protocols import under_protocol
from repro.records import RunRecord, read_record

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
COMMITTED = sorted((RESULTS / "runs").rglob("run.json"))
# As JAX describes them, as far as identity and folder depend on them.
DEVICES = {
    "cpu": SimpleNamespace(platform="cpu", device_kind="cpu"),
    "gpu": SimpleNamespace(platform="cuda", device_kind="NVIDIA", compute_capability="9.0"),
}
DEFAULT_PRECISION = {"cpu": "float32", "gpu": "tensorfloat32"}


def dataset_of(record: RunRecord) -> Dataset:
    return Dataset(SimpleNamespace(fingerprint=record.data.fingerprint), record.data.name)  # type: ignore[arg-type]


def plan_of(record: RunRecord) -> RunPlan:
    return make_plan(
        find_paper(record.paper),
        variant=record.variant,
        seed=record.seed,
        overrides=record.overrides,
        protocol=record.protocol,
        precision=record.matmul_precision,  # type: ignore[arg-type]
    )


def written_out(record: RunRecord) -> dict[str, Any]:
    """The identity by its formula, in words of the record alone. Checkpoints on users' disks carry it."""
    found: dict[str, Any] = {
        "spec_sha256": record.spec_sha256,
        "overrides": {"epochs": record.overrides.epochs, "limit_train": record.overrides.limit_train},
        "fingerprint": record.data.fingerprint,
        "seed": record.seed,
        "device": record.device.kind,
        "training_version": record.training_version,
    }
    if record.data.duplicates_version is not None:
        found["duplicates_version"] = record.data.duplicates_version
    if record.matmul_precision != DEFAULT_PRECISION[record.device.kind]:
        found["precision"] = record.matmul_precision
    return found


def is_current(record: RunRecord) -> bool:
    """Whether the paper's file and the code are still those of the record."""
    spec = under_protocol(find_paper(record.paper).resolve(record.variant), record.protocol)
    versions = record.training_version == TRAINING_VERSION, record.data.duplicates_version in (None, DUPLICATES_VERSION)
    return settings_sha256(spec) == record.spec_sha256 and all(versions)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: "/".join(p.parts[-7:-1]))
def test_identity_and_folder_of_a_committed_record_are_those_of_its_plan(path: Path) -> None:
    record = read_record(path)
    plan, dataset, devices = plan_of(record), dataset_of(record), [DEVICES[record.device.kind]]
    assert folder_of(plan, dataset, RESULTS, devices) == path.parent
    if is_current(record):
        found = msgspec.json.encode(identity(plan, dataset, devices), order="sorted")
        assert found == json.dumps(written_out(record), sort_keys=True, separators=(",", ":")).encode()


def test_most_committed_records_are_of_the_present_settings() -> None:
    assert sum(is_current(read_record(path)) for path in COMMITTED) > len(COMMITTED) / 2

"""Specs and run records in memory, for the tests of the report: every number in them is chosen by the test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from fer_jax import TRAINING_VERSION
from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.audit.leakage import LeakageAudit
from repro.audit.records import AUDIT_FORMAT, AuditRecord
from repro.judge.groups import RecordedRun
from repro.report.folder import documents
from repro.report.inputs import ReportInput
from repro.runs.folders import record_folder
from repro.runs.plan import recorded_spec, settings_sha256
from repro.runs.records import (
    RECORD_FORMAT,
    DataRecord,
    Device,
    Epoch,
    EpochTime,
    Git,
    Metrics,
    Overrides,
    RunRecord,
    SplitRows,
    Times,
)
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import AS_PUBLISHED
from repro.specs.spec import Claim, Spec
from repro.text.markdown import markdown

CPU = Device(kind="cpu", name="Test CPU", count=1, host_cores=2)
GPU = Device(kind="gpu", name="Test GPU", count=1, host_cores=2)
EPOCHS = 4


def claim(id: str = "accuracy", **fields: Any) -> Claim:
    """61 % on the test split, unless told otherwise; the unit alone tells the quantity."""
    kinds = {"h": "time", "nat": "loss", "rows": "rows", "1": "speedup"}
    quantity = kinds.get(fields.get("unit", ""), "accuracy")
    defaults = {"quantity": quantity, "value": 0.61, "unit": "fraction", "resolution": 0.01, "split": "test"}
    return msgspec.convert({"id": id, **defaults, "quote": "61%", "place": "Table I", **fields}, Claim)


def headline(**fields: Any) -> Claim:
    return claim("main", headline=True, tolerance=0.03, **fields)


def make_spec(id: str = "someone2020", claims: tuple[Claim, ...] = (), **tables: Any) -> LoadedSpec:
    """A small paper of four epochs with a variant `wide`. `tables`: further tables of the TOML file, `paper` merged."""
    paper = {
        "id": id,
        "title": "A network",
        "authors": ["A. One", "B. Two"],
        "year": 2020,
        "venue": "A Journal",
        "source": f"{id}.txt",
        "summary": "What it does.",
    } | tables.pop("paper", {})
    raw = {
        "format": 1,
        "paper": paper,
        "data": {
            "steps": [
                {"step": "split_by_usage", "into": {"train": ["Training"], "test": ["PrivateTest"]}},
            ]
        },
        "model": {"layers": [{"layer": "flatten"}, {"layer": "dense", "units": 7}]},
        "training": {
            "batch_size": 10,
            "epochs": EPOCHS,
            "evaluate": ["test"],
            "loss": {"kind": "cross_entropy"},
            "optimizer": {"optimizer": "sgd", "learning_rate": 0.1},
        },
        "variants": {"wide": {"about": "twice the batch", "set": {"training.batch_size": 20}}},
        "claims": [msgspec.to_builtins(item) for item in claims],
        **tables,
    }
    return LoadedSpec(msgspec.convert(raw, Spec), Path(f"papers/{id}.toml"), raw, {})


def metrics(accuracy: float, loss: float = 1.0, confusion: tuple[tuple[int, ...], ...] | None = None) -> Metrics:
    return Metrics(accuracy=accuracy, loss=loss, n=100, confusion=confusion)


def make_record(
    loaded: LoadedSpec,
    *,
    seed: int = 0,
    accuracy: float = 0.5,
    variant: str = "default",
    status: str = "done",
    device: Device = CPU,
    epochs: int = EPOCHS,
    epoch_s: float = 10.0,
    **fields: Any,
) -> RunRecord:
    """A run whose accuracy on `test` rises by 0.01 an epoch to `accuracy`; epoch e has 100 updates and takes `epoch_s`
    of training and one second of evaluation. `fields` replace those of the record."""
    spec = loaded.resolve(variant)
    history = tuple(
        Epoch(
            epoch=e,
            step=100 * e,
            learning_rate=0.1,
            train=metrics(accuracy + 0.1 - 0.01 * (epochs - e), loss=2.0 - 0.1 * e),
            minibatch=metrics(accuracy + 0.2 - 0.01 * (epochs - e)),
            splits={"test": metrics(accuracy - 0.01 * (epochs - e), loss=3.0 - 0.1 * e)},
        )
        for e in range(1, epochs + 1)
    )
    record = RunRecord(
        format=RECORD_FORMAT,
        paper=loaded.id,
        variant=variant,
        protocol=AS_PUBLISHED,
        seed=seed,
        status=status,  # type: ignore[arg-type]  # tests name it as text
        error="",
        failed_step=None,
        spec_sha256=settings_sha256(spec),
        spec_file_sha256="",
        spec=recorded_spec(spec),
        overrides=Overrides(),
        training_version=TRAINING_VERSION,
        device=device,
        data=data(),
        parameters=16_135,
        trainable_parameters=16_135,
        matmul_precision="float32",
        history=history,
        best={},
        reported_epoch=epochs,
        metrics={"test": metrics(accuracy), "train": metrics(accuracy + 0.2)},
        time=Times(
            compile_s=1.0,
            prepare_s=1.0,
            train_s=epoch_s * epochs,
            eval_s=1.0 * epochs,
            checkpoint_s=0.5,
            total_s=(epoch_s + 1.0) * epochs,
            epochs=tuple(EpochTime(train_s=epoch_s, eval_s=1.0) for _ in history),
        ),
        images_per_s=1234.0,
        peak_memory_bytes=1,
        resumed=0,
        started="",
        finished="",
        versions={"jax": "0.10.2"},
        git=Git(commit="0123456789abcdef", dirty=False),
        command="",
        load_average=(0.1, 2.04),
    )
    return msgspec.structs.replace(record, **fields)


def data(*, synthetic: bool = False, fingerprint: str = "ab12cd34ef") -> DataRecord:
    name = "synthetic" if synthetic else "fer2013"
    return DataRecord(
        name=name,
        fingerprint="5" * 10 if synthetic else fingerprint,
        synthetic=synthetic,
        rows=35_887,
        image_size=48,
        splits={
            "train": SplitRows(
                rows=28_709, class_rows=(3995, 436, 4097, 7215, 4830, 3171, 4965), pixel_mean=0.5, pixel_std=0.25
            ),
            "test": SplitRows(
                rows=3_589, class_rows=(491, 55, 528, 879, 594, 416, 626), pixel_mean=0.51, pixel_std=0.26
            ),
        },
        steps=(),
    )


def audited(*audits: LeakageAudit, fingerprint: str = "ab12cd34ef", **fields: Any) -> AuditRecord:
    """What `repro audit` keeps of one variant, on the dataset of `data`."""
    record = AuditRecord(
        format=AUDIT_FORMAT,
        paper=audits[0].paper,
        variant=audits[0].variant,
        data="fer2013",
        fingerprint=fingerprint,
        settings={audit.protocol: "" for audit in audits},
        duplicates_version=DUPLICATES_VERSION,
        audits=audits,
    )
    return msgspec.structs.replace(record, **fields)


def placed(*records: RunRecord) -> list[tuple[PurePosixPath, RunRecord]]:
    """Each record with the path at which a run would have written it."""
    return [(PurePosixPath(record_folder(Path(), record).as_posix()) / "run.json", record) for record in records]


def cells(markdown: str, *, holding: str) -> list[list[str]]:
    """The cells of every table row that holds the text."""
    rows = [line for line in markdown.splitlines() if line.startswith("|") and holding in line]
    return [[cell.strip() for cell in row.strip("|").replace("\\|", "\0").split("|")] for row in rows]


def report_input(
    specs: Sequence[LoadedSpec], records: Iterable[Any] = (), audits: Any = (), **fields: Any
) -> ReportInput:
    """What a report of these records would be made from; records as from `placed`."""
    by_paper = {spec.id: tuple(audit for audit in audits if audit.paper == spec.id) for spec in specs}
    given = {"results": Path("nowhere"), "data": None, "explanations": {}, "bench": None} | fields
    runs = tuple(RecordedRun(PurePosixPath(path.as_posix()), record) for path, record in records)
    return ReportInput(specs=tuple(specs), runs=runs, audits=by_paper, **given)


def report_pages(specs: Sequence[LoadedSpec], records: Iterable[Any] = (), audits: Any = ()) -> dict[str, str]:
    """The pages as Markdown, by name."""
    given = report_input(specs, records, audits)
    return {name: markdown(document) for name, document in documents(given).items()}


def report_text(specs: Sequence[LoadedSpec], records: Iterable[Any] = (), audits: Any = ()) -> str:
    """RESULTS.md and the pages of the papers, one after another."""
    return "\n".join(report_pages(specs, records, audits).values())

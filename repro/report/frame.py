"""Records as a pandas data frame, for results/results.csv: one row per run and split."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from repro.runs.records import Metrics, RunRecord
from repro.text.export import csv_text_cell

if TYPE_CHECKING:
    import pandas as pd


def frame_of(records: Iterable[tuple[Path | PurePosixPath, RunRecord]]) -> pd.DataFrame:
    """One row per run and split; a failed run has one row without a split. Columns as in `_row`; times in seconds."""
    import pandas as pd  # this import takes half a second

    rows = [
        _row(path, record, split, metrics)
        for path, record in records
        for split, metrics in (sorted(record.metrics.items()) or [("", None)])
    ]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    return frame.sort_values(["paper", "variant", "run", "split"], ignore_index=True)


_COLUMNS = (
    *("paper", "variant", "protocol", "seed", "status", "synthetic", "device", "device_name", "data"),
    *("split", "accuracy", "loss", "n", "epochs", "train_s", "eval_s", "compile_s", "total_s", "images_per_s"),
    *("peak_memory_bytes", "parameters", "training_version", "spec_sha256", "run"),
)


def _row(path: Path | PurePosixPath, record: RunRecord, split: str, metrics: Metrics | None) -> dict[str, Any]:
    return {
        "paper": record.paper,
        "variant": record.variant,
        "protocol": record.protocol,
        "seed": record.seed,
        "status": record.status,
        "synthetic": record.data.synthetic,
        "device": record.device.kind,
        "device_name": record.device.name,
        "data": f"{record.data.shown_name}-{record.data.fingerprint[:8]}",
        "split": split,
        "accuracy": metrics.accuracy if metrics else None,
        "loss": metrics.loss if metrics else None,
        "n": metrics.n if metrics else None,
        "epochs": len(record.history),
        "train_s": record.time.train_s,
        "eval_s": record.time.eval_s,
        "compile_s": record.time.compile_s,
        "total_s": record.time.total_s,
        "images_per_s": round(record.images_per_s, 1),
        "peak_memory_bytes": record.peak_memory_bytes,
        "parameters": record.parameters,
        "training_version": record.training_version,
        "spec_sha256": record.spec_sha256,
        "run": path.as_posix(),
    }


def _cell(value: Any) -> Any:
    return csv_text_cell(value) if isinstance(value, str) else value


def csv_text(frame: pd.DataFrame) -> str:
    """The frame in the format of results.csv. Six digits resolve one sample in a million."""
    words = frame.select_dtypes(include=["object", "string"]).columns
    frame = frame.assign(**{name: [_cell(value) for value in frame[name]] for name in words})
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")

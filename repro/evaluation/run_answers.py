"""The answers of trained runs on PrivateTest, from the predictions that lie beside their records. No data is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from repro.evaluation.scores import Answers
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.record_files import RecordError
from repro.runs.records import RunRecord
from repro.specs.protocols import COMPLETE_SPLIT, REPORTED_SPLIT


def run_answers(folder: Path, record: RunRecord) -> Answers:
    """By sample number, on all of PrivateTest if the run predicted it, else on `test`.

    Raises RecordError if the predictions are not there, or not those of the record.
    """
    path = folder / PREDICTIONS_NAME
    arrays = read_predictions(path, record.predictions_sha256)
    wanted = [COMPLETE_SPLIT, REPORTED_SPLIT]
    found = next((name for name in wanted if f"{name}.predicted" in arrays), None)
    if found is None:
        there = sorted({name.partition(".")[0] for name in arrays}) or ["nothing"]
        raise RecordError(f"{path}: holds {', '.join(there)}, but not {' or '.join(wanted)}")
    try:
        sample = np.cumsum(arrays[f"{found}.origin_delta"], dtype=np.int64)
        return Answers(sample, arrays[f"{found}.label"], arrays[f"{found}.predicted"], None)
    except KeyError as error:
        raise RecordError(f"{path}: no predictions of a run (no {error}); run it again with `--fresh`") from None

"""predictions.npz: what a network answered for every evaluated sample. Packing, reading, checking. No JAX here."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

import numpy as np

from fer_jax.data.formats.npz_file import load_arrays
from repro.runs.record_files import RecordError, record_bytes

PREDICTIONS_NAME = "predictions.npz"

# Full probabilities only while they are small: a committed run stays below 100 kB (7 bytes a row before compression).
PROBABILITY_ROWS = 8_000
CONFIDENCE_ROWS = 20_000
MOST_BYTES = 64 << 20  # unpacked: several hundred times what a run on FER-2013 writes


def pack_predictions(predictions: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of predictions.npz from, per split: probability (N, 7) float32, label (N,), origin (N,).

    Samples are in the order of their origins, so that the differences are small and compress well:
    ``<split>.origin_delta`` holds the first origin and the differences to the next. ``<split>.predicted`` and
    ``<split>.label`` are always there. ``<split>.probability``, round(255 * p), is left out if the splits are large
    together; ``<split>.confidence``, that of the predicted class, if they are very large.
    """
    arrays: dict[str, np.ndarray] = {}
    rows = sum(len(p["label"]) for p in predictions.values())
    for split, p in predictions.items():
        order = np.argsort(p["origin"], kind="stable")
        probability, origin = p["probability"][order], p["origin"][order].astype(np.int32)
        predicted = probability.argmax(1).astype(np.uint8)
        arrays[f"{split}.predicted"] = predicted
        arrays[f"{split}.label"] = p["label"][order].astype(np.uint8)
        arrays[f"{split}.origin_delta"] = np.diff(origin, prepend=np.int32(0))
        quantised = np.rint(255 * np.clip(probability, 0, 1)).astype(np.uint8)
        if rows <= PROBABILITY_ROWS:
            arrays[f"{split}.probability"] = quantised
        elif rows <= CONFIDENCE_ROWS:
            arrays[f"{split}.confidence"] = quantised[np.arange(len(predicted)), predicted]
    return arrays


def read_predictions(path: Path, written: str) -> dict[str, np.ndarray]:
    """The arrays of a predictions.npz; none if there is no such file.

    written: `RunRecord.predictions_sha256` of the record beside it, which the file must have unless it is empty.
    Raises RecordError for a damaged file, or one of another run.
    """
    remedy = "run it again with `--fresh`"
    try:
        content = record_bytes(path)
        if written and sha256(content).hexdigest() != written:
            raise RecordError(f"{path}: not the predictions of the record beside it (SHA-256 differs); {remedy}")
        return load_arrays(io.BytesIO(content), MOST_BYTES)
    except FileNotFoundError:
        return {}
    except RecordError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for a damaged file
        raise RecordError(f"{path}: no predictions of a run ({error}); {remedy}") from error

"""The samples of a split table in the forms that other programs read: csv, npz, image folders, parquet, PyTorch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fer_jax.data.faces import DataError
from fer_jax.machine.atomic_write import folder_placed_whole, placed_whole
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES
from repro.splits.table import SPLITS, SplitTable, table_csv


def write_split(table: SplitTable, path: Path, form: str) -> Path:
    """Write the table in one of FORMS to a new file or folder, and return its path. It appears whole or not at all.

    Raises DataError if the path exists, if a package is missing, or if the path cannot be written.
    """
    check_new(path)
    try:
        FORMS[form](table, path)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be written: {error.strerror or error}") from error
    return path


def check_new(path: Path) -> None:
    """Raises DataError if there is something at the path."""
    if path.exists() or path.is_symlink():
        raise DataError(f"{path}: exists already; name another place, or delete it first")


def _write_rows(table: SplitTable, path: Path) -> None:
    """The table alone: it holds no image and may be published."""
    with placed_whole(path) as aside:
        aside.write_text(table_csv(table), encoding="utf-8")


def _write_csv(table: SplitTable, path: Path) -> None:
    """As fer2013.csv, without the samples that are left out, and with two more columns: row and split."""
    faces = table.faces
    with placed_whole(path) as aside, aside.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("emotion", "pixels", "Usage", "row", "split"))
        for split in SPLITS:
            for row in table.rows_of(split).tolist():
                pixels = " ".join(map(str, faces.images[row].ravel().tolist()))
                writer.writerow((_label(table, row), pixels, USAGES[faces.usage[row]], row, split))


def _write_npz(table: SplitTable, path: Path) -> None:
    """x_SPLIT uint8 (N, H, W), y_SPLIT uint8 (N,), row_SPLIT int32 (N,), for each split; `classes` names the labels."""
    arrays: dict[str, np.ndarray] = {"classes": np.array(EMOTIONS)}
    for split in SPLITS:
        rows = table.rows_of(split)
        labels = np.array([_label(table, row) for row in rows.tolist()], np.uint8)
        arrays |= {f"x_{split}": table.faces.images[rows], f"y_{split}": labels}
        arrays |= {f"row_{split}": rows.astype(np.int32)}
    with placed_whole(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _write_folder(table: SplitTable, path: Path) -> None:
    """SPLIT/EMOTION/ROW.png, as torchvision's ImageFolder and Keras' image_dataset_from_directory read it."""
    with folder_placed_whole(path) as aside:
        for split in SPLITS:
            for emotion in EMOTIONS:
                (aside / split / emotion).mkdir(parents=True)
            for row in table.rows_of(split).tolist():
                name = EMOTIONS[_label(table, row)]
                Image.fromarray(table.faces.images[row]).save(aside / split / name / f"{row:05}.png")


def _write_parquet(table: SplitTable, path: Path) -> None:
    """A folder with SPLIT.parquet: image (PNG), label, row. `datasets.load_dataset(FOLDER)` finds the splits."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DataError("parquet needs pyarrow, which is not installed: pip install 'fer-repro[parquet]'") from error
    import json

    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": list(EMOTIONS)},
        "row": {"_type": "Value", "dtype": "int32"},
    }
    described = {"huggingface": json.dumps({"info": {"features": features}})}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), ("label", pa.int64()), ("row", pa.int32())], metadata=described)
    with folder_placed_whole(path) as aside:
        for split in SPLITS:
            rows = table.rows_of(split).tolist()
            images = [{"bytes": _png(table.faces.images[row]), "path": f"{row:05}.png"} for row in rows]
            columns = [images, [_label(table, row) for row in rows], rows]
            held = pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
            parquet.write_table(held, aside / f"{split}.parquet")


def _write_torch(table: SplitTable, path: Path) -> None:
    """Tensors by split: {"images": uint8 (N, 1, H, W), "labels": int64 (N,), "rows": int64 (N,)}."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise DataError("the form torch needs PyTorch, which is not installed: pip install torch") from error
    held = {}
    for split in SPLITS:
        rows = table.rows_of(split)
        labels = np.array([_label(table, row) for row in rows.tolist()], np.int64)
        images = torch.from_numpy(table.faces.images[rows][:, None])
        held[split] = {"images": images, "labels": torch.from_numpy(labels), "rows": torch.from_numpy(rows)}
    with placed_whole(path) as aside:
        torch.save(held, aside)


def _label(table: SplitTable, row: int) -> int:
    label = int(table.faces.labels[row])
    if label == UNLABELLED:
        raise DataError(f"row {row} of the dataset has no label; import one whose test images are labelled")
    return label


def _png(image_HW: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image_HW).save(out, "PNG")
    return out.getvalue()


# By the name of `repro data export --format`.
FORMS: dict[str, Callable[[SplitTable, Path], None]] = {
    "rows": _write_rows,
    "csv": _write_csv,
    "npz": _write_npz,
    "folder": _write_folder,
    "parquet": _write_parquet,
    "torch": _write_torch,
}

"""The output of `repro data status|import|get`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from fer_jax.data import cache
from fer_jax.data.formats import describe, summary
from fer_jax.data.formats.download import download
from fer_jax.machine.cache_folder import cache_folder
from fer_jax.vocabulary.counted import counted
from repro.text.terminal import printable_lines

NO_DATA = (
    "No dataset imported: runs use synthetic faces, which cannot be compared with any paper.\n"
    "Bring FER-2013 with `repro data import PATH` (fer2013.csv, a zip, a folder of images, ...) or `repro data get`."
)


def status_document() -> dict[str, Any]:
    """The content of the cache as plain values."""
    found = cache.entries()
    return {
        "cache": str(cache_folder()),
        "default": next((entry.fingerprint for entry in found if entry.is_default), None),
        "data_sets": [
            {
                "fingerprint": entry.fingerprint,
                "rows": entry.rows,
                "form": entry.form,
                "source": entry.source,
                "bytes": entry.size_bytes,
                "default": entry.is_default,
                "damage": entry.damage,
            }
            for entry in found
        ],
    }


def status_text() -> str:
    """The content of the cache for a terminal."""
    lines = [f"cache: {cache_folder()}"]
    found = cache.entries()
    for entry in found:
        mark = "default" if entry.is_default else ""
        damage = f", {entry.damage}" if entry.damage else ""
        megabytes = entry.size_bytes / 1e6
        size = f"{counted(entry.rows, 'sample')}, {megabytes:.0f} MB"
        lines.append(f"{entry.fingerprint[:12]}  {size}, {entry.form} from {entry.source}{damage}  {mark}")
    if not any(entry.is_default for entry in found):
        lines.append(NO_DATA)
    return "\n".join(line.rstrip() for line in lines)


def import_document(path: Path, skip_bad: bool = False) -> dict[str, Any]:
    """Import a dataset, make it the default, and summarise it."""
    imported, was_cached = cache.import_faces(path, skip_bad=skip_bad)
    cache.set_default(imported.faces.fingerprint, notes=imported.remarks)
    return {**summary(imported), "was_cached": was_cached}


def import_text(path: Path, skip_bad: bool = False) -> str:
    """Like `import_document`, for a terminal."""
    imported, was_cached = cache.import_faces(path, skip_bad=skip_bad)
    cache.set_default(imported.faces.fingerprint, notes=imported.remarks)
    word = "was imported before" if was_cached else "imported"
    return printable_lines("\n".join([*describe(imported), f"{word}; later runs use it unless --data names another"]))


def get_text(source: Literal["kaggle", "huggingface"]) -> str:
    """Download, then import."""
    return import_text(download(source))

"""Imported datasets in the user's cache folder: opened in milliseconds, keyed by content.

::

    faces/<fingerprint>/images.npy, labels.npy, usage.npy, entry.json     one dataset; never changed once there
    sources/<hash of path>.json                                           the dataset that a file was read as, and when
    default.json                                                          the dataset of runs that name none
    duplicates/<fingerprint>-v<version>.npz                               its duplicates (fer_jax.duplicates.search)

Folders and files appear under their names only when complete (written aside, then renamed), so that a killed process
leaves nothing half-written and two processes may import at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.formats import Imported, read_faces
from fer_jax.data.formats.official import likeness
from fer_jax.data.stamps import stamp_of
from fer_jax.machine.atomic_write import aside_in, placed_whole
from fer_jax.machine.cache_folder import cache_folder

_VERSION = 1  # of the arrays
# Of the readers: raised if a form is read otherwise than before. What was read by another version is read again from
# its source. The arrays of FER-2013 itself, and with them its fingerprint, are the same in all versions.
_READING = 2
_SKIP_BAD = ":skip_bad"  # at the end of a stamp
_ARRAYS = ("images", "labels", "usage")
_sound: set[tuple[Any, ...]] = set()  # entries whose content this process has compared with their fingerprint
_ABANDONED_S = 3600  # a temporary file of this age belongs to a killed process: writing one takes seconds


@dataclass(frozen=True)
class Entry:
    """One cached dataset, for listings. ``damage`` says why it cannot be opened, or is None."""

    fingerprint: str
    folder: Path
    rows: int
    form: str
    source: str
    size_bytes: int
    is_default: bool
    damage: str | None


def import_faces(path: Path, cache_dir: Path | None = None, skip_bad: bool = False) -> tuple[Imported, bool]:
    """The faces of a file or folder, and whether they came from the cache.

    A file is recognised by its absolute path, size and time of change; a folder by those of all its files. The
    arrays are mapped read-only from the cache, not loaded. skip_bad: as in ``read_faces``. DataError if the data is bad
    (see ``read_faces``) or the cache folder is not writable.
    """
    root, path = cache_folder(cache_dir), Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    path = path.resolve()
    record_path = _source_record(root, path)
    # Taken before reading: a file that changes meanwhile has another stamp next time, and is read again.
    try:
        stamp = stamp_of(path) + (_SKIP_BAD if skip_bad else "")
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror})") from error
    record = _read_json(record_path)
    known = record if record and record.get("stamp") == stamp else None
    if record and known and known.get("version") == _VERSION and known.get("reading") == _READING:
        try:
            faces = open_faces(record["fingerprint"], cache_dir)
            notes, skipped = tuple(record["notes"]), tuple(record.get("skipped", ()))
            return Imported(faces, record["form"], str(path), notes, skipped=skipped), True
        except DataError as error:
            if _entry_folder(root, record["fingerprint"]).exists():
                warnings.warn(f"{error}. Doing so now, from {path}", stacklevel=2)
    imported = read_faces(path, skip_bad)
    if known and known.get("fingerprint") not in (None, imported.faces.fingerprint):
        warnings.warn(
            f"{path}: an earlier version of the suite read other samples from it ({_short(known['fingerprint'])}, now "
            f"{_short(imported.faces.fingerprint)}); runs of before are not compared with those of now",
            stacklevel=2,
        )
    about = {"version": _VERSION, "reading": _READING, "form": imported.form, "source": str(path)}
    about |= {"notes": list(imported.notes), "skipped": list(imported.skipped)}
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        _store(root, imported.faces, about)
        _write_json(record_path, {**about, "stamp": stamp, "fingerprint": imported.faces.fingerprint})
    except OSError as error:
        raise DataError(
            f"{root}: the cache cannot be written ({error.strerror or error}); free some space, or set the environment "
            "variable FER_JAX_CACHE to a folder that can be written to"
        ) from error
    return replace(imported, faces=open_faces(imported.faces.fingerprint, cache_dir)), False


def open_faces(fingerprint: str, cache_dir: Path | None = None) -> Faces:
    """The cached dataset of that fingerprint, its arrays mapped read-only.

    The fingerprint is computed again from all pixels, labels and usages, once per process (0.1 s for FER-2013), because
    records name their data by it. DataError, naming the file, when the entry is missing or damaged.
    """
    folder = _entry_folder(cache_folder(cache_dir), fingerprint)
    damage = _damage(folder)
    if damage:
        raise DataError(f"{folder}: the cached dataset is {damage}; import it again")
    return _mapped(folder, [fingerprint])


def _mapped(folder: Path, fingerprint: list[str]) -> Faces:
    """The arrays of an entry. fingerprint: empty to compute it. Raises OSError or ValueError if they do not fit."""
    images, labels, usage = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS)
    origin = np.arange(len(images), dtype=np.int32)
    # asarray drops the memmap subclass, whose slices carry the file around; the mapping itself stays.
    return Faces(np.asarray(images), np.asarray(labels), np.asarray(usage), origin, _fingerprint=fingerprint)


def entries(cache_dir: Path | None = None) -> list[Entry]:
    """All cached datasets, damaged ones too, in the order of their fingerprints."""
    root = cache_folder(cache_dir)
    default = (_read_json(root / "default.json") or {}).get("fingerprint")
    found = []
    for folder in sorted((root / "faces").glob("*")):
        about = _read_json(folder / "entry.json") or {}
        size = sum(p.stat().st_size for p in folder.glob("*") if p.is_file())
        rows, form, source = int(about.get("rows", 0)), str(about.get("form", "?")), str(about.get("source", "?"))
        found.append(Entry(folder.name, folder, rows, form, source, size, folder.name == default, _damage(folder)))
    return found


def set_default(fingerprint: str, cache_dir: Path | None = None, notes: Sequence[str] = ()) -> None:
    """Make a cached dataset the one that ``get_default`` returns. DataError when it is not in the cache.

    notes: of its import (``Imported.remarks``), for the records of later runs.
    """
    root = cache_folder(cache_dir)
    open_faces(fingerprint, cache_dir)
    about = _read_json(_entry_folder(root, fingerprint) / "entry.json") or {}
    default = {"fingerprint": fingerprint, "source": about.get("source"), "notes": list(notes), "reading": _READING}
    _write_json(root / "default.json", default)


def default_notes(cache_dir: Path | None = None) -> tuple[str, ...]:
    """The notes of the default dataset's import."""
    notes = (_read_json(cache_folder(cache_dir) / "default.json") or {}).get("notes")
    return tuple(str(note) for note in notes) if isinstance(notes, list) else ()


def get_default(cache_dir: Path | None = None) -> Faces | None:
    """The default dataset, or None when none was set.

    If its entry is missing or damaged, or an earlier version read it, the dataset is imported again from its source.
    DataError if a damaged one cannot be: silently continuing with other data would be worse.
    """
    about = _read_json(cache_folder(cache_dir) / "default.json")
    if about is None:
        return None
    fingerprint = str(about.get("fingerprint"))
    if about.get("reading") != _READING:
        fingerprint = _read_again(about, cache_dir)
    try:
        return open_faces(fingerprint, cache_dir)
    except DataError as damaged:
        source = about.get("source")
        if source and Path(source).exists():
            imported, _ = import_faces(Path(source), cache_dir)
            if imported.faces.fingerprint == fingerprint:
                return imported.faces  # import_faces warned of the damage
        raise DataError(
            f"{damaged}; or choose another default (the dataset came from {source or 'an unknown place'})"
        ) from damaged


def _read_again(about: dict[str, Any], cache_dir: Path | None) -> str:
    """The default dataset as this version reads its source: its fingerprint, which is the default from now on.

    Without the source, or if that has changed, what an earlier version read stays, and a warning says so. DataError if
    this version refuses the source.
    """
    root, fingerprint, source = cache_folder(cache_dir), str(about.get("fingerprint")), str(about.get("source"))
    record = _read_json(_source_record(root, Path(source))) or {}
    stamp = str(record.get("stamp"))
    skip_bad = stamp.endswith(_SKIP_BAD)
    try:
        unchanged = stamp_of(Path(source)) == stamp.removesuffix(_SKIP_BAD)
    except OSError:
        unchanged = False
    if record.get("fingerprint") != fingerprint or not unchanged:
        if likeness(open_faces(fingerprint, cache_dir)).kind != "all":
            warnings.warn(
                f"the dataset {_short(fingerprint)} was imported by an earlier version of the suite, which read some "
                f"forms otherwise; import again: repro data import {source}",
                stacklevel=2,
            )
        return fingerprint
    try:
        imported, _ = import_faces(Path(source), cache_dir, skip_bad)
    except DataError as error:
        raise DataError(
            f"{error}\nan earlier version of the suite had imported it; import again, or name --data"
        ) from error
    set_default(imported.faces.fingerprint, cache_dir, imported.remarks)
    return imported.faces.fingerprint


def _short(fingerprint: object) -> str:
    return str(fingerprint)[:8]


def _entry_folder(root: Path, fingerprint: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        raise DataError(f"{fingerprint!r} is not a fingerprint (64 hexadecimal digits)")
    return root / "faces" / fingerprint


def _source_record(root: Path, path: Path) -> Path:
    return root / "sources" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"


def _damage(folder: Path) -> str | None:
    """What is wrong with an entry: 'missing', 'damaged (...)', or None. Reads all of it, once per process."""
    if not folder.exists():
        return "missing"
    about = _read_json(folder / "entry.json")
    if about is None or about.get("version") != _VERSION or not isinstance(about.get("files"), dict):
        return "damaged (no readable entry.json of this version)"
    for name in _ARRAYS:
        path = folder / f"{name}.npy"
        expected = about["files"].get(name)
        if not isinstance(expected, dict) or not path.is_file() or path.stat().st_size != expected.get("bytes"):
            return f"damaged ({path.name} is missing or has another size)"
        if name != "images" and hashlib.sha256(path.read_bytes()).hexdigest() != expected.get("sha256"):
            return f"damaged ({path.name} has other content)"
    found = [(folder / f"{name}.npy").stat() for name in _ARRAYS]
    state = (folder, *((file.st_ino, file.st_size, file.st_mtime_ns) for file in found))
    if state in _sound:
        return None
    try:
        same = _mapped(folder, []).fingerprint == folder.name
    except (OSError, ValueError) as error:
        return f"damaged (images.npy, labels.npy or usage.npy: {error})"
    if not same:
        return "damaged (images.npy has other content: the arrays do not have the fingerprint of the dataset)"
    _sound.add(state)
    return None


def _store(root: Path, faces: Faces, about: dict[str, Any]) -> None:
    """Write an entry aside and rename it into place, unless a good one is there already."""
    final = _entry_folder(root, faces.fingerprint)
    if _damage(final) is None:
        return
    aside = aside_in(root)
    aside.mkdir()
    try:
        files = {}
        for name in _ARRAYS:
            path = aside / f"{name}.npy"
            with path.open("wb") as out:
                np.save(out, np.ascontiguousarray(getattr(faces, name)))
                out.flush()
                os.fsync(out.fileno())
            files[name] = {"bytes": path.stat().st_size}
            if name != "images":
                files[name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        (aside / "entry.json").write_text(json.dumps({**about, "rows": len(faces), "files": files}, indent=1))
        final.parent.mkdir(parents=True, exist_ok=True)
        _rename_entry(aside, final, root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _rename_entry(aside: Path, final: Path, root: Path) -> None:
    for _ in range(3):
        try:
            os.rename(aside, final)
            return
        except OSError:
            if not final.exists():
                raise
        if _damage(final) is None:
            return  # another process was first with the same content
        broken = aside_in(root)
        try:
            os.rename(final, broken)
        except FileNotFoundError:
            continue  # another process moved it away
        shutil.rmtree(broken, ignore_errors=True)
    raise OSError(f"{final} cannot be replaced")


def _sweep(root: Path) -> None:
    """Remove what killed processes have left behind."""
    for left in root.rglob("aside-*"):
        try:
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        except OSError:
            continue  # another process sweeps too


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with placed_whole(path) as aside:
        aside.write_text(json.dumps(content, indent=1), "utf-8")

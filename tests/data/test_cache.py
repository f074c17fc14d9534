"""The cache: opened the second time, right after damage, whole after a kill, safe for two processes at once."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data import cache
from fer_jax.data.faces import DataError
from fer_jax.data.formats import read_faces
from fer_jax.machine.cache_folder import cache_folder

ROOT = Path(__file__).resolve().parents[2]


def write_csv(path: Path, rows: int = 3, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    lines = ["emotion,pixels,Usage"]
    lines += [f"{i % 7},{' '.join(map(str, random.integers(0, 256, 2304)))},Training" for i in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def asides(root: Path) -> list[Path]:
    return list(root.rglob("aside-*"))


def test_the_second_import_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, root = write_csv(tmp_path / "a.csv", 200), tmp_path / "cache"
    first, cached = cache.import_faces(path, root)
    assert not cached
    with monkeypatch.context() as patch:
        patch.setattr(cache, "read_faces", None)  # calling it is an error
        second, cached = cache.import_faces(path, root)
    assert cached
    direct = read_faces(path)
    for imported in (first, second):
        assert (imported.form, imported.source, imported.notes) == (direct.form, direct.source, direct.notes)
        np.testing.assert_array_equal(imported.faces.images, direct.faces.images)
        np.testing.assert_array_equal(imported.faces.labels, direct.faces.labels)
        np.testing.assert_array_equal(imported.faces.usage, direct.faces.usage)
        np.testing.assert_array_equal(imported.faces.origin, direct.faces.origin)
        assert imported.faces.fingerprint == direct.faces.fingerprint
    assert asides(root) == []


def test_the_arrays_cannot_be_written_to(tmp_path: Path) -> None:
    imported, _ = cache.import_faces(write_csv(tmp_path / "a.csv"), tmp_path / "cache")
    with pytest.raises(ValueError, match="read-only"):
        imported.faces.images[0, 0, 0] = 1


def test_equal_content_is_stored_once(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    a, _ = cache.import_faces(write_csv(tmp_path / "a.csv"), root)
    b, cached = cache.import_faces(write_csv(tmp_path / "b.csv"), root)
    assert not cached
    assert b.source == str(tmp_path / "b.csv") != a.source
    assert [e.fingerprint for e in cache.entries(root)] == [a.faces.fingerprint]
    assert cache.import_faces(tmp_path / "a.csv", root)[0].source == a.source


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "usage.npy", "entry.json"])
@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink])
def test_damage_is_seen_and_repaired(tmp_path: Path, name: str, harm) -> None:
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"
    fingerprint = cache.import_faces(path, root)[0].faces.fingerprint
    harm(cache.entries(root)[0].folder / name)
    with pytest.raises(DataError, match=rf"{fingerprint}.*{name}.*; import it again"):
        cache.open_faces(fingerprint, root)
    assert cache.entries(root)[0].damage
    with pytest.warns(UserWarning, match=rf"{name}.*; import it again. Doing so now, from .*a.csv"):
        imported, cached = cache.import_faces(path, root)
    assert not cached
    np.testing.assert_array_equal(imported.faces.images, read_faces(path).faces.images)
    cache.open_faces(fingerprint, root)
    assert cache.entries(root)[0].damage is None
    assert asides(root) == []


@pytest.mark.parametrize("name", ["labels.npy", "usage.npy"])
def test_arrays_that_were_replaced_with_their_checksums_are_seen(tmp_path: Path, name: str) -> None:
    """The fingerprint is over labels and usages too, so no file beside them can vouch for others."""
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"
    fingerprint = cache.import_faces(path, root)[0].faces.fingerprint
    folder = cache.entries(root)[0].folder
    flip(folder / name)
    about = json.loads((folder / "entry.json").read_text())
    about["files"][name.removesuffix(".npy")]["sha256"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "entry.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match=r"do not have the fingerprint.*; import it again"):
        cache.open_faces(fingerprint, root)


def test_content_is_compared_once_per_process_and_again_after_a_change(tmp_path: Path, monkeypatch) -> None:
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"
    fingerprint = cache.import_faces(path, root)[0].faces.fingerprint
    mapped = cache._mapped
    calls = []
    monkeypatch.setattr(cache, "_mapped", lambda folder, known: calls.append(known) or mapped(folder, known))
    for _ in range(3):
        cache.open_faces(fingerprint, root)
    assert calls == [[fingerprint]] * 3, "only opened: this process has compared the content"
    flip(cache.entries(root)[0].folder / "images.npy")
    with pytest.raises(DataError, match=r"images\.npy"):
        cache.open_faces(fingerprint, root)


def test_bad_data_leaves_nothing(tmp_path: Path) -> None:
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"
    path.write_text(path.read_text().replace("\n2,", "\n7,"))
    with pytest.raises(DataError, match="line 4"):
        cache.import_faces(path, root)
    assert not root.exists() or list(root.rglob("*")) == []
    with pytest.raises(DataError, match="no such file"):
        cache.import_faces(tmp_path / "none.csv", root)


def test_an_error_while_writing_leaves_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache.os, "fsync", full)
        with pytest.raises(DataError, match=r"No space left on device.*FER_JAX_CACHE"):
            cache.import_faces(path, root)
    assert cache.entries(root) == []
    assert asides(root) == []
    assert cache.import_faces(path, root)[1] is False


KILLED = """
import os, signal, sys
from pathlib import Path
from fer_jax.data import cache
point, path, root = sys.argv[1:]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if point == "save":
    cache.np.save = die
elif point == "fsync":
    cache.os.fsync = die
else:
    setattr(cache, point, die)
cache.import_faces(Path(path), Path(root))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("point", ["save", "fsync", "_rename_entry", "_write_json"])
def test_a_killed_import_leaves_no_half_entry(tmp_path: Path, point: str) -> None:
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"
    done = subprocess.run([sys.executable, "-c", KILLED, point, str(path), str(root)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert all(entry.damage is None for entry in cache.entries(root))
    imported, cached = cache.import_faces(path, root)
    assert not cached
    cache.open_faces(imported.faces.fingerprint, root)
    for left in asides(root):  # an hour later they are swept
        os.utime(left, (0, 0))
    cache.import_faces(write_csv(tmp_path / "b.csv", seed=2), root)
    assert asides(root) == []


def import_often(path: Path, root: Path, failures) -> None:
    try:
        for _ in range(10):
            imported, _ = cache.import_faces(path, root)
            assert imported.faces.fingerprint == cache.open_faces(imported.faces.fingerprint, root).fingerprint
            for record in (root / "sources").glob("*.json"):
                record.unlink(missing_ok=True)
    except BaseException as error:
        failures.put(repr(error))
        raise


def test_two_processes_at_once(tmp_path: Path) -> None:
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"
    spawn = multiprocessing.get_context("spawn")
    failures = spawn.Queue()
    workers = [spawn.Process(target=import_often, args=(path, root, failures)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0, 0], failures.get(timeout=1)
    assert len(cache.entries(root)) == 1
    assert asides(root) == []


def test_losing_the_race_to_the_same_content(tmp_path: Path) -> None:
    imported, _ = cache.import_faces(write_csv(tmp_path / "a.csv"), tmp_path / "cache")
    root = tmp_path / "cache"
    final = cache.entries(root)[0].folder
    late = root / "aside-late"
    late.mkdir()
    cache._rename_entry(late, final, root)
    cache.open_faces(imported.faces.fingerprint, root)


def test_default_data_set(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    assert cache.get_default(root) is None
    path = write_csv(tmp_path / "a.csv")
    imported, _ = cache.import_faces(path, root)
    assert cache.get_default(root) is None
    cache.set_default(imported.faces.fingerprint, root)
    default = cache.get_default(root)
    assert default is not None
    assert default.fingerprint == imported.faces.fingerprint
    assert [e.is_default for e in cache.entries(root)] == [True]
    with pytest.raises(DataError, match="missing"):
        cache.set_default("0" * 64, root)
    with pytest.raises(DataError, match="not a fingerprint"):
        cache.set_default("../../etc", root)


def test_a_damaged_default_is_imported_again_or_an_error(tmp_path: Path) -> None:
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"
    fingerprint = cache.import_faces(path, root)[0].faces.fingerprint
    cache.set_default(fingerprint, root)
    truncate(cache.entries(root)[0].folder / "images.npy")
    with pytest.warns(UserWarning, match=r"images.npy.*Doing so now"):
        again = cache.get_default(root)
    assert again is not None
    np.testing.assert_array_equal(again.images, read_faces(path).faces.images)
    truncate(cache.entries(root)[0].folder / "images.npy")
    write_csv(path, seed=5)  # the source has other content now
    with pytest.raises(DataError, match="choose another default"):
        cache.get_default(root)


def as_an_earlier_version_left_it(root: Path, fingerprint: str) -> None:
    """Its default and its record of the source say nothing of the version of the readers."""
    for path in (root / "default.json", *(root / "sources").glob("*.json")):
        about = json.loads(path.read_text())
        del about["reading"]
        path.write_text(json.dumps(about | {"fingerprint": fingerprint}))


@pytest.mark.parametrize("explicit", [True, False])
def test_what_an_earlier_version_read_is_read_again(tmp_path: Path, explicit: bool) -> None:
    root, path = tmp_path / "cache", write_csv(tmp_path / "a.csv")
    older, _ = cache.import_faces(write_csv(tmp_path / "b.csv", seed=1), root)  # as if it had been read from a.csv
    now, _ = cache.import_faces(path, root)
    (root / "sources").joinpath(cache._source_record(root, tmp_path / "b.csv").name).unlink()
    cache.set_default(now.faces.fingerprint, root)
    as_an_earlier_version_left_it(root, older.faces.fingerprint)
    with pytest.warns(UserWarning, match="a.csv: an earlier version of the suite read other samples from it"):
        found = cache.import_faces(path, root)[0].faces if explicit else cache.get_default(root)
    assert found is not None and found.fingerprint == now.faces.fingerprint
    assert cache.import_faces(path, root)[1]
    if not explicit:
        again = cache.get_default(root)
        assert again is not None and again.fingerprint == now.faces.fingerprint


def test_what_an_earlier_version_read_alike_stays_without_a_word(tmp_path: Path) -> None:
    root, path = tmp_path / "cache", write_csv(tmp_path / "a.csv")
    now, _ = cache.import_faces(path, root)
    cache.set_default(now.faces.fingerprint, root)
    as_an_earlier_version_left_it(root, now.faces.fingerprint)
    found = cache.get_default(root)
    assert found is not None and found.fingerprint == now.faces.fingerprint
    assert json.loads((root / "default.json").read_text())["reading"] == cache._READING


def test_what_an_earlier_version_read_and_this_one_cannot(tmp_path: Path) -> None:
    root, path = tmp_path / "cache", write_csv(tmp_path / "a.csv")
    now, _ = cache.import_faces(path, root)
    cache.set_default(now.faces.fingerprint, root)
    as_an_earlier_version_left_it(root, now.faces.fingerprint)
    about = path.stat()
    path.write_bytes(b"x" * about.st_size)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # the same file, by its stamp
    with pytest.raises(DataError, match="an earlier version of the suite had imported it; import again"):
        cache.get_default(root)
    path.unlink()
    with pytest.warns(UserWarning, match="imported by an earlier version .*; import again: repro data import .*a.csv"):
        found = cache.get_default(root)
    assert found is not None and found.fingerprint == now.faces.fingerprint


def test_listing(tmp_path: Path) -> None:
    path, root = write_csv(tmp_path / "a.csv", rows=5), tmp_path / "cache"
    assert cache.entries(root) == []
    fingerprint = cache.import_faces(path, root)[0].faces.fingerprint
    (entry,) = cache.entries(root)
    assert (entry.fingerprint, entry.rows, entry.form, entry.source) == (fingerprint, 5, "csv", str(path))
    assert 5 * 2304 < entry.size_bytes < 5 * 2304 + 5000
    assert (entry.is_default, entry.damage) == (False, None)


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_JAX_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("FER_JAX_CACHE")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache_folder() == tmp_path / "xdg" / "fer_jax"


def test_a_record_that_is_no_json_is_as_good_as_none(tmp_path: Path) -> None:
    path, root = write_csv(tmp_path / "a.csv"), tmp_path / "cache"
    cache.import_faces(path, root)
    (record,) = (root / "sources").glob("*.json")
    for content in ("", "[1]", json.dumps({"stamp": 1})):
        record.write_text(content)
        assert cache.import_faces(path, root)[1] is False
        assert cache.import_faces(path, root)[1] is True

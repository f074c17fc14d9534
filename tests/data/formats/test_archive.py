"""Archives: every form inside them, and every way in which one can be hostile or damaged."""

import gzip
import io
import os
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data.faces import DataError
from fer_jax.data.formats import archive, read_faces
from fer_jax.data.formats.budget import Budget

PIXELS = " ".join(str(v) for v in np.random.default_rng(0).integers(0, 256, 2304))
CSV = f"emotion,pixels,Usage\n3,{PIXELS},Training\n4,{PIXELS},PrivateTest\n".encode()


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Unpacking leaves nothing behind, whatever happens."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as out:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def test_each_kind_holds_the_same_faces(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_bytes(CSV)
    (tmp_path / "fer2013.csv.gz").write_bytes(gzip.compress(CSV))
    members = {"fer2013/README": b"read me", "fer2013/fer2013.csv": CSV, "__MACOSX/x.csv": b"clutter"}
    paths = {
        "zip of csv": zipped(tmp_path / "a.zip", members),
        "tar of csv": tarred(tmp_path / "a.tar", members),
        "tar.gz of csv": tarred(tmp_path / "a.tar.gz", members, "w:gz"),
        "gzip of csv": tmp_path / "fer2013.csv.gz",
    }
    expected = read_faces(tmp_path / "fer2013.csv").faces.fingerprint
    for form, path in paths.items():
        imported = read_faces(path)
        assert (imported.form, imported.source) == (form, str(path))
        assert imported.faces.fingerprint == expected


def test_the_competition_zip_with_an_archive_inside(tmp_path: Path) -> None:
    inner = tarred(tmp_path / "fer2013.tar.gz", {"fer2013/fer2013.csv": CSV}, "w:gz")
    imported = read_faces(zipped(tmp_path / "a.zip", {"fer2013.tar.gz": inner.read_bytes()}))
    assert (imported.form, len(imported.faces)) == ("zip of tar.gz of csv", 2)
    table = {
        "icml_face_data.csv": CSV,
        "train.csv": b"emotion,pixels\n",
        "example_submission.csv": b"id,emotion\n1,2\n",
    }
    assert len(read_faces(zipped(tmp_path / "b.zip", {**table, "fer2013.tar.gz": inner.read_bytes()})).faces) == 2


def test_errors_name_the_place_inside_the_archive(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"data/fer2013.csv": CSV.replace(b"\n4,", b"\n8,")})
    with pytest.raises(DataError) as error:
        read_faces(path)
    assert f"{path} -> data/fer2013.csv, line 3" in str(error.value)
    assert "fer-import-" not in str(error.value)


@pytest.mark.parametrize("name", ["../fer2013.csv", "a/../../fer2013.csv", "/tmp/fer2013.csv", "C:/a.csv", "..\\a.csv"])
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_member_that_climbs_out(tmp_path: Path, name: str, make) -> None:
    before = set(tmp_path.rglob("*"))
    path = make(tmp_path / "a", {"fer2013.csv": CSV, name: CSV})
    with pytest.raises(DataError, match="leads out"):
        read_faces(path)
    assert set(tmp_path.rglob("*")) - before == {path}


def test_links_and_devices(tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        with tarfile.open(tmp_path / "a.tar", "w") as out:
            info = tarfile.TarInfo("fer2013.csv")
            info.type, info.linkname = kind, "/etc/passwd"
            out.addfile(info)
        with pytest.raises(DataError, match="a link, a device"):
            read_faces(tmp_path / "a.tar")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        link = zipfile.ZipInfo("fer2013.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        read_faces(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "csv.gz"])
def test_a_bomb_is_stopped_by_what_comes_out(tmp_path: Path, kind: str) -> None:
    size = Budget().harmless_bytes + (4 << 20)
    path = tmp_path / f"a.{kind}"
    zeros = bytes(size)
    if kind == "zip":
        zipped(path, {"fer2013.csv": zeros})
        data = path.read_bytes()
        # The header says one byte; what counts is what the decompressor delivers (or a refusal by the zip reader).
        path.write_bytes(data.replace(size.to_bytes(4, "little"), (1).to_bytes(4, "little")))
        with pytest.raises(DataError):
            read_faces(path)
        path.write_bytes(data)
    elif kind == "tar.gz":
        tarred(path, {".hidden": zeros}, "w:gz")  # skipped, and counted nevertheless
    else:
        path.write_bytes(gzip.compress(zeros))
    with pytest.raises(DataError, match=r"expands beyond|claims"):
        read_faces(path)


def test_budgets_count_bytes_members_and_depth(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {f"{i}.csv": b"12345" for i in range(10)})
    for budget, says in (
        (Budget(bytes_left=49), "expands beyond"),
        (Budget(members_left=9), "too many members"),
        (Budget(depth_left=0), "archives within archives"),
    ):
        target = tmp_path / says.replace(" ", "-")
        target.mkdir()
        with pytest.raises(DataError, match=says):
            archive.unpack(path, "zip", target, budget)
    target = tmp_path / "enough"
    target.mkdir()
    archive.unpack(path, "zip", target, Budget(bytes_left=50, members_left=10))
    assert len(list(target.iterdir())) == 10


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "csv.gz"])
def test_a_truncated_archive(tmp_path: Path, kind: str, keep: float) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "csv.gz":
        path.write_bytes(gzip.compress(CSV))
    else:
        noise = os.urandom(20_000)
        members = {"a.bin": noise, "fer2013.csv": CSV}
        zipped(path, members) if kind == "zip" else tarred(path, members, "w:gz" if kind == "tar.gz" else "w")
    if kind == "tar":
        keep *= 0.8  # the end of a plain tar is padding that nobody misses
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DataError, match=r"a\."):
        read_faces(path)


def test_a_corrupt_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("fer2013.csv", CSV)
    path.write_bytes(path.read_bytes().replace(b"Training", b"PublicTe"))
    with pytest.raises(DataError, match="damaged"):
        read_faces(path)


def test_encrypted_and_twice(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "a.zip", {"fer2013.csv": CSV}).read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + flags] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        read_faces(tmp_path / "a.zip")
    with tarfile.open(tmp_path / "b.tar", "w") as out:
        for _ in range(2):
            info = tarfile.TarInfo("fer2013.csv")
            info.size = len(CSV)
            out.addfile(info, io.BytesIO(CSV))
    with pytest.raises(DataError, match="twice"):
        read_faces(tmp_path / "b.tar")

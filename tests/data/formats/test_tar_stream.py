"""Tar archives: what tarfile writes comes back, and no claim is followed."""

import gzip
import io
import tarfile
import time
from pathlib import Path

import pytest
from faces_of_strangers import tar_header

from fer_jax.data.faces import DataError
from fer_jax.data.formats import read_faces
from fer_jax.data.formats.budget import Budget
from fer_jax.data.formats.tar_stream import tar_members

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
END = bytes(1024)


def names_and_contents(data: bytes) -> list[tuple[str, bytes]]:
    found = []
    for member in tar_members(io.BytesIO(data), "a.tar", Budget()):
        parts = iter(lambda member=member: member.read(100), b"")
        found.append((member.name, b"".join(parts)))
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_what_tarfile_writes_comes_back(format: int) -> None:
    names = ["fer2013.csv", "a/" + "b" * 90 + "/c.csv", "ü/é.csv", "empty"]
    if format != tarfile.USTAR_FORMAT:
        names.append("d" * 200 + "/" + "e" * 200)
    members = [(name, bytes(range(256)) * (3 * i)) for i, name in enumerate(reversed(names))]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    assert names_and_contents(buffer.getvalue()) == members


def long_header(content: bytes, kind: bytes) -> bytes:
    return tar_header("x", len(content), kind) + content + bytes(-len(content) % 512)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (tar_header(".hidden", 1 << 60) + END, "claims 1,152,921,504,606,846,976 bytes"),
        (tar_header(".hidden", 1 << 20) + END, "is cut off"),
        (tar_header("fer2013.csv", 0), "cut off"),
        (tar_header("x", 1 << 31, tarfile.GNUTYPE_LONGNAME), "a header claims 2,147,483,648 bytes"),
        (long_header(b"1" * 60_000 + b" path=x\n", tarfile.XHDTYPE) + END, "a pax header"),
        (tar_header("x", 2 << 20, tarfile.XHDTYPE) + b"9" * (2 << 20) + END, "a header claims 2,097,152 bytes"),
        (long_header(b"16 size=9999999\n", tarfile.XHDTYPE) + tar_header("a", 1) + END, "is cut off"),
        (long_header(b"12 size=-9\n", tarfile.XHDTYPE) + tar_header("a", 1) + END, "damaged"),
        (tar_header("a", 1)[:-12] + b"x" * 12 + END, "checksum"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_claims_are_refused_at_once(tmp_path: Path, data: bytes, says: str, packed: bool) -> None:
    path = tmp_path / ("a.tar.gz" if packed else "a.tar")
    path.write_bytes(gzip.compress(data) if packed else data)
    start = time.process_time()
    with pytest.raises(DataError, match=says) as error:
        read_faces(path)
    assert time.process_time() - start < 5
    assert str(path) in str(error.value)

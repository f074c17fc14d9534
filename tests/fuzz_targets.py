"""What `fuzz_readers.py` feeds: the readers by family, inputs that they accept, and mutations that keep the form."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from faces_of_strangers import encoded, face, pixel_text
from PIL import Image

import repro.audit.data
import repro.audit.records
import repro.bench.records
import repro.explain.records
from fer_jax.data.formats import read_faces
from fer_jax.data.formats.image import decode_face
from fer_jax.vocabulary.errors import UserError
from repro.forensics import examine
from repro.report.describe import paper_document, paper_to_show
from repro.report.folder import render_input
from repro.report.inputs import read_input
from repro.runs.record_files import decode_record
from repro.specs.catalog import all_papers, paper_files
from repro.specs.decode import load_spec
from repro.text.terminal import terminal
from repro.use.recognition.pictures import open_picture

RESULTS = Path(__file__).resolve().parents[1] / "results"
KINDS = tuple(
    kind
    for module in (repro.audit.records, repro.audit.data, repro.explain.records, repro.bench.records)
    for kind in vars(module).values()
    if isinstance(kind, type) and hasattr(kind, "__struct_fields__") and kind.__module__ == module.__name__
)
WORDS = ["", " ", "\n", "\0", "x\n", "<script>", "`|`", "../../x", "/etc/passwd", "\x1b[2J", "a" * 300, "\u202e"]
WORDS += [
    "=1+1",
    "![a](/etc/hostname)",
    "[x](javascript:alert(1))",
    "train",
    "test",
    "angry",
    "Training",
    "cpu",
    "done",
]
NUMBERS = [0, 1, -1, 2, 7, 48, 255, 256, 2**31, 2**53 + 1, 2**63 - 1, 2**64, 10**30]
NUMBERS += [0.0, -0.0, 0.5, 1e-320, 1e308, -1e9]


def rows() -> bytes:
    usages = ("Training", "PublicTest", "PrivateTest")
    lines = [f"{i % 7},{pixel_text(i)},{usage}" for i, usage in enumerate(usages)]
    return "\n".join(["emotion,pixels,Usage", *lines, ""]).encode()


def seeds(family: str) -> Iterator[bytes]:
    """Inputs of a family that its reader accepts."""
    yield from {
        "csv": _csv,
        "archive": _archives,
        "npz": _npz,
        "parquet": _parquet,
        "image": _images,
        "toml": lambda: (path.read_bytes() for path in paper_files()),
        "record": lambda: (path.read_bytes() for path in sorted((RESULTS / "runs").rglob("run.json"))[::20]),
        "audit": _audits,
    }[family]()


def _csv() -> Iterator[bytes]:
    plain = rows()
    yield from (
        plain,
        plain.replace(b"\n", b"\r\n"),
        plain.replace(b"\n", b"\r"),
        b"sep=;\n" + plain.replace(b",", b";"),
    )
    yield b'label,pixels\n3.0,"[' + b"1, " * 2303 + b'1]"\nsad,"' + b"1\n" * 2304 + b'"\n'
    yield b"pixels\n" + b"0 " * 2303 + b"255\n"


def _archives() -> Iterator[bytes]:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as out:
            out.writestr("train/angry/1.png", encoded(face(1)))
            out.writestr("test/sad/2.png", encoded(face(2)))
        yield buffer.getvalue()
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as out:
            folder = "" if form == tarfile.USTAR_FORMAT else "d" * 120 + "/"
            for name, data in (("0.png", encoded(face(1))), ("0.cls", b"3")):
                info = tarfile.TarInfo(folder + name)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
        yield from (buffer.getvalue(), gzip.compress(buffer.getvalue()))
    yield gzip.compress(rows())


def _npz() -> Iterator[bytes]:
    images = np.stack([face(0), face(1)])
    for arrays in (
        {"images": images, "labels": np.array([0, 1]), "usage": np.array([0, 2])},
        {"x_train": images / 255, "y_train": np.eye(7)[:2], "x_test": images, "y_test": np.array(["sad", "happy"])},
    ):
        for save in (np.savez, np.savez_compressed):
            buffer = io.BytesIO()
            save(buffer, **arrays)  # pyright: ignore[reportArgumentType]
            yield buffer.getvalue()


def _parquet() -> Iterator[bytes]:
    import pyarrow

    names = {"info": {"features": {"label": {"names": ["angry", "sad"]}}}}
    about = {b"huggingface": json.dumps(names).encode()}
    images = [encoded(face(0)), encoded(face(1))]
    structs = [{"bytes": data, "path": "Training_1.png"} for data in images]
    for columns in (
        {"image": structs, "label": [0, 1]},
        {"jpg": images, "cls": [3, 4]},
        {"emotion": [3, 4], "pixels": [pixel_text(0), pixel_text(1)], "Usage": ["Training", "PublicTest"]},
        {"image": [face(0).tolist(), face(1).tolist()], "label": ["sad", "happy"]},
    ):
        yield _parquet_bytes(pyarrow.table(columns).replace_schema_metadata(about))


def _parquet_bytes(table: Any) -> bytes:
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="none")
    return buffer.getvalue()


def _images() -> Iterator[bytes]:
    image = Image.fromarray(face(0))
    for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"):
        for mode in ("L", "RGB", "P", "LA"):
            buffer = io.BytesIO()
            try:
                image.convert(mode).save(buffer, kind)
            except (OSError, ValueError):
                continue
            yield buffer.getvalue()


def _audits() -> Iterator[bytes]:
    for path in sorted(RESULTS.rglob("*.json")):
        if path.name != "run.json" and path.stat().st_size < 200_000:
            yield path.read_bytes()


def reader(family: str, work: Path) -> Callable[[bytes], None]:
    """What is done with one input. Raises UserError for an input that is refused."""
    if family in ("csv", "archive", "npz", "parquet"):
        name = {"csv": "x.csv", "archive": "x", "npz": "x.npz", "parquet": "train.parquet"}[family]
        return lambda data: _import(work / name, data)
    return {"image": _image, "toml": _Toml(work), "record": _Record(work), "audit": _Audit(work)}[family]


def _import(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    read_faces(path)


def _image(data: bytes) -> None:
    try:
        decode_face(data, "x")
    except UserError:
        open_picture(data, "x")


class _Toml:
    """A spec, and every fourth one shown and examined: that takes a hundred times as long as reading it."""

    def __init__(self, work: Path) -> None:
        self.path, self.accepted = work / "x.toml", 0

    def __call__(self, data: bytes) -> None:
        self.path.write_bytes(data)
        loaded = load_spec(self.path)
        self.accepted += 1
        if self.accepted % 4 == 0:
            json.dumps(paper_document(loaded, "default"))
            terminal(paper_to_show(loaded, "default"))
            examine(loaded)
            kept = self.path.parent / "results" / "specs" / f"{loaded.id}.toml"  # as a mailed folder holds it
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)
            render_input(read_input(kept.parents[1], []))
            kept.unlink()


class _Record:
    """A results folder of one record, reported; a record that is refused leaves the folder empty."""

    def __init__(self, work: Path) -> None:
        self.results, self.papers = work / "results", all_papers()
        self.path = self.results / "runs/a/b/cpu/c/d/seed-0/run.json"
        self.path.parent.mkdir(parents=True)

    def __call__(self, data: bytes) -> None:
        self.path.write_bytes(data)
        given = read_input(self.results, [])
        if given.unusable:
            raise UserError(given.unusable[0])
        paper = given.runs[0].record.paper
        own = [loaded for loaded in self.papers if loaded.id == paper]  # five papers take five times as long
        render_input(read_input(self.results, own))


class _Audit:
    def __init__(self, work: Path) -> None:
        self.path = work / "x.json"

    def __call__(self, data: bytes) -> None:
        self.path.write_bytes(data)
        refused = 0
        for kind in KINDS:
            try:
                decode_record(self.path, kind, "record", "measure again")
            except UserError:
                refused += 1
        if refused == len(KINDS):
            raise UserError("no record of any kind")


# --- mutations --------------------------------------------------------------------------------------------------------


def mutator(family: str) -> Callable[[bytes, random.Random], bytes]:
    """A change that keeps the outer form, so that what lies behind the first check is reached too."""
    by_form = {"record": _json, "audit": _json, "toml": _toml, "csv": _csv_fields, "npz": _members, "archive": _members}

    def mutate(data: bytes, chance: random.Random) -> bytes:
        if chance.random() < 0.7 and family in by_form:
            try:
                return by_form[family](data, chance)
            except Exception:  # an input that lost its form is changed byte by byte
                pass
        return _bytes(data, chance)

    return mutate


def _bytes(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data or b"x")
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(changed))
        end = at + chance.choice((0, 1, 1, 4, 100))
        changed[at:end] = bytes(chance.randrange(256) for _ in range(chance.choice((0, 1, 1, 4))))
        changed = changed or bytearray(b"x")
    return bytes(changed)


def _value(chance: random.Random) -> Any:
    kinds: list[Callable[[], Any]] = [lambda: chance.choice(WORDS), lambda: chance.choice(NUMBERS)]
    kinds += [lambda: chance.choice((True, False, None)), list, dict, lambda: [chance.choice(NUMBERS)] * 3]
    return chance.choice(kinds)()


def _place(document: Any, chance: random.Random) -> tuple[Any, Any]:
    """A container and a key in it, every level equally likely: most values of a record lie in its history."""
    node = document
    while True:
        key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not (isinstance(node[key], dict | list) and node[key] and chance.random() < 0.75):
            return node, key
        node = node[key]


def _tree(document: Any, chance: random.Random) -> Any:
    for _ in range(chance.choice((1, 1, 1, 3))):
        node, last = _place(document, chance)
        what = chance.random()
        if what < 0.6:
            alike = [value for value in (_value(chance) for _ in range(6)) if type(value) is type(node[last])]
            node[last] = alike[0] if alike else _value(chance)
        elif what < 0.75 and isinstance(node, list):
            node.insert(last, copy.deepcopy(node[last]))
        elif what < 0.85 and isinstance(node, dict):
            node[chance.choice(WORDS)] = copy.deepcopy(node[last])
        else:
            del node[last]
    return document


def _json(data: bytes, chance: random.Random) -> bytes:
    document = json.loads(data)
    document.pop("sha256", None)  # a stranger can write a right one
    return json.dumps(_tree(document, chance)).encode()


def _toml(data: bytes, chance: random.Random) -> bytes:
    lines = data.decode().split("\n")
    with_value = [i for i, line in enumerate(lines) if " = " in line]
    for _ in range(chance.choice((1, 1, 3))):
        at = chance.choice(with_value)
        key = lines[at].partition(" = ")[0]
        other = lines[chance.choice(with_value)].partition(" = ")[2]
        lines[at] = f"{key} = {chance.choice((json.dumps(_value(chance)), other))}"
    return "\n".join(lines).encode()


def _csv_fields(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    words = lines[at].split(b" ") if chance.random() < 0.7 else lines[at].split(b",")
    joint = b" " if len(words) > 5 else b","
    odd = [b"", b"256", b"-1", b"007", b"1e3", b"\xff", b"\0", b'"', b'""', b"\r", b"...", b"[", str(10**30).encode()]
    words[chance.randrange(len(words))] = chance.choice([*odd, chance.choice(WORDS).encode()])
    lines[at] = joint.join(words)
    return b"\n".join(lines)


def _members(data: bytes, chance: random.Random) -> bytes:
    """A zip whose members are changed and packed anew; a tar whose headers keep a right checksum."""
    if data[:2] == b"PK":
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
            for member in old.namelist():
                content = old.read(member)
                content = _bytes(content[:200], chance) + content[200:] if chance.random() < 0.5 else content
                name = chance.choice([word for word in WORDS if word.strip()]) if chance.random() < 0.1 else member
                out.writestr(name, content)
        return buffer.getvalue()
    packed = data[:2] == b"\x1f\x8b"
    raw = bytearray(gzip.decompress(data) if packed else data)
    raw[chance.randrange(min(len(raw), 512))] = chance.choice((0, 0x37, 0x80, 0xFF, chance.randrange(256)))
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return gzip.compress(bytes(raw), 1) if packed else bytes(raw)

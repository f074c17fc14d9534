"""Files of records of any kind: written in one piece, with a digest of the content, and decoded strictly."""

from __future__ import annotations

import hashlib
import stat
import warnings
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fer_jax.machine.atomic_write import write_atomically
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.errors import UserError
from repro.specs.bounds import MOST_BYTES, exceeded

DIGEST = "sha256"  # key of a record's digest, beside its fields
Record = TypeVar("Record")


class RecordError(UserError):
    """A record cannot be read. The message names the file and what to do."""


class UnreadableError(RecordError):
    """A file is not a record. what: the file and the reason, without the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; delete it and {remedy}")
        self.what = what


class RecordWarning(UserWarning):
    """A record was left out."""


def leave_out(error: RecordError) -> None:
    """Warn of a record of any kind that a command does without."""
    warnings.warn(f"left out: {error}", RecordWarning, stacklevel=1)  # one place: each is said once


def record_bytes(path: Path) -> bytes:
    """The content of a record. ValueError if it is a link, a pipe, a folder, or larger than any record.

    A link would show a file from elsewhere as a result of this folder. Raises OSError if the file cannot be read.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("not a regular file (a link, a pipe or a folder)")
    if found.st_size > MOST_BYTES:
        raise ValueError(f"{counted(found.st_size, 'byte')}; a record has at most {MOST_BYTES:,}")
    return path.read_bytes()


def write_digested(path: Path, record: msgspec.Struct) -> Path:
    """Write a record with the digest of its content, in one piece."""
    document = _rounded(msgspec.to_builtins(record))
    as_read = msgspec.json.decode(msgspec.json.encode(document))
    return write_json(path, {**document, DIGEST: _document_sha256(as_read)})


def write_json(path: Path, document: Any) -> Path:
    """Write a struct or plain values as JSON for people and diffs, in one piece."""
    return write_atomically(path, msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")


def read_digested(path: Path, kind: type[Record], name: str, remedy: str) -> Record:
    """`decode_record` for a record that must carry the digest of its content."""
    document, record = decoded_record(path, kind, name, remedy)
    check_digest(path, document, remedy)
    return record


def check_digest(path: Path, document: dict[str, Any], remedy: str) -> None:
    if document.get(DIGEST) != _document_sha256(document):
        raise UnreadableError(f"{path}: was changed after it was written (its SHA-256 differs)", remedy)


def _document_sha256(document: dict[str, Any]) -> str:
    """Of all keys and values of decoded JSON but the digest itself, however the JSON was laid out."""
    digested = {key: value for key, value in document.items() if key != DIGEST}
    return hashlib.sha256(msgspec.json.encode(digested, order="sorted")).hexdigest()


def decode_record(path: Path, kind: type[Record], name: str, remedy: str) -> Record:
    """Raises RecordError, saying what the file is not and what to do after deleting it.

    Whatever a stranger's file makes the decoder raise is shown. FileNotFoundError if there is no such file.
    """
    return decoded_record(path, kind, name, remedy)[1]


def decoded_record(
    path: Path, kind: type[Record], name: str, remedy: str, content: bytes | None = None
) -> tuple[Any, Record]:
    """`decode_record`, and the same content as plain values. content: of the record, if it is inside another file."""
    try:
        content = record_bytes(path) if content is None else content
        document = msgspec.json.decode(content)
        if mistake := exceeded(document):
            raise ValueError(mistake)
        return document, msgspec.json.decode(content, type=kind)
    except FileNotFoundError:
        raise
    except Exception as error:
        said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise UnreadableError(f"{path}: not a {name}: {said[:200]}", remedy) from None


def _rounded(value: Any) -> Any:
    """Seconds to the microsecond: more digits are noise, and both people and diffs read records."""
    if isinstance(value, dict):
        return {k: round(v, 6) if isinstance(v, float) and k.endswith("_s") else _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value

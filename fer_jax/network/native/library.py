"""The library: compiled for this very processor when it is first needed, kept in the cache folder, loaded. No JAX.

::

    native/<identity>-<SHA-256>.so    a library, named after what it was compiled from and after its own content
    native/<identity>.hangs           the compiler that hung over it, and when
    native/lock                       held by the process that compiles

It is loaded only from a folder that nobody else can change (see `fer_jax.machine.private_folder`), and only if its
content is the one that its name says: a library that was cut off would kill the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from fer_jax.machine.atomic_write import placed_whole, write_atomically
from fer_jax.machine.cache_folder import cache_folder
from fer_jax.machine.private_folder import belongs_to_user_alone, private_folder
from fer_jax.machine.processor import processor
from fer_jax.network.native.compiler import (
    COMPILE_LIMIT_S,
    CompilerHangs,
    NativeError,
    compile_library,
    compiler,
    flags,
)

_SOURCES = sorted(Path(__file__).parent.glob("*.cc"))
_HEADERS = sorted(Path(__file__).parent.glob("*.h"))
COMPILING = "Compiling the C++ kernels for this processor (once, about 10 s on two cores)"
_HANGS_FOR_S = 24 * 3600.0  # how long a compiler that hung is not called again
_COMPILED_ELSEWHERE_S = 30.0  # how much longer than `COMPILE_LIMIT_S` to wait for another process that compiles
_SCRATCH = "fer-jax-"
_ABANDONED_S = 3600.0  # a scratch folder without a lock belongs to a killed process at this age

_guard = threading.Lock()
_loading: Future[Loaded] | None = None
_compiling = threading.Event()


@dataclass(frozen=True)
class Loaded:
    """note: why the library could not be kept, for the user; None if it was."""

    library: ctypes.CDLL
    note: str | None


def begin(announce: Callable[[str], None] = lambda text: None) -> None:
    """Start to load the library in a thread, and to compile it if need be. Returns at once; does nothing the second
    time, or if the library is switched off. announce: called with `COMPILING` if it must be compiled."""
    global _loading
    with _guard:
        if _loading is not None or switched_off():
            return
        _loading = Future()
        threading.Thread(target=_load_into, args=(_loading, announce), daemon=True).start()


def switched_off() -> bool:
    """Whether the environment says that the library is not to be used."""
    return os.environ.get("FER_JAX_NATIVE", "1") == "0"


def compiling() -> bool:
    """Whether the library is being compiled at this moment."""
    return _compiling.is_set()


def wait() -> None:
    """Wait until the library is loaded or has failed, if it was begun."""
    if _loading is not None:
        _loading.exception()


def library() -> Loaded:
    """The library. Waits until it is loaded.

    Raises NativeError if it is switched off, or cannot be compiled or loaded here.
    """
    begin()
    if _loading is None:
        raise NativeError("FER_JAX_NATIVE=0 switches the C++ library off")
    return _loading.result()


def _load_into(loading: Future[Loaded], announce: Callable[[str], None]) -> None:
    try:
        loading.set_result(_load(announce))
    except OSError as error:  # such as no folder for temporary files
        loading.set_exception(NativeError(str(error)))
    except BaseException as error:
        loading.set_exception(error)


def _load(announce: Callable[[str], None]) -> Loaded:
    command = compiler()
    if command is None:
        raise NativeError("no C++ compiler: install one, such as g++, or name it in $CXX; FER_JAX_NATIVE=0 hides this")
    try:
        folder = private_folder(cache_folder() / "native")
    except OSError as error:
        note = (
            f"{cache_folder() / 'native'} is not used ({error.strerror or error}), so every process compiles the C++ "
            "kernels again, in a private folder; name another cache folder with FER_JAX_CACHE"
        )
        with _scratch_folder() as scratch:
            return Loaded(_opened(_compiled(command, scratch, scratch, announce)), note)
    return Loaded(_opened(kept_library(folder, command, announce)), None)


def kept_library(folder: Path, command: list[str], announce: Callable[[str], None] = lambda text: None) -> Path:
    """The library in a private folder, compiled unless it is there and whole. Of several processes one compiles.

    Raises NativeError.
    """
    if found := _whole(folder, command):
        return found
    with _lock(folder, COMPILE_LIMIT_S + _COMPILED_ELSEWHERE_S):
        if found := _whole(folder, command):  # another process has compiled it meanwhile
            return found
        _raise_if_it_hung(folder, command)
        try:
            with _scratch_folder() as scratch:
                return _compiled(command, folder, scratch, announce)
        except CompilerHangs as error:
            with contextlib.suppress(OSError):
                write_atomically(_hangs(folder, command), _asked(command).encode())
            raise NativeError(f"{error}. It is not called again for a day; FER_JAX_NATIVE=0 hides this") from None


def identity(command: list[str]) -> str:
    """A name for the library of these sources, this jaxlib, compiler and processor."""
    texts = [path.read_text() for path in (*_HEADERS, *_SOURCES)]
    parts = "\n".join([*texts, version("jaxlib"), *command, *flags(), processor()])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _compiled(command: list[str], folder: Path, scratch: Path, announce: Callable[[str], None]) -> Path:
    found = importlib.util.find_spec("jaxlib")
    if found is None or not found.submodule_search_locations:
        raise NativeError("jaxlib is not installed")
    include = ["-isystem", str(Path(found.submodule_search_locations[0]) / "include")]
    announce(COMPILING)
    _compiling.set()
    try:
        for abandoned in folder.glob("aside-*"):  # of a process that was killed: only who holds the lock writes here
            abandoned.unlink(missing_ok=True)
        product = scratch / "library.so"
        compile_library(command, _SOURCES, include, product, scratch)
        content = product.read_bytes()
        path = folder / f"{identity(command)}-{hashlib.sha256(content).hexdigest()}.so"
        with placed_whole(path) as aside:
            aside.touch(mode=0o600)
            aside.write_bytes(content)
            aside.chmod(0o700)
        return path
    except OSError as error:
        raise NativeError(f"{shlex.join(command)}: {error}") from None
    finally:
        _compiling.clear()


def _whole(folder: Path, command: list[str]) -> Path | None:
    """The library in the folder, if it belongs to the user alone and has the content that its name says."""
    for path in sorted(folder.glob(f"{identity(command)}-*.so")):
        with contextlib.suppress(OSError):
            stated = path.stem.partition("-")[2]
            if belongs_to_user_alone(path) and hashlib.sha256(path.read_bytes()).hexdigest() == stated:
                return path
    return None


def _opened(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeError(str(error)) from None


@contextmanager
def _lock(folder: Path, limit_s: float) -> Iterator[None]:
    """Held by one process at a time; by none on a file system without locks, where all compile."""
    from filelock import FileLock, Timeout  # a tenth of a second, which a library that is there need not wait for

    lock = FileLock(folder / "lock", timeout=limit_s, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise NativeError(f"another process holds {lock.lock_file} for more than {limit_s:.0f} s") from None
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


# --- a compiler that hangs -------------------------------------------------------------------------------------------


def _hangs(folder: Path, command: list[str]) -> Path:
    return folder / f"{identity(command)}.hangs"


def _asked(command: list[str]) -> str:
    """Changes when the compiler is replaced."""
    program = Path(shutil.which(command[0]) or command[0])
    try:
        status = program.stat()
    except OSError:
        return str(program)
    return f"{program} {status.st_size} {status.st_mtime_ns}"


def _raise_if_it_hung(folder: Path, command: list[str]) -> None:
    path = _hangs(folder, command)
    with contextlib.suppress(OSError):
        age_s = time.time() - path.stat().st_mtime
        if 0 <= age_s < _HANGS_FOR_S and path.read_text() == _asked(command):
            raise NativeError(
                f"{shlex.join(command)} hung {age_s / 60:.0f} minutes ago, and is not called again for a day "
                f"(delete {path} to try it earlier)"
            )


# --- scratch folders -------------------------------------------------------------------------------------------------


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """A folder of mode 0700 among the system's temporary ones, removed at the end; those of killed processes too.

    Raises NativeError if other users could exchange it.
    """
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH))
    try:
        private_folder(folder)
        with open(folder / "lock", "w") as held:
            with contextlib.suppress(OSError):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
    except OSError as error:
        raise NativeError(f"{folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Remove the scratch folders of processes that were killed: their locks are free."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if status.st_uid == os.getuid() and folder.is_dir() and not folder.is_symlink() and _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    lock = folder / "lock"
    if not lock.exists():
        return time.time() - folder.stat().st_mtime > _ABANDONED_S
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True

"""The C++ library is compiled once, loaded only if it is whole and the user's own, and never in the way."""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from fer_jax.network.native import compiler, library
from fer_jax.network.native.compiler import CompilerHangs, NativeError

# Compiles nothing: it copies a library that is one already, and notes what it was asked.
FAKE = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
*--version*) {version} ;;
*-shared*) {link}; while [ "$1" != -o ]; do shift; done; cp {real} "$2" ;;
*) {each}; while [ "$1" != -o ]; do shift; done; : > "$2" ;;
esac
"""
HANG = "sleep 300 & echo $$ $! >> {pids}; wait"


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """A small library."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "a.cc").write_text('extern "C" int answer() { return 42; }\n')
    command = compiler.compiler()
    if command is None:
        pytest.skip("no C++ compiler")
    subprocess.run([*command, "-shared", "-fPIC", "a.cc", "-o", "a.so"], cwd=folder, check=True)
    return folder / "a.so"


class Fake:
    def __init__(self, folder: Path, real: Path) -> None:
        self.folder, self.real, self.path, self.log = folder, real, folder / "c++", folder / "log"
        self.log.write_text("")
        self.write()

    def write(self, **parts):
        steps = {"version": ":", "link": ":", "each": ":", **parts}
        steps = {name: step.format(pids=self.folder / "pids") for name, step in steps.items()}
        self.path.write_text(FAKE.format(log=self.log, real=self.real, **steps))
        self.path.chmod(0o755)

    @property
    def command(self):
        return [str(self.path)]

    def links(self):
        return self.log.read_text().count("-shared")

    def assert_ended(self):
        """The compiler and its child: gone, or dead and only not yet collected."""
        for pid in (self.folder / "pids").read_text().split():
            for _ in range(100):
                status = Path(f"/proc/{pid}/stat")
                if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
                    break
                time.sleep(0.02)
            else:
                pytest.fail(f"process {pid} still runs")


@pytest.fixture
def fake(tmp_path, real, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("FER_JAX_CACHE", str(tmp_path / "cache"))
    made = Fake(tmp_path, real)
    monkeypatch.setenv("CXX", str(made.path))
    return made


@pytest.fixture
def folder(fake):
    return library.private_folder(library.cache_folder() / "native")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_compiled_once(fake, folder):
    said = []
    first = library.kept_library(folder, fake.command, said.append)
    assert said == [library.COMPILING] and library.kept_library(folder, fake.command, said.append) == first
    assert len(said) == 1 and fake.links() == 1
    assert {path.name for path in folder.iterdir()} == {first.name, "lock"}
    assert not list((fake.folder / "tmp").iterdir()), "what lies between is removed"


def test_several_processes_compile_once(fake, folder):
    fake.write(link="sleep 0.3")
    code = "from fer_jax.network.native import library; print(library.library().library.answer(), library.compiling())"
    settings = {**os.environ, "PYTHONPATH": str(Path(library.__file__).parents[3])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, "-c", code], env=settings, **pipes) for _ in range(3)]
    assert [process.communicate(timeout=60) for process in started] == [("42 False\n", "")] * 3
    assert fake.links() == 1


@pytest.mark.parametrize("damage", ["cut off", "empty", "one bit", "writable for others", "a link", "another user's"])
def test_a_damaged_or_foreign_library_is_compiled_anew(fake, folder, damage):
    path = library.kept_library(folder, fake.command)
    content = path.read_bytes()
    if damage == "writable for others":
        path.chmod(0o666)
    elif damage == "a link":
        path.rename(folder / "elsewhere")
        path.symlink_to(folder / "elsewhere")
    elif damage == "another user's":
        if os.getuid() != 0:
            pytest.skip("only root can give files away")
        os.chown(path, 65534, 65534)
    else:
        changed = {"cut off": content[:1000], "empty": b"", "one bit": content[:-1] + bytes([content[-1] ^ 1])}[damage]
        path.write_bytes(changed)
    assert library.kept_library(folder, fake.command) == path and fake.links() == 2
    assert path.read_bytes() == content and not path.is_symlink() and path.stat().st_uid == os.getuid()
    assert library.kept_library(folder, fake.command) == path and fake.links() == 2


def test_another_processor_has_its_own(fake, folder, monkeypatch):
    here = library.kept_library(folder, fake.command)
    monkeypatch.setattr(library, "processor", lambda: "another model with other instructions")
    assert library.kept_library(folder, fake.command) != here and fake.links() == 2


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022])
def test_nobody_else_can_write_whatever_the_umask(fake, umask):
    before = os.umask(umask)
    try:
        loaded = library._load(lambda text: None)
    finally:
        os.umask(before)
    assert loaded.note is None and loaded.library.answer() == 42
    made = [fake.folder / "cache", *(fake.folder / "cache").rglob("*")]
    assert len(made) == 4 and all(mode(path) & 0o077 == 0 for path in made)


@pytest.mark.parametrize("why", ["open", "a file in the way"])
def test_a_cache_that_is_not_safe_is_not_used(fake, why):
    cache = fake.folder / "cache"
    if why == "open":
        cache.mkdir()
        (cache / "native").mkdir()
        (cache / "native").chmod(0o777)
    else:
        cache.write_text("")
    loaded = library._load(lambda text: None)
    assert loaded.library.answer() == 42 and loaded.note and "FER_JAX_CACHE" in loaded.note
    assert not list((fake.folder / "tmp").iterdir()) and (why != "open" or not list((cache / "native").iterdir()))


def test_a_folder_for_temporary_files_that_is_open_to_all_is_not_used_either(fake):
    (fake.folder / "cache").write_text("")
    (fake.folder / "tmp").chmod(0o777)
    with pytest.raises(NativeError, match="can be written to by other users"):
        library._load(lambda text: None)


def test_a_compiler_that_fails_says_why(fake, folder):
    fake.write(each="echo 'x.cc:1: error: no such thing' >&2; exit 1")
    with pytest.raises(NativeError, match=r"could not compile \w+\.cc: x\.cc:1: error: no such thing"):
        library.kept_library(folder, fake.command)
    assert not list(folder.glob("*.so")) and not list((fake.folder / "tmp").iterdir())


@pytest.mark.parametrize("where", ["version", "each", "link"])
def test_a_compiler_that_hangs_is_ended_and_not_called_again(fake, folder, monkeypatch, where):
    monkeypatch.setattr(compiler, "ANSWER_LIMIT_S", 0.4)
    monkeypatch.setattr(compiler, "COMPILE_LIMIT_S", 0.4)
    fake.write(**{where: HANG})
    with pytest.raises(NativeError, match="within 0 s and was ended"):
        library.kept_library(folder, fake.command)
    fake.assert_ended()
    asked = fake.log.read_text()
    with pytest.raises(NativeError, match="hung 0 minutes ago"):
        library.kept_library(folder, fake.command)
    assert fake.log.read_text() == asked
    fake.write(link="true")  # another compiler under the same name
    assert library.kept_library(folder, fake.command).exists()


def test_it_is_called_again_after_a_day(fake, folder, monkeypatch):
    monkeypatch.setattr(compiler, "ANSWER_LIMIT_S", 0.1)
    fake.write(version=HANG)
    with pytest.raises(NativeError):
        library.kept_library(folder, fake.command)
    (path,) = folder.glob("*.hangs")
    os.utime(path, (old := time.time() - 25 * 3600, old))
    with pytest.raises(NativeError) as again:
        library.kept_library(folder, fake.command)
    assert isinstance(again.value.__cause__ or again.value.__context__, CompilerHangs)


def test_a_process_that_ends_ends_its_compiler(fake):
    fake.write(each=HANG)
    code = (
        "import sys, time; from pathlib import Path; from fer_jax.network.native import library; library.begin()\n"
        f"while not Path({str(fake.folder / 'pids')!r}).exists(): time.sleep(0.01)"
    )
    settings = {**os.environ, "PYTHONPATH": str(Path(library.__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    fake.assert_ended()


def test_leftovers_of_killed_processes_are_swept(fake):
    made = {name: fake.folder / "tmp" / f"fer-jax-{name}" for name in ("killed", "in use", "just made", "old")}
    for path in made.values():
        path.mkdir()
    (made["killed"] / "lock").touch()
    os.utime(made["old"], (old := time.time() - 7200, old))
    with open(made["in use"] / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        library.kept_library(library.private_folder(library.cache_folder() / "native"), fake.command)
    assert {name for name, path in made.items() if path.exists()} == {"in use", "just made"}


def test_what_a_killed_process_left_in_the_cache_is_removed(fake, folder):
    (folder / "aside-1").write_text("half of a library")
    library.kept_library(folder, fake.command)
    assert not (folder / "aside-1").exists()


@pytest.mark.parametrize(
    ("cxx", "why"), [('g++ "', "not a command: No closing quotation"), ("/no/compiler", "No such file")]
)
def test_a_name_that_is_no_compiler_is_one_clear_message(fake, monkeypatch, cxx, why):
    monkeypatch.setenv("CXX", cxx)
    with pytest.raises(NativeError, match=why):
        library._load(lambda text: None)


def test_without_a_compiler_the_message_says_what_to_install(fake, monkeypatch):
    monkeypatch.setenv("CXX", " ")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NativeError, match=r"install one, such as g\+\+"):
        library._load(lambda text: None)


@pytest.fixture
def unused(monkeypatch):
    """As in a process that has not asked for the library yet."""
    monkeypatch.setattr(library, "_loading", None)


@pytest.mark.usefixtures("unused")
def test_it_can_be_switched_off(fake, monkeypatch):
    monkeypatch.setenv("FER_JAX_NATIVE", "0")
    library.begin()
    assert library._loading is None and not fake.log.read_text() and not (fake.folder / "cache").exists()
    with pytest.raises(NativeError, match="FER_JAX_NATIVE=0"):
        library.library()


@pytest.mark.usefixtures("unused", "fake")
def test_it_begins_in_a_thread_and_is_waited_for():
    said = []
    library.begin(said.append)
    assert isinstance(library._loading, Future)
    assert library.library().library.answer() == 42 and said == [library.COMPILING]
    library.begin(said.append)
    assert len(said) == 1

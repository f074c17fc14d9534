"""What needs no right to write works without; what needs one says so in one line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_paper import write_tiny

from fer_jax.machine.compilation import keep_compiled_programs
from repro.cli.main import main


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Nothing below the folder can be written to. Root, who may write everywhere, becomes another user meanwhile."""
    places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    root = os.geteuid() == 0
    temporary = Path(tempfile.gettempdir())
    for place in (one for one in (folder, *folder.parents) if root and temporary in one.parents):
        place.chmod(0o755)
    if root:
        os.seteuid(65534)
    else:
        for place in places:
            place.chmod(0o555)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for place in places:
            place.chmod(0o755)


@pytest.mark.filterwarnings("always:.*compiles its programs again")  # the cache cannot be written to either
def test_a_run_that_is_done_needs_no_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_jax.network.native.calls.available", lambda: False)  # compiling C++ takes too long here
    monkeypatch.setattr("repro.runs.dataset.SYNTHETIC_SHARE", 400)
    words = ["run", str(write_tiny(tmp_path)), "--data", "synthetic"]
    words += ["--results", str(tmp_path / "results"), "--device", "cpu"]
    with monkeypatch.context() as patch:
        patch.setenv("FER_JAX_CACHE", str(tmp_path / "cache"))
        assert CliRunner().invoke(main, words).exit_code == 0  # and imports all that the next calls need
        folder = next((tmp_path / "results").rglob("run.json")).parent
        with without_rights(tmp_path):
            again = CliRunner().invoke(main, words)
            fresh = CliRunner().invoke(main, [*words, "--fresh"])
            shorter = CliRunner().invoke(main, [*words, "--epochs", "1"])
    keep_compiled_programs()  # in the tests' folder again
    assert again.exit_code == 0 and "done already" in again.stderr, again.stderr
    refused = "permission denied; name a folder that you may use, or change its permissions"
    assert (fresh.exit_code, fresh.stderr.splitlines()[-1]) == (2, f"error: {folder / 'claim-1.json'}: {refused}")
    assert shorter.exit_code == 2
    assert shorter.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'results'}")
    assert shorter.stderr.splitlines()[-1].endswith(refused)

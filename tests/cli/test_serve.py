"""`repro serve`: its words, and what it says when it cannot start."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from repro.cli.main import main


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "websockets"])
def test_a_missing_package_is_one_sentence_with_its_remedy(package):
    code = f"import sys; sys.modules[{package!r}] = None; from repro.cli.main import main; main(['serve'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: `repro serve` needs {package}: pip install 'fer-repro[serve]'\n"


def test_a_token_that_could_be_guessed_is_refused():
    told = CliRunner().invoke(main, ["serve", "--token", "secret"])
    assert told.exit_code == 2 and "give a token of 16 letters or more" in told.stderr


def test_without_a_trained_network_it_names_the_command_that_makes_one(tmp_path):
    told = CliRunner().invoke(main, ["serve", "--port", "0", "--results", str(tmp_path)])
    assert told.exit_code == 2 and told.stdout == ""
    assert told.stderr == f"error: {tmp_path}: holds no trained network; `repro run teta2022` trains one\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "add --allow-remote"),
        (["--host", "::"], "add --allow-remote"),
        (["--host", "no.such.name.invalid"], "no such address"),
        (["--host", "192.0.2.1", "--allow-remote"], "choose another with --port"),  # of a network for documents
    ],
)
def test_an_address_that_is_not_meant_or_not_ours_is_refused(options, told):
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 2 and told in result.stderr and len(result.stderr.splitlines()) == 1

"""Where the token comes from, and which are too easy."""

from __future__ import annotations

import os

import pytest

from repro.use.serve.errors import ServeError
from repro.use.serve.tokens import VARIABLE, chosen_token

TOKEN = "a-token-of-some-length"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    path = tmp_path / "token"
    path.write_text(f"  {TOKEN}\nsecond line\n")
    path.chmod(0o600)
    return path


def test_file_variable_or_option(file, monkeypatch, capsys):
    assert chosen_token(None, None) is None
    assert chosen_token(None, file) == TOKEN
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(VARIABLE, f"{TOKEN}2\n")
    assert chosen_token(None, None) == f"{TOKEN}2"
    assert chosen_token(None, file) == TOKEN, "what was said for this start comes first"
    assert capsys.readouterr().err == ""
    assert chosen_token(f"{TOKEN}3", None) == f"{TOKEN}3"
    assert capsys.readouterr().err.startswith("warning: --token: other users of this computer see the command line")


@pytest.mark.parametrize("token", ["", "short", "a" * 40, "abcde" * 8, "a-token-of-some\tlength"])
def test_an_easy_token_is_refused_with_its_source(token, file, monkeypatch):
    with pytest.raises(ServeError, match=r"^--token: "):
        chosen_token(token, None)
    file.write_text(token)
    with pytest.raises(ServeError, match=r"^--token-file "):
        chosen_token(None, file)
    monkeypatch.setenv(VARIABLE, token)
    with pytest.raises(ServeError, match=f"^{VARIABLE}: "):
        chosen_token(None, None)


def test_a_file_that_cannot_be_used_is_one_sentence(file, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe" * 20)
    for name, why in (("pipe", "not a file"), ("none", "cannot be read"), ("bytes", "not text"), (".", "not a file")):
        with pytest.raises(ServeError, match=why):
            chosen_token(None, tmp_path / name)
    capsys.readouterr()
    file.chmod(0o644)
    assert chosen_token(None, file) == TOKEN
    assert "other users can read it" in capsys.readouterr().err

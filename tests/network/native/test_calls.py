"""The library made known to JAX: used if it is there, and one warning if it is not."""

import warnings

import pytest

from fer_jax.network.native import calls, library
from fer_jax.network.native.compiler import NativeError


@pytest.fixture(autouse=True)
def asked_anew():
    calls.available.cache_clear()
    yield
    calls.available.cache_clear()


def test_a_library_that_cannot_be_had_is_one_warning(monkeypatch):
    def fail():
        raise NativeError("g++ could not compile strips.cc")

    monkeypatch.setattr(calls, "library", fail)
    with pytest.warns(UserWarning, match="run in pure JAX, more slowly: .* could not compile strips.cc") as caught:
        assert [calls.available(), calls.available()] == [False, False]
    assert len(caught) == 1


def test_switched_off_it_says_nothing(monkeypatch):
    monkeypatch.setenv("FER_JAX_NATIVE", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not calls.available()


def test_one_that_cannot_be_kept_is_used_and_says_so(monkeypatch):
    try:
        there = library.library()
    except NativeError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(calls, "library", lambda: library.Loaded(there.library, "every process compiles"))
    with pytest.warns(UserWarning, match="every process compiles"):
        assert calls.available()

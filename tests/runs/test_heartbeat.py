"""A sign of life in every silence, with what is being done."""

import logging
import queue

import pytest

from repro.runs import heartbeat
from repro.runs.heartbeat import Heartbeat


@pytest.fixture
def said(monkeypatch):
    monkeypatch.setattr(heartbeat, "SILENCE_S", 0.02)
    return queue.Queue()


def test_it_says_what_is_being_done_again_and_again(said):
    with Heartbeat(said.put, "loading"):
        assert [said.get(timeout=30) for _ in range(2)] == ["loading (0 s)"] * 2
        logging.getLogger("fer_jax.train.engine").info("compiling")
        while (text := said.get(timeout=30)) == "loading (0 s)":
            pass
        assert text == "compiling (0 s)"
    while not said.empty():
        said.get()
    logging.getLogger("fer_jax.train.engine").info("training")
    with pytest.raises(queue.Empty):
        said.get(timeout=0.1)


def test_it_is_silent_while_a_run_is_under_way(said, monkeypatch):
    with Heartbeat(said.put, "loading") as beat:
        assert said.get(timeout=30) == "loading (0 s)"
        beat.under_way("training, epoch 2 of 5")
        while not said.empty():
            said.get()
        with pytest.raises(queue.Empty):
            said.get(timeout=0.2)
    assert not logging.getLogger("fer_jax").handlers and logging.getLogger("fer_jax").level == logging.NOTSET


def test_a_long_epoch_shows_a_sign_of_life(said, monkeypatch):
    monkeypatch.setattr(heartbeat, "LONG_SILENCE_S", 0.02)
    with Heartbeat(said.put, "loading") as beat:
        beat.under_way("training, epoch 2 of 5")
        while (text := said.get(timeout=30)) == "loading (0 s)":
            pass
        assert text == "training, epoch 2 of 5 (0 s)"

"""A sign of life in every silence, with what is being done."""

import logging
import queue
import re

import pytest

from repro.runs import heartbeat
from repro.runs.heartbeat import Heartbeat


class Said(queue.Queue[str]):
    """What was said, without the seconds, which are more than 0 on a busy machine."""

    def say(self, text: str) -> None:
        stage, seconds = re.fullmatch(r"(.+) \((\d+) s\)", text).groups()  # type: ignore[union-attr]
        assert int(seconds) < 60
        self.put(stage)


@pytest.fixture
def said(monkeypatch):
    monkeypatch.setattr(heartbeat, "SILENCE_S", 0.02)
    return Said()


def test_it_says_what_is_being_done_again_and_again(said):
    with Heartbeat(said.say, "loading"):
        assert [said.get(timeout=30) for _ in range(2)] == ["loading"] * 2
        logging.getLogger("fer_jax.train.engine").info("compiling")
        while (text := said.get(timeout=30)) == "loading":
            pass
        assert text == "compiling"
    while not said.empty():
        said.get()
    logging.getLogger("fer_jax.train.engine").info("training")
    with pytest.raises(queue.Empty):
        said.get(timeout=0.1)


def test_it_is_silent_while_a_run_is_under_way(said, monkeypatch):
    with Heartbeat(said.say, "loading") as beat:
        assert said.get(timeout=30) == "loading"
        beat.under_way("training, epoch 2 of 5")
        while not said.empty():
            said.get()
        with pytest.raises(queue.Empty):
            said.get(timeout=0.2)
    assert not logging.getLogger("fer_jax").handlers and logging.getLogger("fer_jax").level == logging.NOTSET


def test_a_long_epoch_shows_a_sign_of_life(said, monkeypatch):
    monkeypatch.setattr(heartbeat, "LONG_SILENCE_S", 0.02)
    with Heartbeat(said.say, "loading") as beat:
        beat.under_way("training, epoch 2 of 5")
        while (text := said.get(timeout=30)) == "loading":
            pass
        assert text == "training, epoch 2 of 5"

"""Errors about a network or predictions from elsewhere. Each message is one sentence for the user."""

from __future__ import annotations

from fer_jax.vocabulary.errors import UserError


class EvaluationError(UserError):
    """A network or a file of predictions cannot be evaluated. The message names the file and the remedy."""


def words_of(error: BaseException, longest: int = 300) -> str:
    """The first line of another library's error, for a message of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:longest]

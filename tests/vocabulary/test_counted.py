"""One face, two faces."""

from fer_jax.vocabulary.counted import counted


def test_counted() -> None:
    assert [counted(n, "face") for n in (0, 1, 2, 1000)] == ["0 faces", "1 face", "2 faces", "1,000 faces"]

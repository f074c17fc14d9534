"""docs/model-card.md: what was measured of the network that comes with the suite."""

from __future__ import annotations

from docs_scripts import load_script
from packed_networks import tiny_packed

generate = load_script("generate")


def test_the_card_is_current():
    text = generate.MODEL_CARD.read_text(encoding="utf-8")
    assert generate.model_card(text) == text, "run `python docs/generate.py`"


def test_it_says_what_the_file_holds(tmp_path, make_tiny_paper):
    from docs.model_card import NOTHING, card

    assert card(tmp_path, tmp_path / "none.npz") == NOTHING
    with tiny_packed(tmp_path, make_tiny_paper) as tiny:
        text = card(tiny.results, tiny.file)
        stored = tiny.about.stored["test"]
        assert f"| PrivateTest, each image once | {stored.n} | " in text
        assert f"{tiny.file.stat().st_size:,} bytes" in text and f"{tiny.about.temperature.value:.3f}, fitted" in text
        assert "was not evaluated yet" in text

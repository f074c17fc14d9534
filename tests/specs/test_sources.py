"""repro.specs.sources: the provenance of a whole table reaches what has none of its own, and nothing else."""

from __future__ import annotations

import pytest
from tiny_paper import TINY, edited

from repro.specs.decode import LoadedSpec, SpecError, load_spec

OWN = 'provenance = [{ kind = "assumed", reason = "invented" }]\n'
WHOLE = """
[model]
provenance = [
  { kind = "stated", of = ["conv1.filters", "conv1.kernel"], quote = "two filters", place = "Sec. 1" },
  { kind = "upstream", of = ["flatten1"], reason = "its code" },
  { kind = "inferred", reason = "the rest" },
]
layers = [{ layer = "conv", filters = 2, kernel = 3 }, { layer = "residual", body = [{ layer = "batch_norm" }] },
  { layer = "flatten" }, { layer = "dense", units = 7, provenance = [{ kind = "assumed", reason = "by itself" }] }]
"""


def load(tmp_path, text: str) -> LoadedSpec:
    path = tmp_path / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path)


def in_short(model: str = WHOLE) -> str:
    """The tiny paper with the network in short, and one provenance for all of [training]."""
    before, rest = TINY.split("[[model.layers]]", 1)
    training = rest[rest.index("[training]") :].split("[variants", 1)
    head, tail = training[0].replace(OWN, "", 1).replace(OWN, ""), training[1]
    whole = (
        'provenance = [{ kind = "inferred", of = ["loss.kind", "optimizer"], reason = "its log" }, '
        '{ kind = "assumed", reason = "silent" }]\n'
    )
    head = head.replace('evaluate = ["test"]\n', f'evaluate = ["test"]\n{whole}')
    tail = tail.replace('activation1.function" = "tanh', 'conv1.filters" = "3').replace('"3"', "3")
    return f"{before}{model}\n{head}[variants{tail}"


def kinds(paper: LoadedSpec, key: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(entry.kind, entry.of) for entry in paper.provenance[key]]


def test_parts_have_what_names_them_and_else_the_rest(tmp_path):
    paper = load(tmp_path, in_short())
    assert kinds(paper, "model.layers[0]") == [("stated", ("filters", "kernel")), ("inferred", ())]
    assert kinds(paper, "model.layers[1]") == [("inferred", ())]
    assert kinds(paper, "model.layers[1].body[0]") == [("inferred", ())], "a layer in a residual has the residual's"
    assert kinds(paper, "model.layers[2]") == [("upstream", ())]
    assert kinds(paper, "model.layers[3]") == [("assumed", ())], "its own"
    assert kinds(paper, "training") == kinds(paper, "training.schedule") == [("assumed", ())]
    assert kinds(paper, "training.optimizer") == [("inferred", ())]
    assert kinds(paper, "training.loss") == [("inferred", ("kind",)), ("assumed", ())]
    assert "model" not in paper.provenance


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('of = ["flatten1"]', 'of = ["flaten1"]', "model.provenance: `of` names 'flaten1'; accepted: conv1, residual1"),
        ('of = ["conv1.filters", "conv1.kernel"]', 'of = ["conv1.stirde"]', "`of` names 'stirde'; accepted: bias"),
        ('  { kind = "inferred", reason = "the rest" },\n', "", "model.layers[0]: no provenance for"),
        ('  { kind = "inferred", reason = "the rest" },\n', "", "model.layers[1]: no `provenance`"),
    ],
    ids=["a part", "a setting", "settings without any", "a part without any"],
)
def test_a_name_that_is_none_and_a_setting_without_a_source_are_mistakes(tmp_path, old, new, message):
    with pytest.raises(SpecError) as error:
        load(tmp_path, in_short(WHOLE.replace(old, new)))
    assert message in str(error.value)


def test_a_table_without_settings_has_none(tmp_path):
    with pytest.raises(SpecError, match="provenance belongs to settings only"):
        load(tmp_path, edited(('id = "tiny"\n', f'id = "tiny"\n{OWN}')))

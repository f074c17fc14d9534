"""repro.specs.provenance: a variant's settings have the variant's sources, the others keep the paper's."""

from __future__ import annotations

import pytest
from tiny_paper import load_tiny

from repro.specs.catalog import all_papers
from repro.specs.decode import LoadedSpec
from repro.specs.provenance import variant_sources

TANH = '"model.layers.activation1.function" = "tanh"'


def kinds(paper: LoadedSpec) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    return {key: [(e.kind, e.of) for e in entries] for key, entries in variant_sources(paper, "tanh").items()}


ASSUMED = [("assumed", ())]


def test_one_changed_setting(tmp_path):
    paper = load_tiny(
        tmp_path, (TANH, '"model.layers.conv1.filters" = 3, "training.loss.l2" = 0.1, "training.epochs" = 2')
    )
    found = kinds(paper)
    assert found["model.layers[0]"] == [("stated", ("filters",)), *ASSUMED]
    assert found["training.loss"] == [("stated", ("l2",)), *ASSUMED]
    assert found["training"] == [("stated", ("epochs",)), *ASSUMED]
    assert all(found[key] == ASSUMED for key in found if key not in {"model.layers[0]", "training.loss", "training"})


def test_the_old_source_of_a_changed_setting_goes(tmp_path):
    paper = load_tiny(
        tmp_path,
        (TANH, '"model.layers.conv1.kernel" = 5, "model.layers.conv1.kernel_init.kind" = "he_normal"'),
        (
            "kernel = 3\nprovenance = [",
            'kernel = 3\nkernel_init = { kind = "normal" }\nprovenance = '
            '[{ kind = "upstream", of = ["kernel"], reason = "x" }, '
            '{ kind = "inferred", of = ["kernel", "filters"], reason = "x" }, ',
        ),
    )
    assert kinds(paper)["model.layers[0]"] == [
        ("stated", ("kernel_init",)),
        ("stated", ("kernel",)),
        ("inferred", ("filters",)),
        *ASSUMED,
    ]


def test_a_replaced_list_and_a_replaced_table(tmp_path):
    change = (
        '"model.layers" = [{ layer = "flatten" }, { layer = "dense", units = 7 }], '
        '"training.optimizer" = { optimizer = "adam", learning_rate = 0.001 }'
    )
    found = kinds(load_tiny(tmp_path, (TANH, change)))
    layers = {key: value for key, value in found.items() if key.startswith("model.")}
    assert layers == {f"model.layers[{i}]": [("stated", ())] for i in range(2)}
    assert found["training.optimizer"] == [("stated", ())]
    assert found["training"] == found["training.loss"] == found["data.steps[0]"] == ASSUMED


@pytest.mark.parametrize("paper", all_papers(), ids=lambda p: p.id)
def test_every_table_of_every_variant_has_a_source(paper):
    for variant in paper.variant_names():
        spec = paper.resolve(variant)
        tables = {f"data.steps[{i}]" for i in range(len(spec.data.steps))}
        tables |= {f"model.layers[{i}]" for i in range(len(spec.model.layers))}
        tables |= {"training", "training.loss", "training.optimizer", "training.schedule"}
        sources = variant_sources(paper, variant)
        assert set(sources) == tables
        assert all(sources.values())

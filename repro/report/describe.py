"""Specs to be shown, and as JSON: `repro list` and `repro show`. No JAX here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.custom_layer import own_code, own_modules
from fer_jax.vocabulary.later_fields import counted_fields
from fer_jax.vocabulary.layers import every_layer, parameter_count, shapes_by_name
from fer_jax.vocabulary.settings import INNER_TABLES, Training, inner_tables
from fer_jax.vocabulary.split_plan import check_steps
from fer_jax.vocabulary.step_kinds import step_names
from repro.runs.plan import settings_sha256
from repro.specs.catalog import collection_of
from repro.specs.claim_tables import ClaimTable, Curve
from repro.specs.claims import Claim
from repro.specs.decode import DEFAULT_VARIANT, IMAGE_SIZE, LoadedSpec
from repro.specs.provenance import Sources, own_sources, variant_sources
from repro.specs.spec import PaperSpec, Provenance, Spec
from repro.specs.spec_checks import image_size
from repro.specs.stages import STAGES, missing_for, missing_tables
from repro.text.document import (
    Block,
    Cell,
    Column,
    Document,
    Items,
    Paragraph,
    Section,
    say,
    strong,
    table,
)
from repro.text.units import reported

MODELS = "Models that people use, after their programs; `repro run-all --collection models` trains them."

# --- list -----------------------------------------------------------------------------------------------------------


def paper_row(paper: LoadedSpec) -> dict[str, Any]:
    """One paper of `repro list --json`."""
    spec, main = paper.spec, paper.spec.headline
    return {
        "id": paper.id,
        "collection": collection_of(paper.id),
        "title": spec.paper.title,
        "authors": list(spec.paper.authors),
        "year": spec.paper.year,
        "reported": None if main is None else {"value": main.value, "unit": main.unit, "split": main.split},
        "flag": "" if main is None else main.flag,
        "claims": len(spec.claims),
        "curves": len(spec.curves),
        "tables": len(spec.tables),
        "variants": list(paper.variant_names()),
        "parameters": _parameters(spec)[0] if spec.model else None,
        "reaches": [stage.name for stage in STAGES if not missing_for(spec, stage)],
    }


def papers_to_show(papers: Iterable[LoadedSpec]) -> list[Block]:
    """`repro list`."""
    blocks: list[Block] = []
    headed = False
    for paper in papers:
        spec, main = paper.spec, paper.spec.headline
        if not headed and collection_of(paper.id) == "models":
            blocks.append(Paragraph(say(MODELS)))
            headed = True
        claim = f"reports {reported(main)} on {main.split}" if main else "no claims"
        flag = f" [{main.flag}]" if main and main.flag else ""
        year = f" ({spec.paper.year})" if spec.paper.year else ", undated"
        blocks += [
            Paragraph((strong(paper.id), f": {_authors(spec)}{year}: {claim}{flag}")),
            Items(
                (
                    spec.paper.title,
                    f"{_network_text(spec)}; variants: {', '.join(paper.variant_names())}",
                )
            ),
        ]
    hint = "`repro show PAPER` prints the settings and their sources; `repro run PAPER` trains the paper."
    return [*blocks, Paragraph(say(hint))]


def _network_text(spec: PaperSpec) -> str:
    missing = missing_tables(spec)
    gap = f"cannot be run: no {' and no '.join(f'[{name}]' for name in missing)}" if missing else ""
    return "; ".join(text for text in (counted(_parameters(spec)[0], "parameter") if spec.model else "", gap) if text)


def _authors(spec: PaperSpec) -> str:
    names = [author.split()[-1] for author in spec.paper.authors]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " & " + names[-1]


def _parameters(spec: PaperSpec) -> tuple[int, int]:
    """(all, trainable); of a spec without a network none."""
    size = image_size(spec)
    return parameter_count(spec.model.layers if spec.model else (), (size, size, 1))


# --- show -----------------------------------------------------------------------------------------------------------


def paper_document(paper: LoadedSpec, variant: str) -> dict[str, Any]:
    """`repro show --json`: the resolved spec, provenance by key path, and derived values."""
    spec = paper.settings(variant)
    splits = check_steps(spec.data.steps, IMAGE_SIZE)[0] if spec.data else ()
    size = image_size(spec)
    total, trainable = _parameters(spec)
    return {
        "variant": variant,
        "spec_sha256": settings_sha256(spec) if isinstance(spec, Spec) else None,
        "spec": msgspec.to_builtins(spec),
        "provenance": {key: msgspec.to_builtins(entries) for key, entries in variant_sources(paper, variant).items()},
        "splits": list(splits),
        "image_size": size,
        "parameters": total,
        "trainable_parameters": trainable,
    }


def paper_to_show(paper: LoadedSpec, variant: str) -> Document:
    """`repro show`: every setting with its source, every claim with its place."""
    spec = paper.settings(variant)
    about = spec.paper
    sources, own = variant_sources(paper, variant), ()
    where = (about.venue, about.doi and f"doi {about.doi}", about.url)
    blocks: list[Block] = [
        Paragraph(f"{', '.join(about.authors)}, {about.year or 'undated'}"),
        Items(tuple(text for text in where if text)),
        Paragraph(about.summary),
    ]
    if variant != DEFAULT_VARIANT:
        own = own_sources(paper, variant)
        stated = paper.provenance[f"variants.{variant}"]
        blocks += _with_sources(f"Variant {variant}: {spec.variants[variant].about}", stated, ())
    blocks += [Section("Data, in this order", tuple(_data_blocks(spec, sources, own)))] if spec.data else []
    blocks += [_network(spec, sources, own)] if spec.model else []
    blocks += [Section("Training", tuple(_training_blocks(spec.training, sources, own)))] if spec.training else []
    for title, items in (
        ("Variants", [f"{name}: {v.about}" for name, v in spec.variants.items()]),
        ("Claims", [_claim_text(claim) for claim in spec.claims]),
    ):
        blocks += [Section(f"{title} ({len(items)})", (Items(tuple(items)),))] if items else []
    if spec.curves:
        inside = tuple(block for curve in spec.curves for block in _curve_blocks(curve))
        blocks.append(Section(f"Curves ({len(spec.curves)})", inside))
    if spec.tables:
        inside = tuple(block for shown in spec.tables for block in _matrix_blocks(shown))
        blocks.append(Section(f"Confusion matrices ({len(spec.tables)})", inside))
    if spec.contradictions:
        blocks.append(Section("Contradictions", tuple(_contradiction_blocks(spec))))
    if spec.deviations:
        blocks.append(Section("Deviations", (Items(tuple(f"{d.about}: {d.reason}" for d in spec.deviations)),)))
    return Document(about.title, tuple(block for block in blocks if block not in (Items(()), Paragraph(""))))


def _with_sources(text: str, entries: tuple[Provenance, ...], own: tuple[Provenance, ...]) -> list[Block]:
    return [Paragraph(text), Items(tuple(_source_lines(entries, own)))]


def _data_blocks(spec: PaperSpec, sources: Sources, own: tuple[Provenance, ...]) -> Iterator[Block]:
    steps = spec.data.steps if spec.data else ()
    for index, (name, step) in enumerate(zip(step_names(steps), steps, strict=True)):
        yield from _with_sources(f"{name}: {settings_text(step)}", sources[f"data.steps[{index}]"], own)


def _training_blocks(training: Training, sources: Sources, own: tuple[Provenance, ...]) -> Iterator[Block]:
    inner = inner_tables(training)
    for key, struct in (("training", training), *((f"training.{name}", one) for name, one in inner.items())):
        label = f"{key.removeprefix('training.')} {struct.__struct_config__.tag or ''}".strip()
        yield from _with_sources(f"{label}: {settings_text(struct, leave=INNER_TABLES)}", sources[key], own)


def _network(spec: PaperSpec, sources: Sources, own: tuple[Provenance, ...]) -> Section:
    size = image_size(spec)
    shape: tuple[int, ...] = (size, size, 1)
    total, trainable = _parameters(spec)
    custom = own_modules(spec.model.layers if spec.model else ())
    least = "at least " if custom else ""
    title = f"Network: {least}{counted(total, 'parameter')}, {trainable:,} trainable; input {_shape(shape)}"
    layers = spec.model.layers if spec.model else ()
    blocks: list[Block] = [Paragraph(own_code(layer)) for layer in custom]
    shapes = shapes_by_name(layers, shape)
    for path, name, layer, _ in every_layer(layers):
        before, after = shapes[name]
        weights = layer.parameter_count(before)[0]
        count = f", {counted(weights, 'parameter')}" if weights else ""
        text = f"{name}: {settings_text(layer)} -> {_shape(after)}{count}"
        blocks += _with_sources(text, sources[f"model.layers{path}"], own)
    return Section(title, tuple(blocks))


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)


def _claim_text(claim: Claim) -> str:
    when = ""
    if claim.epoch is not None:
        when = f" epoch {claim.epoch}"
    elif claim.step is not None:
        when = f" step {claim.step}"
    name = f"top-{claim.k}" if claim.quantity == "top_k" else f"{claim.average} {claim.quantity}".strip()
    what = " ".join(part for part in (name, claim.split, claim.emotion, claim.device) if part)
    best = f", best of {claim.tries or 'several'}: {claim.selected_from}" if claim.selected_from else ""
    return f"{claim.id}: {what}{when} = {reported(claim)}{_variant(claim)}{best} ({claim.place}){_flag(claim)}"


def _curve_blocks(curve: Curve) -> list[Block]:
    about = f"{curve.quantity} {curve.split}, {len(curve.values)} points{_variant(curve)} ({curve.place}){_flag(curve)}"
    key = "epoch" if curve.epochs else "step"
    pairs = zip(curve.moments, curve.points, strict=True)
    points = "; ".join(f"{key} {when:,} {reported(point)}" for when, point in pairs)
    return [Paragraph(f"{curve.id}: {about}"), Items((points,))]


def _variant(one: Claim | Curve | ClaimTable) -> str:
    return f", variant {one.variant}" if one.variant != DEFAULT_VARIANT else ""


def _flag(one: Claim | Curve | ClaimTable) -> str:
    return f" [{one.flag}]" if one.flag else ""


def _matrix_blocks(shown: ClaimTable) -> list[Block]:
    """A printed confusion matrix: its cells, and the counts beside them."""
    of = f"{shown.unit} of {'all' if shown.of == 'all' else f'each {shown.of}'}"
    unit = "counts" if shown.unit == "rows" else of
    about = f"{shown.id}: {shown.split}, {unit}{_variant(shown)} ({shown.place}){_flag(shown)}"
    lists = {key: getattr(shown, key) for key in ("actual", "predicted", "true_positives") if getattr(shown, key)}
    heads = [*(f"as {name}" for name in (shown.classes if shown.cells else ())), *(k.replace("_", " ") for k in lists)]
    rows = [
        [
            name,
            *(Cell(f"{value:g}", value) for value in (shown.cells[i] if shown.cells else ())),
            *(Cell(f"{values[i]:,.0f}", values[i]) for values in lists.values()),
        ]
        for i, name in enumerate(shown.classes)
    ]
    return [Paragraph(about), table([Column("Emotion"), *(Column(head, "right") for head in heads)], rows)]


def _contradiction_blocks(spec: PaperSpec) -> Iterator[Block]:
    for item in spec.contradictions:
        yield Paragraph(f"{item.about}: {item.one!r} ({item.one_place}) against {item.other!r} ({item.other_place})")
        kept = f" The other runs as variant {item.variant}." if item.variant else ""
        yield Items((f"Chosen: {item.chosen}. {item.reason}{kept}",))


def settings_text(struct: Any, leave: tuple[str, ...] = ()) -> str:
    """Settings as `key value`, inner structs by their fields."""
    parts = []
    for name in counted_fields(struct):
        value = getattr(struct, name)
        if name in (*leave, *getattr(struct, "lists", ())) or value is None:
            continue
        parts.append(f"{name} {setting_value(value)}")
    return ", ".join(parts) or "no settings"


def setting_value(value: Any) -> str:
    """A setting's value as text."""
    if isinstance(value, msgspec.Struct):
        return f"({settings_text(value)})"
    if isinstance(value, tuple):
        return "[" + ", ".join(setting_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {setting_value(item)}" for key, item in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _source_lines(entries: tuple[Provenance, ...], own: tuple[Provenance, ...]) -> list[str]:
    """The sources of a table's settings, one line each, without those that the variant already listed at the top."""
    lines = []
    for entry in entries:
        of = f"{', '.join(entry.of)}: " if entry.of else ""
        if msgspec.structs.replace(entry, of=()) in own:
            line = f"{of}set by the variant"
        elif entry.kind == "stated":
            reason = f" ({entry.reason})" if entry.reason else ""
            line = f'{of}stated, {entry.place}: "{entry.quote}"{reason}'
        else:
            line = f"{of}{entry.kind}: {entry.reason}"
        if line not in lines:
            lines.append(line)
    return lines

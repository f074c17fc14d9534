"""Specs as terminal text and as JSON: `repro list` and `repro show`. No JAX here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import msgspec

from fer_jax.vocabulary.layers import Layer, layer_names, output_shapes, parameter_count
from fer_jax.vocabulary.step_kinds import check_steps, step_names
from repro.runs.plan import settings_sha256
from repro.specs.decode import DEFAULT_VARIANT, IMAGE_SIZE, LoadedSpec
from repro.specs.provenance import Sources, own_sources, variant_sources
from repro.specs.spec import Provenance, Spec
from repro.text.units import reported

WIDTH = 120  # of a line on a terminal

# --- list -----------------------------------------------------------------------------------------------------------


def paper_row(paper: LoadedSpec) -> dict[str, Any]:
    """One paper of `repro list --json`."""
    spec, main = paper.spec, paper.spec.headline
    return {
        "id": paper.id,
        "title": spec.paper.title,
        "authors": list(spec.paper.authors),
        "year": spec.paper.year,
        "reported": None if main is None else {"value": main.value, "unit": main.unit, "split": main.split},
        "flag": "" if main is None else main.flag,
        "claims": len(spec.claims),
        "curves": len(spec.curves),
        "tables": len(spec.tables),
        "variants": list(paper.variant_names()),
        "parameters": _parameters(spec)[0],
    }


def papers_table(papers: Iterable[LoadedSpec]) -> str:
    """`repro list`."""
    lines = []
    for paper in papers:
        spec, main = paper.spec, paper.spec.headline
        claim = f"reports {reported(main)} on {main.split}" if main else "no claims"
        flag = f"  [{main.flag}]" if main and main.flag else ""
        year = f" ({spec.paper.year})" if spec.paper.year else ", undated"
        lines.append(f"{paper.id:<12} {_authors(spec)}{year}: {claim}{flag}")
        lines.append(f"{'':<12} {spec.paper.title}")
        lines.append(f"{'':<12} {_parameters(spec)[0]:,} parameters; variants: {', '.join(paper.variant_names())}")
        lines.append("")
    lines.append("repro show PAPER tells the settings and where each comes from; repro run PAPER runs one.")
    return "\n".join(lines)


def _authors(spec: Spec) -> str:
    names = [author.split()[-1] for author in spec.paper.authors]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " & " + names[-1]


def _parameters(spec: Spec) -> tuple[int, int]:
    _, size = check_steps(spec.data.steps, IMAGE_SIZE)
    return parameter_count(spec.model.layers, (size, size, 1))


# --- show -----------------------------------------------------------------------------------------------------------


def paper_document(paper: LoadedSpec, variant: str) -> dict[str, Any]:
    """`repro show --json`: the resolved spec, provenance by key path, and derived values."""
    spec = paper.resolve(variant)
    splits, size = check_steps(spec.data.steps, IMAGE_SIZE)
    total, trainable = _parameters(spec)
    return {
        "variant": variant,
        "spec_sha256": settings_sha256(spec),
        "spec": msgspec.to_builtins(spec),
        "provenance": {key: msgspec.to_builtins(entries) for key, entries in variant_sources(paper, variant).items()},
        "splits": list(splits),
        "image_size": size,
        "parameters": total,
        "trainable_parameters": trainable,
    }


def paper_text(paper: LoadedSpec, variant: str) -> str:
    """`repro show`."""
    spec = paper.resolve(variant)
    about = spec.paper
    lines = [about.title, f"{', '.join(about.authors)}{f', {about.year}' if about.year else ', undated'}"]
    lines += [text for text in (about.venue, about.doi and f"doi {about.doi}", about.url) if text]
    lines += ["", about.summary.strip(), ""]
    sources, own = variant_sources(paper, variant), ()
    if variant != DEFAULT_VARIANT:
        own = own_sources(paper, variant)
        about_variant = paper.provenance[f"variants.{variant}"]
        lines += [f"Variant {variant}: {spec.variants[variant].about}", *_source_lines(about_variant, ()), ""]
    lines += ["Data, in this order:"]
    for index, (name, step) in enumerate(zip(step_names(spec.data.steps), spec.data.steps, strict=True)):
        lines += [f"  {name}: {settings_text(step)}", *_source_lines(sources[f"data.steps[{index}]"], own)]
    lines += ["", *_network_lines(spec, sources, own), "", "Training:"]
    training = spec.training
    for key, struct in (
        ("training", training),
        ("training.loss", training.loss),
        ("training.optimizer", training.optimizer),
        ("training.schedule", training.schedule),
    ):
        kind = struct.__struct_config__.tag or ""
        label = f"{key.removeprefix('training.')} {kind}".strip()
        lines += [
            f"  {label}: {settings_text(struct, leave=('loss', 'optimizer', 'schedule'))}",
            *_source_lines(sources[key], own),
        ]
    lines += ["", "Variants:"]
    lines += [f"  {name}: {v.about}" for name, v in spec.variants.items()]
    lines += ["", *_claim_lines(spec), *_curve_lines(spec), *_table_lines(spec), "", "Contradictions:"]
    for item in spec.contradictions:
        lines.append(f"  {item.about}: {item.one!r} ({item.one_place}) against {item.other!r} ({item.other_place})")
        kept = f"; the other runs as variant {item.variant}" if item.variant else ""
        lines.append(f"      chosen: {item.chosen}: {item.reason}{kept}")
    lines += ["", "Deviations:", *(f"  {d.about}: {d.reason}" for d in spec.deviations)]
    return "\n".join(lines)


def _network_lines(spec: Spec, sources: Sources, own: tuple[Provenance, ...]) -> list[str]:
    _, size = check_steps(spec.data.steps, IMAGE_SIZE)
    shape: tuple[int, ...] = (size, size, 1)
    total, trainable = _parameters(spec)
    lines = [f"Network: {total:,} parameters, {trainable:,} trainable; input {_shape(shape)}"]
    layers = spec.model.layers
    for index, (name, layer, after) in enumerate(
        zip(layer_names(layers), layers, output_shapes(layers, shape), strict=True)
    ):
        weights = _layer_parameters(layer, shape)
        count = f", {weights:,} parameters" if weights else ""
        lines += [
            f"  {name}: {settings_text(layer)} -> {_shape(after)}{count}",
            *_source_lines(sources[f"model.layers[{index}]"], own),
        ]
        shape = after
    return lines


def _layer_parameters(layer: Layer, before: tuple[int, ...]) -> int:
    return parameter_count((layer,), before)[0]


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)


def _claim_lines(spec: Spec) -> list[str]:
    lines = [f"Claims ({len(spec.claims)}):"]
    for claim in spec.claims:
        when = (
            f" epoch {claim.epoch}"
            if claim.epoch is not None
            else f" step {claim.step}"
            if claim.step is not None
            else ""
        )
        name = f"top-{claim.k}" if claim.quantity == "top_k" else f"{claim.average} {claim.quantity}".strip()
        what = " ".join(part for part in (name, claim.split, claim.emotion, claim.device) if part)
        best = f", best of {claim.tries or 'several'}: {claim.selected_from}" if claim.selected_from else ""
        where = f", variant {claim.variant}" if claim.variant != "default" else ""
        flag = f" [{claim.flag}]" if claim.flag else ""
        lines.append(f"  {claim.id}: {what}{when} = {reported(claim)}{where}{best} ({claim.place}){flag}")
    return lines


def _curve_lines(spec: Spec) -> list[str]:
    if not spec.curves:
        return []
    lines = ["", f"Curves ({len(spec.curves)}):"]
    for curve in spec.curves:
        key = "epoch" if curve.epochs else "step"
        where = f", variant {curve.variant}" if curve.variant != DEFAULT_VARIANT else ""
        flag = f" [{curve.flag}]" if curve.flag else ""
        lines.append(
            f"  {curve.id}: {curve.quantity} {curve.split}, {len(curve.values)} points{where} ({curve.place}){flag}"
        )
        shown = "; ".join(
            f"{key} {when:,} {reported(point)}" for when, point in zip(curve.moments, curve.points, strict=True)
        )
        lines += textwrap.wrap(shown, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def _table_lines(spec: Spec) -> list[str]:
    """Confusion matrices, one row per actual class."""
    if not spec.tables:
        return []
    lines = ["", f"Confusion matrices ({len(spec.tables)}):"]
    for table in spec.tables:
        where = f", variant {table.variant}" if table.variant != DEFAULT_VARIANT else ""
        unit = (
            "counts"
            if table.unit == "rows"
            else f"{table.unit} of {'all' if table.of == 'all' else f'each {table.of}'}"
        )
        flag = f" [{table.flag}]" if table.flag else ""
        lines.append(f"  {table.id}: {table.split}, {unit}{where} ({table.place}){flag}")
        lists = {key: getattr(table, key) for key in ("actual", "predicted", "true_positives") if getattr(table, key)}
        heads = [
            "",
            *(f"as {name}" for name in (table.classes if table.cells else ())),
            *(k.replace("_", " ") for k in lists),
        ]
        rows = [
            [
                name,
                *(f"{v:g}" for v in (table.cells[i] if table.cells else ())),
                *(f"{v[i]:,.0f}" for v in lists.values()),
            ]
            for i, name in enumerate(table.classes)
        ]
        widths = [max(len(row[k]) for row in [heads, *rows]) for k in range(len(heads))]
        for row in [heads, *rows]:
            lines.append(
                f"      {row[0]:<{widths[0]}}"
                + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))
            )
    return lines


def settings_text(struct: Any, leave: tuple[str, ...] = ()) -> str:
    """Settings as `key value`, inner structs by their fields."""
    parts = []
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if name in leave or value is None:
            continue
        parts.append(f"{name} {_value(value)}")
    return ", ".join(parts) or "no settings"


def _value(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return f"({settings_text(value)})"
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _source_lines(entries: tuple[Provenance, ...], own: tuple[Provenance, ...]) -> list[str]:
    """The sources of a table's settings, one line each, without those that the variant already listed at the top."""
    lines = []
    for entry in entries:
        of = f"{', '.join(entry.of)}: " if entry.of else ""
        if msgspec.structs.replace(entry, of=()) in own:
            line = f"      {of}set by the variant"
        elif entry.kind == "stated":
            reason = f" ({entry.reason})" if entry.reason else ""
            line = f'      {of}stated, {entry.place}: "{entry.quote}"{reason}'
        else:
            line = f"      {of}{entry.kind}: {entry.reason}"
        if line not in lines:
            lines.append(line)
    return lines

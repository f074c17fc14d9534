"""Checks of a spec beyond the types of its fields: sources for all settings, and steps, layers and training that fit.
No JAX here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fer_jax.vocabulary.custom_layer import NO_HASH, Custom, source_trouble
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.later_fields import counted_fields
from fer_jax.vocabulary.layers import LayerError, every_layer, output_shapes
from fer_jax.vocabulary.settings import INNER_TABLES, inner_tables
from fer_jax.vocabulary.split_plan import check_steps
from fer_jax.vocabulary.step_kinds import StepError
from repro.specs.accepted import keys_of
from repro.specs.mistakes import Mistake
from repro.specs.spec import PaperSpec, Provenance
from repro.specs.training_checks import training_mistakes

IMAGE_SIZE = 48  # FER-2013 (Goodfellow et al. 2013)
KINDS = (
    'provenance = [{ kind = "stated", quote = ..., place = ... }], or "upstream", "inferred", "assumed" with `reason`'
)


def image_size(spec: PaperSpec) -> int:
    """Pixels along a side of the network's input."""
    return IMAGE_SIZE if spec.data is None else check_steps(spec.data.steps, IMAGE_SIZE)[1]


def setting_structs(spec: PaperSpec, kept: Mapping[str, Sequence[int]] | None = None) -> dict[str, Any]:
    """Key path of each table that holds settings, with its struct. kept: the places in the file of the items of a list,
    if some could not be decoded."""
    kept = kept or {}
    tables: dict[str, Any] = {}
    for name, items in (
        ("data.steps", spec.data.steps if spec.data else ()),
        ("model.layers", spec.model.layers if spec.model else ()),
    ):
        places = kept.get(name, range(len(items)))
        tables |= {f"{name}[{place}]": item for place, item in zip(places, items, strict=True)}
        if name == "model.layers" and spec.model:
            for path, _, layer, _ in every_layer(spec.model.layers):
                top, dot, below = path.partition(".")
                tables[f"{name}[{places[int(top[1:-1])]}]{dot}{below}"] = layer
    if spec.training is not None:
        tables["training"] = spec.training
        tables |= {f"training.{name}": table for name, table in inner_tables(spec.training).items()}
    return tables | {f"variants.{name}": variant for name, variant in spec.variants.items()}


def layer_tables(spec: PaperSpec) -> list[str]:
    """The key paths of all layers, each before the layers that it holds."""
    return [f"model.layers{named.path}" for named in every_layer(spec.model.layers if spec.model else ())]


def provenance_mistakes(
    tables: Mapping[str, Any], provenance: Mapping[str, Sequence[Provenance]], damaged: frozenset[str] = frozenset()
) -> Iterator[Mistake]:
    """Every setting has a provenance, and nothing else has one. damaged: the keys at the top in which something could
    not be decoded; their provenance may be right."""
    for key in provenance:
        if key not in tables and key.partition(".")[0] not in damaged:
            yield Mistake(key, f"provenance belongs to settings only: {', '.join(tables)}")
    for key, struct in tables.items():
        yield from _sources(key, struct, provenance.get(key, ()))


def _sources(key: str, struct: Any, entries: Sequence[Provenance]) -> Iterator[Mistake]:
    if not entries:
        yield Mistake(key, f"no `provenance`; say where these settings come from: {KINDS}")
        return
    inner = INNER_TABLES if key == "training" else ()
    fields = set(counted_fields(struct)) - set(inner) - set(getattr(struct, "computed", ()))
    allowed = set(keys_of(struct)) - set(inner)
    named = {name for entry in entries for name in entry.of}
    for name in sorted(named - allowed):
        yield Mistake(f"{key}.provenance", f"`of` names {name!r}; accepted: {', '.join(sorted(allowed))}")
    if named <= allowed and all(entry.of for entry in entries) and fields - named:
        missing = ", ".join(sorted(fields - named))
        yield Mistake(key, f"no provenance for {missing}; add an entry (without `of`: all the rest)")


def fit_mistakes(spec: PaperSpec) -> Iterator[Mistake]:
    """Steps, layers and training fit each other, as far as the spec has them."""
    splits: tuple[str, ...] | None = None
    size = IMAGE_SIZE
    if spec.data is not None:
        try:
            splits, size = check_steps(spec.data.steps, IMAGE_SIZE)
        except StepError as error:
            yield Mistake(f"data.steps[{error.index}]", str(error))
            return
    if spec.model is not None:
        yield from _shapes(spec, size)
    if spec.training is not None:
        yield from training_mistakes(spec, splits)


def _shapes(spec: PaperSpec, size: int) -> Iterator[Mistake]:
    assert spec.model is not None
    for path, name, layer, _ in every_layer(spec.model.layers):
        # That a file has changed since is said by the run: a kept spec must be readable wherever its modules are.
        if isinstance(layer, Custom) and layer.sha256 == NO_HASH:
            key = f"model.layers{path}.sha256"
            yield Mistake(f"model.layers{path} ({name})", source_trouble(layer.module, layer.sha256), key=key)
    try:
        shapes = output_shapes(spec.model.layers, (size, size, 1))
    except LayerError as error:
        path = f"model.layers{error.path}"
        yield Mistake(f"{path} ({error.name})", str(error), key=path)
        return
    if shapes[-1] != (len(EMOTIONS),):
        yield Mistake(
            "model.layers",
            f"the network ends in shape {shapes[-1]}, but there are {len(EMOTIONS)} emotions: end it with a dense "
            f"layer of {len(EMOTIONS)} units",
        )

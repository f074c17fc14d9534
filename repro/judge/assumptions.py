"""The assumptions behind a verdict: sizes of the network and samples that the paper does not state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fer_jax.vocabulary.layers import class_layer, every_layer
from fer_jax.vocabulary.step_kinds import moved_rows
from repro.specs.accepted import keys_of
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec
from repro.specs.provenance import variant_sources
from repro.specs.spec import Claim, Provenance, Spec

SIZES = ("filters", "units", "kernel", "size")  # settings of a layer that change the number of its parameters
Sources = Mapping[str, Sequence[Provenance]]


def assumptions(claim: Claim, loaded: LoadedSpec) -> tuple[str, ...]:
    """In a few words each; empty if the paper states what counts."""
    spec, sources = loaded.resolve(claim.variant), _sources(loaded, claim.variant)
    found = []
    assumed, sizes = _assumed_sizes(spec, sources)
    if assumed:
        found.append(f"{'all' if assumed == sizes else f'{assumed} of {sizes}'} layer sizes")
    if claim.quantity == "accuracy" and _samples_assumed(claim.split, spec, sources):
        found.append("the evaluated samples")
    return tuple(found)


def _sources(loaded: LoadedSpec, variant: str) -> Sources:
    if variant != DEFAULT_VARIANT and f"variants.{variant}" not in loaded.provenance:
        return {}  # a spec that was made without sources
    return variant_sources(loaded, variant)


def _assumed_sizes(spec: Spec, sources: Sources) -> tuple[int, int]:
    """(assumed, all) sizes of the layers, without the number of classes."""
    layers = spec.model.layers
    classes = f"[{class_layer(layers)}]"
    assumed = total = 0
    for path, _, layer, _ in every_layer(layers):
        for key in keys_of(layer):
            if key in SIZES and not (key in ("units", "filters") and path == classes):
                total += 1
                assumed += _kind(key, sources.get(f"model.layers{path}", ())) == "assumed"
    return assumed, total


def _kind(key: str, entries: Sequence[Provenance]) -> str:
    """Where a setting comes from: the first entry that names it, else the first that names nothing."""
    named = [entry for entry in entries if key in entry.of] or [entry for entry in entries if not entry.of]
    return named[0].kind if named else ""


def _samples_assumed(split: str, spec: Spec, sources: Sources) -> bool:
    """Whether the last step that made the split rests on an assumption."""
    for index in reversed(range(len(spec.data.steps))):
        if split in moved_rows(spec.data.steps[index])[0]:
            return any(entry.kind == "assumed" for entry in sources.get(f"data.steps[{index}]", ()))
    return False

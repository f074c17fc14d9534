"""The number of parameters that the paper prints, against that of its network."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.layers import Conv, Dense, changed_layers, class_layer, parameter_count
from repro.forensics.case import Case
from repro.forensics.finding import Finding
from repro.forensics.granted import judge, layer_sizes, plain
from repro.forensics.printed import best, number, window
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim

PARAMETERS = "parameters of the network"
# Variables of the optimizer per trained parameter (momentum 1, Adam 2, AMSGrad 3), and additional single counters.
SLOTS = (1, 2, 3)
COUNTERS = range(4)
CLASSES = (2, 3, 4, 5, 6, 8, 10, 1000)


def check(case: Case) -> Iterator[Finding]:
    described = (claim for claim in case.of("parameters") if case.layers(claim.variant))
    for claim in described:
        yield _parameters(case, claim)


def _parameters(case: Case, claim: Claim) -> Finding:
    total, trainable = counts = _counts(case, claim.variant)
    shown = f"printed {number(claim.value)}; the network has {total:,}"
    if trainable != total:
        shown += f", {trainable:,} of them trainable"
    shown += "".join(
        f"; the reading {name} has {_counts(case, name)[0]:,}"
        for name in case.loaded.spec.variants
        if name in case.readings and _counts(case, name)[0] != total
    )
    premises = [layer_sizes(case, claim.variant)]
    fit = best([window(claim).fit(count) for count in counts])
    if fit != "no":
        outcome = "consistent" if fit == "rounded" else "cannot tell"
        meaning = "The network as it is described has the printed number of parameters."
        return plain(PARAMETERS, [claim], outcome, shown, meaning, premises)
    meaning = "The network that is described is not the one whose parameters were counted."
    explained = _explained(case, claim, total, trainable)
    return judge(case, PARAMETERS, [claim], shown, meaning, explained=explained, premises=premises)


def _explained(case: Case, claim: Claim, total: int, trainable: int) -> Explanations:
    explained: Explanations = {"two_things": ""}
    printed = window(claim)
    for slots in SLOTS:
        if any(printed.fit(total + slots * trainable + extra) != "no" for extra in COUNTERS):
            explained["optimizer_slots"] = f"{slots} per trained parameter"
    layers = case.layers(claim.variant)
    size = case.image_size(claim.variant)
    bare = changed_layers(layers, lambda x: msgspec.structs.replace(x, bias=False) if hasattr(x, "bias") else x)
    others = {"without biases": parameter_count(bare, (size, size, 1))}
    if isinstance(first := layers[0], Conv):
        colours = 2 * math.prod(first.kernel_shape(1))
        others["for colour images"] = (total + colours, trainable + colours)
    last = class_layer(layers)
    for classes in CLASSES if last is not None else ():
        assert last is not None
        key = "units" if isinstance(layers[last], Dense) else "filters"
        head = msgspec.structs.replace(layers[last], **{key: classes})
        changed = (*layers[:last], head, *layers[last + 1 :])
        others[f"with {counted(classes, 'class')}"] = parameter_count(changed, (size, size, 1))
    fitting = [name for name, counts in others.items() if best([printed.fit(n) for n in counts]) != "no"]
    if fitting:
        explained["other_summary"] = ", ".join(fitting)
    return explained


def _counts(case: Case, variant: str) -> tuple[int, int]:
    size = case.image_size(variant)
    return parameter_count(case.layers(variant), (size, size, 1))

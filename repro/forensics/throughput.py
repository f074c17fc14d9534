"""Times against the named hardware: the images/s and FLOP/s that a time implies, and the peak in hardware.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from fer_jax.vocabulary.layers import multiply_adds
from repro.forensics.case import Case, grouped
from repro.forensics.finding import Finding
from repro.forensics.granted import data_steps, judge, layer_sizes, plain
from repro.forensics.ratios import SECONDS
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim

THROUGHPUT = "images/s against the hardware"
# A training step computes the forward products and, in the backward pass, those for the gradients of the maps and of
# the weights: three times the forward pass (Amodei & Hernandez 2018, "AI and Compute", appendix).
PASSES = 3
_FILE = Path(__file__).with_name("hardware.toml")


class Hardware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Peak of single-precision products and sums, in FLOP/s, with its arithmetic and source. The claim's `hardware`
    must contain all `words`; only letters and digits count."""

    words: tuple[str, ...]
    peak_flops: float
    source: str


@cache
def known_hardware() -> tuple[Hardware, ...]:
    """The list in hardware.toml."""
    return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8"))["hardware"], tuple[Hardware, ...])


def check(case: Case) -> Iterator[Finding]:
    for claims in grouped(case.of("time"), lambda c: (c.variant, c.device, c.hardware)).values():
        rates = {claim: rate for claim in claims if (rate := _images_per_second(case, claim))}
        if rates and case.layers(claims[0].variant):
            yield _fastest(case, rates)


def flops_per_image(case: Case, variant: str) -> int:
    """Products and sums of the forward pass of one image; of convolutions and dense layers, which have nearly all."""
    layers, size = case.layers(variant), case.image_size(variant)
    return 2 * multiply_adds(layers, (size, size, 1))


def _images_per_second(case: Case, claim: Claim) -> float:
    """Images trained on per second; 0 if the spec does not say how many samples or epochs the time covers."""
    training = case.training(claim.variant)
    if training is None or (training.early_stopping is not None and claim.epoch is None):
        return 0.0
    train, epochs = case.samples(claim.variant).get("train"), claim.epoch or training.epochs
    seconds = claim.value * SECONDS[claim.unit]
    if epochs is not None and train is not None:
        images = epochs * train.total
    elif training.steps is not None:
        images = (training.steps if claim.step is None else claim.step) * training.batch_size
    else:
        images = 0
    return images / seconds if seconds > 0 else 0.0


def _fastest(case: Case, rates: dict[Claim, float]) -> Finding:
    """The highest implied rate on a machine, against the machine's peak."""
    claim = max(rates, key=lambda c: rates[c])
    flops = PASSES * flops_per_image(case, claim.variant) * rates[claim]
    shown = f"the fastest of {len(rates)}: {rates[claim]:,.0f} images/s, {flops / 1e9:,.3g} GFLOP/s"
    premises = (layer_sizes(case, claim.variant), *data_steps(case, claim.variant))
    hardware = find_hardware(claim.hardware)
    if hardware is None:
        shown += f"; the peak of {claim.hardware!r} is not known here" if claim.hardware else "; no hardware is named"
        return plain(THROUGHPUT, list(rates), "cannot tell", shown, "Nothing to compare with.", premises)
    share = flops / hardware.peak_flops
    shown += f", {100 * share:.2g} % of {hardware.peak_flops / 1e9:,.4g} ({hardware.source})"
    if share <= 1:
        return plain(THROUGHPUT, list(rates), "consistent", shown, "The hardware can do that.", premises)
    explained: Explanations = {"early_stopping": "", "other_machine": "", "other_samples": ""}
    return judge(
        case,
        THROUGHPUT,
        list(rates),
        shown,
        "The hardware cannot compute so fast.",
        explained=explained,
        premises=premises,
        always=("convolutions that take fewer operations (Winograd, FFT)",),
        about=[claim],
    )


def find_hardware(name: str) -> Hardware | None:
    """The known hardware whose words are all in `name`. Letters and digits count, so "GTX520" holds "520"."""
    words = re.findall(r"[a-z]+\d+[a-z]*|\d+[a-z]*|[a-z]+", name.lower())
    parts = set(words) | {part for word in words for part in re.findall(r"\d+[a-z]*|[a-z]+", word)}
    return next((hardware for hardware in known_hardware() if set(hardware.words) <= parts), None)

"""Workloads small enough to train in seconds: the papers' networks at reduced widths, and tiny ones."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from fer_jax.vocabulary.layers import Conv, Dense, Dropout, Layer
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Training
from repro.bench.workload import Workload, initial_variables
from repro.specs.catalog import find_paper
from repro.specs.spec import Spec

# With the size of the faces that each is given.
PAPERS = {"basani2017": 28, "chavan2020": 48, "onghena": 48, "teta2022": 48, "zhaqsylyq": 48}
SAMPLES = 200


def narrow(layers: tuple[Layer, ...], by: int = 8) -> tuple[Layer, ...]:
    """The same layers with an eighth of the filters and units; the classes stay."""
    last = max(i for i, layer in enumerate(layers) if isinstance(layer, Dense))
    found = []
    for i, layer in enumerate(layers):
        if isinstance(layer, Conv):
            layer = msgspec.structs.replace(layer, filters=max(layer.filters // by, 2))
        elif isinstance(layer, Dense) and i != last:
            layer = msgspec.structs.replace(layer, units=max(layer.units // by, 2))
        found.append(layer)
    return tuple(found)


def without_dropout(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return tuple(Dropout(rate=0.0) if isinstance(layer, Dropout) else layer for layer in layers)


def make(
    name: str,
    layers: tuple[Layer, ...],
    training: Training,
    size: int,
    *,
    samples: int = SAMPLES,
    seeds: int = 1,
    **more: Any,
) -> Workload:
    """Random faces: a pattern per emotion under noise."""
    random = np.random.default_rng(7)
    patterns = random.integers(0, 255, (7, size, size))
    labels = random.integers(0, 7, samples)
    images = np.clip(0.4 * patterns[labels] + random.normal(60, 60, (samples, size, size)), 0, 255).astype(np.uint8)
    network = Network(layers, training, size, **{"subtract": 8.0, "divide": 255.0, **more})
    variables = {seed: initial_variables(network, seed) for seed in range(seeds)}
    return Workload(name, network, images, labels.astype(np.int32), variables=variables)


def of_paper(paper: str, *, dropout: bool = True, **training: object) -> Workload:
    """A paper's network, narrow, with its loss and optimizer."""
    spec: Spec = find_paper(paper).resolve("default")
    layers = narrow(spec.model.layers)
    given = msgspec.structs.replace(spec.training, **training)
    return make(paper, layers if dropout else without_dropout(layers), given, PAPERS[paper])

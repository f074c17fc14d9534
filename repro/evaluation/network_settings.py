"""The settings of a network: what the user gives, else what its file says, else what is usual; each with its source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.evaluation.errors import EvaluationError
from repro.evaluation.label_order import checked_order
from repro.evaluation.models.opened import OpenedModel
from repro.evaluation.preprocessing import BYTE, Preprocessing, Source, from_shape

NORMALISATION = ("scale", "mean", "deviation")


@dataclass(frozen=True)
class NetworkSettings:
    """dtype: of what the network gets. sources: of each setting of `preprocessing`, and of `labels`."""

    preprocessing: Preprocessing
    labels: tuple[str, ...]
    sources: dict[str, Source]
    dtype: str

    def with_search(self, preprocessing: Preprocessing, labels: tuple[str, ...]) -> NetworkSettings:
        """What a search found; its sources become `search`."""
        changed = {
            name: "search"
            for name in preprocessing.__struct_fields__
            if getattr(preprocessing, name) != getattr(self.preprocessing, name)
        }
        looked_for = {name: "search" for name in (*NORMALISATION, "interpolation") if self.sources[name] == "assumed"}
        order = {"labels": "search"} if self.sources["labels"] != "given" else {}
        sources = {**self.sources, **looked_for, **changed, **order}
        return replace(self, preprocessing=preprocessing, labels=labels, sources=sources)


def network_settings(
    opened: OpenedModel, given: dict[str, Any], labels: tuple[str, ...] | None, where: str
) -> NetworkSettings:
    """given: settings of `Preprocessing` by name, from the user. labels: the order that the user gives.

    Raises EvaluationError for settings that do not go together or not with the network.
    """
    is_bytes = opened.dtype in ("uint8", "int8") and not set(NORMALISATION) & set(given)
    usual: dict[str, Any] = {"layout": opened.usual, "scale": 1.0 if is_bytes else BYTE}
    by_shape = {} if opened.dims is None else from_shape(opened.dims, opened.usual, where)
    sources: dict[str, Source] = dict.fromkeys(Preprocessing.__struct_fields__, "assumed")
    sources |= dict.fromkeys(by_shape, "shape")
    for name in given:
        if sources[name] == "shape" and name in ("height", "width", "channels") and given[name] != by_shape[name]:
            raise EvaluationError(f"{where}: takes a {name} of {by_shape[name]}, not {given[name]}")
        sources[name] = "given"
    try:
        preprocessing = Preprocessing(**{**usual, **by_shape, **given})
    except ValueError as error:
        raise EvaluationError(f"{where}: {error}") from None
    order, source = labels, "given"
    if order is None and opened.labels is not None:
        try:
            order, source = checked_order(opened.labels), "metadata"
        except EvaluationError as error:
            raise EvaluationError(f"{where}: the labels in its metadata: {error}; give the order by --labels") from None
    if order is None:
        order, source = EMOTIONS, "assumed"
    # A function that is given floating-point settings wants pixels changed by them.
    dtype = "float32" if opened.dtype == "uint8" and set(NORMALISATION) & set(given) else opened.dtype
    return NetworkSettings(preprocessing, order, {**sources, "labels": source}, dtype)  # pyright: ignore[reportArgumentType]


def changed(settings: Preprocessing, **values: Any) -> Preprocessing:
    return msgspec.structs.replace(settings, **values)

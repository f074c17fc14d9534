"""The schema of ``papers/<id>.toml``: what a paper says, decoded strictly into frozen structs. No JAX here.

Every table that holds settings may hold a list ``provenance``; it is taken out before decoding (``repro.specs.decode``)
and checked to cover every setting, so the structs of ``fer_jax`` stay free of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fer_jax.vocabulary.layers import Layer
from fer_jax.vocabulary.settings import Training
from fer_jax.vocabulary.step_kinds import Step
from repro.specs.claim_tables import ClaimTable, Curve
from repro.specs.claims import Claim, Quantity
from repro.specs.conventions import Convention
from repro.specs.leakage_sheet import LeakageSheet
from repro.specs.spec_struct import Name, NonEmpty, SpecStruct

__all__ = [
    "Claim",
    "ClaimTable",
    "Contradiction",
    "Curve",
    "Data",
    "Deviation",
    "Model",
    "Name",
    "NonEmpty",
    "Paper",
    "PaperSpec",
    "Provenance",
    "Quantity",
    "RuledOut",
    "Spec",
    "SpecStruct",
    "Variant",
]


class Provenance(SpecStruct, frozen=True, kw_only=True):
    """Where settings of a table come from. `of` lists the keys; an empty list means all that no other entry names.

    stated: the paper says so; needs `quote` (verbatim) and `place`.
    upstream: from the code the paper was built on; needs `reason`.
    inferred: follows from the paper's numbers; assumed: our choice if the paper is silent; both need `reason`.
    """

    kind: Literal["stated", "upstream", "inferred", "assumed"]
    of: tuple[str, ...] = ()
    quote: str = ""
    place: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.kind == "stated" and not (self.quote and self.place):
            raise ValueError("a `stated` provenance needs `quote` and `place`")
        if self.kind != "stated" and not self.reason:
            raise ValueError(f"a provenance of kind `{self.kind}` needs `reason`")


class Paper(SpecStruct, frozen=True, kw_only=True):
    """The paper. `source` is the name of the file that the quotes were taken from."""

    id: Name
    title: NonEmpty
    authors: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    year: int | None = None
    venue: str = ""
    doi: str = ""
    url: str = ""
    source: NonEmpty
    upstream: str = ""
    summary: NonEmpty


class Data(SpecStruct, frozen=True, kw_only=True):
    """The data protocol as published: ordered steps, because the order is what leaks."""

    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=200)]


class Model(SpecStruct, frozen=True, kw_only=True):
    """The network, input side first. Input is (height, width, 1) as the data steps leave it."""

    layers: Annotated[tuple[Layer, ...], msgspec.Meta(min_length=1, max_length=500)]


class Variant(SpecStruct, frozen=True, kw_only=True):
    """Another setting that the paper reports or contradicts itself with: dotted paths and their values.

    Layers and steps are addressed by name: ``model.layers.conv3.filters``, ``data.steps.split_fraction1.fraction``.
    """

    about: NonEmpty
    set: dict[str, object]


class Contradiction(SpecStruct, frozen=True, kw_only=True):
    """Two places of the paper that cannot both be right. `variant` keeps the one that was not chosen runnable."""

    about: NonEmpty
    one: NonEmpty
    one_place: NonEmpty
    other: NonEmpty
    other_place: NonEmpty
    chosen: NonEmpty
    reason: NonEmpty
    variant: str = ""


class RuledOut(SpecStruct, frozen=True, kw_only=True):
    """Conventions (`repro.specs.conventions`) that the paper itself rules out, with its words.

    claims: ids of the claims that the words are about; empty: all claims.
    """

    conventions: Annotated[tuple[Convention, ...], msgspec.Meta(min_length=1)]
    claims: tuple[Name, ...] = ()
    quote: NonEmpty
    place: NonEmpty


class Sweep(SpecStruct, frozen=True, kw_only=True):
    """A plot of the paper that compares settings, redrawn from runs of the variants that have these settings.

    figure: its number in the paper. settings: the label of each variant, `default` included, in the plot's order.
    beside: drawn next to the accuracy: the learning rate, or the loss.
    """

    figure: Annotated[int, msgspec.Meta(ge=1)]
    about: NonEmpty
    settings: Annotated[dict[Name, NonEmpty], msgspec.Meta(min_length=2)]
    beside: Literal["", "learning_rate", "loss"] = ""


class Deviation(SpecStruct, frozen=True, kw_only=True):
    """A difference between a run here and the paper, and the reason."""

    about: NonEmpty
    reason: NonEmpty


class PaperSpec(SpecStruct, frozen=True, kw_only=True):
    """One paper, as far as its file describes it: the data steps, the network or its training may be missing."""

    format: Literal[1]
    paper: Paper
    data: Data | None = None
    model: Model | None = None
    training: Training | None = None
    # Bounds on what a stranger's file can cost: every variant is decoded, and claims are compared in pairs.
    variants: Annotated[dict[Name, Variant], msgspec.Meta(max_length=300)] = msgspec.field(default_factory=dict)
    claims: Annotated[tuple[Claim, ...], msgspec.Meta(max_length=1000)] = ()
    curves: tuple[Curve, ...] = ()
    tables: tuple[ClaimTable, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    leakage: LeakageSheet | None = None

    @property
    def headline(self) -> Claim | None:
        """The paper's main number; None if it claims none."""
        return next((claim for claim in self.claims if claim.headline), None)

    @property
    def single_claims(self) -> tuple[Claim, ...]:
        """Numbers that are judged one by one: the claims, and the counts per class of the tables."""
        return (*self.claims, *(claim for table in self.tables for claim in table.margins))

    @property
    def all_claims(self) -> tuple[Claim, ...]:
        """Every number of the paper as a claim: the single ones, the points of curves and the cells of tables.

        For arithmetic on the numbers themselves. A verdict on each point of a curve would count the curve many times.
        """
        points = (claim for curve in self.curves for claim in curve.points)
        cells = (claim for table in self.tables for claim in table.cell_claims)
        return (*self.single_claims, *points, *cells)

    @property
    def passages(self) -> tuple[Claim, ...]:
        """Everything that a finding can name: all claims, and one for each table as a whole."""
        return (*self.all_claims, *(table.as_claim for table in self.tables))


class Spec(PaperSpec, frozen=True, kw_only=True):
    """One paper that can be run: with data steps, network and training."""

    data: Data  # pyright: ignore[reportGeneralTypeIssues]
    model: Model  # pyright: ignore[reportGeneralTypeIssues]
    training: Training  # pyright: ignore[reportGeneralTypeIssues]

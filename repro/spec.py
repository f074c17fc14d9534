"""The schema of ``papers/<id>.toml``: what a document says, decoded strictly into frozen structs. No JAX here.

Every table that holds settings may hold a list ``provenance``; it is taken out before decoding (``repro.decode``) and
checked to cover every setting, so the structs of ``fer_jax`` stay free of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fer_jax.layers import Layer
from fer_jax.settings import Training
from fer_jax.step_kinds import Step
from repro.leakage_sheet import LeakageSheet


class SpecStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all tables of a spec share."""


NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Provenance(SpecStruct, frozen=True, kw_only=True):
    """Where settings of a table come from. `of` lists the keys; an empty list means all that no other entry names.

    stated: the document says so; needs `quote` (verbatim) and `place`.
    upstream: from the code the document was built on; needs `reason`.
    inferred: follows from the document's numbers; assumed: our choice where the document is silent; both need `reason`.
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
    """The document. `source` is the name of the file that the quotes were taken from."""

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

    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]


class Model(SpecStruct, frozen=True, kw_only=True):
    """The network, input side first. Input is (height, width, 1) as the data steps leave it."""

    layers: Annotated[tuple[Layer, ...], msgspec.Meta(min_length=1)]


class Variant(SpecStruct, frozen=True, kw_only=True):
    """Another setting that the document reports or contradicts itself with: dotted paths and their values.

    Layers and steps are addressed by name: ``model.layers.conv3.filters``, ``data.steps.split_fraction1.fraction``.
    """

    about: NonEmpty
    set: dict[str, object]


Quantity = Literal[
    "accuracy",  # fraction of rows whose most probable class is the label
    "loss",  # as the document's tool printed it
    "time",  # wall time of training
    "speedup",  # ratio of two times
    "rows",  # rows of a split, or of one emotion in it
    "predicted_rows",  # rows of a split that were predicted as `emotion`
    "true_positives",  # rows of `emotion` that were predicted as such
    "pixel_mean",  # over all normalised pixels of a split
    "pixel_std",
    "parameters",
    "steps",  # batches of one pass over a split, as a progress line prints them
    "least_loss",  # the epoch or step at which the loss on `split` is said to be least
    "setting",  # a setting of the network or the training that the document states; `setting` says which
    "other",  # a number that no run can measure; `not_measured` says why
]

# The units in which a quantity can be compared with a run; `other` may have any.
UNITS: dict[str, tuple[str, ...]] = {
    "accuracy": ("fraction",),
    "loss": ("nat",),
    "time": ("s", "min", "h"),
    "speedup": ("1",),
    "rows": ("rows",),
    "predicted_rows": ("rows",),
    "true_positives": ("rows",),
    "pixel_mean": ("1",),
    "pixel_std": ("1",),
    "parameters": ("1",),
    "steps": ("step",),
    "least_loss": ("step", "epoch"),
}
SIGNED = ("pixel_mean", "setting", "other")  # quantities that may be negative
# Not measured by runs: for arithmetic among the document's own numbers (`repro forensics`), or for the reader alone.
STATED_ONLY = ("steps", "least_loss", "setting", "other")


class Claim(SpecStruct, frozen=True, kw_only=True):
    """One number that the document reports.

    value, unit: as printed; a percentage is stored as a fraction (0.61, unit "fraction"). `resolution` is the worth of
        the last printed digit in that unit (61 % -> 0.01), so that rounding can be told from disagreement.
    split: the document's split, one of the spec's splits; "train" for accuracy and loss is the running mean over the
        epoch, "minibatch" the batch of the last step.
    variant, epoch, step: the run that measures it; without epoch and step: the reported end of the run.
    tolerance: how far one new run may lie off and still count as the same result, in `unit`; fixed before any run.
    setting: of quantity "setting": which one, as a dotted path (as in `variants`) or in words; two claims with the same
        `setting` and different values are a contradiction.
    actual: of quantity "predicted_rows", one cell of a confusion matrix: rows of this emotion that were predicted as
        `emotion`.
    batch_size: of quantity "steps": rows of a step, where they are not training.batch_size.
    headline: the document's main figure, shown in the main table. Exactly one claim of a spec has it.
    not_measured: why no run can measure it (then `variant`, `split` only describe it).
    flag: a visible warning on this number, with `flag_reason`.
    """

    id: Name
    quantity: Quantity
    value: float
    unit: NonEmpty
    resolution: float = 0.0
    split: str = ""
    variant: str = "default"
    epoch: int | None = None
    step: int | None = None
    emotion: str = ""
    actual: str = ""
    setting: str = ""
    batch_size: Annotated[int, msgspec.Meta(ge=1)] | None = None
    device: Literal["", "cpu", "gpu"] = ""
    hardware: str = ""
    quote: NonEmpty
    place: NonEmpty
    tolerance: float | None = None
    headline: bool = False
    not_measured: str = ""
    note: str = ""
    flag: str = ""
    flag_reason: str = ""

    def __post_init__(self) -> None:
        if self.quantity in STATED_ONLY and not self.not_measured:
            raise ValueError(f"a claim of quantity `{self.quantity}` needs `not_measured`: why no run measures it")
        if self.actual and not (self.quantity == "predicted_rows" and self.not_measured):
            raise ValueError("`actual` makes a cell of a confusion matrix: quantity `predicted_rows`, `not_measured`")
        if self.quantity == "steps" and not (self.split and self.value >= 1 and self.value == int(self.value)):
            raise ValueError("a claim of quantity `steps` needs a `split` and a whole number of steps")
        for key, quantity in (("setting", "setting"), ("batch_size", "steps")):
            if getattr(self, key) and self.quantity != quantity:
                raise ValueError(f"`{key}` belongs to claims of quantity `{quantity}`")
        if self.quantity == "setting" and not self.setting:
            raise ValueError("a claim of quantity `setting` needs `setting`: which one")
        accepted = UNITS.get(self.quantity, (self.unit,))
        if self.unit not in accepted:
            raise ValueError(
                f"a claim of quantity `{self.quantity}` has unit {' or '.join(accepted)}, not {self.unit!r}"
            )
        if self.quantity == "accuracy" and not 0 <= self.value <= 1:
            raise ValueError(f"an accuracy is a fraction from 0 to 1, not {self.value}: 61 % is 0.61")
        if self.quantity not in SIGNED and self.value < 0:
            raise ValueError(f"a claim of quantity `{self.quantity}` is never negative, as {self.value} is")
        if bool(self.flag) != bool(self.flag_reason):
            raise ValueError("`flag` and `flag_reason` go together")
        if self.headline and self.tolerance is None:
            raise ValueError("the headline claim needs a `tolerance`")


class Contradiction(SpecStruct, frozen=True, kw_only=True):
    """Two places of the document that cannot both be right. `variant` keeps the one that was not chosen runnable."""

    about: NonEmpty
    one: NonEmpty
    one_place: NonEmpty
    other: NonEmpty
    other_place: NonEmpty
    chosen: NonEmpty
    reason: NonEmpty
    variant: str = ""


class Deviation(SpecStruct, frozen=True, kw_only=True):
    """What a run here does otherwise than the document, and why."""

    about: NonEmpty
    reason: NonEmpty


class Spec(SpecStruct, frozen=True, kw_only=True):
    """One document."""

    format: Literal[1]
    paper: Paper
    data: Data
    model: Model
    training: Training
    variants: dict[Name, Variant] = {}
    claims: tuple[Claim, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    leakage: LeakageSheet | None = None

    @property
    def headline(self) -> Claim | None:
        """The document's main figure; None where it claims none."""
        return next((claim for claim in self.claims if claim.headline), None)

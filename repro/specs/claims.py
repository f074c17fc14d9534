"""One number that a paper reports: the table ``[[claims]]`` of a spec."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from repro.specs.spec_struct import Name, NonEmpty, SpecStruct

Quantity = Literal[
    "accuracy",  # fraction of samples whose most probable class is the label; with `emotion`: the recall of it
    "balanced_accuracy",  # mean of the recalls of all classes (Brodersen et al. 2010; scikit-learn's definition)
    "precision",  # of `emotion`, or as `average`
    "recall",
    "f1",
    "top_k",  # fraction of samples whose label is among the `k` most probable classes
    "auc",  # area under the ROC curve of `emotion` against the rest, or as `average` of these
    "rank",  # place of `emotion` among the emotions ordered by their `by`, 1 = the highest
    "loss",  # as the paper's tool printed it
    "time",  # wall time of training
    "speedup",  # ratio of two times
    "rows",  # samples of a split, or of one emotion in it
    "predicted_rows",  # samples of a split that were predicted as `emotion`; with `actual`: one cell of the matrix
    "true_positives",  # samples of `emotion` that were predicted as such
    "pixel_mean",  # over all normalised pixels of a split
    "pixel_std",
    "parameters",
    "steps",  # batches of one pass over a split, as a progress line prints them
    "least_loss",  # the epoch or step at which the loss on `split` is said to be least
    "setting",  # a setting of the network or the training that the paper states; `setting` says which
    "other",  # a number that no run can measure; `not_measured` says why
]
Average = Literal["", "macro", "weighted", "micro"]

# The units in which a quantity can be compared with a run; `other` may have any.
UNITS: dict[str, tuple[str, ...]] = {
    "accuracy": ("fraction",),
    "balanced_accuracy": ("fraction",),
    "precision": ("fraction",),
    "recall": ("fraction",),
    "f1": ("fraction",),
    "top_k": ("fraction",),
    "auc": ("fraction",),
    "rank": ("rank",),
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
# Not measured by runs: for arithmetic among the paper's own numbers (`repro forensics`), or only for the reader.
STATED_ONLY = ("steps", "least_loss", "setting", "other")
# Quantities that need one emotion or an average over emotions.
PER_CLASS = ("precision", "recall", "f1", "auc")
# Counts that are printed in full: nothing is rounded away unless `resolution` is above 1.
COUNTS = ("rows", "predicted_rows", "true_positives", "parameters", "steps", "rank")
# Fractions that a run computes from its confusion matrix or its probabilities, beside `accuracy`.
CLASS_MEASURES = ("balanced_accuracy", *PER_CLASS, "top_k", "rank")


class Claim(SpecStruct, frozen=True, kw_only=True):
    """One number that the paper reports.

    value, unit: as printed, but a percentage is stored as a fraction (0.61, unit "fraction"). `resolution` is the worth
        of the last printed digit in that unit (61 % -> 0.01), so that rounding does not count as disagreement.
    split: the paper's split, one of the spec's splits; "train" for accuracy and loss is the running mean over the
        epoch, "minibatch" the batch of the last step.
    evaluated: of "train": no running mean, but an evaluation of all training samples after training, without dropout.
    variant, epoch, step: the run that measures it; without epoch and step: the reported end of the run.
    emotion: of counts, of "accuracy" (its recall), "rank" and PER_CLASS quantities.
    average: of PER_CLASS quantities without `emotion`: "macro" the plain mean over emotions, "weighted" by their
        samples, "micro" over all samples pooled.
    k: of "top_k". by: of "rank": what orders the emotions; "false_positives" are the samples of other emotions that are
        predicted as this one. A value between two places means either ("first or second" is 1.5, tolerance 0.5).
    tolerance: how far one new run may differ and still count as the same result, in `unit`; fixed before any run.
    selected_from: what the number was selected from, in words ("a sweep over filters"); tries: its size, if the paper
        states it. The best of many runs is above a typical one.
    of_rows: of "predicted_rows" and "true_positives": the number of samples that the paper counts among. A run that
        evaluates another number of samples is compared by its share.
    setting: of quantity "setting": which one, as a dotted path (as in `variants`) or in words; two claims with the same
        `setting` are compared: different values are a contradiction if the paper's words make them the same thing.
    actual: of quantity "predicted_rows", one cell of a confusion matrix: samples of this emotion that were predicted as
        `emotion`. A whole matrix is better written as a table (`repro.specs.claim_tables.ClaimTable`).
    batch_size: of quantity "steps": samples of a step, if they differ from training.batch_size.
    headline: the paper's main number, shown in the main table. Exactly one claim of a spec has it.
    not_measured: why no run can measure it (then `variant`, `split` only describe it).
    flag: a visible warning on this number, with `flag_reason`.
    unlabelled: what the paper does not say about this number, so that its split, epoch or run is our reading. Such a
        claim never contradicts another claim.

    Raises ValueError for keys that do not go together and for a value that the quantity cannot have.
    """

    id: Name
    quantity: Quantity
    value: float
    unit: NonEmpty
    resolution: float = 0.0
    split: str = ""
    evaluated: bool = False
    variant: str = "default"
    epoch: int | None = None
    step: int | None = None
    emotion: str = ""
    average: Average = ""
    k: Annotated[int, msgspec.Meta(ge=1)] | None = None
    by: Literal["recall", "precision", "f1", "false_positives"] = "recall"
    actual: str = ""
    of_rows: Annotated[int, msgspec.Meta(ge=1)] | None = None
    setting: str = ""
    batch_size: Annotated[int, msgspec.Meta(ge=1)] | None = None
    device: Literal["", "cpu", "gpu"] = ""
    hardware: str = ""
    quote: NonEmpty
    place: NonEmpty
    tolerance: float | None = None
    selected_from: str = ""
    tries: Annotated[int, msgspec.Meta(ge=1)] | None = None
    headline: bool = False
    not_measured: str = ""
    note: str = ""
    flag: str = ""
    flag_reason: str = ""
    unlabelled: str = ""

    def __post_init__(self) -> None:
        if self.quantity in STATED_ONLY and not self.not_measured:
            raise ValueError(f"a claim of quantity `{self.quantity}` needs `not_measured`: why no run measures it")
        if self.quantity == "steps" and not (self.split and self.value >= 1 and self.value == int(self.value)):
            raise ValueError("a claim of quantity `steps` needs a `split` and a whole number of steps")
        self._check_keys_of_quantities()
        check_value(self.quantity, self.value, self.unit, f"a claim of quantity `{self.quantity}`")
        if self.quantity == "rank" and not 1 <= self.value <= 7:
            raise ValueError(f"a rank among seven emotions is 1 to 7, not {self.value:g}")
        if self.tries is not None and not self.selected_from:
            raise ValueError("`tries` needs `selected_from`: what the number is the best of")
        if bool(self.flag) != bool(self.flag_reason):
            raise ValueError("`flag` and `flag_reason` go together")
        if self.headline and self.tolerance is None:
            raise ValueError("the headline claim needs a `tolerance`")
        exact = self.quantity in COUNTS and self.resolution <= 1
        check_tolerance(self.tolerance, 0.0 if exact else self.resolution)

    def _check_keys_of_quantities(self) -> None:
        """Keys that belong to some quantities only, and those that these quantities need."""
        owners = {
            "actual": ("predicted_rows",),
            "of_rows": ("predicted_rows", "true_positives"),
            "setting": ("setting",),
            "batch_size": ("steps",),
            "average": PER_CLASS,
            "k": ("top_k",),
        }
        for key, quantities in owners.items():
            if getattr(self, key) and self.quantity not in quantities:
                raise ValueError(f"`{key}` belongs to claims of quantity {' or '.join(f'`{q}`' for q in quantities)}")
        if self.evaluated:
            self._check_evaluated()
        if self.by != "recall" and self.quantity != "rank":
            raise ValueError("`by` belongs to claims of quantity `rank`")
        if self.quantity == "setting" and not self.setting:
            raise ValueError("a claim of quantity `setting` needs `setting`: which one")
        if self.actual and not self.emotion:
            raise ValueError("a claim with `actual` is a cell of a confusion matrix: it needs `emotion`, the column")
        if self.quantity in PER_CLASS and bool(self.emotion) == bool(self.average):
            raise ValueError(f"a claim of quantity `{self.quantity}` needs either `emotion` or `average`")
        if self.quantity == "rank" and not self.emotion:
            raise ValueError("a claim of quantity `rank` needs `emotion`: whose place it is")
        if self.quantity == "top_k" and self.k is None:
            raise ValueError("a claim of quantity `top_k` needs `k`: among how many classes the label is looked for")
        if self.quantity in ("top_k", "balanced_accuracy") and self.emotion:
            raise ValueError(f"`emotion` does not belong to a claim of quantity `{self.quantity}`")
        if self.quantity in CLASS_MEASURES and not (self.split or self.not_measured):
            raise ValueError(f"a claim of quantity `{self.quantity}` needs `split`: of which samples it is")

    def _check_evaluated(self) -> None:
        if self.split != "train" or self.quantity not in ("accuracy", "loss"):
            raise ValueError(
                "`evaluated` belongs to an accuracy or a loss of split `train`; all others are evaluations"
            )
        if self.epoch is not None or self.step is not None:
            raise ValueError("a run evaluates its training samples only at its end: `evaluated` has no epoch or step")


def check_value(quantity: str, value: float, unit: str, what: str) -> None:
    """Raises ValueError for a unit that the quantity does not have and a value outside its range."""
    accepted = UNITS.get(quantity, (unit,))
    if unit not in accepted:
        raise ValueError(f"{what} has unit {' or '.join(accepted)}, not {unit!r}")
    if accepted == ("fraction",) and not 0 <= value <= 1:
        name = "F1" if quantity == "f1" else quantity.replace("_", " ")
        article = "an" if name[0] in "aeiouF" else "a"
        raise ValueError(f"{article} {name} is a fraction from 0 to 1, not {value}: 61 % is 0.61")
    if quantity not in SIGNED and value < 0:
        raise ValueError(f"{what} is never negative, as {value} is")


def check_tolerance(tolerance: float | None, resolution: float) -> None:
    """Raises ValueError for a tolerance that no value printed at this resolution can meet."""
    if tolerance is None:
        return
    if tolerance < 0:
        raise ValueError(f"a `tolerance` is never negative, as {tolerance:g} is")
    if tolerance < resolution / 2 * (1 - 1e-9):
        raise ValueError(
            f"`tolerance` {tolerance:g} is below half the `resolution` {resolution:g}: the printed number itself may "
            f"be off by {resolution / 2:g}"
        )

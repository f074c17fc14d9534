"""What is decided: one claim, measured by runs of one variant under one protocol."""

from __future__ import annotations

from dataclasses import dataclass

from fer_jax.vocabulary.settings import Precision
from repro.judge.measured import figure, metrics_of
from repro.runs.plan import RunPlan, make_plan
from repro.runs.records import Overrides, RunRecord
from repro.specs.decode import LoadedSpec, SpecError
from repro.specs.protocols import AS_PUBLISHED, REPORTED_SPLIT
from repro.specs.spec import Claim

_HELD_IN = ("train", "minibatch")  # values on samples that were trained on


@dataclass(frozen=True)
class Question:
    """Does a run of `variant` under `protocol` give the value of `claim`?"""

    loaded: LoadedSpec
    variant: str
    protocol: str
    claim: Claim
    precision: Precision | None = None
    keep_going: bool = False

    @property
    def paper(self) -> str:
        return self.loaded.id

    @property
    def name(self) -> str:
        """The run's name in progress lines: paper, variant and protocol, unless it is as published."""
        return f"{self.paper} {self.variant}" + ("" if self.protocol == AS_PUBLISHED else f" {self.protocol}")

    def plan(self, seed: int) -> RunPlan:
        return make_plan(
            self.loaded,
            variant=self.variant,
            seed=seed,
            overrides=Overrides(),
            protocol=self.protocol,
            precision=self.precision,
            keep_going=self.keep_going,
        )

    def value(self, record: RunRecord) -> float | None:
        """The value that a run measured, in the claim's unit; None if its record lacks it.

        As published: at the claim's split, epoch and step. Under another protocol: the accuracy or loss that the
        protocol reports, at the end of the run.
        """
        if self.protocol == AS_PUBLISHED:
            metrics = metrics_of(self.claim, record)
        else:
            metrics = record.metrics.get(REPORTED_SPLIT)
        return None if metrics is None else figure(self.claim, metrics)


def question_of(
    loaded: LoadedSpec,
    variant: str,
    protocol: str,
    *,
    precision: Precision | None = None,
    keep_going: bool = False,
) -> Question:
    """The question that `--until-decided` asks of a variant under a protocol.

    It is about the headline claim. A variant other than the headline's may have accuracy claims: the question is then
    about the first that is measured at the end of the run. Without a tolerance, such a claim can be found to differ,
    never to be the same. A variant without accuracy claims is another reading of the headline.

    Raises SpecError if there is no such claim, or if a protocol without overlap is asked for a value on training
    samples.
    """
    headline = loaded.spec.headline
    own = [claim for claim in loaded.spec.claims if claim.variant == variant and _at_end(claim)]
    claim = own[0] if own and (headline is None or headline.variant != variant) else headline
    if claim is None or not _is_measured(claim):
        raise SpecError(
            f"{loaded.path}: claims: --until-decided needs an accuracy or a loss that runs measure; variant {variant} "
            "has none, and neither has the claim with `headline = true`"
        )
    if protocol != AS_PUBLISHED and claim.split in _HELD_IN:
        raise SpecError(
            f"{loaded.path}: claims ({claim.id}): a figure of the samples that were trained on "
            f"(split {claim.split!r}); protocol {protocol} only measures samples that were held out"
        )
    return Question(loaded, variant, protocol, claim, precision, keep_going)


def _at_end(claim: Claim) -> bool:
    whole = claim.quantity == "accuracy" and not claim.emotion
    return whole and claim.epoch is None and claim.step is None and _is_measured(claim)


def _is_measured(claim: Claim) -> bool:
    return claim.quantity in ("accuracy", "loss") and not claim.not_measured

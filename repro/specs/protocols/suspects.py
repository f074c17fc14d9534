"""Protocol errors that can raise a reported number. Each is added alone to an otherwise clean protocol to measure its
effect. Duplicates are removed wherever they could help too, unless the error makes that pointless.

They are the errors that the literature on leakage names most often (Kapoor & Narayanan 2023, Patterns 4(9) 100804: L1.1
no test set, L1.2 pre-processing of training and test set together, L1.4 duplicates).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from fer_jax.vocabulary.step_kinds import (
    AugmentCopies,
    CopySplit,
    DropRepeats,
    RepeatClass,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    Step,
)
from repro.specs.protocols.corrected import CLEAN, corrected_spec, training_steps, with_steps
from repro.specs.spec import Spec

SUSPECT_PREFIX = "suspect-"
EVALUATED_ON_TRAINING = "suspect-evaluated-on-training-rows"
TRAINED_ON_ALL = "suspect-trained-on-all-parts"
OVERSAMPLED_BEFORE_SPLIT = "suspect-oversampled-before-split"
AUGMENTED_BEFORE_SPLIT = "suspect-augmented-before-split"
BEST_EPOCH_ON_TEST = "suspect-best-epoch-on-test"
_ALL = ("Training", "PublicTest", "PrivateTest")
# Splits of the official sizes, drawn at random: 80 % train, half of the rest validation, half test.
_RANDOM_SPLITS: tuple[Step, ...] = (
    SplitFraction(fraction=0.8, into="train", rest="rest"),
    SplitFraction(from_split="rest", fraction=0.5, into="validation", rest="test"),
)


@dataclass(frozen=True)
class Suspect:
    """One protocol error. name: of the protocol. about: what is done wrong, in a few words.

    evaluated_split: the official split that the reported value is of, to be compared with the step counts that a paper
        prints; empty if the evaluated samples are drawn at random.
    needs: why it cannot apply to a spec; empty if it can. build: the spec with the error.
    """

    name: str
    about: str
    evaluated_split: str
    needs: Callable[[Spec], str]
    build: Callable[[Spec], Spec]

    def faulty_spec(self, spec: Spec) -> Spec:
        """Raises ValueError if the error does not apply."""
        if why := self.needs(spec):
            raise ValueError(f"{self.name} does not apply: {why}")
        return self.build(spec)


def _always(spec: Spec) -> str:
    return ""


def _needs_step(kind: type[Step], words: str) -> Callable[[Spec], str]:
    def needs(spec: Spec) -> str:
        return "" if any(isinstance(step, kind) for step in training_steps(spec.data.steps)) else words

    return needs


def _evaluated_on_training(spec: Spec) -> Spec:
    """All training samples, before any are copied or changed, are also used as the other two splits."""
    split = SplitByUsage(into={"train": ("Training",)})
    copies = tuple(CopySplit(from_split="train", into=name) for name in ("validation", "test"))
    return with_steps(spec, (split, *copies, *training_steps(spec.data.steps)))


def _trained_on_all(spec: Spec) -> Spec:
    split = SplitByUsage(into={"train": _ALL, "validation": ("PublicTest",), "test": ("PrivateTest",)})
    return with_steps(spec, (split, *training_steps(spec.data.steps)))


def _before_the_split(kind: type[RepeatClass] | type[AugmentCopies]) -> Callable[[Spec], Spec]:
    """All samples are copied, and the splits drawn at random from the result. Duplicates are removed before."""

    def build(spec: Spec) -> Spec:
        steps = training_steps(spec.data.steps)
        early = tuple(msgspec.structs.replace(step, split="all") for step in steps if isinstance(step, kind))
        late = tuple(step for step in steps if not isinstance(step, kind))
        return with_steps(spec, (DropRepeats(split="all"), *early, *_RANDOM_SPLITS, Shuffle(split="train"), *late))

    return build


def _best_on_test(spec: Spec) -> Spec:
    clean = corrected_spec(spec, CLEAN)
    training = msgspec.structs.replace(
        clean.training, evaluate=("validation", "test"), report="best", report_split="test", report_metric="accuracy"
    )
    return msgspec.structs.replace(clean, training=training)


SUSPECTS = {
    suspect.name: suspect
    for suspect in (
        Suspect(
            EVALUATED_ON_TRAINING,
            "the evaluated samples are the training samples",
            "Training",
            _always,
            _evaluated_on_training,
        ),
        Suspect(
            TRAINED_ON_ALL,
            "the test samples are among the training samples",
            "PrivateTest",
            _always,
            _trained_on_all,
        ),
        Suspect(
            OVERSAMPLED_BEFORE_SPLIT,
            "samples are repeated first and divided into training and test afterwards",
            "",
            _needs_step(RepeatClass, "the paper repeats no samples"),
            _before_the_split(RepeatClass),
        ),
        Suspect(
            AUGMENTED_BEFORE_SPLIT,
            "changed copies are made first and divided into training and test afterwards",
            "",
            _needs_step(AugmentCopies, "the paper adds no changed copies"),
            _before_the_split(AugmentCopies),
        ),
        Suspect(
            BEST_EPOCH_ON_TEST,
            "the epoch with the best test accuracy is reported",
            "PrivateTest",
            _always,
            _best_on_test,
        ),
    )
}

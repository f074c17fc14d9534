"""The samples behind an evaluation: the steps of its progress line and the decimals of its accuracy, combined.

Steps alone prove little: 898 steps are 28,709 samples in batches of 32, and 3,589 in batches of 4. An accuracy that a
program printed in full proves more: it is a whole number over the number of samples. Both together may rule out every
test split, whatever the batch size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from fer_jax.vocabulary.counted import counted
from repro.forensics.case import RUNNING, Case, grouped
from repro.forensics.counts import CROPS, crops_and_batches, official_sizes, other_batch_sizes, test_splits
from repro.forensics.finding import Finding
from repro.forensics.granted import judge, plain, together
from repro.forensics.printed import RoundingInterval, is_share, precision, window
from repro.specs.conventions import Convention, Explanations
from repro.specs.spec import Claim

EVALUATED = "samples that were evaluated"


def check(case: Case) -> Iterator[Finding]:
    steps = [claim for claim in case.of("steps") if claim.split not in RUNNING]
    ends = (c for c in case.of("accuracy") if not c.emotion and case.moment(c) == ("end", 0))
    finest = {key: min(claims, key=precision) for key, claims in grouped(ends, lambda c: (c.variant, c.split)).items()}
    for claim in steps:
        accuracy = finest.get((claim.variant, claim.split))
        if (
            accuracy is not None
            and case.knows_split(claim)
            and precision(accuracy) * max(test_splits(case, claim).values()) < 1
        ):
            yield _evaluated(case, claim, accuracy)


def _evaluated(case: Case, steps: Claim, accuracy: Claim) -> Finding:
    """Of several claims on one split the finest accuracy is used. A test split with any batch size is "consistent".
    The other conventions are tried with any batch size, and combined with crops."""
    printed, count, splits = window(accuracy), int(steps.value), test_splits(case, steps)
    claims = (accuracy, steps)
    fits = {
        name: sizes
        for name, samples in splits.items()
        if is_share(printed, samples) and (sizes := other_batch_sizes(count, samples))
    }
    shown = f"{accuracy.value:.10g} in {counted(count, 'step')}"
    if fits:
        words = "; ".join(f"{name} ({splits[name]:,}) in batches of {sizes[0]:,}" for name, sizes in fits.items())
        return plain(EVALUATED, claims, "consistent", f"{shown}: {words}", "Both are of a test split.")
    words = ", ".join(
        f"{name} ({samples:,}): {accuracy.value * samples:,.3f} right"
        + (f", batches of {sizes[0]:,}" if (sizes := other_batch_sizes(count, samples)) else ", no batch size")
        for name, samples in splits.items()
    )
    shown += f". {words}"
    whole = official_sizes()["Training"]
    training = is_share(printed, whole) and other_batch_sizes(count, whole)
    if training:
        right = round(accuracy.value * whole)
        luck = 1 / min(1.0, precision(accuracy) * whole)
        shown += f". Training ({whole:,}): {right:,} right, batches of {training[0]:,}"
        shown += f" (such decimals fit by chance once in {luck:,.0f})"
    meaning = (
        f"Steps and decimals are those of the {counted(whole, 'training sample')}, and of no test "
        "split with any batch size."
        if training
        else "Steps and decimals are those of no test split, whatever the batch size."
    )
    return judge(case, EVALUATED, claims, shown, meaning, explained=_explained(printed, count, splits, claims))


def _explained(
    printed: RoundingInterval, steps: int, splits: dict[str, int], claims: tuple[Claim, ...]
) -> Explanations:
    explained: Explanations = {
        "other_samples": "",
        "other_classes": "",
        "other_accuracy": "",
        "mean_of_runs": "",  # folds differ in size, so a mean over them may be any value
    }
    if not together(claims):
        explained["two_things"] = ""
    for name, samples in splits.items():
        for batch in other_batch_sizes(steps, samples):
            _add(explained, (), printed, samples, batch, f"{name}, batches of {batch:,}")
        for crops in CROPS:
            for batch in crops_and_batches(steps, samples, crops):
                words = f"{crops} crops of {name}, batches of {batch:,}"
                if is_share(printed, samples) or is_share(printed, crops * samples):
                    explained["test_time_augmentation"] = words
                for evaluated in (samples, crops * samples):
                    _add(explained, ("test_time_augmentation",), printed, evaluated, batch, words)
    return explained


def _add(
    explained: Explanations,
    crops: tuple[Convention, ...],
    printed: RoundingInterval,
    samples: int,
    batch: int,
    words: str,
) -> None:
    """The conventions on batches that give the printed figure, alone or with crops."""
    tried: dict[Convention, bool] = {
        "last_batch_dropped": is_share(printed, samples - samples % batch),
        "mean_of_batches": is_mean_of_batches(printed, samples, batch),
    }
    for name, fits in tried.items():
        if fits:
            explained[(*crops, name)] = words


def is_mean_of_batches(printed: RoundingInterval, samples: int, batch: int) -> bool:
    """Whether a mean over batches, with the incomplete last one at full weight, prints as this value."""
    steps = -(-samples // batch)
    last = samples - (steps - 1) * batch
    return is_share(printed, steps * math.lcm(batch, last))

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
from repro.forensics.counts import CROPS, crops_and_batches, official_sizes, other_batch_sizes, test_parts
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
            and precision(accuracy) * max(test_parts(case, claim).values()) < 1
        ):
            yield _evaluated(case, claim, accuracy)


def _evaluated(case: Case, steps: Claim, accuracy: Claim) -> Finding:
    """Of several claims on one split the finest accuracy is used. A test split with any batch size is "consistent".
    The other conventions are tried with any batch size, and combined with crops."""
    printed, count, parts = window(accuracy), int(steps.value), test_parts(case, steps)
    claims = (accuracy, steps)
    fits = {
        name: sizes
        for name, rows in parts.items()
        if is_share(printed, rows) and (sizes := other_batch_sizes(count, rows))
    }
    shown = f"{accuracy.value:.10g} in {counted(count, 'step')}"
    if fits:
        words = "; ".join(f"{name} ({parts[name]:,}) in batches of {sizes[0]:,}" for name, sizes in fits.items())
        return plain(EVALUATED, claims, "consistent", f"{shown}: {words}", "Both are of a test part.")
    words = ", ".join(
        f"{name} ({rows:,}): {accuracy.value * rows:,.3f} right"
        + (f", batches of {sizes[0]:,}" if (sizes := other_batch_sizes(count, rows)) else ", no batch size")
        for name, rows in parts.items()
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
        "part with any batch size."
        if training
        else "Steps and decimals are those of no test part, whatever the batch size."
    )
    return judge(case, EVALUATED, claims, shown, meaning, explained=_explained(printed, count, parts, claims))


def _explained(printed: RoundingInterval, steps: int, parts: dict[str, int], claims: tuple[Claim, ...]) -> Explanations:
    explained: Explanations = {
        "other_samples": "",
        "other_classes": "",
        "other_accuracy": "",
        "mean_of_runs": "",  # folds differ in size, so a mean over them may be any value
    }
    if not together(claims):
        explained["two_things"] = ""
    for name, rows in parts.items():
        for batch in other_batch_sizes(steps, rows):
            _add(explained, (), printed, rows, batch, f"{name}, batches of {batch:,}")
        for crops in CROPS:
            for batch in crops_and_batches(steps, rows, crops):
                words = f"{crops} crops of {name}, batches of {batch:,}"
                if is_share(printed, rows) or is_share(printed, crops * rows):
                    explained["test_time_augmentation"] = words
                for evaluated in (rows, crops * rows):
                    _add(explained, ("test_time_augmentation",), printed, evaluated, batch, words)
    return explained


def _add(
    explained: Explanations, crops: tuple[Convention, ...], printed: RoundingInterval, rows: int, batch: int, words: str
) -> None:
    """The conventions on batches that give the printed figure, alone or with crops."""
    tried: dict[Convention, bool] = {
        "last_batch_dropped": is_share(printed, rows - rows % batch),
        "mean_of_batches": is_mean_of_batches(printed, rows, batch),
    }
    for name, fits in tried.items():
        if fits:
            explained[(*crops, name)] = words


def is_mean_of_batches(printed: RoundingInterval, rows: int, batch: int) -> bool:
    """Whether a mean over batches, with the incomplete last one at full weight, prints as this value."""
    steps = -(-rows // batch)
    last = rows - (steps - 1) * batch
    return is_share(printed, steps * math.lcm(batch, last))

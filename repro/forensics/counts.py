"""Whole numbers: batches make up samples, and an accuracy is a whole number of samples over all samples."""

from __future__ import annotations

from collections.abc import Iterator

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS
from repro.forensics.case import RUNNING, Case, grouped
from repro.forensics.finding import Finding, Premise
from repro.forensics.granted import data_steps, judge, plain, setting
from repro.forensics.printed import is_share, number, percent, precision, whole_counts, window
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim

STEPS = "steps x batch size"
WHOLE = "accuracy x samples is a whole number"
CROPS = range(2, 11)  # copies of a sample at test time: ten crops are the usual maximum (Krizhevsky et al. 2012, 4.1)
MAX_BATCH = 65_536  # nobody evaluates in larger batches
RUNS = range(2, 11)  # runs or folds that people average


def check(case: Case) -> Iterator[Finding]:
    for claim in case.of("steps"):
        if (batch := case.batch_size(claim)) is not None and case.knows_split(claim):
            found = _epoch_steps if claim.split == "train" else _evaluation_steps
            yield found(case, claim, batch)
    accuracies = [claim for claim in case.of("accuracy") if claim.split and not claim.emotion]
    evaluated = (claim for claim in accuracies if claim.split not in RUNNING or claim.evaluated)
    for claims in grouped(evaluated, lambda c: (c.variant, c.split)).values():
        yield from _whole_numbers_of(case, claims)
    batches = (claim for claim in accuracies if claim.split == "minibatch")
    for variant, claims in grouped(batches, lambda c: c.variant).items():
        if (training := case.training(variant)) is not None:
            yield _whole_batch(case, variant, training.batch_size, claims)


def official_sizes() -> dict[str, int]:
    """Samples of the splits of FER-2013, and of the usual combinations of splits."""
    sizes = {name: sum(counts) for name, counts in OFFICIAL_COUNTS.items()}
    test = sizes["PublicTest"] + sizes["PrivateTest"]
    return sizes | {"PublicTest + PrivateTest": test, "all": sizes["Training"] + test}


def test_splits(case: Case, claim: Claim) -> dict[str, int]:
    """Sizes that the split of a claim may have if it contains no training sample: as the paper prints it; else the
    official test splits, and what the data steps set aside unless that is the Training split."""
    if printed := case.printed_samples(claim):
        return {f"'{claim.split}' as printed": printed}
    splits = {name: size for name, size in official_sizes().items() if "Test" in name}
    own = case.samples(claim.variant).get(claim.split)
    whole = {official_sizes()["Training"], official_sizes()["all"], *splits.values()}
    return splits | ({f"'{claim.split}'": own.total} if own is not None and own.total not in whole else {})


def batch_premise(case: Case, claim: Claim) -> Premise:
    """The batch size of a claim on steps: its own, or that of the training."""
    words = f"batches of {case.batch_size(claim)}"
    if claim.batch_size:
        return Premise(what=words, source="stated")
    return setting(case, claim.variant, "training.batch_size", words)


# --- steps ----------------------------------------------------------------------------------------------------------


def _batches(samples: int, batch: int) -> tuple[int, int]:
    """(steps with the incomplete last batch, steps without it)."""
    return -(-samples // batch), samples // batch


def other_batch_sizes(steps: int, samples: int) -> list[int]:
    """Batch sizes for which `samples` take this number of steps, with or without the incomplete last batch.

    All up to MAX_BATCH. If every one is larger, the smallest alone, so that the list never depends on how large a
    number a paper prints.
    """
    if steps < 1 or samples < 1:
        return []
    # ceil(samples / batch) == steps, and floor(samples / batch) == steps
    with_last = range(-(-samples // steps), samples + 1 if steps == 1 else -(-samples // (steps - 1)))
    without = range(samples // (steps + 1) + 1, samples // steps + 1)
    both = [sizes for sizes in (with_last, without) if sizes]
    found = {batch for sizes in both for batch in sizes[: max(0, MAX_BATCH + 1 - sizes.start)]}
    return sorted(found or {min(sizes.start for sizes in both)}) if both else []


def _steps_words(steps: int, batch: int) -> str:
    return f"{counted(steps, 'step')} of {batch} are {(steps - 1) * batch + 1:,} to {counted(steps * batch, 'sample')}"


def _epoch_steps(case: Case, claim: Claim, batch: int) -> Finding:
    """898 steps of 32 are 28,705 to 28,736 samples. Training may drop its last batch."""
    training, steps = case.training(claim.variant), int(claim.value)
    own = case.samples(claim.variant).get("train")
    premises = (batch_premise(case, claim), *data_steps(case, claim.variant))
    shown = _steps_words(steps, batch)
    if own is None:
        meaning = "The number of training samples is left to the pixels."
        return plain(STEPS, [claim], "cannot tell", shown, meaning, premises)
    usual, dropped = _batches(own.total, batch)
    shown += f"; the {counted(own.total, 'training sample')} take {usual:,}"
    drops = training is not None and training.last_batch == "drop"
    if steps == (dropped if drops else usual):
        return plain(STEPS, [claim], "consistent", shown, "An epoch has as many steps as its samples need.", premises)
    explained: Explanations = {"steps_per_epoch": "", "other_samples": ""}
    if others := other_batch_sizes(steps, own.total):
        explained["other_batch_size"] = _list(others)
    if steps in (usual, dropped):
        explained["last_batch_dropped"] = counted(dropped, "step")
    if copies := [k for k in CROPS if steps in _batches(k * own.total, batch)]:
        explained["copies"] = f"{_list(copies)} of each sample"
    elif more := [k for k in CROPS if other_batch_sizes(steps, k * own.total)]:
        explained["copies", "other_batch_size"] = f"{_list(more)} of each sample"
    meaning = "These are not the steps of an epoch over the stated training samples."
    return judge(case, STEPS, [claim], shown, meaning, explained=explained, premises=premises)


def _evaluation_steps(case: Case, claim: Claim, batch: int) -> Finding:
    """The samples of an evaluation must be those of a test split. No convention says whether the last batch counts."""
    steps, sizes, splits = int(claim.value), official_sizes(), test_splits(case, claim)
    premises = (batch_premise(case, claim),)
    whole = [name for name, samples in splits.items() if _batches(samples, batch)[0] == steps]
    fits = whole or [name for name, samples in splits.items() if _batches(samples, batch)[1] == steps]
    training = steps in _batches(sizes["Training"], batch)
    named = " and ".join(f"{name} ({splits[name]:,})" for name in fits)
    if training:
        named += f"{' and ' if named else ''}Training ({sizes['Training']:,})"
    first, size = next(iter(splits.items()))
    shown = f"{_steps_words(steps, batch)}: {named or 'no split of FER-2013'} fits"
    shown += ", without the incomplete last batch" if fits and not whole else ""
    shown += f"; {first} ({size:,}) takes {counted(_batches(size, batch)[0], 'step')}"
    if fits and training:
        meaning = "With so large a batch the splits take the same number of steps."
        return plain(STEPS, [claim], "cannot tell", shown, meaning, premises)
    if fits:
        meaning = "The evaluation took as many steps as a test split needs."
        return plain(STEPS, [claim], "consistent", shown, meaning, premises)
    meaning = (
        f"As many samples were evaluated as '{claim.split}' as Training has."
        if training
        else f"No split that could be set aside has as many samples as '{claim.split}'."
    )
    return judge(case, STEPS, [claim], shown, meaning, explained=_other_steps(steps, batch, splits), premises=premises)


def crops_and_batches(steps: int, samples: int, crops: int) -> list[int]:
    """Batch sizes for which so many crops of each sample take so many steps, in one pass or in one per crop."""
    passes = other_batch_sizes(steps // crops, samples) if steps % crops == 0 else []
    return sorted({*other_batch_sizes(steps, crops * samples), *passes})


def _other_steps(steps: int, batch: int, splits: dict[str, int]) -> Explanations:
    explained: Explanations = {"other_samples": ""}
    if sizes := [(name, found) for name, samples in splits.items() if (found := other_batch_sizes(steps, samples))]:
        explained["other_batch_size"] = "; ".join(f"{_list(found)} for {name}" for name, found in sizes)
    crops = [
        f"{k} of each sample of {name}"
        for name, samples in splits.items()
        for k in CROPS
        if steps in (*_batches(k * samples, batch), *(k * n for n in _batches(samples, batch)))
    ]
    if crops:
        explained["test_time_augmentation"] = ", ".join(crops)
    both = [
        f"{k} crops, batches of {found[0]}"
        for k in CROPS
        for n in splits.values()
        if (found := crops_and_batches(steps, n, k))
    ]
    if both and not crops:
        explained["test_time_augmentation", "other_batch_size"] = both[0]
    return explained


def _list(numbers: list[int]) -> str:
    shown = ", ".join(f"{n:,}" for n in numbers[:3])
    return shown + (f" to {numbers[-1]:,}" if len(numbers) > 3 else "")


# --- whole numbers --------------------------------------------------------------------------------------------------


def samples_premise(case: Case, claim: Claim) -> tuple[Premise, ...]:
    """The source of the number of evaluated samples."""
    if claim.split == "minibatch":
        return (setting(case, claim.variant, "training.batch_size", "the batch size"),)
    if case.printed_samples(claim):
        return (Premise(what=f"the size of '{claim.split}'", source="stated"),)
    return data_steps(case, claim.variant)


def _whole_numbers_of(case: Case, claims: list[Claim]) -> Iterator[Finding]:
    """The GRIM test (Brown & Heathers 2017, Social Psychological and Personality Science 8(4)) for proportions. All
    values of a split that are too coarse for it make one finding."""
    known = case.evaluated_samples(claims[0])
    if known is None:
        shown = f"the number of samples of '{claims[0].split}' is not known"
        yield plain(WHOLE, claims, "cannot tell", shown, "Nothing to compare with.")
        return
    samples, who = known
    coarse = [claim for claim in claims if precision(claim) * samples >= 1]
    if coarse:
        span = precision(coarse[0]) * samples
        shown = f"{percent(coarse[0].value)}: the last digit is worth {number(round(span, 1))} of {samples:,} {who}"
        meaning = "Too coarse: any number of samples gives such a figure."
        yield plain(WHOLE, coarse, "cannot tell", shown, meaning, samples_premise(case, claims[0]))
    for claim in claims:
        if claim not in coarse:
            yield _whole_number(case, claim, samples, who)


def _whole_number(case: Case, claim: Claim, samples: int, who: str) -> Finding:
    least, greatest = whole_counts(window(claim), samples)
    premises = samples_premise(case, claim)
    shown = f"{claim.value:.10g} x {samples:,} {who} = {claim.value * samples:,.2f}"
    own = {f"'{name}'": split.total for name, split in case.samples(claim.variant).items()}
    others = {
        f"{name} ({n:,})": is_share(window(claim), n) for name, n in (official_sizes() | own).items() if n != samples
    }
    fitting = [name for name, fits in others.items() if fits]
    if least > greatest:
        shown += f", no whole number; of {' or '.join(fitting) if fitting else 'no official split'} it would be one"
        meaning = f"No number of right answers among {samples:,} gives this accuracy."
        explained = _other_shares(case, claim, samples)
        return judge(case, WHOLE, [claim], shown, meaning, explained=explained, premises=premises)
    shown += f"; {least:,} / {samples:,} = {percent(least / samples)}"
    if excluded := [name for name, fits in others.items() if not fits]:
        shown += f"; not of {', '.join(excluded)}"
    if window(claim).fit(least / samples, greatest / samples) == "rounded":
        return plain(WHOLE, [claim], "consistent", shown, "It is a whole number of samples.", premises)
    meaning = "It is a whole number of samples only if digits were cut off, not rounded."
    return plain(WHOLE, [claim], "cannot tell", shown, meaning, premises)


def _other_shares(case: Case, claim: Claim, samples: int) -> Explanations:
    """Folds and batches differ in size, so a mean over them may be any value. Equal runs and crops are tried."""
    printed, training = window(claim), case.training(claim.variant)
    explained: Explanations = {
        "other_samples": "",
        "other_classes": "",
        "other_accuracy": "",
        "mean_of_runs": "",
        "mean_of_batches": "",
        "test_time_augmentation": "",
    }
    runs = [r for r in RUNS if is_share(printed, r * samples)]
    if runs:
        explained["mean_of_runs"] = f"{round(claim.value * runs[0] * samples):,} / ({runs[0]} x {samples:,})"
        explained["test_time_augmentation"] = f"counted over {runs[0]} crops of each sample"
    complete = 0 if training is None else samples - samples % training.batch_size
    if complete and is_share(printed, complete):
        explained["last_batch_dropped"] = f"{round(claim.value * complete):,} / {complete:,}"
    elif any(is_share(printed, samples - samples % b) for b in range(1, min(samples, 1025)) if samples % b):
        explained["last_batch_dropped"] = "with another batch size"
    return explained


def _whole_batch(case: Case, variant: str, batch: int, claims: list[Claim]) -> Finding:
    """All minibatch accuracies of a variant together, and the batch sizes of its other readings beside them."""
    premises = (setting(case, variant, "training.batch_size", f"batches of {batch}"),)
    wrong = [claim for claim in claims if not is_share(window(claim), batch)]
    fitting = [claim for claim in claims if claim not in wrong]
    shown = ", ".join(f"{percent(c.value)} = {round(c.value * batch)}/{batch}" for c in fitting[:3])
    if wrong:
        shown = ", ".join(f"{claim.value:g} x {batch} = {claim.value * batch:.3f}" for claim in wrong[:3])
    readings = (case.training(name) for name in case.loaded.variant_names())
    for other in sorted({training.batch_size for training in readings if training} - {batch}):
        against = [claim for claim in claims if not is_share(window(claim), other)]
        if against:
            first = against[0]
            shown += f"; a batch of {other} is excluded: {first.value:g} x {other} = {first.value * other:.3f}"
    if not wrong:
        coarse = all(precision(claim) * batch >= 1 for claim in claims)
        meaning = f"All figures of single batches are whole numbers of {batch} samples."
        return plain(WHOLE, claims, "cannot tell" if coarse else "consistent", shown, meaning, premises)
    explained: Explanations = {"mean_of_batches": "the running mean of the epoch", "other_accuracy": ""}
    sizes = [b for b in range(1, 1025) if all(is_share(window(claim), b) for claim in claims)]
    if sizes:
        explained["other_batch_size"] = _list(sizes)
    meaning = f"No number of right answers in a batch of {batch} gives these figures."
    return judge(case, WHOLE, wrong, shown, meaning, explained=explained, premises=premises)

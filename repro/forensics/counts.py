"""Whole numbers: batches make up rows, and an accuracy is a whole number of rows over all rows."""

from __future__ import annotations

from collections.abc import Iterator

from fer_jax.faces import OFFICIAL_COUNTS
from repro.forensics.case import RUNNING, Case, SplitRows, grouped, ids
from repro.forensics.finding import Finding, Outcome
from repro.forensics.printed import number, percent, precision, whole_counts, window
from repro.spec import Claim

STEPS = "steps x batch size"
WHOLE = "accuracy x rows is a whole number"


def check(case: Case) -> Iterator[Finding]:
    for claim in case.of("steps"):
        yield _steps(case, claim)
    accuracies = [claim for claim in case.of("accuracy") if claim.split and not claim.emotion]
    evaluated = (claim for claim in accuracies if claim.split not in RUNNING)
    for claims in grouped(evaluated, lambda c: (c.variant, c.split)).values():
        yield from _whole_rows_of(case, claims)
    batches = (claim for claim in accuracies if claim.split == "minibatch")
    for variant, claims in grouped(batches, lambda c: c.variant).items():
        yield _whole_batch(case, variant, claims)


# --- steps ----------------------------------------------------------------------------------------------------------


def _steps(case: Case, claim: Claim) -> Finding:
    """898 steps of 32 are 28,705 to 28,736 rows. Training may drop its last batch: then up to one batch more."""
    training = case.spec(claim.variant).training
    batch, steps = claim.batch_size or training.batch_size, int(claim.value)
    dropped = claim.split == "train" and training.last_batch == "drop"
    low, high = (steps * batch, (steps + 1) * batch - 1) if dropped else ((steps - 1) * batch + 1, steps * batch)
    own = case.rows(claim.variant).get(claim.split)
    judge = _epoch_steps if claim.split == "train" else _evaluation_steps
    outcome, shown, meaning = judge(claim, batch, range(low, high + 1), own)
    return Finding(
        check=STEPS,
        claims=ids(claim),
        outcome=outcome,
        arithmetic=f"{steps:,} steps of {batch} are {low:,} to {high:,} rows: {shown}",
        meaning=meaning,
    )


def _epoch_steps(claim: Claim, batch: int, fitting: range, own: SplitRows | None) -> tuple[Outcome, str, str]:
    if own is None:
        return "cannot tell", "the number of training rows is left to the pixels", "Nothing to compare with."
    if own.total in fitting:
        return "consistent", f"the {own.total:,} training rows fit", "An epoch has as many steps as its rows need."
    shown = f"the {own.total:,} training rows take {-(-own.total // batch):,} steps"
    return "inconsistent", shown, "These are not the steps of an epoch over the rows that are said to be trained on."


def _evaluation_steps(claim: Claim, batch: int, fitting: range, own: SplitRows | None) -> tuple[Outcome, str, str]:
    """The rows of an evaluation must be those of a test part, or some that the data steps set aside. Where the data
    steps themselves put the training rows there, as the program did, the document's test is none. Some programs leave
    out the incomplete last batch; then there are up to a batch more."""
    sizes = official_sizes()
    whole = [name for name, rows in sizes.items() if rows in fitting]
    without_last = range(fitting[-1] + 1, fitting[-1] + batch)
    fits = whole or [name for name, rows in sizes.items() if rows in without_last]
    part = sizes["PrivateTest"]
    named = " and ".join(f"{name} ({sizes[name]:,})" for name in fits)
    shown = f"{f'only {named}' if fits else 'no official part'} fits"
    shown += ", without the incomplete last batch" if fits and not whole else ""
    shown += f"; PrivateTest ({part:,}) takes {-(-part // batch):,} steps"
    has_test, has_training = any("Test" in name for name in fits), "Training" in fits
    if has_test and has_training:
        return "cannot tell", shown, "So large a step does not tell the parts of the data set apart."
    if has_test:
        return "consistent", shown, "The evaluation took as many steps as an official test part needs."
    if has_training:
        return "inconsistent", shown, f"As many rows were evaluated as '{claim.split}' as the training part has."
    if own is not None and (own.total in fitting or own.total in without_last):
        shown += f"; '{claim.split}' has {own.total:,} rows"
        return "consistent", shown, "The evaluation took as many steps as the rows that were set aside need."
    return "inconsistent", shown, f"No part that could be set aside has so many rows as '{claim.split}'."


def official_sizes() -> dict[str, int]:
    """Rows of the parts of FER-2013, and of those that people put together."""
    sizes = {name: sum(counts) for name, counts in OFFICIAL_COUNTS.items()}
    test = sizes["PublicTest"] + sizes["PrivateTest"]
    return sizes | {"PublicTest + PrivateTest": test, "all": sizes["Training"] + test}


# --- whole numbers --------------------------------------------------------------------------------------------------


def _whole_rows_of(case: Case, claims: list[Claim]) -> Iterator[Finding]:
    """The GRIM test (Brown & Heathers 2017, Social Psychological and Personality Science 8(4)) for proportions; all
    figures of a split that are too coarse for it make one finding."""
    known = case.evaluated_rows(claims[0])
    if known is None:
        shown = f"the rows of '{claims[0].split}' are not known"
        yield _whole(claims, "cannot tell", shown, "Nothing to compare with.")
        return
    rows, who = known
    coarse = [claim for claim in claims if precision(claim) * rows >= 1]
    if coarse:
        span = precision(coarse[0]) * rows
        shown = f"{percent(coarse[0].value)}: the last digit is worth {number(round(span, 1))} of {rows:,} {who}"
        yield _whole(coarse, "cannot tell", shown, "Printed too coarsely: any number of rows gives such a figure.")
    for claim in claims:
        if claim not in coarse:
            yield _whole_rows(case, claim, rows, who)


def _whole_rows(case: Case, claim: Claim, rows: int, who: str) -> Finding:
    least, greatest = whole_counts(window(claim), rows)
    training = case.spec(claim.variant).training
    complete = rows - rows % training.batch_size
    if least > greatest and training.last_batch == "drop" and complete and _is_whole(claim, complete):
        shown = f"{claim.value:.10g} is a whole number of {complete:,} rows, not of {rows:,} {who}"
        return _whole([claim], "cannot tell", shown, "It fits only if the incomplete last batch was left out.")
    shown = f"{claim.value:.10g} x {rows:,} {who} = {claim.value * rows:,.2f}"
    own = {f"'{name}'": split.total for name, split in case.rows(claim.variant).items()}
    others = {f"{name} ({n:,})": _is_whole(claim, n) for name, n in (official_sizes() | own).items() if n != rows}
    fitting = [name for name, fits in others.items() if fits]
    if least > greatest:
        shown += f", no whole number; of {' or '.join(fitting) if fitting else 'no official part'} it would be one"
        return _whole([claim], "inconsistent", shown, _NOT_WHOLE.format(rows=rows))
    shown += f"; {least:,} / {rows:,} = {percent(least / rows)}"
    excluded = [name for name, fits in others.items() if not fits]
    if excluded:
        shown += f"; not of {', '.join(excluded)}"
    outcome = window(claim).fit(least / rows, greatest / rows)
    return _whole([claim], outcome, shown, "It is a whole number of rows." if outcome == "consistent" else _CUT)


_NOT_WHOLE = "No number of right answers among {rows:,} gives this accuracy (a mean over runs or over batches could)."
_CUT = "It is a whole number of rows only if digits were cut off, not rounded."


def _whole(claims: list[Claim], outcome: Outcome, arithmetic: str, meaning: str) -> Finding:
    return Finding(check=WHOLE, claims=ids(*claims), outcome=outcome, arithmetic=arithmetic, meaning=meaning)


def _is_whole(claim: Claim, rows: int) -> bool:
    least, greatest = whole_counts(window(claim), rows)
    return least <= greatest


def _whole_batch(case: Case, variant: str, claims: list[Claim]) -> Finding:
    """All minibatch accuracies of a variant together, and the batch sizes of its other readings beside them."""
    batch = case.spec(variant).training.batch_size
    wrong = [claim for claim in claims if not _is_whole(claim, batch)]
    fitting = [claim for claim in claims if claim not in wrong]
    shown = ", ".join(f"{percent(c.value)} = {round(c.value * batch)}/{batch}" for c in fitting[:3])
    if wrong:
        shown = ", ".join(f"{claim.value:g} x {batch} = {claim.value * batch:.3f}" for claim in wrong[:3])
    for other in sorted({case.spec(name).training.batch_size for name in case.loaded.variant_names()} - {batch}):
        against = [claim for claim in claims if not _is_whole(claim, other)]
        if against:
            first = against[0]
            shown += f"; a batch of {other} is excluded: {first.value:g} x {other} = {first.value * other:.3f}"
    coarse = all(precision(claim) * batch >= 1 for claim in claims)
    outcome: Outcome = "inconsistent" if wrong else "cannot tell" if coarse else "consistent"
    return Finding(
        check=WHOLE,
        claims=ids(*(wrong or claims)),
        outcome=outcome,
        arithmetic=shown,
        meaning=f"No number of right answers in a batch of {batch} gives these figures."
        if wrong
        else f"All figures of single batches are whole numbers of {batch} rows.",
    )

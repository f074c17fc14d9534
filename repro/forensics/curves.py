"""Figures of one run against each other: loss and accuracy, training and validation, one split and another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

from fer_jax.layers import BatchNorm, Dropout
from fer_jax.step_kinds import Normalise
from repro.forensics.case import RUNNING, Case, grouped, ids
from repro.forensics.ceilings import BEST_PUBLISHED
from repro.forensics.finding import Finding
from repro.forensics.printed import number, percent, precision, window
from repro.spec import Claim

LOSS = "loss against accuracy"
ABOVE = "validation above training"
IDENTICAL = "equal figures of two splits"
PIXELS = "spread of the pixels"
LEAST = "where the loss is least"
# Two splits that share no row agree in all printed digits by chance now and then: less often than this is no chance.
CHANCE = 0.01
STANDARD_ERRORS = 3.0


def check(case: Case) -> Iterator[Finding]:
    yield from _losses(case)
    yield from _above(case)
    yield from _identical(case)
    yield from _pixels(case)
    for claim in case.of("least_loss"):
        yield _least(case, claim)


# --- loss and accuracy ----------------------------------------------------------------------------------------------


def _losses(case: Case) -> Iterator[Finding]:
    """A wrong row has another class above its own, so its own probability is at most 1/2 and its loss at least ln 2.
    So a mean cross-entropy is at least (1 - accuracy) ln 2; a penalty on weights only adds to it."""
    accuracies = {_place(case, claim): claim for claim in case.of("accuracy") if not claim.emotion}
    checked: list[tuple[Claim, Claim, float]] = []
    for claim in case.of("loss"):
        accuracy = accuracies.get(_place(case, claim))
        if accuracy is None or case.spec(claim.variant).training.loss.kind != "cross_entropy":
            continue
        least = (1 - min(1.0, window(accuracy).high_if_cut)) * math.log(2)
        if window(claim).high_if_cut >= least:
            checked.append((claim, accuracy, least))
            continue
        yield Finding(
            check=LOSS,
            claims=ids(claim, accuracy),
            outcome="inconsistent",
            arithmetic=f"(1 - {number(accuracy.value)}) ln 2 = {least:.4g} > {number(claim.value)}",
            meaning="So many wrong rows cannot have so small a mean cross-entropy: each costs at least ln 2.",
        )
    if checked:
        claim, accuracy, least = min(checked, key=lambda item: item[0].value - item[2])
        yield Finding(
            check=LOSS,
            claims=ids(*(claim for claim, _, _ in checked)),
            outcome="consistent",
            arithmetic=f"{len(checked)} pairs; the closest: (1 - {number(accuracy.value)}) ln 2 = {least:.4g} <= "
            f"{number(claim.value)}",
            meaning="The losses are large enough for the rows that were wrong.",
        )


def _place(case: Case, claim: Claim) -> tuple[str, str, tuple[str, int]]:
    return claim.variant, claim.split, case.moment(claim)


# --- training and validation ----------------------------------------------------------------------------------------


def _above(case: Case) -> Iterator[Finding]:
    """How far is far? The running mean of a training epoch lies below an evaluation: it lags by half an epoch, and
    dropout is on (Keras FAQ, "Why is my training loss much higher than my testing loss?"). So validation may well lie
    above it, as long as the network fits its training rows no better than unseen ones can be recognised. Where training
    has passed the best published result on unseen faces, it has learnt rows by heart, which helps on no others: an
    excess beyond three standard errors then says that the validation rows are not unseen."""
    accuracies = [claim for claim in case.of("accuracy") if not claim.emotion]
    training = {(c.variant, case.moment(c)): c for c in accuracies if c.split == "train"}
    finest = sorted((c for c in accuracies if c.split not in RUNNING), key=precision)
    evaluated: dict[tuple[str, str, tuple[str, int]], Claim] = {}
    for claim in finest:
        evaluated.setdefault(_place(case, claim), claim)
    together = [(claim, training.get((claim.variant, case.moment(claim)))) for claim in evaluated.values()]
    pairs = [(claim, trained) for claim, trained in together if trained is not None]
    for (variant, _), group in _by_split(pairs).items():
        yield _one_curve(case, variant, group)


def _by_split(pairs: list[tuple[Claim, Claim]]) -> dict[tuple[str, str], list[tuple[Claim, Claim]]]:
    groups: dict[tuple[str, str], list[tuple[Claim, Claim]]] = {}
    for pair in pairs:
        groups.setdefault((pair[0].variant, pair[0].split), []).append(pair)
    return groups


def _one_curve(case: Case, variant: str, pairs: list[tuple[Claim, Claim]]) -> Finding:
    above = [pair for pair in pairs if _excess(case, *pair) > STANDARD_ERRORS]
    learnt = [pair for pair in above if pair[1].value > BEST_PUBLISHED.accuracy]
    shown = max(learnt or above or pairs, key=lambda pair: pair[1].value if learnt else pair[0].value - pair[1].value)
    split, over = shown[0].split, 100 * (shown[0].value - shown[1].value)
    arithmetic = f"{split} {percent(shown[0].value)}, training {percent(shown[1].value)}: {over:+.1f} points"
    if above:
        arithmetic += f", {_excess(case, *shown):.1f} standard errors; above it in {len(above)} of {len(pairs)} pairs"
    regularised = ", ".join(_regularisers(case, variant)) or "nothing"
    if learnt:
        outcome = "inconsistent"
        meaning = (
            f"Training passed the best published result on unseen faces ({percent(BEST_PUBLISHED.accuracy)}), so rows "
            f"were learnt by heart; '{split}' above it cannot be of unseen rows, though {regularised} lowers training."
        )
    elif above:
        outcome = "cannot tell"
        meaning = f"Lag of the running mean and {regularised} can put '{split}' above training while little is learnt."
    else:
        outcome, meaning = "consistent", f"'{split}' does not lie above training by more than chance allows."
    claims = (claim for pair in (learnt or above or pairs) for claim in pair)
    return Finding(check=ABOVE, claims=ids(*claims), outcome=outcome, arithmetic=arithmetic, meaning=meaning)


def _excess(case: Case, evaluated: Claim, training: Claim) -> float:
    """Standard errors by which an evaluation certainly lies above training, after rounding."""
    known = case.evaluated_rows(evaluated)
    if known is None:
        return 0.0
    least = window(evaluated).low - window(training).high_if_cut
    error = math.sqrt(max(evaluated.value * (1 - evaluated.value), 1 / known[0]) / known[0])
    return least / error


def _regularisers(case: Case, variant: str) -> list[str]:
    spec = case.spec(variant)
    rates = [layer.rate for layer in spec.model.layers if isinstance(layer, Dropout) and layer.rate]
    found = [f"dropout of {max(rates):g}"] if rates else []
    found += [f"L2 of {spec.training.loss.l2:g}"] if spec.training.loss.l2 else []
    return found + (["batch norm"] if any(isinstance(layer, BatchNorm) for layer in spec.model.layers) else [])


# --- two splits -----------------------------------------------------------------------------------------------------


def _identical(case: Case) -> Iterator[Finding]:
    """Two evaluated splits of one run at the end: chance that both figures agree to the printed digit if the splits
    share no row."""
    ends = (
        claim
        for claim in case.claims
        if claim.quantity in ("accuracy", "loss")
        and claim.split not in (*RUNNING, "")
        and not claim.emotion
        and case.moment(claim) == ("end", 0)
    )
    for claims in grouped(ends, lambda claim: claim.variant).values():
        splits = {claim.split: claim for claim in claims}
        for one, other in combinations(splits, 2):
            yield from _two_splits(case, claims, one, other)


def _two_splits(case: Case, claims: list[Claim], one: str, other: str) -> Iterator[Finding]:
    chance, shown, used = 1.0, [], []
    for quantity in ("accuracy", "loss"):
        first, second = (_finest(claims, quantity, split) for split in (one, other))
        if first is None or second is None:
            continue
        step = max(precision(first), precision(second))
        used += [first, second]
        if abs(first.value - second.value) > step / 2:
            shown.append(f"{quantity} {number(first.value)} and {number(second.value)}")
            chance = math.inf
            continue
        error = _standard_error(case, first, second)
        likely = min(1.0, step / (error * math.sqrt(2 * math.pi)))
        chance *= likely
        both = f"{quantity} {number(first.value)} and {number(second.value)}"
        shown.append(f"{both} agree by chance once in {1 / likely:.0f}")
    if not used:
        return
    equal = chance < CHANCE
    coarse = not math.isinf(chance) and not equal
    yield Finding(
        check=IDENTICAL,
        claims=ids(*used),
        outcome="inconsistent" if equal else "cannot tell" if coarse else "consistent",
        arithmetic=f"'{one}' and '{other}': {'; '.join(shown)}",
        meaning="Splits that share no row do not agree so closely: they hold the same rows."
        if equal
        else "The figures agree, but so coarse ones do that by chance."
        if coarse
        else "The splits have figures of their own.",
    )


def _finest(claims: list[Claim], quantity: str, split: str) -> Claim | None:
    found = [claim for claim in claims if (claim.quantity, claim.split) == (quantity, split)]
    return min(found, key=precision, default=None)


def _standard_error(case: Case, first: Claim, second: Claim) -> float:
    """Of the difference of two independent splits. Of a loss: the cross-entropy of single rows is skewed, most rows
    near 0 and a few large, so that its standard deviation is at least about its mean (as for an exponential)."""
    variance = first.value**2 if first.quantity == "loss" else max(first.value * (1 - first.value), 1e-4)
    total = 0.0
    for claim in (first, second):
        known = case.evaluated_rows(claim)
        total += variance / (known[0] if known else 3589)
    return max(math.sqrt(total), 1e-12)


# --- pixels ---------------------------------------------------------------------------------------------------------


def _pixels(case: Case) -> Iterator[Finding]:
    """Numbers from low to high with mean m have a variance of at most (m - low) (high - m) (Bhatia & Davis 2000)."""
    spreads = {(claim.split, claim.variant): claim for claim in case.of("pixel_std")}
    for mean in case.of("pixel_mean"):
        spread = spreads.get((mean.split, mean.variant))
        low, high = _range(case, mean.variant)
        if spread is None:
            continue
        inside = low <= mean.value <= high
        most = math.sqrt(max(0.0, (mean.value - low) * (high - mean.value)))
        right = inside and window(spread).low <= most
        yield Finding(
            check=PIXELS,
            claims=ids(mean, spread),
            outcome="consistent" if right else "inconsistent",
            arithmetic=f"pixels from {number(low)} to {number(high)} with mean {number(mean.value)} spread by at most "
            f"{most:.4g}; printed {number(spread.value)}",
            meaning="Mean and standard deviation can be of the normalised pixels."
            if right
            else "Pixels that are normalised as described cannot have this mean and standard deviation.",
        )


def _range(case: Case, variant: str) -> tuple[float, float]:
    for step in case.spec(variant).data.steps:
        if isinstance(step, Normalise):
            return (0 - step.subtract) / step.divide, (255 - step.subtract) / step.divide
    return 0.0, 255.0


# --- the least loss -------------------------------------------------------------------------------------------------


def _least(case: Case, claim: Claim) -> Finding:
    """Among the printed losses of the split. Between them there may be lower ones, unless the program takes none."""
    losses = {
        place: other
        for other in case.of("loss")
        if (other.variant, other.split) == (claim.variant, claim.split)
        and (place := other.step if claim.unit == "step" else other.epoch) is not None
    }
    told, every = window(claim), case.spec(claim.variant).training.evaluate_every_steps
    lowest = min(losses, key=lambda place: losses[place].value, default=None)
    shown = f"told {number(claim.value)}"
    if lowest is not None:
        shown += f"; the least of {len(losses)} printed is {number(losses[lowest].value)}, {claim.unit} {lowest:,}"
    places = [place for place in losses if told.fit(place) != "inconsistent"]
    taken = claim.unit != "step" or every is None or math.ceil(told.low / every) * every < told.high_if_cut
    if lowest is None:
        outcome, meaning = "cannot tell", "Nothing to compare with."
    elif lowest in places:
        outcome, meaning = "consistent", "The least printed loss is where the document says."
    elif not taken:
        outcome, meaning = "inconsistent", f"The program takes a loss every {every:,} steps, and so none there."
    elif places:
        outcome, meaning = "inconsistent", "The printed losses are not least where the document says."
    else:
        outcome, meaning = "cannot tell", "No loss is printed where the document says that it is least."
    return Finding(check=LEAST, claims=ids(claim, *losses.values()), outcome=outcome, arithmetic=shown, meaning=meaning)

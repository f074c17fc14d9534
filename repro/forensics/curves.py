"""Values of one run against each other: loss and accuracy, training and validation, one split and another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

from fer_jax.vocabulary.augmentations import CutMix, Mixup, RandomCrop, RandomResizedCrop, RandomStep, Standardise
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS
from fer_jax.vocabulary.layers import BatchNorm, Dropout, SpatialDropout, every_layer
from fer_jax.vocabulary.settings import Loss
from fer_jax.vocabulary.step_kinds import CopySplit, Normalise
from repro.forensics.case import RUNNING, Case, grouped
from repro.forensics.ceilings import NEW_BEST, published
from repro.forensics.finding import Finding, Premise
from repro.forensics.granted import data_steps, judge, plain, setting, step_setting, together
from repro.forensics.printed import number, percent, precision, window
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim

LOSS = "loss against accuracy"
ABOVE = "validation above training"
IDENTICAL = "equal figures of two splits"
PIXELS = "spread of the pixels"
LEAST = "where the loss is least"
# Two splits that share no sample sometimes agree in all printed digits by chance. Below this probability it is not.
CHANCE = 0.01
STANDARD_ERRORS = 3.0
OFFICIAL_TEST = sum(OFFICIAL_COUNTS["PrivateTest"])


def check(case: Case) -> Iterator[Finding]:
    yield from _losses(case)
    yield from _above(case)
    yield from _identical(case)
    yield from _pixels(case)
    for claim in case.of("least_loss"):
        yield _least(case, claim)


# --- loss and accuracy ----------------------------------------------------------------------------------------------


def _losses(case: Case) -> Iterator[Finding]:
    """A wrong sample has another class above its own, so its own probability is at most 1/2 and its loss at least ln 2.
    So a mean cross-entropy is at least (1 - accuracy) ln 2; a penalty on weights only adds to it."""
    accuracies = {_place(case, claim): claim for claim in case.of("accuracy") if not claim.emotion}
    checked: list[tuple[Claim, Claim, float]] = []
    for claim in case.of("loss"):
        accuracy = accuracies.get(_place(case, claim))
        training = case.training(claim.variant)
        if accuracy is None or training is None or not _is_plain(training.loss):
            continue
        least = (1 - min(1.0, window(accuracy).high_if_cut)) * math.log(2)
        if window(claim).high_if_cut >= least:
            checked.append((claim, accuracy, least))
            continue
        shown = f"(1 - {number(accuracy.value)}) ln 2 = {least:.4g} > {number(claim.value)}"
        meaning = "So many wrong samples cannot have so small a mean cross-entropy: each costs at least ln 2."
        explained: Explanations = {"other_loss": "", "other_accuracy": "", "mean_of_runs": "one of the two"}
        if not together((claim, accuracy)):
            explained["two_things"] = ""
        premises = (_loss_kind(case, claim.variant),)
        yield judge(case, LOSS, (claim, accuracy), shown, meaning, explained=explained, premises=premises)
    if checked:
        claim, accuracy, least = min(checked, key=lambda item: item[0].value - item[2])
        shown = f"{counted(len(checked), 'pair')}; the closest: (1 - {number(accuracy.value)}) ln 2 = {least:.4g} <= "
        meaning = "The losses are large enough for the samples that were wrong."
        losses = [claim for claim, _, _ in checked]
        premises = (_loss_kind(case, claim.variant),)
        yield plain(LOSS, losses, "consistent", shown + number(claim.value), meaning, premises)


def _is_plain(loss: Loss) -> bool:
    """Whether the loss of a sample is -log p of its label, to which the bound applies."""
    return loss.kind == "cross_entropy" and not loss.label_smoothing and loss.class_weights is None


def _loss_kind(case: Case, variant: str) -> Premise:
    return setting(case, variant, "training.loss.kind", "the loss is the cross-entropy")


def _place(case: Case, claim: Claim) -> tuple[str, str, tuple[str, int]]:
    return claim.variant, claim.split, case.moment(claim)


# --- training and validation ----------------------------------------------------------------------------------------


def _above(case: Case) -> Iterator[Finding]:
    """The running mean of a training epoch lies below an evaluation: it lags by half an epoch, and dropout is on
    (Keras FAQ, "Why is my training loss much higher than my testing loss?"). So validation may exceed training, as
    long as the network fits its training samples no better than unseen ones can be recognised. Once training exceeds
    the best published result on unseen faces, the network has memorised samples, which helps on no others. An excess
    beyond three standard errors then shows that the validation samples are not unseen."""
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
    best = published().best("single", "ensemble").accuracy
    above = [pair for pair in pairs if _excess(case, *pair) > STANDARD_ERRORS]
    learnt = [pair for pair in above if window(pair[1]).low > best]
    shown = max(learnt or above or pairs, key=lambda pair: pair[1].value if learnt else pair[0].value - pair[1].value)
    split, over = shown[0].split, 100 * (shown[0].value - shown[1].value)
    arithmetic = f"{split} {percent(shown[0].value)}, training {percent(shown[1].value)}: {over:+.1f} points"
    if above:
        arithmetic += f", {_excess(case, *shown):.1f} standard errors; above it in {len(above)} of {len(pairs)} pairs"
    regularised = ", ".join(_regularisers(case, variant)) or "nothing"
    claims = [claim for pair in (learnt or above or pairs) for claim in pair]
    premises = data_steps(case, variant) if case.printed_samples(shown[0]) is None else ()
    if not above:
        meaning = f"'{split}' does not lie above training by more than chance allows."
        return plain(ABOVE, claims, "consistent", arithmetic, meaning, premises)
    if not learnt:
        meaning = f"Lag of the running mean and {regularised} can put '{split}' above training while little is learnt."
        return plain(ABOVE, claims, "cannot tell", arithmetic, meaning, premises)
    meaning = (
        f"Training passed the best confirmed result on unseen faces ({percent(best)}), so samples were "
        f"memorised; '{split}' above it is hardly of unseen samples, though {regularised} lowers training."
    )
    explained: Explanations = {"other_classes": "", "other_accuracy": "", "other_samples": ""}
    always = ("training figures with augmented samples", NEW_BEST)
    return judge(case, ABOVE, claims, arithmetic, meaning, explained=explained, premises=premises, always=always)


def _excess(case: Case, evaluated: Claim, training: Claim) -> float:
    """Least excess of an evaluation over training that rounding allows, in standard errors."""
    known = case.evaluated_samples(evaluated)
    if known is None:
        return 0.0
    least = window(evaluated).low - window(training).high_if_cut
    error = math.sqrt(max(evaluated.value * (1 - evaluated.value), 1 / known[0]) / known[0])
    return least / error


_DRAWN_IN_TRAINING = (RandomStep, RandomCrop, RandomResizedCrop, Mixup, CutMix)


def _regularisers(case: Case, variant: str) -> list[str]:
    layers, training = case.layers(variant), case.training(variant)
    drawn = [step for step in case.steps(variant) if isinstance(step, _DRAWN_IN_TRAINING)]
    layers = [named.layer for named in every_layer(layers)]
    rates = [layer.rate for layer in layers if isinstance(layer, Dropout | SpatialDropout) and layer.rate]
    found = [f"dropout of {max(rates):g}"] if rates else []
    found += ["random changes of the training samples"] if drawn else []
    if training is not None:
        loss, optimizer = training.loss, training.optimizer
        found += [f"L2 of {loss.l2:g}"] if loss.l2 else []
        found += [f"weight decay of {optimizer.weight_decay:g}"] if optimizer.weight_decay else []
        found += [f"label smoothing of {loss.label_smoothing:g}"] if loss.label_smoothing else []
        found += [f"weights averaged with {training.average_weights:g}"] if training.average_weights else []
    return found + (["batch norm"] if any(isinstance(layer, BatchNorm) for layer in layers) else [])


# --- two splits -----------------------------------------------------------------------------------------------------


def _identical(case: Case) -> Iterator[Finding]:
    """Two evaluated splits of one run at the end: the probability that both values agree to the printed digit if the
    splits share no sample."""
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
    """Accuracy and loss of the same samples depend on each other, so their probabilities are not multiplied. Both agree
    at most as often as the rarer of the two."""
    chance, shown, used = 1.0, [], []
    for quantity in ("accuracy", "loss"):
        first, second = (_finest(claims, quantity, split) for split in (one, other))
        if first is None or second is None:
            continue
        step = max(precision(first), precision(second))
        both = f"{quantity} {number(first.value)} and {number(second.value)}"
        used += [first, second]
        if abs(first.value - second.value) > step / 2:
            shown.append(both)
            chance = math.inf
            continue
        error = _standard_error(case, first, second)
        if error is None:
            shown.append(f"{both} agree; the number of samples is not known")
            continue
        likely = min(1.0, step / (error * math.sqrt(2 * math.pi)))
        chance = min(chance, likely) if chance < math.inf else chance
        shown.append(f"{both} agree by chance once in {1 / likely:.0f}")
    if not used:
        return
    arithmetic = f"'{one}' and '{other}': {'; '.join(shown)}"
    premises = () if case.printed_samples(used[0]) else data_steps(case, used[0].variant)
    if math.isinf(chance):
        yield plain(IDENTICAL, used, "consistent", arithmetic, "Each split has its own values.", premises)
    elif chance >= CHANCE:
        meaning = "The figures agree. That is rare by chance, but not rare enough to decide."
        yield plain(IDENTICAL, used, "cannot tell", arithmetic, meaning, premises)
    else:
        meaning = "Splits that share no sample rarely agree so closely: they may hold the same samples."
        explained: Explanations = {"two_things": "one figure printed under two names"}
        always = (f"chance: at most once in {1 / chance:.0f}",)
        yield judge(case, IDENTICAL, used, arithmetic, meaning, explained=explained, premises=premises, always=always)


def _finest(claims: list[Claim], quantity: str, split: str) -> Claim | None:
    found = [claim for claim in claims if (claim.quantity, claim.split) == (quantity, split)]
    return min(found, key=precision, default=None)


def _standard_error(case: Case, first: Claim, second: Claim) -> float | None:
    """Of the difference of two independent splits; None if a size is unknown. For a loss: the cross-entropy of single
    samples is skewed, most near 0 and a few large, so that its standard deviation is at least about its mean (as for an
    exponential). If the data steps copy one split into the other, the paper's own splits are smaller."""
    variance = first.value**2 if first.quantity == "loss" else max(first.value * (1 - first.value), 1e-4)
    copied = {step.into for step in case.steps(first.variant) if isinstance(step, CopySplit)}
    total = 0.0
    for claim in (first, second):
        known = case.evaluated_samples(claim)
        if known is None:
            return None
        samples = known[0] if case.printed_samples(claim) or claim.split not in copied else OFFICIAL_TEST
        total += variance / samples
    return max(math.sqrt(total), 1e-12)


# --- pixels ---------------------------------------------------------------------------------------------------------


def _pixels(case: Case) -> Iterator[Finding]:
    """Numbers from low to high with mean m have a variance of at most (m - low) (high - m) (Bhatia & Davis 2000)."""
    spreads = {(claim.split, claim.variant): claim for claim in case.of("pixel_std")}
    for mean in case.of("pixel_mean"):
        spread = spreads.get((mean.split, mean.variant))
        if spread is None or any(isinstance(step, Standardise) for step in case.steps(mean.variant)):
            continue  # standardised pixels have no fixed range
        low, high, premises = _range(case, mean.variant)
        inside = low <= window(mean).high_if_cut and window(mean).low <= high
        most = math.sqrt(max(0.0, (mean.value - low) * (high - mean.value)))
        shown = f"pixels from {number(low)} to {number(high)} with mean {number(mean.value)} spread by at most "
        shown += f"{most:.4g}; printed {number(spread.value)}"
        if inside and window(spread).low <= most:
            meaning = "Mean and standard deviation can be of the normalised pixels."
            yield plain(PIXELS, (mean, spread), "consistent", shown, meaning, premises)
            continue
        meaning = "Pixels that are normalised as described cannot have this mean and standard deviation."
        explained: Explanations = {"other_pixels": ""}
        if not together((mean, spread)):
            explained["two_things"] = ""
        yield judge(case, PIXELS, (mean, spread), shown, meaning, explained=explained, premises=premises)


def _range(case: Case, variant: str) -> tuple[float, float, tuple[Premise, ...]]:
    """(least, greatest) value of a pixel, and its premises."""
    for index, step in enumerate(case.steps(variant)):
        if isinstance(step, Normalise):
            low, high = (0 - step.subtract) / step.divide, (255 - step.subtract) / step.divide
            premise = step_setting(case, variant, index, ("subtract", "divide"), f"pixels from {low:g} to {high:g}")
            return low, high, (premise,)
    return 0.0, 255.0, (Premise(what="pixels from 0 to 255", source="assumed"),)


# --- the least loss -------------------------------------------------------------------------------------------------


def _least(case: Case, claim: Claim) -> Finding:
    """Among the printed losses of the split. Others in between may be lower, unless the program evaluates none."""
    losses = {
        place: other
        for other in case.of("loss")
        if (other.variant, other.split) == (claim.variant, claim.split)
        and (place := other.step if claim.unit == "step" else other.epoch) is not None
    }
    stated, training = window(claim), case.training(claim.variant)
    every = None if training is None else training.evaluate_every_steps
    lowest = min(losses, key=lambda place: losses[place].value, default=None)
    shown = f"stated {number(claim.value)}"
    claims = [claim, *losses.values()]
    if lowest is None:
        return plain(LEAST, claims, "cannot tell", shown, "Nothing to compare with.")
    shown += f"; the least of {len(losses)} printed is {number(losses[lowest].value)}, {claim.unit} {lowest:,}"
    places = [place for place in losses if stated.fit(place) != "no"]
    taken = claim.unit != "step" or every is None or math.ceil(stated.low / every) * every < stated.high_if_cut
    if lowest in places:
        return plain(LEAST, claims, "consistent", shown, "The least printed loss is where the paper says.")
    if taken and not places:
        return plain(LEAST, claims, "cannot tell", shown, "No loss is printed where the paper says that it is least.")
    explained: Explanations = {"unprinted": "of a smoothed curve, or of losses between"}
    if not together(claims):
        explained["two_things"] = ""
    if taken:
        meaning = "The printed losses are not least where the paper says."
        return judge(case, LEAST, claims, shown, meaning, explained=explained)
    words = f"the program takes a loss every {counted(every or 0, 'step')}"
    premises = (setting(case, claim.variant, "training.evaluate_every_steps", words),)
    meaning = f"The program takes a loss every {counted(every or 0, 'step')}, and so none there."
    return judge(case, LEAST, claims, shown, meaning, explained=explained, premises=premises)

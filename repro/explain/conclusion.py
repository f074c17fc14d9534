"""What `repro explain` concludes, in plain words, from the verdict on the clean runs and the hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fer_jax.vocabulary.counted import counted
from repro.explain.hypotheses import missing_text
from repro.explain.records import Conclusion, SuspectResult
from repro.specs.spec import Claim
from repro.statistics import MIN_RUNS, Decision
from repro.text.units import number, percentage, percentage_of, reported


@dataclass(frozen=True)
class Concluded:
    """See `repro.explain.records.Explanation`."""

    conclusion: Conclusion
    cause: str
    why: tuple[str, ...]
    next_steps: tuple[str, ...] = ()


def has_gap(clean: Decision) -> bool:
    """Whether the clean runs are below the claim by more than chance. Otherwise there is no cause to find."""
    return clean.outcome == "lower"


def without_gap(
    claim: Claim,
    values: Sequence[float],
    clean: Decision,
    *,
    outdated: int = 0,
    minutes_per_run: float | None = None,
) -> Concluded:
    """The conclusion if the clean runs show no gap. outdated: clean runs of older settings, which do not count."""
    if len(values) < MIN_RUNS:
        why = [f"{len(values)} of at least {MIN_RUNS} clean runs: the accuracy without train/test overlap is unknown."]
        if outdated:
            why.append(f"{counted(outdated, 'run')} of an older definition of protocol clean are left out.")
        missing = MIN_RUNS - len(values)
        step = f"protocol clean: {missing_text(missing, minutes_per_run and missing * minutes_per_run)}"
        return Concluded("not known", "", tuple(why), (step,))
    expected = _expected(clean)
    if clean.outcome.startswith("same"):
        why = (
            f"Clean runs give {percentage_of(values)}, the same as the reported {reported(claim)} within the tolerance"
        )
        side = clean.outcome.partition("though ")[2]
        why += f" ({side}, but by less than the tolerance)" if side else ""
        return Concluded("nothing to explain", "", (f"{why}.",))
    if clean.outcome == "higher":
        why = f"Clean runs give {percentage_of(values)}, {expected}: above the claim. Overlap cannot be the cause."
        return Concluded("not known", "", (why,))
    why = [
        f"It is open whether there is a gap at all: clean runs give {percentage_of(values)}, {expected}, and the paper "
        f"reports {reported(claim)}."
    ]
    if clean.why_open is not None:
        why.append(f"It stays open because {clean.why_open.value}.")
    steps = []
    if clean.seeds_needed and clean.seeds_needed > len(values):
        steps.append(f"{counted(clean.seeds_needed, 'clean run')} in all would decide it, if their spread stays")
    return Concluded("not known", "", tuple(why), tuple(steps))


def conclude(
    claim: Claim,
    values: Sequence[float],
    clean: Decision,
    suspects: Sequence[SuspectResult],
    other_reasons: Sequence[str],
) -> Concluded:
    """The conclusion if the clean runs fall short of the claim.

    Proven: one hypothesis is credited, all others are excluded, and nothing else may explain the gap.
    """
    gap = f"Clean runs give {percentage_of(values)}, {_expected(clean)}: below the reported {reported(claim)}."
    credited = [one for one in suspects if one.standing == "credited"]
    open_ones = [one for one in suspects if one.standing == "open"]
    steps = tuple(_step(one) for one in open_ones)
    if other_reasons:
        why = [gap, "The gap may have another reason than a protocol error, so no cause is concluded."]
        why += [f"{_upper(reason)}." for reason in other_reasons]
        why += _standing("Of the errors that were tried, ", credited, open_ones)
        return Concluded("not known", "", tuple(why), steps)
    if len(credited) == 1 and not open_ones:
        (cause,) = credited
        why = (gap, cause.reason, _words_of(cause), "Every other error that was considered is excluded.")
        return Concluded("proven", cause.suspect, tuple(text for text in why if text))
    if credited or open_ones:
        steps = steps or ("the paper's code or data, because more runs cannot separate these",)
        return Concluded("several hypotheses", "", (gap, *_standing("", credited, open_ones)), steps)
    why = (gap, "No error that was considered gives the claim: the network, the training or the data may differ.")
    return Concluded("not known", "", why)


def _standing(start: str, credited: Sequence[SuspectResult], open_ones: Sequence[SuspectResult]) -> list[str]:
    """Which hypotheses remain."""
    sentences = []
    if credited:
        sentences.append(f"{start}these would give the claim: {_names(credited)}.")
    if open_ones:
        sentences.append(f"{'' if credited else start}these are not ruled out: {_names(open_ones)}.")
    if start and not sentences:
        sentences.append(f"{start}none gives the claim.")
    return [_upper(text) for text in sentences]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _names(some: Sequence[SuspectResult]) -> str:
    return "; ".join(one.about for one in some)


def _words_of(cause: SuspectResult) -> str:
    """The paper's own words in favour of the cause."""
    said = [one.text for one in cause.evidence if one.fits and one.kind in ("paper", "steps", "curve")]
    return f"The paper bears it out: {'; '.join(said)}." if said else "The paper says nothing against it."


def _step(one: SuspectResult) -> str:
    if not one.missing_runs:
        return f"{one.about}: more runs of this suite cannot decide; the paper's code or data would"
    return f"{one.about}: {missing_text(one.missing_runs, one.minutes)}"


def _expected(made: Decision) -> str:
    low, high = made.low, made.high
    assert low is not None and high is not None
    low, high = max(0.0, low), min(1.0, high)
    return f"one run of the paper is expected between {number(100 * low, 1)} and {percentage(high, None)}"

"""Times: a speed-up is a ratio of two times, and every further epoch takes as long as the one before."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from itertools import pairwise

from fer_jax.vocabulary.counted import counted
from repro.forensics.case import Case, grouped
from repro.forensics.finding import Finding, Premise
from repro.forensics.granted import judge, plain, together
from repro.forensics.printed import Fit, RoundingInterval, number, window
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim

SPEEDUP = "speed-up is CPU time / GPU time"
AVERAGE = "average speed-up"
PER_EPOCH = "time per further epoch"
LONGER = "more epochs take longer"
# The same program on the same machine: clocks, caches and other load change an epoch's time by some percent. A quarter
# leaves room for that, and for an occasional validation, but not for other work or for a typo.
EPOCH_TIME_SPREAD = 0.25
# A mean over the ratios of several runs beside the times of one run: times spread by 2 to 3 %, their ratio by 3 to 4 %.
# Three standard deviations of that.
RUNS_SPREAD = 0.1
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def check(case: Case) -> Iterator[Finding]:
    yield from _speedups(case)
    timed = (claim for claim in case.of("time") if claim.epoch is not None)
    for claims in grouped(timed, lambda c: (c.variant, c.device, c.hardware)).values():
        ordered = sorted(claims, key=lambda claim: claim.epoch or 0)
        yield from _longer(case, ordered)
        yield from _per_epoch(case, ordered)


# --- speed-up -------------------------------------------------------------------------------------------------------


def _time(case: Case, claim: Claim, device: str) -> Claim | None:
    key = (claim.variant, case.moment(claim), device)
    return next((t for t in case.of("time") if (t.variant, case.moment(t), t.device) == key), None)


def _speedups(case: Case) -> Iterator[Finding]:
    pairs = {claim: (_time(case, claim, "cpu"), _time(case, claim, "gpu")) for claim in case.of("speedup")}
    rows = {claim: (cpu, gpu) for claim, (cpu, gpu) in pairs.items() if claim.epoch is not None and cpu and gpu}
    for claim, (cpu, gpu) in pairs.items():
        if claim.epoch is None and len(rows) > 1:
            yield _average(case, claim, rows)
        elif cpu is not None and gpu is not None:
            yield _speedup(case, claim, cpu, gpu)


def _quotient(
    over: RoundingInterval, under: RoundingInterval, start: tuple[float, float] = (0.0, 0.0)
) -> tuple[float, float]:
    """(least, greatest) ratio of two printed times, less up to `start` seconds of each."""
    low, high = over.low - start[0], under.low - start[1]
    return (
        max(0.0, low) / under.high_if_cut if under.high_if_cut > 0 else 0.0,
        over.high_if_cut / high if high > 0 else math.inf,
    )


def _speedup(case: Case, claim: Claim, cpu: Claim, gpu: Claim) -> Finding:
    over, under, ratio = _seconds(cpu), _seconds(gpu), _ratio(cpu, gpu)
    low, high = _quotient(over, under)
    claims = (claim, cpu, gpu)
    shown = f"{number(cpu.value)} {cpu.unit} / {number(gpu.value)} {gpu.unit} = {ratio:.2f} "
    shown += f"({low:.2f} to {high:.2f} by rounding); printed {number(claim.value)}"
    fit, side_by_side = window(claim).fit(low, high), together(claims)
    source = "stated" if side_by_side or claim.epoch is not None else "inferred"
    premises = (Premise(what="the speed-up is of these two times", source=source),)
    if fit != "no":
        outcome = "consistent" if fit == "rounded" else "cannot tell"
        return plain(SPEEDUP, claims, outcome, shown, "The speed-up is the ratio of the two times.", premises)
    meaning = "The speed-up is not the ratio of the two times."
    explained: Explanations = {} if side_by_side else {"two_things": "", "other_machine": ""}
    if claim.epoch != cpu.epoch:
        explained["unprinted"] = "the average or another row of a table"
    if _close(claim, low * (1 - RUNS_SPREAD), high * (1 + RUNS_SPREAD)):
        explained["mean_of_runs"] = f"within {100 * RUNS_SPREAD:g} % of the ratio"
    start = tuple(_longest_start(case, time) for time in (cpu, gpu))
    if _close(claim, *_quotient(over, under, (start[0], start[1]))):
        explained["start_up"] = f"up to {start[0]:.3g} s and {start[1]:.3g} s"
    others = {
        "the time saved": (1 - 1 / low if low else -math.inf, 1 - 1 / high),
        "by how much it is faster": (low - 1, high - 1),
        "the other way round": (1 / high, 1 / low if low else math.inf),
    }
    if fitting := [name for name, (least, most) in others.items() if _close(claim, least, most)]:
        explained["other_ratio"] = ", ".join(fitting)
    return judge(case, SPEEDUP, claims, shown, meaning, explained=explained, premises=premises)


def _close(claim: Claim, low: float, high: float) -> bool:
    return window(claim).fit(low, high) != "no"


def _longest_start(case: Case, claim: Claim) -> float:
    """The longest start-up time, in seconds, on a claim's machine: what several printed times leave if their epochs
    take equally long, within the spread of an epoch's time; for a single time all of it."""
    machine = (claim.variant, claim.device, claim.hardware)
    same = [c for c in case.of("time") if (c.variant, c.device, c.hardware) == machine and c.epoch]
    shortest = min(same, key=lambda c: c.epoch or 0, default=claim)
    later = [c for c in same if (c.epoch or 0) > (shortest.epoch or 0)]
    if not later or shortest.epoch is None:
        return _seconds(shortest).high_if_cut
    first = _seconds(shortest).high_if_cut
    epoch = min((_seconds(c).low - first) / ((c.epoch or 0) - shortest.epoch) for c in later)
    return min(first, max(0.0, first - shortest.epoch * epoch * (1 - EPOCH_TIME_SPREAD)))


def _ratio(cpu: Claim, gpu: Claim) -> float:
    return SECONDS[cpu.unit] * cpu.value / (SECONDS[gpu.unit] * gpu.value) if gpu.value else math.inf


def _average(case: Case, claim: Claim, rows: dict[Claim, tuple[Claim, Claim]]) -> Finding:
    """The average of the printed speed-ups or of the recomputed ones; a best or a typical one is within their range."""
    printed = [row.value for row in rows]
    again = [_ratio(cpu, gpu) for cpu, gpu in rows.values()]
    means = statistics.fmean(printed), statistics.fmean(again)
    shown = f"the {len(rows)} printed average {means[0]:.2f}, recomputed from the times {means[1]:.2f}; "
    shown += f"printed {number(claim.value)}"
    claims = (claim, *rows)
    fits: list[Fit] = [window(claim).fit(mean) for mean in means]
    if "rounded" in fits:
        meaning = "It is an average of the speed-ups, as coarsely as it is printed."
        return plain(AVERAGE, claims, "consistent", shown, meaning)
    if "cut" in fits or min(printed + again) <= claim.value <= max(printed + again):
        meaning = "It is none of the averages, but lies among the speed-ups."
        return plain(AVERAGE, claims, "cannot tell", shown, meaning)
    explained: Explanations = {"unprinted": "more speed-ups than those with a claim"}
    if not together(claims):
        explained["two_things"] = ""
    least, most = min(printed + again), max(printed + again)
    if _close(claim, least - 1, most - 1) or _close(claim, 1 - 1 / least, 1 - 1 / most):
        explained["other_ratio"] = "by how much it is faster, or the time saved"
    meaning = "No average of the printed speed-ups gives this one."
    return judge(case, AVERAGE, claims, shown, meaning, explained=explained)


# --- epochs ---------------------------------------------------------------------------------------------------------


def _other_times(claims: list[Claim]) -> Explanations:
    explained: Explanations = {"early_stopping": "", "other_machine": ""}
    if not together(claims):
        explained["two_things"] = ""
    return explained


def _epochs(claim: Claim) -> str:
    return counted(claim.epoch or 0, "epoch")


def _longer(case: Case, claims: list[Claim]) -> Iterator[Finding]:
    later = [(first, second) for first, second in pairwise(claims) if first.epoch != second.epoch]
    wrong = [(first, second) for first, second in later if not _is_longer(first, second)]
    for first, second in wrong:
        shown = f"{_epochs(first)}: {number(first.value)} {first.unit}; "
        shown += f"{_epochs(second)}: {number(second.value)} {second.unit}"
        meaning = f"{_epochs(second)} cannot take the time of {first.epoch} on the same machine."
        pair = [first, second]
        yield judge(case, LONGER, pair, shown, meaning, explained=_other_times(pair))
    if later and not wrong:
        shown = ", ".join(f"{claim.epoch}: {number(claim.value)} {claim.unit}" for claim in claims)
        yield plain(LONGER, claims, "consistent", shown, "More epochs took longer.")


def _is_longer(first: Claim, second: Claim) -> bool:
    epochs = (second.epoch or 0) - (first.epoch or 0)
    return _seconds(second).high_if_cut - _seconds(first).low > epochs * _least_epoch(first)


def _least_epoch(claim: Claim) -> float:
    """The least seconds of a further epoch: a hundredth of the average until then, because start-up time may weigh as
    much as 99 epochs."""
    return 0.01 * _seconds(claim).low / (claim.epoch or 1)


def _seconds(claim: Claim) -> RoundingInterval:
    printed, scale = window(claim), SECONDS[claim.unit]
    return RoundingInterval(printed.value * scale, printed.precision * scale)


def _further(claims: list[Claim]) -> list[tuple[float, float, float]]:
    """(least, printed, greatest) seconds per further epoch between neighbours. The time of starting up cancels."""
    out = []
    for first, second in pairwise(claims):
        epochs = (second.epoch or 0) - (first.epoch or 0)
        one, two = _seconds(first), _seconds(second)
        span = (two.low - one.high_if_cut, two.value - one.value, two.high_if_cut - one.low)
        out.append(tuple(seconds / epochs for seconds in span))
    return out


def _is_constant(claims: list[Claim]) -> bool:
    further = _further(claims)
    typical = statistics.median(printed for _, printed, _ in further)
    low, high = typical * (1 - EPOCH_TIME_SPREAD), typical * (1 + EPOCH_TIME_SPREAD)
    return typical > 0 and all(least <= high and greatest >= low for least, _, greatest in further)


def _per_epoch(case: Case, claims: list[Claim]) -> Iterator[Finding]:
    claims = [claim for index, claim in enumerate(claims) if index == 0 or claim.epoch != claims[index - 1].epoch]
    if len(claims) < 3:
        return
    shown = ", ".join(
        f"{first.epoch} to {second.epoch}: {printed:.3g}"
        for (first, second), (_, printed, _) in zip(pairwise(claims), _further(claims), strict=True)
    )
    shown = f"seconds per epoch from epoch {shown}"
    if _is_constant(claims):
        yield plain(PER_EPOCH, claims, "consistent", shown, "Every further epoch takes about as long.")
        return
    odd = [claim for claim in claims if len(claims) > 3 and _is_constant([c for c in claims if c is not claim])]
    if len(odd) == 1:
        others = [claim for claim in claims if claim is not odd[0]]
        typical = statistics.median(printed for _, printed, _ in _further(others))
        shown += f"; without {_epochs(odd[0])}: {typical:.3g}"
    meaning = (
        f"The time of {_epochs(odd[0])} does not fit those of the other rows."
        if len(odd) == 1
        else "The times are not those of one program that repeats the same epoch."
    )
    wrong = odd if len(odd) == 1 else claims
    yield judge(case, PER_EPOCH, wrong, shown, meaning, explained=_other_times(claims), about=claims)

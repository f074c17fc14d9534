"""Times: a speed-up is a ratio of two of them, and every further epoch takes as long as the one before."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from itertools import pairwise

from repro.forensics.case import Case, grouped, ids
from repro.forensics.finding import Finding, Outcome
from repro.forensics.printed import Window, number, window
from repro.spec import Claim

SPEEDUP = "speed-up is CPU time / GPU time"
AVERAGE = "average speed-up"
PER_EPOCH = "time per further epoch"
LONGER = "more epochs take longer"
# The same program on the same machine: clocks, caches and other load change an epoch's time by some percent. A quarter
# leaves room for that, and for a validation that is done now and then, but not for other work or for a slip of the pen.
EPOCH_TIME_SPREAD = 0.25
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def check(case: Case) -> Iterator[Finding]:
    yield from _speedups(case)
    timed = (claim for claim in case.of("time") if claim.epoch is not None)
    for claims in grouped(timed, lambda c: (c.variant, c.device, c.hardware)).values():
        ordered = sorted(claims, key=lambda claim: claim.epoch or 0)
        yield from _longer(ordered)
        yield from _per_epoch(ordered)


# --- speed-up -------------------------------------------------------------------------------------------------------


def _time(case: Case, claim: Claim, device: str) -> Claim | None:
    key = (claim.variant, case.moment(claim), device)
    return next((t for t in case.of("time") if (t.variant, case.moment(t), t.device) == key), None)


def _speedups(case: Case) -> Iterator[Finding]:
    pairs = {claim: (_time(case, claim, "cpu"), _time(case, claim, "gpu")) for claim in case.of("speedup")}
    rows = {claim: (cpu, gpu) for claim, (cpu, gpu) in pairs.items() if claim.epoch is not None and cpu and gpu}
    for claim, (cpu, gpu) in pairs.items():
        if claim.epoch is None and len(rows) > 1:
            yield _average(claim, rows)
        elif cpu is not None and gpu is not None:
            yield _speedup(claim, cpu, gpu)


def _speedup(claim: Claim, cpu: Claim, gpu: Claim) -> Finding:
    over, under, ratio = _seconds(cpu), _seconds(gpu), _ratio(cpu, gpu)
    low = over.low / under.high_if_cut if under.high_if_cut > 0 else 0.0
    high = over.high_if_cut / under.low if under.low > 0 else math.inf
    outcome = window(claim).fit(low, high)
    if outcome == "inconsistent" and claim.epoch != cpu.epoch:
        outcome = "cannot tell"  # of a table's rows it may be the average, or another one
    return Finding(
        check=SPEEDUP,
        claims=ids(claim, cpu, gpu),
        outcome=outcome,
        arithmetic=f"{number(cpu.value)} {cpu.unit} / {number(gpu.value)} {gpu.unit} = {ratio:.2f} "
        f"({low:.2f} to {high:.2f} by rounding); printed {number(claim.value)}",
        meaning="The speed-up is the ratio of the two times."
        if outcome == "consistent"
        else "The speed-up is not the ratio of the two times.",
    )


def _ratio(cpu: Claim, gpu: Claim) -> float:
    return SECONDS[cpu.unit] * cpu.value / (SECONDS[gpu.unit] * gpu.value) if gpu.value else math.inf


def _average(claim: Claim, rows: dict[Claim, tuple[Claim, Claim]]) -> Finding:
    """The average of the printed speed-ups or of the recomputed ones; a best or a typical one lies among them. It takes
    for granted that all speed-ups of the document are claims, as a spec should have it."""
    printed = [row.value for row in rows]
    again = [_ratio(cpu, gpu) for cpu, gpu in rows.values()]
    means = statistics.fmean(printed), statistics.fmean(again)
    fits = [window(claim).fit(mean) == "consistent" for mean in means]
    inside = min(printed + again) <= claim.value <= max(printed + again)
    outcome: Outcome = "consistent" if any(fits) else "cannot tell" if inside else "inconsistent"
    return Finding(
        check=AVERAGE,
        claims=ids(claim, *rows),
        outcome=outcome,
        arithmetic=f"the {len(rows)} printed average {means[0]:.2f}, recomputed from the times {means[1]:.2f}; "
        f"printed {number(claim.value)}",
        meaning="It is an average of the speed-ups, as coarsely as it is printed."
        if outcome == "consistent"
        else "It is none of the averages, but lies among the speed-ups."
        if inside
        else "No average of the printed speed-ups gives this one.",
    )


# --- epochs ---------------------------------------------------------------------------------------------------------


def _longer(claims: list[Claim]) -> Iterator[Finding]:
    later = [(first, second) for first, second in pairwise(claims) if first.epoch != second.epoch]
    wrong = [(first, second) for first, second in later if not _is_longer(first, second)]
    for first, second in wrong:
        yield Finding(
            check=LONGER,
            claims=ids(first, second),
            outcome="inconsistent",
            arithmetic=f"{first.epoch} epochs: {number(first.value)} {first.unit}; "
            f"{second.epoch} epochs: {number(second.value)} {second.unit}",
            meaning=f"{second.epoch} epochs cannot take the time of {first.epoch} on the same machine.",
        )
    if later and not wrong:
        yield Finding(
            check=LONGER,
            claims=ids(*claims),
            outcome="consistent",
            arithmetic=", ".join(f"{claim.epoch}: {number(claim.value)} {claim.unit}" for claim in claims),
            meaning="More epochs took longer.",
        )


def _is_longer(first: Claim, second: Claim) -> bool:
    epochs = (second.epoch or 0) - (first.epoch or 0)
    return _seconds(second).high_if_cut - _seconds(first).low > epochs * _least_epoch(first)


def _least_epoch(claim: Claim) -> float:
    """Seconds that a further epoch takes at the very least: a hundredth of the average until then, in which the time of
    starting up may weigh as much as 99 epochs."""
    return 0.01 * _seconds(claim).low / (claim.epoch or 1)


def _seconds(claim: Claim) -> Window:
    printed, scale = window(claim), SECONDS[claim.unit]
    return Window(printed.value * scale, printed.precision * scale)


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


def _per_epoch(claims: list[Claim]) -> Iterator[Finding]:
    claims = [claim for index, claim in enumerate(claims) if index == 0 or claim.epoch != claims[index - 1].epoch]
    if len(claims) < 3:
        return
    shown = ", ".join(
        f"{first.epoch} to {second.epoch}: {printed:.3g}"
        for (first, second), (_, printed, _) in zip(pairwise(claims), _further(claims), strict=True)
    )
    shown = f"seconds per epoch from epoch {shown}"
    if _is_constant(claims):
        yield Finding(
            check=PER_EPOCH,
            claims=ids(*claims),
            outcome="consistent",
            arithmetic=shown,
            meaning="Every further epoch takes about as long.",
        )
        return
    odd = [claim for claim in claims if len(claims) > 3 and _is_constant([c for c in claims if c is not claim])]
    if len(odd) == 1:
        others = [claim for claim in claims if claim is not odd[0]]
        typical = statistics.median(printed for _, printed, _ in _further(others))
        shown += f"; without {odd[0].epoch} epochs: {typical:.3g}"
    yield Finding(
        check=PER_EPOCH,
        claims=ids(*(odd if len(odd) == 1 else claims)),
        outcome="inconsistent",
        arithmetic=shown,
        meaning=f"The time of {odd[0].epoch} epochs does not fit those of the other rows."
        if len(odd) == 1
        else "The times are not those of one program that repeats the same epoch.",
    )

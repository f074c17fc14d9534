"""How often the verdicts err: simulated with the functions that make them, for the table of docs/verdicts.md.

``python -m repro.statistics.error_rates`` writes that table (some minutes); tests/statistics/test_error_rates.py
checks it.

One replicate: a prior is estimated from nine other groups of three runs, the paper's claim is one run, rounded as it
would be printed, and n runs of ours are compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from repro.statistics.comparison import Target, compare
from repro.statistics.curves import decide_curve
from repro.statistics.decision import levels, may_be_decided
from repro.statistics.looks import LOOKS
from repro.statistics.samples import Design, Samples
from repro.statistics.spread import Prior, estimate_prior

USUAL_SD = 0.0065  # of accuracy at the end of a run on fixed samples, over the groups that the design was made with
# The prior that the committed records give (tests/judge/test_usual_spread.py holds them to each other): s0, and the
# degrees of freedom by which groups differ. chavan2020 trains with a momentum of 0.99 and spreads twice as far.
RECORDED_SD, RECORDED_DF = 0.008, 4.4
TOLERANCE = 0.03  # the tolerance of the bundled papers
MEAN = 0.5
OTHER_GROUPS, OTHER_RUNS = 9, 3
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "verdicts.md"
BEGIN, END = "<!-- table: error rates -->\n", "<!-- end -->"


@dataclass(frozen=True)
class Scenario:
    """What is simulated.

    looks: numbers of seeds at which the claim is judged; one: fixed beforehand, several: until it is decided. usual_sd:
    of the seeds of all groups. sd: of the judged group, relative to the usual one. heterogeneity: degrees of freedom of
    the scaled inverse chi-square from which every group draws its own variance; inf: all the same. moderate: use the
    prior.
    """

    name: str
    design: Design
    looks: tuple[int, ...]
    resolution: float = 0.001
    sd: float = 1.0
    heterogeneity: float = math.inf
    moderate: bool = True
    usual_sd: float = USUAL_SD


@dataclass(frozen=True)
class Rates:
    """Shares of the replicates. false_differs, undecided: of true claims. false_same: of claims whose paper has a mean
    that is off by just the tolerance. missed: of claims whose paper's mean is off by twice the tolerance, not called
    different. seeds: mean number of seeds until a true claim is decided, or the last look."""

    false_differs: float
    false_same: float
    undecided: float
    missed: float
    seeds: float


FIXED = Design(Samples.FIXED_OWN, 3589)
REDRAWN = Design(Samples.REDRAWN, 7174, 7174, 35_887)
SMALL = Design(Samples.REDRAWN, 1000, 1000, 40_263)
UNKNOWN = Design(Samples.UNKNOWN, 3589, 3589)
DESIGNS = (
    ("3,589 fixed samples", FIXED, 0.001),
    ("3,589 fixed samples, claim in whole per cent", FIXED, 0.01),
    ("7,174 samples redrawn of 35,887", REDRAWN, 0.001),
    ("1,000 samples redrawn of 40,263, whole per cent", SMALL, 0.01),
    ("3,589 fixed samples, the paper's 3,589 unknown", UNKNOWN, 0.001),
)


def scenarios() -> list[Scenario]:
    found = [Scenario(name, d, (n,), res) for name, d, res in DESIGNS for n in (3, 5, 10)]
    found += [Scenario(f"{name}, until decided", d, LOOKS, res) for name, d, res in DESIGNS]
    found += [
        Scenario("3,589 fixed samples, every group with its own spread (8 df)", FIXED, (n,), heterogeneity=8.0)
        for n in (3, 5)
    ]
    found += [
        Scenario(f"3,589 fixed samples, {words}", FIXED, (n,), usual_sd=RECORDED_SD, heterogeneity=df)
        for words, df in (("0.8 points", math.inf), ("the committed groups: 0.8 points, 4.4 df", RECORDED_DF))
        for n in (3, 5, 10)
    ]
    found += [Scenario("3,589 fixed samples, seeds differ by twice the usual", FIXED, (n,), sd=2.0) for n in (3, 5, 10)]
    return found + [Scenario("3,589 fixed samples, without moderation", FIXED, (n,), moderate=False) for n in (3, 5)]


def simulate(scenario: Scenario, replicates: int, seed: int = 0) -> Rates:
    """Each of three kinds of claim `replicates` times: true, off by the tolerance, off by twice the tolerance."""
    random = np.random.default_rng(seed)
    true = [_judge(scenario, 0.0, random) for _ in range(replicates)]
    edge = [_judge(scenario, TOLERANCE, random) for _ in range(replicates)]
    far = [_judge(scenario, 2 * TOLERANCE, random) for _ in range(replicates)]
    return Rates(
        false_differs=float(np.mean([differs for differs, _, _ in true])),
        false_same=float(np.mean([same for _, same, _ in edge])),
        undecided=float(np.mean([not (differs or same) for differs, same, _ in true])),
        missed=float(np.mean([not differs for differs, _, _ in far])),
        seeds=float(np.mean([n for _, _, n in true])),
    )


def _judge(scenario: Scenario, offset: float, random: np.random.Generator) -> tuple[bool, bool, int]:
    """(differs, same, seeds) at the last look made (as in `repro.decide`). offset: of the paper's mean from ours."""
    prior, sd = _prior(scenario, random), _own_sd(scenario, random)
    design, most = scenario.design, scenario.looks[-1]
    run_sd = math.hypot(sd, math.sqrt(design.drawing_variance(MEAN)))
    claim_sd = math.hypot(run_sd, math.sqrt(design.mismatch_variance(MEAN)))
    printed = _printed(random.normal(MEAN + offset, claim_sd), scenario.resolution)
    runs = random.normal(MEAN, run_sd, most)
    target = Target(printed, scenario.resolution, TOLERANCE)
    differs = same = False
    for look in scenario.looks:
        level, level_same = levels(look if len(scenario.looks) > 1 else None)
        comparison = compare(runs[:look].tolist(), target, design, prior=prior)
        differs, same = comparison.differs(level), comparison.is_same(level_same)
        if differs or same or not (look == most or may_be_decided(comparison, look)):
            return differs, same, look
    return differs, same, most


def _prior(scenario: Scenario, random: np.random.Generator) -> Prior | None:
    if not scenario.moderate:
        return None
    usual = replace(scenario, sd=1.0)
    sds = [_own_sd(usual, random) for _ in range(OTHER_GROUPS)]
    return estimate_prior([random.normal(MEAN, sd, OTHER_RUNS).tolist() for sd in sds])


def _own_sd(scenario: Scenario, random: np.random.Generator) -> float:
    sd = scenario.usual_sd * scenario.sd
    if math.isinf(scenario.heterogeneity):
        return sd
    return sd * math.sqrt(scenario.heterogeneity / random.chisquare(scenario.heterogeneity))


def _printed(value: float, resolution: float) -> float:
    return round(value / resolution) * resolution if resolution else value


def table(rows: Sequence[tuple[Scenario, Rates]], replicates: int) -> str:
    """The table as Markdown."""
    lines = [
        '| Samples | Seeds | False "differs" | False "same" at the edge | Undecided, true claim | '
        "Twice the tolerance off, not found | Mean seeds |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for scenario, rates in rows:
        seeds = str(scenario.looks[0]) if len(scenario.looks) == 1 else ", ".join(map(str, scenario.looks))
        shares = (rates.false_differs, rates.false_same, rates.undecided, rates.missed)
        cells = [scenario.name, seeds, *(f"{100 * share:.1f} %" for share in shares), f"{rates.seeds:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    error = 100 * math.sqrt(0.05 * 0.95 / replicates)
    note = f"{replicates:,} simulated claims of each kind per row; the standard error at 5 % is {error:.1f} points."
    return "\n".join([*lines, "", note]) + "\n"


@dataclass(frozen=True)
class CurveScenario:
    """n runs and one printed curve of `points` points; rho: correlation between any two points of a run."""

    n: int
    points: int
    rho: float


def curve_scenarios() -> list[CurveScenario]:
    return [CurveScenario(n, points, rho) for n in (3, 5) for points in (4, 20) for rho in (0.0, 0.6, 0.95)]


def simulate_curve(scenario: CurveScenario, replicates: int, seed: int = 0) -> tuple[float, float, float]:
    """(false "differs" for a true curve, false "same" for one that is off by the tolerance everywhere, undecided for a
    true curve). The deviation falls from twice the usual at the first point to the usual one at the last."""
    random = np.random.default_rng(seed)
    true = [_judge_curve(scenario, 0.0, random) for _ in range(replicates)]
    edge = [_judge_curve(scenario, TOLERANCE, random) for _ in range(replicates)]
    return (
        float(np.mean([differs for differs, _ in true])),
        float(np.mean([same for _, same in edge])),
        float(np.mean([not (differs or same) for differs, same in true])),
    )


def _judge_curve(scenario: CurveScenario, offset: float, random: np.random.Generator) -> tuple[bool, bool]:
    n, points = scenario.n + 1, scenario.points
    noise = math.sqrt(scenario.rho) * random.standard_normal((n, 1))
    noise = noise + math.sqrt(1 - scenario.rho) * random.standard_normal((n, points))
    drawn = 0.4 + np.linspace(0, 0.2, points) + USUAL_SD * np.linspace(2, 1, points) * noise
    made = decide_curve(drawn[1:], drawn[0] + offset, tolerance=TOLERANCE)
    return made.differs, made.same


def curve_table(rows: Sequence[tuple[CurveScenario, tuple[float, float, float]]], replicates: int) -> str:
    lines = [
        '| Points | Correlation within a run | Seeds | False "differs" | False "same" at the edge | '
        "Undecided, true curve |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for one, rates in rows:
        cells = [str(one.points), f"{one.rho:g}", str(one.n), *(f"{100 * rate:.1f} %" for rate in rates)]
        lines.append("| " + " | ".join(cells) + " |")
    error = 100 * math.sqrt(0.05 * 0.95 / replicates)
    note = f"{replicates:,} simulated curves of each kind per row; the standard error at 5 % is {error:.1f} points."
    return "\n".join([*lines, "", note]) + "\n"


def main(replicates: int = 3000, curves: int = 300) -> None:
    text = table([(one, simulate(one, replicates)) for one in scenarios()], replicates)
    text += "\n" + curve_table([(one, simulate_curve(one, curves)) for one in curve_scenarios()], curves)
    before, begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    DOCUMENT.write_text("".join([before, begin, text, end, after]), encoding="utf-8")


if __name__ == "__main__":
    main()

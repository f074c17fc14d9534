"""The results of the stages, read back from their files: key values for the table. No JAX here."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from fer_jax.vocabulary.counted import counted
from repro.gpu.jobs import REPORTS, CallSettings, Job, Stage, records_of
from repro.specs.protocols import AS_PUBLISHED, REPORTED_SPLIT

# Seeds in one program must give at least this many times the images/s of one seed; otherwise they run in sequence.
WORTH_SHARING = 1.0


def read_report(settings: CallSettings, name: str) -> dict[str, Any]:
    """A file of `results/gpu`; empty if it is missing or unreadable."""
    try:
        found = json.loads((settings.reports / f"{name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def seeds_side_by_side(settings: CallSettings, paper: str) -> bool:
    """Whether a paper's seeds are trained in one program: true unless the checks measured that it is slower."""
    ratio = read_report(settings, f"works-{paper}").get("speed", {}).get("ratio")
    return ratio is None or ratio >= WORTH_SHARING


def key_figures(settings: CallSettings, stage: Stage) -> str:
    """A line about a stage, from all existing results, including earlier calls."""
    line = _LINES.get(stage.name)
    return line(settings, stage) if line else ""


def _works(settings: CallSettings, stage: Stage) -> str:
    parts = []
    for job in stage.jobs:
        report = read_report(settings, job.name)
        if not report:
            continue
        wrong = [check["name"] for check in report.get("checks", []) if not check["passed"]]
        speed = report.get("speed", {}).get("ratio")
        words = f"{job.name.removeprefix('works-')} {'FAILED ' + ', '.join(wrong) if wrong else 'right'}"
        parts.append(words + (f" ({counted(report['speed']['seeds'], 'seed')} x{speed:.2f})" if speed else ""))
    return "; ".join(parts)


def _runs(settings: CallSettings, stage: Stage) -> str:
    """Mean accuracy of each paper and protocol; for variants only their number."""
    parts = []
    for job in stage.jobs:
        for paper in dict.fromkeys(plan.paper for plan in job.plans):
            plans = [plan for plan in job.plans if plan.paper == paper]
            records = records_of(plans, settings)
            if not records:
                continue
            split = _reported_split(settings, paper) if plans[0].protocol == AS_PUBLISHED else REPORTED_SPLIT
            values = [100 * r["metrics"][split]["accuracy"] for r in records if split in r.get("metrics", {})]
            name = paper if plans[0].protocol == AS_PUBLISHED else f"{paper} {plans[0].protocol}"
            wall = max(r["time"].get("wall_s") or r["time"]["total_s"] for r in records)
            parts.append(f"{name} {_mean(values)} (n = {len(records)}, {wall:.0f} s)")
    return "; ".join(parts)


def _variants(settings: CallSettings, stage: Stage) -> str:
    runs = sum(len(records_of(job.plans, settings)) for job in stage.jobs)
    full = sum(len(job.plans) for job in stage.jobs)
    done = sum(job.done(settings) for job in stage.jobs)
    return f"{runs} of {full} runs, {done} of {len(stage.jobs)} variants in full"


def _audit(settings: CallSettings, stage: Stage) -> str:
    report = read_report(settings, "audit")
    if not report:
        return ""
    warm = statistics.median(report["search_s"])
    known = report.get("known")
    compared = f", {known['missing']} missing and {known['added']} new against the known ones" if known else ""
    return (
        f"{counted(report['pairs'], 'pair')}{compared}; command {report['command_s']:.1f} s, "
        f"search {report['first_s']:.1f} s with compiling, {warm:.2f} s without"
    )


def _speed(settings: CallSettings, stage: Stage) -> str:
    parts = []
    for job in stage.jobs:
        paths = [path for pattern in job.makes for path in settings.results.glob(pattern)]
        for path in paths if "bench/" in "".join(job.makes) else []:
            parts.append(_bench_words(json.loads(path.read_text("utf-8"))))
    return "; ".join(part for part in parts if part)


def _bench_words(record: dict[str, Any]) -> str:
    """The lowest ratio of a comparison, or the gain from several seeds."""
    if comparison := record.get("comparison"):
        duels = comparison["duels"]
        ratios = [statistics.median(_ratio(one) for one in duel["rounds"]) for duel in duels]
        if not ratios:
            return ""
        hardest = duels[ratios.index(min(ratios))]["rival"]
        return f"{comparison['paper']} x{min(ratios):.2f} of {hardest['name']} {hardest['mode']}"
    growth = record.get("growth") or {}
    points = [p for axis in growth.get("axes", []) if axis["name"] == "seeds" for p in axis["points"] if p["train"]]
    if len(points) < 2:
        return ""
    first, last = points[0], points[-1]
    gain = last["train"]["images_per_s"] / first["train"]["images_per_s"]
    return f"{growth['paper']} {counted(last['value'], 'seed')} x{gain:.1f}"


def _ratio(one: dict[str, Any]) -> float:
    return one["own"]["images_per_s"] / one["rival"]["images_per_s"]


def _reported_split(settings: CallSettings, paper: str) -> str:
    """The split of the paper's main claim."""
    for loaded in settings.loaded:
        if loaded.id == paper and loaded.spec.headline:
            return loaded.spec.headline.split or REPORTED_SPLIT
    return REPORTED_SPLIT


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "no accuracy"
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread} %"


_LINES: dict[str, Callable[[CallSettings, Stage], str]] = {
    "works": _works,
    "published": _runs,
    "audit": _audit,
    "protocols": _runs,
    "variants": _variants,
    "speed": _speed,
}


def log_path(job: Job) -> str:
    """The path of a job's log, relative to the results folder."""
    return f"{REPORTS}/logs/{job.name}.txt"

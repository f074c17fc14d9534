"""What a sweep will try, as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fer_jax.vocabulary.counted import counted
from repro.decide.duration import duration_text
from repro.decide.planned_runs import PlannedRuns
from repro.sweep.search import SettingSearch, selection_leak
from repro.sweep.trials import SweepTrial
from repro.text.document import Block, Column, Document, Paragraph, strong, table


def plan_document(search: SettingSearch, planned: PlannedRuns, trials: Sequence[SweepTrial]) -> Document:
    """What a sweep will make. planned: runs of the paper's own setting, for the time. trials: those that were begun."""
    ended = sum(one.state != "running" for one in trials)
    left = search.most_trials - ended
    runs = left * len(search.seeds)
    text = f"{left:,} of {counted(search.most_trials, 'trial')} to do"
    if len(search.seeds) > 1:
        text += f", {counted(runs, 'run')}"
    if planned.estimate is None:
        text += "; no run of this network was made here yet, so the time is unknown"
    elif left:
        text += (
            f"; about {duration_text(planned.estimate.seconds * runs)} one after another, if each takes as long as the "
            "paper's own setting"
        )
    if search.prune:
        text += "; less with what is pruned"
    rows = [
        (one.written(), "range" if one.is_range else counted(len(one.choices), "value"), _names(one.keys, one.key))
        for one in search.dimensions
    ]
    blocks: list[Block] = [
        Paragraph(f"{search.sampler} search, protocol {search.protocol}. {_chosen_words(search)}"),
        table([*map(Column, ("Setting", "Values", "Changes"))], rows),
        Paragraph(f"{text}."),
    ]
    if leak := selection_leak(search):
        blocks.insert(1, Paragraph(strong(f"LEAKAGE: {leak}.")))
    return Document(f"Sweep of {search.loaded.id}", tuple(blocks))


def plan_builtins(search: SettingSearch, planned: PlannedRuns, trials: Sequence[SweepTrial]) -> dict[str, Any]:
    """`repro sweep --plan --json`: seconds of one run of the paper's own setting, null if unknown."""
    return {
        "paper": search.loaded.id,
        "protocol": search.protocol,
        "sampler": search.sampler,
        "space": [one.written() for one in search.dimensions],
        "trials": search.most_trials,
        "ended": sum(one.state != "running" for one in trials),
        "seeds": list(search.seeds),
        "selected_on": search.select,
        "reported_on": search.reported,
        "leakage": selection_leak(search),
        "run_s": planned.estimate.seconds if planned.estimate else None,
    }


def _names(keys: tuple[str, ...], key: str) -> str:
    return "" if keys == (key,) else ", ".join(keys)


def _chosen_words(search: SettingSearch) -> str:
    chosen, reported = search.part(search.select), search.part(search.reported)
    return f"The accuracy on {chosen} chooses; {reported} is reported for the best setting alone."

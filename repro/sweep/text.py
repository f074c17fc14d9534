"""A sweep as a document: what it will try, and what it found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from fer_jax.vocabulary.counted import counted
from repro.decide.duration import duration_text
from repro.decide.planned_runs import PlannedRuns
from repro.sweep.records import SweepRecord, TrialRecord
from repro.sweep.search import SettingSearch, selection_leak
from repro.sweep.trials import SweepTrial
from repro.text import units
from repro.text.document import Block, Cell, Column, Document, Inline, Items, Paragraph, count, strong, table

_MOST_ROWS = 200
_AGAINST = {"own setting": "Against the paper's own setting", "claim": "Against the paper's number"}


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


def sweep_document(record: SweepRecord) -> Document:
    """The trials, the best setting and its reported value, and what the best of so many shows."""
    shown = sorted(record.trials, key=_order)
    columns = [
        Column("Trial", "right"),
        Column("Setting"),
        Column(""),
        Column("Epochs", "right"),
        Column(f"Accuracy on {record.selected_on}", "right"),
    ]
    blocks: list[Block] = []
    if record.leakage:
        blocks.append(Paragraph(strong(f"LEAKAGE: {record.leakage}.")))
    blocks.append(table(columns, [_row(record, one) for one in shown[:_MOST_ROWS]]))
    if len(shown) > _MOST_ROWS:
        blocks.append(Paragraph(f"{len(shown) - _MOST_ROWS:,} more trials are in the record."))
    states = {
        state: sum(one.state == state for one in record.trials) for state in ("done", "pruned", "failed", "running")
    }
    words = ", ".join(f"{number:,} {state}" for state, number in states.items() if number)
    blocks.append(Paragraph(f"{counted(len(record.trials), 'trial')} of {record.asked:,}: {words or 'none yet'}."))
    blocks += _best(record)
    if record.verdicts:
        blocks.append(
            Items(tuple((strong(f"{_AGAINST[one.against]}: {one.word}."), f" {one.reason}") for one in record.verdicts))
        )
    return Document(f"Sweep of {record.paper} ({record.sampler}, {record.protocol}, {record.data})", tuple(blocks))


def _order(one: TrialRecord) -> tuple[bool, float, int]:
    return one.accuracy is None, -(one.accuracy or 0.0), one.number


def _row(record: SweepRecord, one: TrialRecord) -> tuple[Cell | Inline, ...]:
    best = record.best is not None and record.best.trial == one.number
    accuracy: Cell | Inline = ""
    if one.accuracy is not None:
        text = units.percentage(one.accuracy, None)
        accuracy = Cell(strong(text) if best else text, one.accuracy)
    variant = () if one.variant == record.variant else (f"variant {one.variant}",)
    setting = ", ".join((*variant, *one.settings)) or "the paper's own"
    return count(one.number), strong(setting) if best else setting, one.state, count(one.epochs), accuracy


def _best(record: SweepRecord) -> list[Block]:
    best = record.best
    if best is None:
        return []
    reported = units.percentage(statistics.fmean(best.reported), None)
    seeds = f", mean of {len(best.reported)} seeds" if len(best.reported) > 1 else ""
    return [
        Paragraph(
            (
                f"Best setting: trial {best.trial}, chosen by {units.percentage(best.chosen_by, None)} on "
                f"{counted(record.selected_samples, 'sample')} of {record.selected_on}. It has ",
                strong(f"{reported} on {record.reported_on}"),
                f" ({counted(best.samples, 'sample')}{seeds}), the best of "
                f"{counted(record.settings_tried, 'setting')} tried.",
            )
        )
    ]

"""What a sweep found, as a table. No JAX here: a report shows it too."""

from __future__ import annotations

import statistics

from fer_jax.vocabulary.counted import counted
from repro.sweep.records import SweepRecord, TrialRecord
from repro.text import units
from repro.text.document import Block, Cell, Column, Document, Inline, Items, Paragraph, count, strong, table

_MOST_ROWS = 200
_AGAINST = {"own setting": "Against the paper's own setting", "claim": "Against the paper's number"}


def sweep_document(record: SweepRecord) -> Document:
    """What `repro sweep` shows at its end."""
    return Document(sweep_title(record), tuple(sweep_blocks(record)))


def sweep_title(record: SweepRecord) -> str:
    figure = "" if record.figure is None else f"figure {record.figure}, "
    return f"Sweep of {record.paper} ({figure}{record.sampler}, {record.protocol}, {record.data}, {record.device})"


def sweep_blocks(record: SweepRecord) -> list[Block]:
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
        blocks.append(Paragraph(f"{counted(len(shown) - _MOST_ROWS, 'trial')} more in the record."))
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
    return blocks


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
    if best is None or not best.reported:
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

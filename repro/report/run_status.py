"""`repro status` as a document and as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from repro.runs.progress import clock_text
from repro.runs.status import STATES, RunStatus
from repro.text.document import Block, Column, Document, Paragraph, strong, table

_FINISHED = ("done", "partial", "pruned")


def status_document(results: Path, found: Sequence[RunStatus]) -> Document:
    """One line of totals; a row for each run that is not finished; finished and waiting runs by settings."""
    totals = Counter(one.state for one in found)
    words = ", ".join(f"{totals[state]:,} {state}" for state in STATES if totals[state])
    blocks: list[Block] = [Paragraph(words or "no runs")]
    single = [one for one in found if one.state not in (*_FINISHED, "waiting")]
    if single:
        rows = [(strong(one.state), f"{one.name}, seed {one.seed}", _how_far(one), _remark(one)) for one in single]
        blocks.append(table([*map(Column, ("", "Run", "Epoch", ""))], rows))
    together = [one for one in found if one.state in (*_FINISHED, "waiting")]
    if together:
        rows = [
            (state, name, ranges_text(one.seed for one in alike))
            for (state, name), alike in groupby(_in_order(together), key=lambda one: (one.state, one.name))
        ]
        blocks.append(table([*map(Column, ("", "Runs", "Seeds"))], rows))
    return Document(f"Runs in {results}", tuple(blocks))


def status_builtins(found: Iterable[RunStatus]) -> list[dict[str, Any]]:
    """`repro status --json`: per run its folder below ``results/runs``, state, epoch, and who works on it."""
    shown = []
    for one in found:
        entry: dict[str, Any] = {"run": one.place.as_posix(), "state": one.state, "epoch": one.epoch}
        if one.holder is not None:
            holder = one.holder
            entry |= {"host": holder.host, "process": holder.pid, "since": holder.since, "epochs": holder.epochs}
            entry |= {"images_per_s": holder.images_per_s, "left_s": round(holder.left_s, 1)}
        if one.error:
            entry["error"] = one.error
        shown.append(entry)
    return shown


def ranges_text(seeds: Iterable[int]) -> str:
    """Seeds in ranges: ``0 to 4, 7``."""
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    spoken = (str(one[0]) if len(one) == 1 else f"{one[0]}{' to ' if len(one) > 2 else ', '}{one[-1]}" for one in parts)
    return ", ".join(spoken)


def _in_order(found: Iterable[RunStatus]) -> list[RunStatus]:
    return sorted(found, key=lambda one: (STATES.index(one.state), one.name, one.seed))


def _how_far(one: RunStatus) -> str:
    if one.holder is not None and one.holder.epochs:
        return f"{one.epoch} of {one.holder.epochs}"
    return str(one.epoch) if one.epoch else ""


def _remark(one: RunStatus) -> str:
    if one.holder is not None:
        speed = f"{one.holder.images_per_s:,.0f} images/s, {clock_text(one.holder.left_s)} left; " if one.epoch else ""
        return f"{speed}{one.holder.host}, process {one.holder.pid}"
    if one.state == "stopped":
        return "the same `repro run` resumes it"
    return one.error

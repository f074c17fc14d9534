"""Which runs the figures of one paper show: full runs of its headline's variant, on one device and dataset."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from repro.judge.groups import PaperRuns
from repro.judge.headline_runs import HeadlineRuns, headline_runs
from repro.runs.records import Metrics, RunRecord
from repro.specs.protocols import AS_PUBLISHED, PROTOCOLS, REPORTED_SPLIT


def shown_runs(paper: PaperRuns) -> HeadlineRuns | None:
    """The device and dataset with the most full runs, the first if tied; None if there is no full run or no
    headline."""
    return max(headline_runs(paper, ()), key=_size, default=None)


def _size(runs: HeadlineRuns) -> int:
    return sum(len(runs.by_protocol.get(protocol, ())) for protocol in PROTOCOLS)


def protocol_runs(runs: HeadlineRuns) -> dict[str, Sequence[RunRecord]]:
    """Runs by protocol, without suspects, in the usual order."""
    return {protocol: runs.by_protocol[protocol] for protocol in PROTOCOLS if protocol in runs.by_protocol}


def held_out_split(split: str, protocol: str) -> str:
    """The split that a protocol's accuracy is of, if the headline is of `split`; for a headline on training samples,
    the split that was held out."""
    return split if protocol == AS_PUBLISHED and split not in ("", "train", "minibatch") else REPORTED_SPLIT


def end_split(runs: HeadlineRuns, protocol: str) -> str:
    return held_out_split(runs.claim.split, protocol)


def end_metrics(runs: HeadlineRuns, protocol: str) -> list[Metrics]:
    """Metrics on `end_split`, one per run that has it."""
    split = end_split(runs, protocol)
    return [record.metrics[split] for record in runs.by_protocol[protocol] if split in record.metrics]


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None for a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def counted(runs: HeadlineRuns) -> str:
    """'n = 3 as-published, 1 clean', with the device and the dataset: the end of a caption."""
    described = ", ".join(f"{len(records)} {protocol}" for protocol, records in protocol_runs(runs).items())
    return f"n = {described}. {runs.place}."

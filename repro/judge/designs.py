"""What is known about the samples behind a claim: `repro.statistics.Design` from the data steps and the records."""

from __future__ import annotations

from collections.abc import Sequence

from fer_jax.vocabulary.step_kinds import (
    DropSamePictures,
    DropUnrelated,
    Shuffle,
    SplitFraction,
    SplitLast,
    Step,
    moved_rows,
    step_names,
)
from repro.judge.measured import metrics_of, samples_behind
from repro.runs.records import RunRecord
from repro.specs.decode import LoadedSpec
from repro.specs.spec import Claim
from repro.statistics import NOT_SAMPLED, Design, Samples

SAMPLED = ("accuracy", "top_k")  # plain fractions of samples, whose binomial variance is known; with `emotion`: recall


def drawn_splits(steps: Sequence[Step]) -> dict[str, str]:
    """Splits whose samples change with the seed, each with the name of the step that draws them last.

    A shuffle draws nothing, but what is cut off a shuffled split is drawn.
    """
    drawn: dict[str, str] = {}
    shuffled: set[str] = set()
    for name, step in zip(step_names(steps), steps, strict=True):
        made, sources = moved_rows(step)
        inherited = next((drawn[source] for source in sorted(sources) if source in drawn), None)
        random_order = bool(sources & shuffled)
        if made and sources - made:
            for source in sources - made:
                if isinstance(step, SplitFraction | SplitLast):
                    drawn.pop(source, None)
                    shuffled.discard(source)
        draws = isinstance(step, SplitFraction) or (isinstance(step, SplitLast) and random_order)
        for split in made:
            drawn.pop(split, None)
            if draws:
                drawn[split] = name
            elif inherited is not None:
                drawn[split] = inherited
            if draws or random_order:
                shuffled.add(split)
        if isinstance(step, Shuffle):
            shuffled.add(step.split)
        if isinstance(step, DropSamePictures) and step.split not in drawn:
            other = next((drawn[one] for one in step.of if one in drawn), None)
            drawn |= {step.split: other} if other else {}
        if isinstance(step, DropUnrelated):
            drawn[step.split] = name
    return drawn


def design_of(claim: Claim, loaded: LoadedSpec, records: Sequence[RunRecord]) -> Design:
    """The samples of a claim as published. records: full runs of its variant that measured it, at least one."""
    evaluated = [metrics for record in records if (metrics := metrics_of(claim, record)) is not None]
    if claim.quantity not in SAMPLED or not evaluated:
        return NOT_SAMPLED
    ours = min(samples_behind(claim, metrics) for metrics in evaluated)
    if not ours:
        return NOT_SAMPLED
    if claim.split == "minibatch":
        return Design(Samples.REDRAWN, ours, ours)
    step = drawn_splits(loaded.resolve(claim.variant).data.steps).get(claim.split)
    if step is None:
        return Design(Samples.FIXED_OWN, ours, ours)
    share = ours / max(1, min(metrics.n for metrics in evaluated))
    return Design(Samples.REDRAWN, ours, ours, _population(step, records[0], share))


def _population(step: str, record: RunRecord, share: float) -> int | None:
    """Samples that the step drew from, as the record counted them; for an emotion, its share."""
    before: dict[str, int] = {}
    for name, rows in record.data.steps:
        if name == step:
            made = {split: count for split, count in rows.items() if before.get(split) != count}
            return round(share * sum(made.values())) or None
        before = rows
    return None


def other_design(claim: Claim, published: Sequence[RunRecord], ours: int, population: int) -> Design:
    """The claim against runs on other samples than the paper's, like those of `official` and `clean`.
    published: runs as published, which show how many samples the paper evaluated."""
    if claim.quantity not in SAMPLED:
        return NOT_SAMPLED
    theirs = [samples_behind(claim, m) for record in published if (m := metrics_of(claim, record)) is not None]
    return Design(Samples.UNKNOWN, ours, min(theirs, default=ours) or ours, max(population, ours))

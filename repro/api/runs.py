"""Training runs, and what was recorded of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, Protocol

from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.settings import Precision
from repro.api.shown import Plot, Shown
from repro.judge.groups import RecordedRun, collect
from repro.judge.headline_runs import HeadlineRuns, place, place_label
from repro.judge.main_claim import main_claim
from repro.report.figures.classes import confusion_figure
from repro.report.figures.learning import learning_figure
from repro.report.frame import frame_of
from repro.report.verdict_card import VerdictCard, card_document, run_cards, verdict_card
from repro.runs.batch import open_context, run_in
from repro.runs.plan import make_plan
from repro.runs.records import RECORD_NAME, Overrides, RunRecord
from repro.runs.run_store import folder_of
from repro.runs.stored_records import find_records
from repro.specs.catalog import find_paper
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import RUNNABLE
from repro.text.document import Block

if TYPE_CHECKING:
    import pandas as pd


class _HasSpec(Protocol):
    @property
    def loaded(self) -> LoadedSpec: ...


@dataclass(frozen=True, repr=False)
class RecordedRuns(Shown):
    """Runs of one paper, as recorded. cards: the answers for the runs, as the command prints them."""

    loaded: LoadedSpec
    recorded: tuple[RecordedRun, ...]
    cards: tuple[VerdictCard, ...]

    @property
    def records(self) -> list[RunRecord]:
        return [run.record for run in self.recorded]

    def __len__(self) -> int:
        return len(self.recorded)

    def to_frame(self) -> pd.DataFrame:
        """One row per run and split, with the columns of results.csv."""
        return frame_of((run.path, run.record) for run in self.recorded)

    def plot_learning(self, variant: str = "") -> Plot:
        """Accuracy and loss by epoch, by protocol, beside the values that the paper prints."""
        return Plot(learning_figure(self._headline(variant)))

    def confusion(self, variant: str = "") -> Plot:
        """Confusion matrices, as means over the runs of each protocol."""
        figure = confusion_figure(self._headline(variant))
        if figure is None:
            raise UserError(f"{self.loaded.id}: no run recorded a confusion matrix")
        return Plot(figure)

    def blocks(self) -> Sequence[Block]:
        return tuple(block for card in self.cards for block in card_document(card).blocks)

    def _headline(self, variant: str) -> HeadlineRuns:
        """The full runs of one variant on one device and dataset: the ones with the most runs."""
        (paper,) = collect([self.loaded], self.recorded)
        full = [group for group in paper.groups if not variant or group.variant == variant]
        places: dict[tuple[object, ...], dict[str, Sequence[RunRecord]]] = {}
        labels: dict[tuple[object, ...], str] = {}
        for group in full:
            done = [record for record in group.records if record.has_result]
            if done:
                at = (group.variant, place(group.key), group.overrides)
                labels[at] = place_label(group.key)
                places.setdefault(at, {})[group.key.protocol] = done
        if not places:
            raise UserError(f"{self.loaded.id}: no run to draw")
        at, by_protocol = max(places.items(), key=lambda item: sum(map(len, item[1].values())))
        claim = main_claim(paper, str(at[0]))
        if claim is None:
            raise UserError(f"{self.loaded.id}: the spec has no claim with `headline = true`, which the plot is about")
        return HeadlineRuns(paper, claim, labels[at], by_protocol, None)


def run(
    paper: str | Path | _HasSpec,
    *,
    variant: str = "default",
    protocol: str = "as-published",
    seeds: int = 1,
    data: str | Path | None = None,
    device: Literal["auto", "cpu", "gpu"] = "auto",
    results: str | Path = "results",
    epochs: int | None = None,
    limit_train: int | None = None,
    precision: Precision | None = None,
    fresh: bool = False,
) -> RecordedRuns:
    """Train and evaluate a paper, as `repro run` does: runs that exist are reused, a stopped one resumes.

    paper: an id, the path of a TOML file, or the result of `repro.paper`. protocol: as-published, official, clean or
    placebo. data: as `load_data` takes it. Progress goes to standard error. Raises UserError for what cannot be run.
    """
    loaded = find_paper(str(paper)) if isinstance(paper, str | Path) else paper.loaded
    if protocol not in RUNNABLE:
        raise UserError(f"no protocol {protocol!r}; accepted: {', '.join(RUNNABLE)}")
    if seeds < 1:
        raise UserError(f"seeds: at least 1 is needed, not {seeds}")
    results = Path(results)
    overrides = Overrides(epochs=epochs, limit_train=limit_train)
    plans = [
        make_plan(loaded, variant=variant, seed=s, overrides=overrides, protocol=protocol, precision=precision)
        for s in range(seeds)
    ]
    source = None if data is None else str(data)
    context = open_context({precision}, device=device, data=source, results=results, fresh=fresh)
    records = run_in(context, plans)
    cards = run_cards({loaded.id: loaded}, plans, records, context.dataset, results)
    paths = [folder_of(plan, context) for plan in plans]
    recorded = [
        RecordedRun(PurePosixPath((path / RECORD_NAME).relative_to(results).as_posix()), record)
        for path, record in zip(paths, records, strict=True)
    ]
    return RecordedRuns(loaded, tuple(recorded), tuple(cards))


def recorded_runs(loaded: LoadedSpec, results: Path) -> RecordedRuns:
    """The runs of a paper under a results folder. Raises RecordError for a record that cannot be read."""
    found = [
        RecordedRun(PurePosixPath(path.relative_to(results).as_posix()), record)
        for path, record in find_records(results)
        if record.paper == loaded.id
    ]
    cards = [verdict_card(loaded, "default", results)] if found else []
    return RecordedRuns(loaded, tuple(found), tuple(cards))

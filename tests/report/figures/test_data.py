"""What the figures show: the numbers of the tables, and nothing where nothing was run."""

from __future__ import annotations

import statistics
from pathlib import PurePosixPath

import msgspec
import pytest
from report_records import GPU, claim, data, headline, make_record, make_spec
from tiny_paper import load_tiny

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.judge.groups import PaperRuns, RecordedRun, collect
from repro.judge.headline_runs import headline_runs
from repro.judge.measured import measure
from repro.report.figures.accuracy import accuracy_figure
from repro.report.figures.classes import confusion_figure, recall_figure
from repro.report.figures.figure_data import ConfusionMatrix, Curves, Dots
from repro.report.figures.learning import learning_figure
from repro.report.figures.shown_runs import shown_runs
from repro.report.figures.steps import steps_figure
from repro.report.figures.sweeps import sweep_figures
from repro.report.figures.times import times_figure
from repro.report.protocol_table import paper_table
from repro.runs.plan import settings_sha256
from repro.runs.records import Metrics
from repro.specs.catalog import find_paper
from repro.specs.decode import SpecError
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, under_protocol
from repro.text.document import plain


def record(spec, seed=0, accuracy=0.6, protocol=AS_PUBLISHED, **fields):
    """A full run under a protocol, as the runner would write it."""
    made = make_record(spec, seed=seed, accuracy=accuracy, **fields)
    settings = settings_sha256(under_protocol(spec.resolve(made.variant), protocol))
    return msgspec.structs.replace(made, protocol=protocol, spec_sha256=settings)


def paper_of(spec, *records) -> PaperRuns:
    runs = [RecordedRun(PurePosixPath(f"{k}/run.json"), one) for k, one in enumerate(records)]
    return next(paper for paper in collect([spec], runs) if paper.id == spec.id)


def shown(spec, *records):
    runs = shown_runs(paper_of(spec, *records))
    assert runs is not None
    return runs


def panel(figure, row, column, kind):
    found = figure.panels[row][column]
    assert isinstance(found, kind)
    return found


def lines(figure, row, column):
    return {line.series: line for line in panel(figure, row, column, Curves).lines}


@pytest.fixture
def spec():
    return make_spec(claims=(headline(value=0.61),))


class TestAccuracy:
    def test_it_shows_the_numbers_of_the_main_table_and_the_intervals_of_the_verdicts(self, spec):
        published, clean = (0.60, 0.61, 0.63), (0.50, 0.52)
        records = [record(spec, k, a) for k, a in enumerate(published)]
        records += [record(spec, k, a, CLEAN) for k, a in enumerate(clean)]
        paper = paper_of(spec, *records)
        figure = accuracy_figure([paper], ())
        (row,) = panel(figure, 0, 0, Dots).rows
        reported, ours, clean = row.marks
        (shown,) = paper_table(paper, ()).rows
        told = [plain(cell.text) for cell in shown.cells]
        assert (reported.value, ours.value, clean.value) == pytest.approx((61, 61.333333, 51))
        assert (ours.note, clean.note) == (told[2], told[4])
        answers = f"as published: {told[7]} without overlap: {told[8]}"
        assert row.note.replace("\n", " ") == answers
        judged = headline_runs(paper, ())[0].judgement
        assert judged and judged.published and judged.published.low and judged.published.high
        assert (ours.low, ours.high) == pytest.approx((100 * judged.published.low, 100 * judged.published.high))
        assert clean.low is None, "two runs give no interval"
        assert ours.runs == pytest.approx([100 * a for a in published])

    def test_every_protocol_has_the_same_decimals_however_exact_the_claim_is(self):
        exact = make_spec(claims=(headline(value=0.61, resolution=0.001),))
        records = [record(exact, 0, 0.6114), record(exact, 1, 0.6117), record(exact, 0, 0.5112, CLEAN)]
        (row,) = panel(accuracy_figure([paper_of(exact, *records)], ()), 0, 0, Dots).rows
        assert [mark.note for mark in row.marks[1:]] == ["61.2 ± 0.0 % (n = 2)", "51.1 % (n = 1)"]

    def test_a_paper_that_was_not_run_stands_there_with_its_claim_alone(self, spec):
        other = make_spec("other2021", claims=(headline(value=0.7),))
        papers = [paper_of(spec, record(spec)), paper_of(other)]
        rows = panel(accuracy_figure(papers, ()), 0, 0, Dots).rows
        assert [len(row.marks) for row in rows] == [2, 1]
        assert "open: 2\nmore seeds" in rows[0].note and rows[1].note == "not run"

    def test_synthetic_outdated_and_shortened_runs_are_no_data(self, spec):
        other = make_record(spec, spec_sha256="another")
        kept = paper_of(spec, record(spec, data=data(synthetic=True)), other, record(spec, status="partial"))
        assert accuracy_figure([kept], ()) is None
        assert shown_runs(kept) is None
        assert times_figure([kept]) is None


class TestLearning:
    def test_lines_are_means_over_the_runs_and_bands_their_standard_deviation(self, spec):
        figure = learning_figure(shown(spec, record(spec, 0, 0.60), record(spec, 1, 0.64)))
        ours = lines(figure, 0, 0)
        assert ours["evaluated"].x == (1, 2, 3, 4)
        assert ours["evaluated"].y == pytest.approx((59, 60, 61, 62))
        width = 100 * statistics.stdev([0.60, 0.64])
        assert ours["evaluated"].high[-1] - ours["evaluated"].y[-1] == pytest.approx(width)
        assert ours["train"].y[-1] == pytest.approx(72)
        assert lines(figure, 1, 0)["evaluated"].y == pytest.approx((2.9, 2.8, 2.7, 2.6))
        assert not lines(learning_figure(shown(spec, record(spec))), 0, 0)["train"].low, "one run has no spread"

    def test_printed_figures_stand_at_their_epochs_in_the_published_protocol_alone(self):
        claims = (headline(value=0.61), claim("second", epoch=2, value=0.5), claim("at-end", split="train", value=0.7))
        spec = make_spec(claims=(*claims, claim("other", variant="wide", value=0.1)))
        figure = learning_figure(shown(spec, record(spec), record(spec, protocol=CLEAN)))
        published, clean = lines(figure, 0, 0), lines(figure, 0, 1)
        assert (published["reported-evaluated"].x, published["reported-evaluated"].y) == ((2, 4), (50, 61))
        assert (published["reported-train"].x, published["reported-train"].y) == ((4,), (70,))
        assert set(clean) == {"train", "evaluated"}

    def test_a_protocol_that_stands_for_the_same_runs_gets_no_column_of_its_own(self, spec):
        same = record(spec, protocol=OFFICIAL, same_run_as=AS_PUBLISHED)
        figure = learning_figure(shown(spec, record(spec), same))
        assert [panel(figure, 0, k, Curves).title for k in range(len(figure.panels[0]))] == [
            "as-published = official (n = 1)"
        ]

    def test_plots_by_step_need_figures_of_minibatches_by_step(self, spec):
        assert steps_figure(shown(spec, record(spec))) is None
        printed = [claim(f"m{k}", split="minibatch", step=100 * k - 1, value=k / 10) for k in (1, 2)]
        printed += [claim(f"l{k}", split="minibatch", step=100 * k - 1, value=3.0 - k, unit="nat") for k in (1, 2)]
        by_step = make_spec(claims=(headline(), *printed))
        figure = steps_figure(shown(by_step, record(by_step, accuracy=0.6)))
        accuracy, loss = lines(figure, 0, 0), lines(figure, 0, 1)
        assert accuracy["reported-minibatch-line"].x == accuracy["minibatch"].x[:2] == (99, 199)
        assert accuracy["reported-minibatch-line"].y == (10, 20)
        assert accuracy["minibatch"].y[-1] == pytest.approx(80)
        assert loss["reported-minibatch-line"].y == (2, 1)


def matrix(right: int, wrong: int):
    """The k-th emotion has k times (`right` + 6 x `wrong`) rows, so that rows and columns cannot be mixed up."""
    return tuple(tuple((a + 1) * (right if a == b else wrong) for b in range(7)) for a in range(7))


def evaluated(*confusions):
    return [
        {"test": Metrics(accuracy=0.5, loss=1.0, n=sum(map(sum, confusion)), confusion=confusion)}
        for confusion in confusions
    ]


class TestClasses:
    def test_matrices_are_means_and_their_diagonal_is_the_recall(self, spec):
        ends = evaluated(matrix(40, 10), matrix(70, 5))
        runs = shown(spec, *(record(spec, k, metrics=end) for k, end in enumerate(ends)))
        confusion = panel(confusion_figure(runs), 0, 0, ConfusionMatrix)
        assert confusion.counts[0][:2] == (55, 7.5)
        assert confusion.percentages[3][3] == pytest.approx(55)
        assert sum(confusion.percentages[3]) == pytest.approx(100)
        rows = panel(recall_figure(runs), 0, 0, Dots).rows
        assert [row.label for row in rows] == list(EMOTIONS)
        assert [row.marks[0].value for row in rows] == pytest.approx([55] * 7)

    def test_recall_is_laid_beside_what_the_document_counted(self):
        counts = [claim("rows-sad", quantity="rows", unit="rows", emotion="sad", value=200)]
        counts += [claim("hits-sad", quantity="true_positives", unit="rows", emotion="sad", value=50)]
        spec = make_spec(claims=(headline(), *counts))
        figure = recall_figure(shown(spec, record(spec, metrics=evaluated(matrix(40, 10))[0])))
        marks = {row.label: [(mark.series, mark.value) for mark in row.marks] for row in panel(figure, 0, 0, Dots).rows}
        assert marks["sad"][0] == ("reported", 25)
        assert [series for series, _ in marks["happy"]] == ["as-published"]

    def test_without_a_recorded_matrix_there_is_no_figure(self, spec):
        runs = shown(spec, record(spec))
        assert (confusion_figure(runs), recall_figure(runs)) == (None, None)


class TestTimes:
    def test_an_epoch_here_is_the_fastest_run_of_the_table_of_times(self):
        hours = claim("hours", unit="h", device="cpu", epoch=4, value=2.0, split="", hardware="Old CPU, 1 core")
        spec = make_spec(claims=(headline(), hours))
        records = [record(spec, k, epoch_s=seconds) for k, seconds in enumerate((10.0, 12.0))]
        figure = times_figure([paper_of(spec, *records, record(spec, device=GPU, epoch_s=1.0))])
        (row,) = panel(figure, 0, 0, Dots).rows
        marks = {mark.series: mark for mark in row.marks}
        found = measure(hours, records)
        assert found and marks["cpu-here"].value == pytest.approx(3600 * found.low / 4) == pytest.approx(11)
        assert marks["gpu-here"].value == pytest.approx(2)
        assert marks["cpu-there"].value == pytest.approx(1800)
        assert "Old CPU" in marks["cpu-there"].note

    def test_a_document_with_a_table_of_times_gets_it_with_ours_beside(self):
        table = [claim(f"t{e}", unit="h", device="cpu", epoch=e, value=float(e), split="") for e in (1, 4)]
        spec = make_spec(claims=(headline(), *table))
        here = lines(times_figure([paper_of(spec, record(spec, device=GPU))]), 1, 0)
        assert (here["cpu-there"].x, here["cpu-there"].y) == ((1, 4), (3600, 14400))
        assert here["gpu-here"].y == pytest.approx((11, 44)), "ours after as many epochs, whatever the device"


class TestSweeps:
    def test_a_figure_is_drawn_from_two_settings_on_and_the_others_say_what_they_wait_for(self):
        onghena = find_paper("onghena")
        made = [make_record(onghena, variant=variant) for variant in ("default", "dropout_50")]
        runs = [msgspec.structs.replace(one, history=_on_validation(one)) for one in made]
        figures, missing = sweep_figures(paper_of(onghena, *runs))
        assert [figure.name for figure in figures] == ["onghena-figure-3"]
        assert list(figures[0].legend.values()) == ["25 % (n = 1)", "50 % (n = 1)"]
        assert lines(figures[0], 0, 0)["setting-2"].y[-1] == pytest.approx(50)
        assert len(missing) == 4
        assert "repro run onghena --variant lr_0_005" in missing[1]

    def test_every_setting_must_be_a_variant_of_the_spec(self, tmp_path):
        sweep = '[[sweeps]]\nfigure = 1\nabout = "a"\nsettings = { default = "x", elu = "y" }\n\n[variants.tanh]'
        with pytest.raises(SpecError, match=r"sweeps\[0\]\.settings: no variant 'elu'; accepted: default, tanh$"):
            load_tiny(tmp_path, ("[variants.tanh]", sweep))


def _on_validation(one):
    return tuple(msgspec.structs.replace(entry, splits={"validation": entry.splits["test"]}) for entry in one.history)

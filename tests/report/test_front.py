"""repro.report.front: the papers are compared with each other, and models that were run have their own table."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_records import headline, make_record, make_spec
from results_folders import write_results

from repro.judge.judgements import judge_claims
from repro.report.folder import render_input
from repro.report.front import MODELS_TITLE, PAPERS_TITLE, front_tables
from repro.report.inputs import ReportInput, read_input
from repro.report.page.document import render_page
from repro.runs.records import RunRecord
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL

PAPERS = [make_spec("first2020", claims=(headline(),)), make_spec("second2020", claims=(headline(),))]
MODEL = make_spec("serengil2018", claims=(headline(),))


def runs(spec: LoadedSpec, accuracy: float, spread: float) -> list[RunRecord]:
    return [
        make_record(spec, seed=seed, accuracy=accuracy + spread * (seed - 1), protocol=protocol)
        for protocol in (AS_PUBLISHED, OFFICIAL, CLEAN)
        for seed in range(3)
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Results without and with runs of a model, which has the widest gap and the widest spread of all."""
    without, both = (tmp_path_factory.mktemp(name) for name in ("without", "both"))
    records = [*runs(PAPERS[0], 0.60, 0.004), *runs(PAPERS[1], 0.55, 0.006)]
    write_results(without, *records)
    published = [make_record(MODEL, seed=seed, accuracy=0.95 - 0.1 * seed) for seed in range(3)]
    clean = [make_record(MODEL, seed=s, accuracy=0.2 + 0.2 * s, protocol=CLEAN) for s in range(3)]
    write_results(both, *records, *published, *clean)
    return without, both


@pytest.fixture(scope="module")
def given(folders: tuple[Path, Path]) -> tuple[ReportInput, ReportInput]:
    return read_input(folders[0], PAPERS), read_input(folders[1], [*PAPERS, MODEL])


def test_runs_of_a_model_change_no_verdict_on_a_paper(given: tuple[ReportInput, ReportInput]) -> None:
    first, second = ([judge_claims(paper, ()) for paper in one.without_models] for one in given)
    assert first == second


def test_runs_of_a_model_change_nothing_that_is_said_of_all_papers(given: tuple[ReportInput, ReportInput]) -> None:
    without, both = (render_input(one)["RESULTS.md"].split("## ") for one in given)
    assert without[0] == both[0], "the sentences at the top"
    first, second = (next(part for part in parts if part.startswith(PAPERS_TITLE)) for parts in (without, both))
    assert first == second and MODEL.id not in second
    shown = [[figure for figure in one.gallery.figures if figure.paper is None] for one in given]
    assert shown[0] == shown[1] != []


def test_models_have_a_table_and_a_page_once_they_were_run(given: tuple[ReportInput, ReportInput]) -> None:
    without, both = (render_input(one) for one in given)
    assert MODELS_TITLE not in without["RESULTS.md"] and "serengil2018.md" not in without
    section = next(part for part in both["RESULTS.md"].split("## ") if part.startswith(MODELS_TITLE))
    assert "[serengil2018](serengil2018.md)" in section and "first2020" not in section
    assert "# " in both["serengil2018.md"]
    assert [len(front_tables(one)) for one in given] == [1, 2]
    assert [row.paper for row in front_tables(given[1])[1].rows] == [MODEL.id]


def test_the_page_shows_models_apart(folders: tuple[Path, Path]) -> None:
    page = render_page(folders[1], [*PAPERS, MODEL])
    _, _, models = page.partition('<section id="results-models">')
    assert models and "serengil2018" in models.partition("</section>")[0]
    assert '<section id="results-models">' not in render_page(folders[0], PAPERS)

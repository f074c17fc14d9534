"""The folder of figures: drawn once, the same bytes for the same data, and checked without matplotlib."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from PIL import Image
from report_records import headline, make_record, make_spec

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.report.figures.drawing import draw
from repro.report.figures.figure_data import (
    AxisRow,
    ConfusionMatrix,
    Curves,
    Dots,
    Face,
    FaceSheet,
    FigureData,
    Line,
    Mark,
)
from repro.report.figures.folder import (
    FORMS,
    SYNTHETIC_MISTAKES,
    check_figures,
    figures_available,
    index_entry,
    write_figures,
)
from repro.report.figures.styles import STYLES
from repro.report.inputs import read_input
from repro.runs.folders import record_folder
from repro.runs.stored_records import write_record

COMMITTED = Path(__file__).parents[3] / "results" / "figures"
SPEC = make_spec(claims=(headline(value=0.61),))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A results folder with two runs and their figures, and what was written when they were drawn."""
    folder = tmp_path_factory.mktemp("drawn")
    for seed in range(2):
        keep(folder, make_record(SPEC, seed=seed))
    return folder, {path.name for path in write_figures(folder, gallery(folder))}


@pytest.fixture
def results(drawn, tmp_path):
    return Path(shutil.copytree(drawn[0], tmp_path / "results"))


def gallery(results):
    return read_input(results, [SPEC]).gallery


def keep(results, record):
    write_record(record_folder(results, record), record)


def test_a_figure_is_drawn_once_and_again_when_its_records_change(results, drawn):
    names = {"accuracy", "times", "someone2020-learning"}
    assert drawn[1] == {f"{name}.{form}" for name in names for form in FORMS}
    assert check_figures(results, gallery(results)) == []
    assert write_figures(results, gallery(results)) == [], "unchanged figures are left alone"
    keep(results, make_record(SPEC, seed=1, accuracy=0.55))
    stale = check_figures(results, gallery(results))
    assert [line.partition(":")[0] for line in stale] == [
        f"figures/{name}.{form}" for name in ("accuracy", "someone2020-learning") for form in FORMS
    ], "the times did not change"
    assert len(write_figures(results, gallery(results))) == 6
    assert check_figures(results, gallery(results)) == []


def test_the_check_names_what_is_missing_and_what_has_no_data(results):
    folder = results / "figures"
    (folder / "accuracy.svg").unlink()
    (folder / "times.png").rename(folder / "gone.png")
    (folder / "mine.svg").write_text("<svg/>")
    assert check_figures(results, gallery(results)) == [
        "figures/accuracy.svg: missing",
        "figures/times.png: missing",
        "figures/gone.png: no record belongs to it",
        "figures/mine.svg: no record belongs to it",
    ]
    write_figures(results, gallery(results))
    assert not (folder / "gone.png").exists()
    assert (folder / "mine.svg").exists(), "a file that the suite did not draw is not its to delete"


def test_a_folder_without_runs_has_no_figures_and_says_what_would_make_them(tmp_path):
    assert write_figures(tmp_path, gallery(tmp_path)) == []
    assert not (tmp_path / "figures").exists()
    assert gallery(tmp_path).missing == (
        "someone2020: no full run on real faces yet; `repro run someone2020` makes one",
    )


def test_the_check_and_the_index_need_no_matplotlib(results, monkeypatch):
    assert figures_available()
    for name in [
        name for name in sys.modules if name.split(".")[0] == "matplotlib" or name == "repro.report.figures.drawing"
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not figures_available()
    assert check_figures(results, gallery(results)) == []
    entries = {entry.svg: entry for entry in map(index_entry, gallery(results).figures)}
    assert entries["figures/accuracy.svg"].paper is None
    assert entries["figures/someone2020-learning.svg"].paper == "someone2020"
    assert "50.0 ± 0.0 % (n = 2)" in entries["figures/accuracy.svg"].alternative


def every_panel() -> FigureData:
    """A figure with each kind of panel and every style."""
    marks = tuple(
        Mark(series=name, value=10.0 + k, low=5.0, high=40.0, runs=(9.0, 12.0), note=f"{k}")
        for k, name in enumerate(STYLES)
    )
    curves = tuple(
        Line(series=name, x=(1.0, 2.0, 3.0), y=(1.0 + k, 2.0, 3.0), low=(0.5, 1.0, 2.0), high=(2.0 + k, 3.0, 4.0))
        for k, name in enumerate(STYLES)
    )
    cells = tuple(tuple(float(7 * a + b) for b in range(7)) for a in range(7))
    top = [Dots(title=s, axis="x", scale=s, rows=(AxisRow(label="a", marks=marks),)) for s in ("percent", "duration")]
    middle = [
        Curves(title=s, x_axis="x", y_axis=s, scale=s, lines=curves, verticals=((2.0, "here"),))
        for s in ("linear", "log")
    ]
    faces = FaceSheet(fingerprint="ab", faces=tuple(Face(origin=k, words=f"row {k}\nhappy") for k in range(7)))
    return FigureData(
        name="all",
        title="Every panel <&>",
        paper=None,
        alternative="A test.",
        caption="n = 3",
        legend={name: name for name in STYLES},
        panels=(
            tuple(top),
            tuple(middle),
            (ConfusionMatrix(title="m", labels=EMOTIONS, counts=cells, percentages=cells), faces),
        ),
    )


def test_the_same_data_give_the_same_bytes_whatever_the_user_configured():
    import matplotlib

    images = np.random.default_rng(0).integers(0, 255, (7, 48, 48)).astype(np.uint8)
    first = draw(every_panel(), "fer-repro:x", images)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert draw(every_panel(), "fer-repro:x", images) == first


def test_a_drawing_is_opaque_carries_its_mark_and_keeps_its_text(tmp_path):
    figure = every_panel()
    images = np.zeros((7, 48, 48), np.uint8)
    drawn = draw(figure, "fer-repro:x", images, FORMS)
    svg, png = drawn["svg"], drawn["png"]
    assert b"prefers-color-scheme: dark" in svg and set(drawn) == set(FORMS)
    root = ElementTree.fromstring(svg)
    texts = {"".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {figure.title, "happy", "surprise", *STYLES} <= texts
    assert b"fer-repro:x" in svg and b"dc:date" not in svg
    (tmp_path / "x.png").write_bytes(png)
    with Image.open(tmp_path / "x.png") as image:
        assert (image.info["Identifier"], image.info["Description"]) == ("fer-repro:x", "A test.")
        assert "transparency" not in image.info and "Software" not in image.info
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_in_one_column_every_panel_has_its_title_and_in_several_each_column_has_it_once():
    line = Line(series="train", x=(1.0, 2.0), y=(1.0, 2.0))
    panels = tuple(
        tuple(
            Curves(title=title, x_axis="epoch", y_axis=quantity, scale="linear", lines=(line,))
            for title in ("official", "clean")
        )
        for quantity in ("accuracy", "loss")
    )
    figure = msgspec.structs.replace(every_panel(), legend={"train": "train"}, panels=panels)
    drawn = draw(figure, "fer-repro:x", forms=("svg", "narrow.svg"))
    assert [drawn[form].count(b">official<") for form in drawn] == [1, 2]
    assert [drawn[form].count(b">clean<") for form in drawn] == [1, 2]


def test_a_digest_moves_with_what_is_seen_and_not_with_the_last_bits():
    figure = every_panel()
    assert figure.digest == every_panel().digest
    assert msgspec.structs.replace(figure, caption="n = 4").digest != figure.digest

    def moved(by: float) -> str:
        row = AxisRow(label="a", marks=(Mark(series="reported", value=50.0 + by),))
        dots = Dots(title="", axis="x", scale="percent", rows=(row,))
        return msgspec.structs.replace(figure, panels=((dots,),)).digest

    assert moved(1e-9) == moved(0.0) != moved(1e-3)


def test_the_committed_figures_are_small_and_show_no_face_of_the_data_set():
    files = [path for path in COMMITTED.iterdir() if path.suffix in (".svg", ".png")]
    assert files
    # A paper with runs brings three or four figures of its own; every paper has had a run since onghena's.
    papers = sum(path.name.endswith("-learning.svg") for path in files)
    assert sum(path.stat().st_size for path in files) < papers * 2**19
    assert {path.name for path in files if "mistakes" in path.name} <= {f"{SYNTHETIC_MISTAKES}.png"}
    for path in files:
        if path.suffix == ".svg":
            assert path.stat().st_size < 150_000
            root = ElementTree.fromstring(path.read_bytes())
            assert root.get("role") == "img" and root[0].text, f"{path.name} has a title for those who do not see it"
            assert not list(root.iter("{http://www.w3.org/2000/svg}image"))

"""repro.specs.catalog: from a name on the command line to a spec, also of a file anywhere."""

from __future__ import annotations

import os
import shutil

import pytest
from tiny_paper import edited, write_tiny

from repro.specs import catalog
from repro.specs.catalog import (
    TEMPLATE,
    all_papers,
    bundled_papers,
    collection_of,
    find_paper,
    is_model,
    own_papers,
    paper_argument,
    paper_files,
    papers_folder,
    place_in_lists,
    recorded_models,
)
from repro.specs.decode import SpecError


def test_the_five_papers_come_with_the_suite():
    assert [paper.id for paper in bundled_papers()] == ["basani2017", "chavan2020", "onghena", "teta2022", "zhaqsylyq"]
    assert TEMPLATE not in {path.name for path in paper_files()}


def test_models_come_behind_the_papers_and_only_if_they_are_asked_for():
    models = [path.stem for path in paper_files("models")]
    assert models and [path.stem for path in paper_files()] == [*(one.id for one in bundled_papers()), *models]
    assert [one.id for one in bundled_papers("models")] == models
    assert find_paper(models[0]).path == papers_folder() / "models" / f"{models[0]}.toml"
    assert [collection_of(name) for name in ("teta2022", models[0], "mine")] == ["papers", "models", None]
    assert is_model(models[0]) and not is_model("teta2022")
    assert sorted(["teta2022", models[0], "mine"], key=place_in_lists) == ["mine", "teta2022", models[0]]


def test_a_report_takes_the_models_that_it_has_records_of(tmp_path):
    first = paper_files("models")[0].stem
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / first).touch()  # no folder
    assert recorded_models(tmp_path) == []
    (tmp_path / "runs" / first).unlink()
    (tmp_path / "audit" / first).mkdir(parents=True)
    assert [one.id for one in recorded_models(tmp_path)] == [first]


def test_by_id():
    assert find_paper("teta2022").path == papers_folder() / "teta2022.toml"


@pytest.mark.parametrize("name", ["teta", "TEMPLATE", "template", ""])
def test_an_unknown_id_is_told_the_known_ones(name):
    with pytest.raises(SpecError, match="accepted: basani2017, chavan2020, onghena, teta2022, zhaqsylyq"):
        find_paper(name)


def test_a_file_outside_the_package_is_a_paper_by_its_path(tmp_path, monkeypatch):
    path = write_tiny(tmp_path)
    assert find_paper(str(path)).id == "tiny"
    monkeypatch.chdir(tmp_path)
    assert find_paper("tiny.toml").id == find_paper("./tiny.toml").id == "tiny"


def test_a_copied_template_is_a_paper_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text((papers_folder() / TEMPLATE).read_text().replace('id = "template"', 'id = "mine"'))
    loaded = find_paper(str(path))
    assert loaded.id == "mine"
    assert loaded.resolve("random_split").training.evaluate == ("test",)


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"nowhere\.toml: no such file"):
        find_paper(str(tmp_path / "nowhere.toml"))


def test_the_papers_inside_an_installed_package_come_first(tmp_path, monkeypatch):
    package = tmp_path / "repro"
    (package / "papers").mkdir(parents=True)
    shutil.copy(write_tiny(tmp_path), package / "papers" / "tiny.toml")
    monkeypatch.setattr(catalog, "__file__", str(package / "specs" / "catalog.py"))
    assert [paper.id for paper in bundled_papers()] == ["tiny"]


# --- own papers in a results folder -----------------------------------------------------------------------------------


def kept(results, *edits, name="tiny"):
    path = results / "specs" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(edited(*edits))
    return path


def test_a_kept_spec_is_a_paper_by_its_id(tmp_path):
    path = kept(tmp_path)
    assert find_paper("tiny", tmp_path).path == path
    assert [paper.id for paper in all_papers(tmp_path)] == [
        "tiny",
        *(paper.id for paper in bundled_papers()),
    ]
    with pytest.raises(SpecError, match="accepted: tiny, basani2017"):
        find_paper("tini", tmp_path)


@pytest.mark.parametrize("name", ["../tiny", "..", "Tiny", "tiny.0123456789abcdef"])
def test_an_id_leads_to_no_other_file(tmp_path, name):
    (tmp_path / "tiny.toml").write_text(edited())
    kept(tmp_path, name="Tiny")
    kept(tmp_path, name="tiny.0123456789abcdef")
    with pytest.raises(SpecError):
        find_paper(name, tmp_path)


@pytest.mark.parametrize("paper", ["teta2022", "onghena"])
def test_the_id_of_a_bundled_paper_is_refused_unless_the_file_is_that_papers(tmp_path, paper):
    copy = tmp_path / "copy.toml"
    shutil.copy(papers_folder() / f"{paper}.toml", copy)
    assert find_paper(str(copy)).id == paper
    path = write_tiny(tmp_path, ('id = "tiny"', f'id = "{paper}"'))
    with pytest.raises(SpecError, match=f"'{paper}' is a paper that comes with the suite; give your own another id"):
        find_paper(str(path))


def test_what_cannot_be_used_in_a_results_folder_is_said_and_the_rest_is_there(tmp_path):
    kept(tmp_path)
    kept(tmp_path, ('"tiny"', '"teta2022"'), name="teta2022")
    kept(tmp_path, ("kernel = 3", "kernal = 3"), name="broken")
    kept(tmp_path, name="other")
    (tmp_path / "specs" / "link.toml").symlink_to(tmp_path / "specs" / "tiny.toml")
    (tmp_path / "specs" / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "specs" / "pipe.toml")
    (tmp_path / "specs" / "tiny.0123456789abcdef.toml").write_text("an earlier version is not looked at")
    found = own_papers(tmp_path)
    assert [paper.id for paper in found.papers] == ["tiny"]
    said = {line.removeprefix(f"{tmp_path / 'specs'}/").partition(".toml")[0]: line for line in found.unusable}
    assert said.keys() == {"teta2022", "broken", "other", "link", "folder", "pipe"}
    assert "comes with the suite" in said["teta2022"]
    assert "the spec of 'tiny'" in said["other"]
    assert all("not a regular file" in said[name] for name in ("link", "folder", "pipe"))


def test_on_a_command_line_a_kept_paper_goes_by_its_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = kept(tmp_path / "results")
    assert paper_argument("tiny", path) == "tiny"
    assert paper_argument("tiny", write_tiny(tmp_path)) == str(tmp_path / "tiny.toml")
    assert paper_argument("teta2022", papers_folder() / "teta2022.toml") == "teta2022"

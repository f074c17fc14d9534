"""repro.specs.catalog: from a name on the command line to a spec, also of a file anywhere."""

from __future__ import annotations

import shutil

import pytest
from tiny_paper import write_tiny

from repro.specs import catalog
from repro.specs.catalog import TEMPLATE, all_papers, find_paper, paper_files, papers_folder
from repro.specs.decode import SpecError


def test_the_five_papers_come_with_the_suite():
    assert [paper.id for paper in all_papers()] == ["basani2017", "chavan2020", "onghena", "teta2022", "zhaqsylyq"]
    assert TEMPLATE not in {path.name for path in paper_files()}


def test_by_id():
    assert find_paper("teta2022").path == papers_folder() / "teta2022.toml"


@pytest.mark.parametrize("name", ["teta", "TEMPLATE", "template", ""])
def test_an_unknown_id_is_told_the_known_ones(name):
    with pytest.raises(SpecError, match="there are: basani2017, chavan2020, onghena, teta2022, zhaqsylyq"):
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
    assert [paper.id for paper in all_papers()] == ["tiny"]

"""repro.runs.kept_specs: the results folder keeps the spec of every own paper that was run, and earlier versions."""

from __future__ import annotations

import hashlib

import pytest

from repro.runs.kept_specs import earlier_path, keep_spec
from repro.specs.catalog import find_paper, papers_folder


def test_a_run_keeps_the_exact_bytes_of_its_spec(do, tmp_path):
    do()
    kept = tmp_path / "results/specs/tiny.toml"
    assert kept.read_bytes() == (tmp_path / "tiny.toml").read_bytes()
    assert find_paper("tiny", tmp_path / "results").resolve("default") == do.plan().spec


def test_a_later_version_replaces_it_and_the_one_that_a_run_names_stays(do, tmp_path):
    results = tmp_path / "results"
    record = do().record
    first = (results / "specs/tiny.toml").read_bytes()
    keep_spec(results, "tiny", first + b"# changed\n")
    keep_spec(results, "tiny", first + b"# changed again, and no run names the version in between\n")
    assert earlier_path(results, "tiny", record.spec_file_sha256).read_bytes() == first
    assert sorted(path.name for path in (results / "specs").iterdir()) == [
        f"tiny.{hashlib.sha256(first).hexdigest()[:16]}.toml",
        "tiny.toml",
    ]
    keep_spec(results, "tiny", first)
    assert (results / "specs/tiny.toml").read_bytes() == first


def test_no_spec_is_kept_of_a_bundled_paper_or_without_a_file(tmp_path):
    content = (papers_folder() / "teta2022.toml").read_bytes()
    assert keep_spec(tmp_path, "teta2022", content) is None
    assert keep_spec(tmp_path, "mine", b"") is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_has_the_spec_is_not_written_to(tmp_path):
    path = keep_spec(tmp_path, "mine", b"x")
    assert path is not None
    before = path.stat().st_mtime_ns
    (tmp_path / "specs").chmod(0o500)
    try:
        assert keep_spec(tmp_path, "mine", b"x") == path
        assert path.stat().st_mtime_ns == before
    finally:
        (tmp_path / "specs").chmod(0o700)


@pytest.mark.parametrize("there", ["link", "folder"])
def test_what_no_run_wrote_is_never_followed(tmp_path, there):
    target, place = tmp_path / "secret", tmp_path / "results/specs/mine.toml"
    target.write_text("a file of somebody else")
    place.parent.mkdir(parents=True)
    if there == "link":
        place.symlink_to(target)
        keep_spec(tmp_path / "results", "mine", b"x")
        assert not place.is_symlink()
    else:
        place.mkdir()
        with pytest.raises(OSError, match=r"mine\.toml"):
            keep_spec(tmp_path / "results", "mine", b"x")
    assert target.read_text() == "a file of somebody else"

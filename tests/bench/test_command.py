"""`repro bench` as a whole on a tiny paper, ours against ours; and what is told when it cannot be done."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from fer_jax.data.synthetic import draw_faces
from repro.bench import command, contenders
from repro.bench.import_csv import write_csv
from repro.bench.records import find_bench
from repro.cli.main import main


def call(*words: object):
    return CliRunner().invoke(main, ["bench", *map(str, words)])


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """A comparison sets the threads of this process; that must not outlive the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.mark.slow
def test_a_comparison_from_words_to_tables(tiny_paper, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "choose_rivals", lambda against: ("own",))
    data = write_csv(
        draw_faces(counts={"Training": (30,) * 7, "PublicTest": (5,) * 7, "PrivateTest": (5,) * 7}), tmp_path / "x.csv"
    )
    words = (tiny_paper(), "--data", data, "--device", "cpu", "--seconds", 0.02, "--rounds", 1)
    results = ("--results", tmp_path / "results")
    first = call(*words, *results, "--what", "train,import")
    assert first.exit_code == 0, first.stderr
    assert "| tiny | 32 |" in first.stdout and "read_faces" in first.stdout
    assert "learn alike?" in first.stderr and "ratio" in first.stderr
    text = (tmp_path / "results" / "BENCH.md").read_text()
    assert "| tiny | 32 |" in text and "### Reading fer2013.csv" in text
    records = list(find_bench(tmp_path / "results"))
    assert {record.what for record in records} == {"train", "import"}
    train = next(record for record in records if record.comparison)
    assert train.matmul_flops_per_s > 1e8 and train.comparison and train.comparison.agreements[0].agrees
    assert train.comparison.paper == "tiny" and str(tmp_path) not in text
    assert {c.batch_size for c in train.comparison.scouted} == {32}
    assert CliRunner().invoke(main, ["report", "--check", "--results", str(tmp_path / "results")]).exit_code == 1
    (tmp_path / "results" / "BENCH.md").unlink()

    monkeypatch.setattr(command, "compare", lambda *_, **__: pytest.fail("stop here"))
    known = [a for record in records if record.comparison for a in record.comparison.agreements]
    assert command.stored_agreements(records) == known


def test_a_failed_comparison_is_told_and_the_next_is_done(tiny_paper, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "choose_rivals", lambda against: ("own",))

    def fail(*_):
        raise command.BenchError("every rival failed")

    monkeypatch.setattr(command, "_compare", fail)
    monkeypatch.setattr(command, "_import", fail)
    result = call(tiny_paper(), "--data", "synthetic", "--what", "train,import", "--results", tmp_path / "results")
    assert result.exit_code == 1
    assert result.stderr.count("error: ") == 2 and "error: train, tiny: every rival failed" in result.stderr
    assert not (tmp_path / "results").exists()


def test_a_missing_rival_is_told_before_anything_is_done(monkeypatch, tmp_path):
    monkeypatch.setattr(contenders, "installed", lambda name: False)
    result = call("teta2022", "--against", "torch", "--results", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: --against: torch is not installed here; install the rivals with "
        'pip install "fer-repro[bench]" (from a checkout: pip install ".[bench]")\n'
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--what", "serve"), "serve is not one of train, predict, import, audit, growth"),
        (("--what", ","), "nothing is not one of train"),
        (("--against", ""), "name one, such as torch"),
        (("--against", "caffe"), "no rival 'caffe'; accepted: torch, keras"),
        (("nobody2020",), "no paper 'nobody2020'"),
        (("--rounds", "0"), "0 is not in the range"),
        (("--what", "import", "--precision", "bfloat16", "--device", "cpu"), "a CPU computes in float32"),
    ],
)
def test_wrong_words(words, told):
    result = call(*words)
    assert result.exit_code == 2 and told in result.stderr

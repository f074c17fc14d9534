"""`repro export`: from a trained run to a file that ONNX Runtime reads, through the command."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from conftest import PAPER, draw_tiny_faces
from PIL import Image

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.cli.export import export
from repro.cli.main import main
from repro.runs.record_files import RecordError
from repro.specs.decode import SpecError
from repro.use.classifier import Classifier
from repro.use.export.errors import ExportError
from repro.use.trained import load_trained

USE_A_NETWORK = Path(__file__).resolve().parents[3] / "docs" / "use-a-network.md"
CONVOLUTION = """\
[[model.layers]]
layer = "conv"
filters = 3
kernel = 3
padding = "same"
stride = 2
{assumed}
[[model.layers]]
layer = "batch_norm"
{assumed}
[[model.layers]]
layer = "max_pool"
window = 2
{assumed}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One run of a small convolutional network on synthetic faces."""
    folder = tmp_path_factory.mktemp("trained")
    assumed = 'provenance = [{ kind = "assumed", reason = "a test" }]'
    settings = {"size": 12, "units": 16, "batch_size": 32, "epochs": 1, "learning_rate": 0.05}
    first = '[[model.layers]]\nlayer = "flatten"'
    text = PAPER.replace(first, CONVOLUTION + first, 1)
    (folder / "tiny.toml").write_text(text.format(assumed=assumed, random_flip="", dropout="", **settings))
    words = [
        "run",
        str(folder / "tiny.toml"),
        "--data",
        "synthetic",
        "--device",
        "cpu",
        "--results",
        str(folder / "results"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repro.runs.dataset.SYNTHETIC_SHARE", 200)
        patch.setattr(
            "fer_jax.network.native.calls.available", lambda: False
        )  # compiling C++ takes longer than all of this
        done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return folder / "results"


def call(*words: object):
    return CliRunner().invoke(export, [str(word) for word in words])


def run_folder(results: Path) -> Path:
    (record,) = results.rglob("run.json")
    return record.parent


def test_the_file_computes_what_the_run_computes(results, tmp_path):
    path = tmp_path / "tiny.onnx"
    done = call("tiny", "--onnx", path, "--results", results)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"wrote {path}, {path.stat().st_size:,} bytes\n"
    assert "tiny default, protocol as-published, seed 0" in done.stderr and "SYNTHETIC" in done.stderr
    faces = draw_tiny_faces(40, size=48).images
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = Classifier(load_trained(run_folder(results)))(faces)
    assert np.ptp(expected, 0).max() > 0.01
    for rows in (1, 40):
        (found,) = session.run(None, {"faces": faces[:rows]})
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected[:rows], rtol=0, atol=1e-5)


def test_the_python_example_of_the_documents(results, tmp_path, monkeypatch, capsys):
    assert call("tiny", "--onnx", tmp_path / "network.onnx", "--results", results).exit_code == 0
    face = draw_tiny_faces(1, size=48).images
    Image.fromarray(face[0]).save(tmp_path / "face.png")
    (code,) = re.findall(r"```python\n(.+?)\n```", USE_A_NETWORK.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(USE_A_NETWORK), "exec"), {})
    told = dict(line.split() for line in capsys.readouterr().out.splitlines())
    expected = Classifier(load_trained(run_folder(results)))(face)[0]
    assert told == {emotion: f"{p:.1%}" for emotion, p in zip(EMOTIONS, expected, strict=True)}


def test_a_paper_its_folder_and_its_record_name_the_same_run(results, tmp_path):
    folder = run_folder(results)
    written = []
    for number, run in enumerate(["tiny", folder, folder / "run.json"]):
        path = tmp_path / f"{number}.onnx"
        assert call(run, "--onnx", path, "--results", results).exit_code == 0
        written.append(path.read_bytes())
    assert len(set(written)) == 1


def test_for_scripts(results, tmp_path):
    path = tmp_path / "tiny.onnx"
    done = call(run_folder(results), "--onnx", path, "--json")
    told = json.loads(done.stdout)
    assert (told["file"], told["run"], told["bytes"]) == (str(path), str(run_folder(results)), path.stat().st_size)
    assert (told["opset"], told["input"], told["output"]) == (13, "faces", "probabilities")
    assert told["metadata"]["paper"] == "tiny" and told["metadata"]["synthetic"] == "true"


def test_what_is_not_there_is_said_before_anything_is_written(results, tmp_path):
    path = tmp_path / "x.onnx"
    for words, error, message in [
        (["nobody2020", "--onnx", path, "--results", results], SpecError, "no paper 'nobody2020'; accepted: "),
        (["teta2022", "--onnx", path, "--results", results], RecordError, "no trained network of teta2022"),
        ([results, "--onnx", path], RecordError, "no run found in that folder"),
        (["tiny", "--onnx", tmp_path / "no" / "x.onnx", "--results", results], ExportError, "there is no folder"),
    ]:
        found = call(*words).exception
        assert isinstance(found, error) and message in str(found)
    assert list(tmp_path.iterdir()) == []
    assert call("tiny", "--results", results).exit_code == 2, "--onnx must be given"


def test_without_onnx_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = call("tiny", "--onnx", tmp_path / "x.onnx").exception
    assert isinstance(found, ExportError) and "pip install 'fer-repro[onnx]'" in str(found)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--tflite x.tflite", "--tflite: only ONNX is written: --onnx FILE"),
        ("teta2022 --keras x", "--keras: only ONNX is written: --onnx FILE"),
        ("teta2022 --onnx x.tflite", "x.tflite: only ONNX is written; name a file such as x.onnx"),
    ],
)
def test_another_form_is_refused_with_the_one_that_is_written(words, said):
    done = CliRunner().invoke(main, ["export", *words.split()])
    assert done.exit_code == 2 and done.stderr.count("\n") == 1 and said in done.stderr

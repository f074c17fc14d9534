"""The network that comes with the suite: read as it was packed, used where nothing was trained, refused if damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from packed_networks import TinyPacked, tiny_packed
from PIL import Image

from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.layers import parameter_count
from repro.cli.main import main
from repro.runs.plan import settings_sha256
from repro.runs.record_files import RecordError
from repro.specs.catalog import find_paper
from repro.specs.protocols import under_protocol
from repro.use.classifier import Classifier, QuickClassifier
from repro.use.export.onnx_file import keep_onnx
from repro.use.opened import open_classifier
from repro.use.packaged import (
    DEFAULT_NETWORK,
    LARGEST,
    packaged_file,
    read_packaged,
    stored_arrays,
    used_arrays,
    variables_of,
    write_packaged,
)
from repro.use.serve.networks import Networks
from repro.use.trained import find_trained, load_trained, open_run

SHIPPED = Path(__file__).parents[2] / "repro" / "use" / "networks" / f"{DEFAULT_NETWORK}.npz"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, make_tiny_paper) -> Iterator[TinyPacked]:
    with tiny_packed(tmp_path_factory.mktemp("packed"), make_tiny_paper) as packed:
        yield packed


@pytest.fixture
def comes_along(tiny, monkeypatch, tmp_path) -> Path:
    """The tiny network is the one that comes with the suite."""
    folder = tmp_path / "package"
    shutil.copytree(tiny.file.parent, folder)
    monkeypatch.setattr("repro.use.packaged.networks_folder", lambda: folder)
    monkeypatch.setattr("repro.use.packaged.DEFAULT_NETWORK", "tiny")
    return folder / "tiny.npz"


def test_only_kernels_are_rounded_and_to_eleven_bits(tiny):
    trained, packed = load_trained(tiny.folder), load_trained(tiny.file)
    assert packed.network == trained.network and packed.record == trained.record and packed.size == trained.size
    compared = 0
    for tree in ("params", "batch_stats"):
        assert packed.variables[tree].keys() >= trained.variables[tree].keys() - {""}
        for layer, held in trained.variables[tree].items():
            for key, exact in held.items():
                found, exact = packed.variables[tree][layer][key], np.asarray(exact)
                assert found.dtype == np.float32 and found.shape == exact.shape
                np.testing.assert_allclose(found, exact, rtol=2.0**-11 if exact.ndim > 1 else 0, atol=6e-8)
                compared += found.size
    assert compared == trained.record.parameters


def test_it_answers_as_its_file_says_and_almost_as_its_run(tiny):
    classifier = open_classifier(tiny.file)
    assert classifier.temperature == tiny.about.temperature
    faces = tiny.faces.images[tiny.faces.usage == 2]
    exact = Classifier(load_trained(tiny.folder), tiny.about.temperature)(faces)
    found = classifier(faces)
    assert 0 < np.abs(found - exact).max() < 0.01, "rounded, and no other network"
    stored = tiny.about.stored["test"]
    assert stored.accuracy == (found.argmax(1) == tiny.faces.labels[tiny.faces.usage == 2]).mean()
    assert (stored.n, stored.changed) == (len(faces), (found.argmax(1) != exact.argmax(1)).sum())


def test_the_second_time_it_opens_from_the_onnx_file_in_the_cache(tiny):
    faces = tiny.faces.images[:5]
    first, second = open_classifier(tiny.file, keep_onnx), open_classifier(tiny.file)
    assert isinstance(first, Classifier) and isinstance(second, QuickClassifier)
    np.testing.assert_allclose(second(faces), first(faces), atol=1e-5)
    assert second.temperature == tiny.about.temperature


def flipped(arrays: dict[str, np.ndarray]) -> None:
    name = next(name for name in arrays if name.startswith("params/"))
    arrays[name] = -arrays[name]


def other_format(arrays: dict[str, np.ndarray]) -> None:
    about = json.loads(arrays["about.json"].tobytes()) | {"format": 9}
    arrays["about.json"] = np.frombuffer(json.dumps(about).encode(), np.uint8)


def other_record(arrays: dict[str, np.ndarray]) -> None:
    text = arrays["run.json"].tobytes().replace(b'"seed": 0', b'"seed": 1')
    arrays["run.json"] = np.frombuffer(text, np.uint8)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (flipped, "not those that were packed"),
        (other_format, "format 9"),
        (other_record, "was changed after it was written"),
        (lambda arrays: arrays.pop("run.json"), "no 'run.json'"),
        (lambda arrays: arrays.update({"code/x/y": np.zeros(1)}), "not those that were packed"),
        (None, "no packaged network"),
    ],
)
def test_a_file_that_is_not_as_it_was_packed_is_refused(tiny, tmp_path, damage, told):
    path = tmp_path / "other.npz"
    if damage is None:
        path.write_bytes(tiny.file.read_bytes()[:-300])
    else:
        with np.load(tiny.file) as held:
            arrays = dict(held)
        damage(arrays)
        np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(RecordError, match=told) as raised:
        load_trained(path)
    assert str(path) in str(raised.value)


def test_a_name_that_is_no_weights_name_is_refused():
    with pytest.raises(ValueError, match="holds 'code'"):
        variables_of({"code/x/y": np.zeros(1)})


def test_no_file_is_larger_than_a_megabyte(tiny, tmp_path):
    noise = np.random.default_rng(0).random((1, LARGEST), np.float32)
    with pytest.raises(RecordError, match="at most 1,000,000 are packed"):
        write_packaged(tmp_path / "x.npz", b"", tiny.about, {"params/a/kernel": noise})
    assert not list(tmp_path.iterdir())


def test_half_precision_is_for_kernels_alone():
    variables = {"params": {"a": {"kernel": np.ones((2, 2)), "bias": np.full(2, 1e-9)}}, "batch_stats": {}}
    stored = stored_arrays(variables)
    assert {name: value.dtype.name for name, value in stored.items()} == {
        "params/a/kernel": "float16",
        "params/a/bias": "float32",
    }
    assert used_arrays(stored)["params/a/bias"][0] == np.float32(1e-9)


# --- which network is used -------------------------------------------------------------------------------------------


def test_it_is_used_only_where_nothing_was_trained(tiny, comes_along, tmp_path):
    assert find_trained(tmp_path) == find_trained(tmp_path, paper="tiny") == comes_along
    assert find_trained(tiny.results) == find_trained(tiny.results, paper="tiny") == tiny.folder
    assert find_trained(tiny.results, run=str(comes_along)) == comes_along
    with pytest.raises(RecordError, match="no trained network of teta2022"):
        find_trained(tmp_path, paper="teta2022")
    comes_along.unlink()
    with pytest.raises(RecordError, match="no trained network; `repro run"):
        find_trained(tmp_path)


@pytest.mark.parametrize("name", ["../package/tiny", "", "none"])
def test_a_name_leads_to_no_other_folder(comes_along, name):
    assert packaged_file(name or None) == (None if name else comes_along)


def test_predict_says_that_it_is_the_one_that_comes_with_the_suite(tiny, comes_along, tmp_path):
    Image.fromarray(tiny.faces.images[0]).save(tmp_path / "face.png")
    words = ["predict", str(tmp_path / "face.png"), "--no-detect", "--json"]
    done = CliRunner().invoke(main, [*words, "--results", str(tmp_path / "results")])
    assert done.exit_code == 0, done.output
    assert "the network that comes with the suite, as none was trained in " in done.stderr
    (face,) = json.loads(done.stdout)["pictures"][0]["faces"]
    expected = open_classifier(comes_along)(tiny.faces.images[:1])[0]
    assert [face["probabilities"][name] for name in EMOTIONS] == pytest.approx(expected.tolist(), abs=1e-4)
    named = CliRunner().invoke(main, [*words, "--results", str(tiny.results)])
    assert f"network of {tiny.folder}: tiny" in named.stderr


def test_it_is_exported_by_its_name(tiny, comes_along, tmp_path):
    words = ["export", "tiny", "--onnx", str(tmp_path / "x.onnx"), "--results", str(tmp_path)]
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metadata"]["temperature"] == f"{tiny.about.temperature.value:.6g}"


def test_the_server_offers_it_behind_those_that_were_trained(tiny, comes_along, tmp_path):
    offered = Networks(tiny.results, find_trained(tiny.results))
    assert [one.folder for one in offered.offered] == [tiny.folder, comes_along]
    assert offered.first.classifier.trained.folder == tiny.folder
    alone = Networks(tmp_path, find_trained(tmp_path))
    assert [one.key for one in alone.offered] == ["tiny"] and alone.first.key == "tiny"


def test_the_server_reads_its_file_once_where_it_is_the_one_in_use(tiny, comes_along, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr("repro.use.serve.networks.read_packaged", lambda path: read.append(path) or read_packaged(path))
    alone = Networks(tmp_path, find_trained(tmp_path))
    assert read == [] and "tiny" in alone.offered[0].words
    behind = Networks(tiny.results, find_trained(tiny.results))
    assert read == [comes_along] and "tiny" in behind.offered[1].words


# --- the real one ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHIPPED.exists(), reason="no network was packed yet")
def test_the_shipped_network_is_that_of_its_spec_and_small():
    packed, run = read_packaged(SHIPPED), open_run(SHIPPED)
    assert SHIPPED.stat().st_size < LARGEST
    record, spec = packed.record, find_paper(DEFAULT_NETWORK).resolve("default")
    assert record.paper == DEFAULT_NETWORK and record.status == "done" and not record.data.synthetic
    assert record.spec_sha256 == settings_sha256(under_protocol(spec, record.protocol))
    assert record.parameters == parameter_count(spec.model.layers, (run.size, run.size, 1))[0]
    assert record.parameters == sum(value.size for value in stored_arrays(packed.variables).values())
    for split, stored in packed.about.stored.items():
        assert stored.n == record.metrics[split].n
        assert abs(stored.accuracy - record.metrics[split].accuracy) < 0.003, "what the rounding costs"
    assert packed.about.temperature.n == record.metrics["validation"].n


@pytest.mark.slow
def test_an_installed_suite_answers_where_nothing_was_trained(tiny, tmp_path):
    """The files that a wheel holds, in a process with an empty home and an empty working directory."""
    site, home = tmp_path / "site", tmp_path / "home"
    root = Path(__file__).parents[2]
    for package in ("repro", "fer_jax"):
        shutil.copytree(root / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "papers", site / "repro" / "papers")
    if not SHIPPED.exists():
        (site / "repro" / "use" / "networks").mkdir(exist_ok=True)
        shutil.copy(tiny.file, site / "repro" / "use" / "networks" / SHIPPED.name)
    home.mkdir()
    Image.fromarray(tiny.faces.images[0]).save(home / "face.png")
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "FER_JAX_NATIVE", "LANG")}
    done = subprocess.run(
        [sys.executable, "-m", "repro", "predict", "face.png", "--no-detect"],
        cwd=home,
        env={**kept, "HOME": str(home), "PYTHONPATH": str(site), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the network that comes with the suite" in done.stderr
    assert "1 face in 1 picture; 0 failed" in done.stderr

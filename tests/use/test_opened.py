"""A network opens by JAX the first time and from the kept ONNX file from then on, with the same answers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_runs import TinyRuns, tiny_dataset

from fer_jax.machine.digests import file_sha256
from repro.runs.record_files import RecordError, write_digested
from repro.use.classifier import Classifier, QuickClassifier
from repro.use.export.onnx_file import keep_onnx
from repro.use.fitting import keep_temperature
from repro.use.opened import ABOUT_NAME, ONNX_NAME, KeptOnnx, open_classifier
from repro.use.temperature import FittedTemperature, Uncalibrated
from repro.use.trained import RunNetwork, open_run


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_tiny_paper) -> Path:
    from conftest import draw_tiny_faces

    folder = tmp_path_factory.mktemp("opened")
    do = TinyRuns(lambda **s: make_tiny_paper(folder, **s), tiny_dataset(draw_tiny_faces), folder / "results")
    return do(epochs=1).folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


def fitted(run: RunNetwork, value: float) -> FittedTemperature:
    return FittedTemperature(
        value=value, split="validation", n=300, ece=(0.3, 0.1), loss=(2, 1), network_sha256=run.record.network_sha256
    )


@pytest.mark.parametrize("value", [None, 2.5])
def test_the_second_time_the_kept_file_gives_the_same_answers(folder, value):
    if value:
        keep_temperature(open_run(folder), fitted(open_run(folder), value))
    faces = np.random.default_rng(0).integers(0, 256, (5, 48, 48), np.uint8)
    first, second = open_classifier(folder, keep_onnx), open_classifier(folder, None)
    assert isinstance(first, Classifier) and isinstance(second, QuickClassifier)
    assert first.temperature == second.temperature and first.temperature.value == (value or 1.0)
    assert isinstance(first.temperature, FittedTemperature if value else Uncalibrated)
    for rows in (0, 1, 5):
        np.testing.assert_allclose(second(faces[:rows]), first(faces[:rows]), atol=1e-5)
    assert isinstance(open_classifier(folder, None, many=True), Classifier)
    assert second.trained.describe() == first.trained.describe() and second.trained.size == 48


def other_temperature(run: RunNetwork) -> None:
    keep_temperature(run, fitted(run, 1.7))


def changed_file(run: RunNetwork) -> None:
    with (run.place / ONNX_NAME).open("ab") as file:
        file.write(b"x")


def of_another_version(run: RunNetwork) -> None:
    path = run.place / ABOUT_NAME
    path.write_text(path.read_text().replace('"suite_version": "', '"suite_version": "9'))


def no_description(run: RunNetwork) -> None:
    (run.place / ABOUT_NAME).unlink()


def as_a_link(run: RunNetwork) -> None:
    (run.place / ONNX_NAME).rename(run.place / "elsewhere.onnx")
    (run.place / ONNX_NAME).symlink_to("elsewhere.onnx")


def that_names_another_file(run: RunNetwork) -> None:
    path = run.place / ONNX_NAME
    model = onnx.load(path)
    tensor = model.graph.initializer[-1]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../secret")
    path.write_bytes(model.SerializeToString())
    about = KeptOnnx(file_sha256=file_sha256(path), network_sha256=run.record.network_sha256, temperature=1.0)
    write_digested(run.place / ABOUT_NAME, about)


@pytest.mark.parametrize(
    "spoil", [as_a_link, that_names_another_file, other_temperature, changed_file, of_another_version, no_description]
)
def test_a_kept_file_that_is_not_of_this_network_as_it_is_is_not_used_but_replaced(folder, spoil):
    open_classifier(folder, keep_onnx)
    spoil(open_run(folder))
    assert isinstance(open_classifier(folder, keep_onnx), Classifier)
    assert isinstance(open_classifier(folder, None), QuickClassifier)


def test_without_onnx_runtime_the_network_opens_by_jax(folder, monkeypatch):
    open_classifier(folder, keep_onnx)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(open_classifier(folder, None), Classifier)


def test_a_folder_that_cannot_be_written_to_is_no_error(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fer_jax.machine.atomic_write.os.replace", refuse)
    assert isinstance(open_classifier(folder, keep_onnx), Classifier)
    assert not (open_run(folder).place / ONNX_NAME).exists()


def test_the_kept_file_is_opened_without_jax(folder):
    open_classifier(folder, keep_onnx)
    code = (
        "import sys\nfrom pathlib import Path\nfrom repro.use.opened import open_classifier\n"
        "print(type(open_classifier(Path(sys.argv[1]))).__name__, 'jax' in sys.modules, 'onnx' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.split() == ["QuickClassifier", "False", "False"], done.stderr


def test_a_run_without_its_network_is_an_error_all_the_same(folder):
    open_classifier(folder, keep_onnx)
    for name in ("last", "best"):
        shutil.rmtree(open_run(folder).place / name, ignore_errors=True)
    with pytest.raises(RecordError, match="its network is not"):
        open_classifier(folder, keep_onnx)

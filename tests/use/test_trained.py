"""A run's network answers, when it is used again, exactly as it did when the run ended."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from report_records import make_record, make_spec, metrics

from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.step_kinds import EqualiseHistogram, Resize, SplitByUsage
from repro.cli.main import main
from repro.runs.dataset import open_dataset
from repro.runs.folders import record_folder
from repro.runs.record_files import RecordError
from repro.runs.records import RECORD_NAME
from repro.runs.stored_records import read_record, write_record
from repro.use.classifier import Classifier
from repro.use.export.errors import ExportError
from repro.use.export.onnx_file import make_model
from repro.use.temperature import Uncalibrated
from repro.use.trained import find_trained, load_trained, pixel_steps_of


def train(paper: Path, results: Path, *more: str) -> None:
    call = ["run", str(paper), "--data", "synthetic", "--results", str(results), "--limit-train", "200", *more]
    run = CliRunner().invoke(main, [*call, "--device", "cpu"])
    assert run.exit_code == 0, run.output


@pytest.fixture(scope="module")
def results(tmp_path_factory, make_tiny_paper):
    folder = tmp_path_factory.mktemp("results")
    paper = make_tiny_paper(tmp_path_factory.mktemp("paper"), epochs=3)
    train(paper, folder, "--seeds", "2")
    train(paper, folder, "--protocol", "official")
    return folder


def test_new_faces_get_the_pixel_steps_of_the_evaluated_samples():
    everywhere, before = Resize(size=12), EqualiseHistogram(splits=("all",))
    training, test = EqualiseHistogram(splits=("train",)), EqualiseHistogram(splits=("test",))
    split = SplitByUsage(into={"train": ("Training",), "test": ("PrivateTest",)})
    steps = (before, split, training, everywhere, test)
    assert pixel_steps_of(steps, "test") == (before, everywhere, test)
    assert pixel_steps_of(steps, "train") == (before, training, everywhere)


def run_folders(results: Path) -> list[Path]:
    return sorted(path.parent for path in results.rglob(RECORD_NAME))


def test_the_network_of_a_run_gives_the_accuracy_of_its_record_to_the_last_row(results):
    for folder in run_folders(results):
        trained = load_trained(folder)
        faces = open_dataset("synthetic").faces
        test = faces.take(faces.usage == 2)
        predicted = Classifier(trained)(test.images).argmax(1)
        assert (predicted == test.labels).mean() == pytest.approx(trained.record.metrics["test"].accuracy, abs=1e-12)
        assert trained.size == 48 and trained.network.image_size == 12, "the paper's resizing is done here too"
        assert "SYNTHETIC" in trained.describe()


@pytest.mark.parametrize("rows", [0, 1, 2, 129])
def test_any_number_of_faces_gives_as_many_answers_as_alone(results, rows):
    classifier = Classifier(load_trained(run_folders(results)[0]))
    faces = open_dataset("synthetic").faces.images[:rows]
    together = classifier(faces)
    assert together.shape == (rows, len(EMOTIONS)) and together.dtype == np.float32
    for face, answer in list(zip(faces, together, strict=True))[:3]:
        np.testing.assert_allclose(classifier(face[None])[0], answer, atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-5)


def test_faces_of_another_size_or_type_are_refused(results):
    classifier = Classifier(load_trained(run_folders(results)[0]))._predictor
    with pytest.raises(ValueError, match=r"uint8 \(N, 12, 12\), not uint8 \(1, 11, 12\)"):
        classifier(np.zeros((1, 11, 12), np.uint8))
    with pytest.raises(ValueError, match="not float64"):
        classifier(np.zeros((1, 12, 12)))


def test_of_several_runs_a_corrected_one_is_chosen_and_then_the_best(results):
    assert read_record(find_trained(results) / RECORD_NAME).protocol == "official"
    assert find_trained(results, paper="tiny") == find_trained(results)
    named = run_folders(results)[0]
    assert find_trained(results, run=str(named)) == named
    assert find_trained(results, run=str(named / RECORD_NAME)) == named


def test_the_accuracy_that_is_shown_for_the_chosen_run_did_not_choose_it(tmp_path):
    """Seed 1 is best on the test samples, seed 0 on the validation samples; the shortened run is best on both."""
    for seed, validation, test, status in ((0, 0.6, 0.5, "done"), (1, 0.5, 0.6, "done"), (2, 0.7, 0.7, "partial")):
        found = {"validation": metrics(validation), "test": metrics(test)}
        record = make_record(make_spec(), seed=seed, status=status, metrics=found)
        (write_record(record_folder(tmp_path, record), record).parent / "checkpoints" / "last").mkdir(parents=True)
    assert find_trained(tmp_path).name == "seed-0"


def test_what_cannot_be_used_is_named_with_the_command_that_trains_it(results, tmp_path):
    with pytest.raises(
        RecordError, match="no trained network of teta2022; it has those of tiny; `repro run teta2022` trains one"
    ):
        find_trained(results, paper="teta2022")
    with pytest.raises(RecordError, match="no trained network; `repro run"):
        find_trained(tmp_path)
    with pytest.raises(RecordError, match="no run found in that folder"):
        find_trained(results, run=str(tmp_path))
    bare = tmp_path / "runs" / "one"
    shutil.copytree(run_folders(results)[0], bare, ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(RecordError, match=r"its network is not; `repro run ./tiny.toml .*--with-network` trains it"):
        find_trained(tmp_path, run=str(bare))
    other = next(folder for folder in run_folders(results) if folder.name == "seed-1")
    copy = tmp_path / "runs" / "two"
    shutil.copytree(other, copy, ignore=shutil.ignore_patterns("checkpoints"))
    remedy = "`repro run ./tiny.toml --seed 1 --limit-train 200 --data synthetic --device cpu --with-network` trains"
    with pytest.raises(RecordError, match=remedy):
        find_trained(tmp_path, run=str(copy))
    with pytest.raises(
        RecordError, match=r"came without their networks; `repro run ./tiny.toml .*--with-network` trains one"
    ):
        find_trained(tmp_path, paper="tiny")


PICTURES = """
[[data.steps]]
step = "equalise_histogram"
{assumed}
[[data.steps]]
step = "random_crop"
size = 10
{assumed}
[[data.steps]]
step = "standardise"
{assumed}
[[data.steps]]
step = "average_views"
views = "ten_crops"
{assumed}
"""


def test_a_network_with_crops_views_statistics_and_averaged_weights_answers_as_its_run(tmp_path, make_tiny_paper):
    """The statistics are those of the record, and the weights the averaged ones."""
    paper = make_tiny_paper(tmp_path, epochs=2)
    assumed = 'provenance = [{ kind = "assumed", reason = "a test" }]'
    text = paper.read_text().replace('report = "best"', 'report = "best"\naverage_weights = 0.9')
    before, _, after = text.partition('[[data.steps]]\nstep = "normalise"\n' + assumed)
    paper.write_text(before + PICTURES.format(assumed=assumed) + after)
    train(paper, tmp_path / "results")
    (folder,) = run_folders(tmp_path / "results")
    trained = load_trained(folder)
    assert (trained.size, trained.network.stored_size, trained.network.image_size) == (48, 12, 10)
    assert trained.record.data.standardised == (trained.network.subtract, trained.network.divide)
    faces = open_dataset("synthetic").faces
    test = faces.take(faces.usage == 2)
    predicted = Classifier(trained)(test.images).argmax(1)
    assert (predicted == test.labels).mean() == pytest.approx(trained.record.metrics["test"].accuracy, abs=1e-12)
    with pytest.raises(ExportError, match=r"equalised histograms and the mean over crops; use `repro predict`"):
        make_model(trained, Uncalibrated("a test"))


def test_a_network_with_statistics_of_each_pixel_answers_as_its_run_also_as_an_onnx_file(tmp_path, make_tiny_paper):
    """They travel in the record, as a text per row; a record without all of them is refused."""
    paper = make_tiny_paper(tmp_path, epochs=2)
    text = paper.read_text()
    assert text.count('step = "normalise"\n') == 1
    paper.write_text(text.replace('step = "normalise"\n', 'step = "standardise"\nof = "pixels"\n'))
    train(paper, tmp_path / "results")
    (folder,) = run_folders(tmp_path / "results")
    trained = load_trained(folder)
    size = trained.network.image_size
    assert np.shape(trained.network.subtract) == np.shape(trained.network.divide) == (size, size)
    faces = open_dataset("synthetic").faces
    test = faces.take(faces.usage == 2)
    predicted = Classifier(trained)(test.images)
    accuracy = (predicted.argmax(1) == test.labels).mean()
    assert accuracy == pytest.approx(trained.record.metrics["test"].accuracy, abs=1e-12)
    session = onnxruntime.InferenceSession(make_model(trained, Uncalibrated("a test")).SerializeToString())
    (found,) = session.run(None, {"faces": test.images})
    np.testing.assert_allclose(np.asarray(found), predicted, rtol=0, atol=1e-5)
    recorded = trained.record.data.standardised
    assert recorded
    mean, deviation = recorded
    assert isinstance(mean, tuple) and isinstance(deviation, tuple)
    for damaged in ((("1 2 three", *mean[1:]), deviation), (mean, deviation[1:]), (0.5, 0.2), None):
        data = msgspec.structs.replace(trained.record.data, standardised=damaged)
        write_record(folder, msgspec.structs.replace(trained.record, data=data))
        with pytest.raises(RecordError, match=f"data.standardised: two tables of {size} x {size} numbers are needed"):
            load_trained(folder)

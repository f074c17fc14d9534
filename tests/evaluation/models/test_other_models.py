"""Keras, TFLite, PyTorch and functions: what is refused before anything runs, and real files where the library is."""

from __future__ import annotations

import json
import sys
import zipfile

import numpy as np
import pytest

from repro.evaluation.errors import EvaluationError
from repro.evaluation.models import open as opening
from repro.evaluation.models.function import open_function
from repro.evaluation.models.keras_model import check_config
from repro.evaluation.models.open import EXTRAS, open_model
from repro.evaluation.models.torch_model import is_plain_expression


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"class_name": "Lambda", "config": {"function": "..."}}, "'Lambda', which runs a program"),
        ({"layers": [{"config": {"layer": {"class_name": "TFSMLayer"}}}]}, "'TFSMLayer', which runs a program"),
        ({"a": {"class_name": "__lambda__", "config": {}}}, "which runs a program"),
        ({"module": "os", "class_name": "system"}, "the module 'os', which would be imported"),
        ({"x": [{"module": "kerasx.layers", "class_name": "Dense"}]}, "'kerasx.layers'"),
    ],
)
def test_a_description_of_keras_that_would_run_a_program(tmp_path, config, words):
    with pytest.raises(EvaluationError, match=words):
        check_config(tmp_path / "net.keras", {"config": {"layers": [config]}})


def test_a_usual_description_of_keras_is_taken(tmp_path):
    check_config(tmp_path / "a", {"class_name": "Model", "layers": [{"class_name": "Dense", "module": "keras.layers"}]})


def test_a_keras_file_is_checked_before_keras_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)  # importing it now fails
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Lambda"}))
        archive.writestr("model.weights.h5", b"")
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(EvaluationError, match="'Lambda', which runs a program"):
        open_model(str(path))


@pytest.mark.parametrize("text", ["s0", "2*s0 + 1", "Max(1, s0)", "FloorDiv(s0, 2)", "-1 + u3", "s77 // 4"])
def test_sizes_that_are_arithmetic(text):
    assert is_plain_expression(text)


@pytest.mark.parametrize(
    "text", ["__import__('os').system('id')", "open('x')", "s0.__class__", "eval(s0)", "().__class__", "s0; s1", '"a"']
)
def test_sizes_that_sympy_would_run(text):
    assert not is_plain_expression(text)


def export_archive(path, document, *more: str):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/models/model.json", json.dumps(document))
        for name in more:
            archive.writestr(name, b"")
    return path


@pytest.mark.parametrize(
    ("document", "more", "words"),
    [
        ({"config": {"w": {"use_pickle": True}}}, (), "holds a pickle"),
        ({"as_expr": {"expr_str": "__import__('os')"}}, (), "not plain arithmetic"),
        ({}, ("net/data/constants/opaque_obj_0",), "opaque_obj_0"),
        ({}, ("net/data/aotinductor/model.so",), "model.so"),
    ],
)
def test_a_torch_export_is_checked_before_torch_is_loaded(tmp_path, monkeypatch, document, more, words):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(EvaluationError, match=words):
        open_model(str(export_archive(tmp_path / "net.pt2", document, *more)))


def test_a_torchscript_that_opens_files_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: object())
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/code/__torch__/net.py", "def forward(self, x):\n  y = torch.from_file('/etc/passwd')\n")
    with pytest.raises(EvaluationError, match=r"calls .*from_file, which opens a file"):
        open_model(str(path))


@pytest.mark.parametrize("form", EXTRAS)
def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch, form):
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EvaluationError, match=rf"not installed: pip install 'fer-repro\[{EXTRAS[form][0]}\]'"):
        open_model(str(tmp_path / "net"), form)


# --- functions --------------------------------------------------------------------------------------------------------


def test_a_function_gets_bytes_and_its_errors_have_a_place(tmp_path, monkeypatch):
    (tmp_path / "my_net.py").write_text(
        "import numpy as np\n\ndef predict(faces):\n    assert faces.dtype == np.uint8\n    return "
        "np.ones((len(faces), 7))\n\ndef broken(faces):\n    raise ZeroDivisionError('no')\n\nNUMBER = 3\n"
    )
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    opened = open_function("my_net:predict", tmp_path)
    assert opened.predict(np.zeros((2, 48, 48), np.uint8)).shape == (2, 7)
    assert "code of the user" in opened.notes[0]
    with pytest.raises(EvaluationError, match=r"my_net:broken: ZeroDivisionError: no \(my_net.py, line 8\)"):
        open_function("my_net:broken", tmp_path).predict(np.zeros((2, 48, 48), np.uint8))
    for text, words in (
        ("my_net:none", "no attribute"),
        ("my_net:NUMBER", "int is not a function"),
        ("no_net:f", "No module"),
    ):
        with pytest.raises(EvaluationError, match=words):
            open_function(text, tmp_path)
    assert str(tmp_path) not in sys.path
    del sys.modules["my_net"]


# --- real files, where the library is installed -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # of Keras, about NumPy
def test_keras_files_of_both_kinds_give_what_keras_gives(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    net = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax")]
    )
    faces = np.random.default_rng(0).random((3, 8, 8, 1)).astype(np.float32)
    for name in ("net.keras", "net.h5"):
        net.save(tmp_path / name)
        opened = open_model(str(tmp_path / name))
        assert opened.dims == (8, 8, 1) and opened.parameters == 65 * 7
        assert opened.predict(faces) == pytest.approx(np.asarray(net(faces)), abs=1e-5)


def test_an_hdf5_file_that_leads_elsewhere_is_not_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("keras")
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file.attrs["model_config"] = "{}"
        file["weights"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(EvaluationError, match="'/weights' is in another file"):
        open_model(str(tmp_path / "net.h5"))
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential"}))
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    with pytest.raises(EvaluationError, match="'/layers' is in another file"):
        open_model(str(tmp_path / "net.keras"))


@pytest.mark.filterwarnings("ignore")
def test_torch_files_of_both_kinds_give_what_torch_gives(tmp_path):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 7)).eval()
    faces = torch.rand(3, 1, 8, 8)
    sizes = ({0: torch.export.Dim("n")},)
    torch.export.save(torch.export.export(net, (faces,), dynamic_shapes=sizes), tmp_path / "net.pt2")
    torch.jit.script(net).save(str(tmp_path / "net.pt"))
    expected = net(faces).detach().numpy()
    for name, dims in (("net.pt2", (1, 8, 8)), ("net.pt", None)):
        opened = open_model(str(tmp_path / name))
        assert opened.dims == dims and opened.parameters == 65 * 7 and opened.batch is None
        assert opened.predict(faces.numpy()) == pytest.approx(expected, abs=1e-5)
    torch.save(net.state_dict(), tmp_path / "state.pt")
    with pytest.raises(EvaluationError, match="a pickle"):
        open_model(str(tmp_path / "state.pt"))

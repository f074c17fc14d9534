"""`repro new --from`: the layers of models of other frameworks, read without being run, in the words of a spec."""

from __future__ import annotations

import importlib.util
import json
import tomllib
import zipfile
from types import SimpleNamespace

import flax.linen as nn
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from flax import nnx
from onnx import TensorProto, helper, numpy_helper

from repro.cli.main import main
from repro.draft.drafted import DraftedLayer, DraftError
from repro.draft.flax_layers import draft_flax
from repro.draft.keras_layers import draft_keras
from repro.draft.source import draft_model, read_model
from repro.draft.spec_text import new_spec
from repro.draft.torch_layers import draft_torch
from repro.specs.decode import SpecError, load_spec


def in_short(layers: tuple[DraftedLayer, ...]) -> list[str]:
    return [" ".join(str(value) for value in layer.settings.values()) or f"no {layer.source}" for layer in layers]


# --- ONNX -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def onnx_file(tmp_path):
    def weights(name, *shape):
        return numpy_helper.from_array(np.zeros(shape, np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "s", "s", "s"], ["n"], "n", epsilon=1e-3),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Hardmax", ["p"], ["h"], "evil\n[[claims]]"),
        helper.make_node("GlobalAveragePool", ["h"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["d"]),
        helper.make_node("Add", ["d", "a"], ["e"]),
        helper.make_node("Div", ["e", "t"], ["z"], "calibrated"),
        helper.make_node("Softmax", ["z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 40, 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 7])],
        [weights("w", 8, 1, 3, 3), weights("b", 8), weights("s", 8), weights("m", 8, 7), weights("a", 7), weights("t")],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), path)
    return path


def test_an_onnx_graph(onnx_file):
    model = read_model(str(onnx_file))
    assert (model.size, model.channels, model.remarks) == (40, 1, ())
    assert in_short(model.layers) == [
        "conv 8 3 1 same True",
        "batch_norm 0.9 0.001",
        "activation relu",
        "max_pool 2 2 valid",
        "no Hardmax evil\n[[claims]]",
        "global_avg_pool",
        "dense 7 True",
        "activation softmax",
    ]
    assert "not supported" in model.layers[4].remarks[0]


# --- Keras ------------------------------------------------------------------------------------------------------------

KERAS = {
    "class_name": "Sequential",
    "config": {
        "layers": [
            {"class_name": "InputLayer", "config": {"batch_shape": [None, 48, 48, 1], "name": "input"}},
            {
                "class_name": "Conv2D",
                "config": {
                    "name": "conv2d",
                    "filters": 64,
                    "kernel_size": [5, 5],
                    "strides": [1, 1],
                    "padding": "valid",
                    "use_bias": True,
                    "activation": "relu",
                    "kernel_initializer": {"class_name": "HeNormal", "config": {}},
                },
            },
            {"class_name": "MaxPooling2D", "config": {"name": "p", "pool_size": [5, 5], "strides": [2, 2]}},
            {"class_name": "AveragePooling2D", "config": {"name": "a", "pool_size": [3, 3]}},
            {"class_name": "Lambda", "config": {"name": "l", "function": {"config": {"code": "evil"}}}},
            {"class_name": "Flatten", "config": {"name": "f"}},
            {"class_name": "Dropout", "config": {"name": "d", "rate": 0.2}},
            {"class_name": "Dense", "config": {"name": "o", "units": 7, "activation": "softmax"}},
        ]
    },
}


def test_a_keras_file_is_read_without_keras(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(KERAS))
    model = read_model(str(path))
    assert (model.size, model.channels) == (48, 1)
    assert in_short(model.layers) == [
        "conv 64 5 1 valid True {'kind': 'he_normal'}",
        "activation relu",
        "max_pool 5 2 valid",
        "avg_pool 3 3 valid",
        "no Lambda l",
        "flatten",
        "dropout 0.2",
        "dense 7 True",
        "activation softmax",
    ]


def test_branches_are_said():
    two = [[{"args": [{"config": {"keras_history": ["a", 0, 0]}}, {"config": {"keras_history": ["b", 0, 0]}}]}]]
    config = {"layers": [{"class_name": "Add", "config": {"name": "add"}, "inbound_nodes": two}]}
    model = draft_keras(config, "x")
    assert "branches" in model.remarks[0] and not model.layers[0].settings


# --- Flax and PyTorch -------------------------------------------------------------------------------------------------


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3), padding="VALID", use_bias=False)(x))
        x = nn.BatchNorm(use_running_average=True)(x)
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.tanh(nn.Dense(16)(x.reshape((x.shape[0], -1))))
        return nn.softmax(nn.Dense(7)(x))


FLAX = [
    "conv 8 3 1 valid False",
    "activation relu",
    "batch_norm",
    "max_pool 2 2 valid",
    "flatten",
    "dense 16 True",
    "activation tanh",
    "dense 7 True",
    "activation softmax",
]


def test_a_linen_module_by_its_operations():
    assert in_short(draft_flax(Linen(), "x").layers) == FLAX


def test_an_nnx_module_by_its_operations():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Conv(1, 8, (5, 5), padding="SAME", rngs=rngs),
        nnx.elu,
        lambda x: x.reshape(x.shape[0], -1),
        nnx.Linear(48 * 48 * 8, 7, rngs=rngs),
    )
    assert in_short(draft_model(model, "x").layers) == [
        "conv 8 5 1 same True",
        "activation elu",
        "flatten",
        "dense 7 True",
    ]


def test_a_model_of_other_images_is_an_error():
    with pytest.raises(DraftError, match=r"does not take a batch of images \(1, 48, 48, 1\)"):
        draft_flax(lambda images: images @ np.zeros((3, 3)), "x")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_a_torch_module_is_followed():
    torch = importlib.import_module("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = torch.nn.Linear(8 * 24 * 24, 7)
            self.conv = torch.nn.Conv2d(1, 8, 3, padding=1)

        def forward(self, x):
            x = torch.nn.functional.max_pool2d(torch.relu(self.conv(x)), 2)
            return torch.softmax(self.dense(torch.flatten(x, 1)), 1)

    assert in_short(draft_torch(Net(), "x").layers) == [
        "conv 8 3 1 same True",
        "activation relu",
        "max_pool 2 2 valid",
        "flatten",
        "dense 7 True",
        "activation softmax",
    ]


def test_torch_modules_by_their_attributes_where_forward_cannot_be_followed():
    def made(kind, **attributes):
        return type(kind, (SimpleNamespace,), {"children": lambda self: iter(())})(**attributes)

    parts = [
        made(
            "Conv2d",
            out_channels=8,
            in_channels=3,
            kernel_size=(3, 3),
            stride=(2, 2),
            padding=(1, 1),
            groups=1,
            dilation=(1, 1),
            bias=None,
        ),
        made("BatchNorm2d", momentum=0.1, eps=1e-5),
        made("LeakyReLU", negative_slope=0.01),
        made("MaxPool2d", kernel_size=2, stride=2, padding=0, ceil_mode=False),
        made("Dropout2d", p=0.3),
        made("Linear", out_features=7, bias=1),
    ]
    whole = SimpleNamespace(
        eval=lambda: None, modules=lambda: iter(parts), named_modules=lambda: [(str(i), p) for i, p in enumerate(parts)]
    )
    model = draft_torch(whole, "x")
    assert in_short(model.layers) == [
        "conv 8 3 2 1 False",
        "batch_norm 0.9 1e-05",
        "leaky_relu 0.01",
        "max_pool 2 2 valid",
        "spatial_dropout 0.3",
        "dense 7 True",
    ]
    assert model.channels == 3 and any("cannot be followed" in remark for remark in model.remarks)


# --- sources that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.onnx", b"not a graph", "not an ONNX file"),
        ("x.keras", b"not a zip", "not a .keras file"),
        ("x.pt", b"", "may run code"),
        ("x.txt", b"", "not a form that is known here"),
        ("x.py:make", b"def make():\n    raise ValueError('boom')", "ValueError: boom"),
        ("x.py:other", b"", "it has no 'other'"),
        ("x.py:make", b"def make():\n    return 3", "a int, not a model"),
        ("gone.onnx", None, "no such file"),
    ],
)
def test_a_source_that_cannot_be_used_is_one_clear_error(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name.partition(":")[0]).write_bytes(content)
    with pytest.raises(DraftError, match=said):
        read_model(str(tmp_path / name))


# --- the text ---------------------------------------------------------------------------------------------------------

FILLED = (
    ('title = ""', 'title = "x"'),
    ("authors = []", 'authors = ["A"]'),
    ('source = ""', 'source = "x.pdf"'),
    ('summary = ""', 'summary = "x"'),
)


def filled(text):
    for old, new in FILLED:
        text = text.replace(old, new, 1)
    return text


def test_a_new_file_lacks_only_what_a_reader_must_fill_in(tmp_path):
    done = CliRunner().invoke(main, ["new", "mine", "--out", str(tmp_path / "mine.toml")])
    assert done.exit_code == 0
    with pytest.raises(SpecError) as error:
        load_spec(tmp_path / "mine.toml")
    assert [one.place for one in error.value.mistakes] == [
        "paper.title",
        "paper.authors",
        "paper.source",
        "paper.summary",
    ]
    (tmp_path / "mine.toml").write_text(filled(new_spec("mine", "mine.toml")))
    assert load_spec(tmp_path / "mine.toml").id == "mine"


def test_every_comment_of_a_new_file_is_a_setting_that_is_accepted(tmp_path):
    text = filled(new_spec("mine", "mine.toml"))
    start = text.index("# --- claims")
    lines = [line.removeprefix("# ").removeprefix("#") for line in text[start:].splitlines()]
    kept = [line for line in lines if not line.startswith(("---", "Where the", "A random"))]
    body = "\n".join(kept)
    random = body[body.index('[[data.steps]]\nstep = "split_fraction"') : body.index("[[model.layers]]")]
    tail = "".join(
        f'[[model.layers]]\n{one}\nprovenance = [{{ kind = "assumed", reason = "x" }}]\n'
        for one in ('layer = "flatten"', 'layer = "dense"\nunits = 7')
    )
    whole = text[:start] + body.replace(random, "").replace("[training]", f"{tail}[training]", 1)
    (tmp_path / "mine.toml").write_text(whole)
    assert load_spec(tmp_path / "mine.toml").is_complete


def test_a_file_with_the_layers_of_a_model_is_a_spec_of_these_layers(tmp_path, onnx_file):
    out = tmp_path / "mine.toml"
    done = CliRunner().invoke(main, ["new", "mine", "--from", str(onnx_file), "--out", str(out)])
    assert done.exit_code == 0 and "7 layers of model.onnx" in done.stdout
    assert "not supported" in done.stderr and "\n[[claims]]" not in done.stderr
    text = filled(out.read_text())
    assert [one["layer"] for one in tomllib.loads(text)["model"]["layers"]] == [
        *("conv", "batch_norm", "activation", "max_pool", "global_avg_pool", "dense", "activation")
    ]
    assert "claims" not in tomllib.loads(text), "the name of a node is no line of the file"
    out.write_text(text)
    loaded = load_spec(out)
    assert loaded.spec.model is not None and loaded.spec.data is not None and loaded.spec.training is None


@pytest.mark.parametrize(("id", "said"), [("../x", "an id has lower-case"), ("teta2022", "comes with the suite")])
def test_an_id_that_cannot_be(tmp_path, id, said):
    done = CliRunner().invoke(main, ["new", id, "--out", str(tmp_path / "x.toml")])
    assert done.exit_code == 2 and said in done.stderr
    assert not (tmp_path / "x.toml").exists()


def test_a_file_that_is_there_is_left_alone(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("mine")
    done = CliRunner().invoke(main, ["new", "x", "--out", str(path)])
    assert done.exit_code == 2 and path.read_text() == "mine"

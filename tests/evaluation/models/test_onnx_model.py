"""Networks in ONNX files: computed, described, and refused if they need anything outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from repro.evaluation.errors import EvaluationError
from repro.evaluation.models.onnx_model import external_files
from repro.evaluation.models.open import open_model

SIZE = 8


def write_onnx(
    path: Path,
    *,
    outputs: int = 7,
    nodes: list[onnx.NodeProto] | None = None,
    domains: tuple[str, ...] = (),
    taken: tuple[int | str, ...] = ("n", SIZE, SIZE, 1),
    labels: list[str] | None = None,
    softmax: bool = True,
) -> Path:
    """A dense layer on flattened faces, with weights that differ by output."""
    weights = np.random.default_rng(0).normal(0, 0.1, (SIZE * SIZE, outputs)).astype(np.float32)
    last = "scores" if softmax else "out"
    usual = [
        helper.make_node("Flatten", ["faces"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], [last]),
        *([helper.make_node("Softmax", ["scores"], ["out"], axis=1)] if softmax else []),
    ]
    graph = helper.make_graph(
        nodes or usual,
        "network",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ("n", outputs))],
        [numpy_helper.from_array(weights, "weights")],
    )
    imports = [helper.make_opsetid("", 13), *(helper.make_opsetid(one, 1) for one in domains)]
    model = helper.make_model(graph, ir_version=7, opset_imports=imports)
    if labels:
        helper.set_model_props(model, {"labels": json.dumps(labels)})
    onnx.save(model, str(path))
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(EvaluationError, match=words) as found:
        open_model(str(path))
    assert str(found.value).startswith(str(path)) and "\n" not in str(found.value)


def test_a_network_is_computed_and_described(tmp_path):
    opened = open_model(str(write_onnx(tmp_path / "net.onnx", labels=["a", "b"])))
    assert (opened.dims, opened.dtype, opened.batch) == ((SIZE, SIZE, 1), "float32", None)
    assert opened.labels == ("a", "b") and opened.parameters == SIZE * SIZE * 7
    found = opened.predict(np.random.default_rng(1).random((3, SIZE, SIZE, 1)).astype(np.float32))
    assert found.shape == (3, 7) and found.sum(1) == pytest.approx(1)
    with pytest.raises(EvaluationError, match="cannot compute it"):
        opened.predict(np.zeros((3, SIZE, SIZE, 2), np.float32))


def test_a_fixed_batch_is_known(tmp_path):
    assert open_model(str(write_onnx(tmp_path / "net.onnx", taken=(2, SIZE, SIZE, 1)))).batch == 2


def test_an_operator_of_another_library_is_named(tmp_path):
    nodes = [helper.make_node("Magic", ["faces"], ["out"], domain="com.example")]
    refused(write_onnx(tmp_path / "net.onnx", nodes=nodes, domains=("com.example",)), "Magic of 'com.example'")
    inner = helper.make_graph(nodes, "inner", [], [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)])
    branch = [
        helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node("If", ["yes"], ["out"], then_branch=inner, else_branch=inner),
    ]
    refused(write_onnx(tmp_path / "net.onnx", nodes=branch, domains=("com.example",)), "Magic of 'com.example'")


def test_an_unknown_operator_of_onnx_is_named(tmp_path):
    nodes = [helper.make_node("NoSuchOperator", ["faces"], ["out"])]
    refused(write_onnx(tmp_path / "net.onnx", nodes=nodes), "NoSuchOperator")


def external(path: Path, place: str) -> Path:
    """The weights in another file, which the model names `place`."""
    model = onnx.load(str(write_onnx(path)))
    onnx.save(model, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = place
    path.write_bytes(model.SerializeToString())
    return path


def test_numbers_beside_the_model_are_read(tmp_path):
    path = external(tmp_path / "net.onnx", "w.bin")
    assert open_model(str(path)).predict(np.zeros((1, SIZE, SIZE, 1), np.float32)).shape == (1, 7)
    assert external_files(path) == [tmp_path / "w.bin"]


@pytest.mark.parametrize("place", ["../w.bin", "/etc/hostname", "a/../../w.bin", "..\\w.bin"])
def test_numbers_elsewhere_are_not_read(tmp_path, place):
    (tmp_path / "w.bin").write_bytes(b"\0" * SIZE * SIZE * 7 * 4)
    (tmp_path / "in").mkdir()
    refused(external(tmp_path / "in" / "net.onnx", place), "outside its folder")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    path = external(tmp_path / "in" / "net.onnx", "w.bin")
    (tmp_path / "in" / "w.bin").rename(tmp_path / "w.bin")
    (tmp_path / "in" / "w.bin").symlink_to(tmp_path / "w.bin")
    refused(path, "outside its folder")
    (tmp_path / "in" / "w.bin").unlink()
    refused(path, "not beside it")


def test_a_damaged_file_is_one_error(tmp_path):
    content = write_onnx(tmp_path / "net.onnx").read_bytes()
    for cut in (20, len(content) // 2, len(content) - 3):
        (tmp_path / "cut.onnx").write_bytes(content[:cut])
        refused(tmp_path / "cut.onnx", "ONNX")


def test_two_inputs_are_no_face(tmp_path):
    model = onnx.load(str(write_onnx(tmp_path / "net.onnx")))
    model.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, ("n",)))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "net.onnx", "takes 2 inputs, not one: faces, age")

"""A trained network as one ONNX file: the graph, its description and its origin."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import helper

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro import __version__
from repro.runs.record_files import write_atomically, write_digested
from repro.specs.bounds import printable
from repro.use.export.errors import ExportError
from repro.use.export.graph import FACES, PROBABILITIES, network_graph
from repro.use.opened import ABOUT_NAME, ONNX_NAME, KeptOnnx
from repro.use.temperature import UNSURE_BELOW, Temperature, Uncalibrated
from repro.use.trained import TrainedNetwork, evaluated_split

PRODUCER = "fer-repro"
# Old enough for ONNX Runtime 1.6 (December 2020; its table of versions; tested from 1.12 on), and with today's Softmax.
OPSET, IR_VERSION = 13, 7
_LONGEST_TITLE = 300

LICENCE = "The suite that wrote this file is under Apache-2.0. "
REAL_DATA = (
    "The weights were learned from FER-2013 (Goodfellow et al. 2013, arXiv:1307.0414), which has its own terms: "
    "read them before you pass the file on."
)
SYNTHETIC_DATA = (
    "The weights were learned from faces that the suite draws itself: answers about real ones mean nothing."
)
LIMITS = (
    "The labels are what crowd workers guessed of an expression, not what a person felt. Error between groups of "
    "people was not measured. Article 5(1)(f) of Regulation (EU) 2024/1689 prohibits inferring emotions in the areas "
    "of workplace and education institutions, except for medical or safety reasons."
)


def make_model(trained: TrainedNetwork, temperature: Temperature) -> onnx.ModelProto:
    """The network as an ONNX model, checked; the same run gives the same bytes. Its probabilities are calibrated if
    there is a temperature.

    Input "faces": uint8 (N, size, size), 0 black to 255 white. Output "probabilities": float32 (N, 7), in the order of
    the metadata entry "labels".
    """
    graph = network_graph(trained.network, trained.variables, trained.size, trained.pixel_steps, temperature.value)
    model = helper.make_model(
        graph,
        producer_name=PRODUCER,
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        doc_string=f"{trained.describe()}. {LIMITS}",
    )
    helper.set_model_props(model, metadata(trained, temperature))
    onnx.checker.check_model(model, full_check=True)
    return model


def metadata(trained: TrainedNetwork, temperature: Temperature) -> dict[str, str]:
    """The metadata of an ONNX file: names and values, all as text."""
    record = trained.record
    properties: dict[str, Any] = {
        "paper": record.paper,
        "title": _title(record.spec),
        "variant": record.variant,
        "protocol": record.protocol,
        "seed": record.seed,
        "epoch": record.reported_epoch,
        "status": record.status,
        "data": record.data.name,
        "data_fingerprint": record.data.fingerprint,
        "synthetic": json.dumps(record.data.synthetic),
        "labels": json.dumps(EMOTIONS),
        "image_size": trained.size,
        "settings_sha256": record.spec_sha256,
        "training_version": record.training_version,
        "suite_version": __version__,
        "licence": LICENCE + (SYNTHETIC_DATA if record.data.synthetic else REAL_DATA),
        "limits": LIMITS,
    }
    split = evaluated_split(record)
    if split is not None:
        figures = record.metrics[split]
        properties |= {"accuracy": f"{figures.accuracy:.6g}", "accuracy_split": split, "accuracy_rows": figures.n}
    return {key: str(value) for key, value in (properties | _calibration(temperature)).items()}


def _calibration(temperature: Temperature) -> dict[str, Any]:
    """temperature: the logarithms of the probabilities are divided by it already; 1 if they are as the network states
    them. unsure_below: least probability of an answer that counts, if they are calibrated."""
    if isinstance(temperature, Uncalibrated):
        return {"temperature": 1, "uncalibrated": temperature.why}
    return {
        "temperature": f"{temperature.value:.6g}",
        "temperature_split": "PublicTest",
        "temperature_rows": temperature.n,
        "unsure_below": UNSURE_BELOW,
    }


def _title(spec: dict[str, Any]) -> str:
    """Of the paper, as a record's spec has it: the one text here that anybody may have written."""
    paper = spec.get("paper")
    title = paper.get("title", "") if isinstance(paper, dict) else ""
    return " ".join(printable(title if isinstance(title, str) else "").split())[:_LONGEST_TITLE]


def write_onnx(path: Path, trained: TrainedNetwork, temperature: Temperature) -> onnx.ModelProto:
    """Write the network atomically, replacing an earlier export.

    Raises ExportError if the folder is missing or not writable, or if the path holds anything else.
    """
    check_destination(path)
    model = make_model(trained, temperature)
    try:
        write_atomically(path, model.SerializeToString(deterministic=True))
    except OSError as error:
        raise ExportError(f"{path}: cannot be written: {error.strerror}") from None
    return model


def keep_onnx(trained: TrainedNetwork, temperature: Temperature) -> None:
    """Write the network beside its checkpoints, for `repro.use.opened`. A folder that cannot be written to, or a
    network that cannot be exported, is no error: the network is then opened by JAX again."""
    try:
        content = make_model(trained, temperature).SerializeToString(deterministic=True)
    except ExportError:
        return
    about = KeptOnnx(
        file_sha256=hashlib.sha256(content).hexdigest(),
        network_sha256=trained.record.network_sha256,
        temperature=temperature.value,
    )
    with contextlib.suppress(OSError):
        write_atomically(trained.place / ONNX_NAME, content)
        write_digested(trained.place / ABOUT_NAME, about)


def check_destination(path: Path) -> None:
    """Raises ExportError if an ONNX file cannot be written, before anything is computed."""
    if path.is_dir():
        raise ExportError(f"{path}: a folder; name a file in it, such as {path / 'network.onnx'}")
    if not path.parent.is_dir():
        raise ExportError(f"{path}: there is no folder {path.parent}; make it first")
    if path.exists() and not _is_ours(path):
        raise ExportError(f"{path}: exists and was not written by `repro export`; name another, or delete it")


def _is_ours(path: Path) -> bool:
    try:
        return onnx.load(path, load_external_data=False).producer_name == PRODUCER
    except (DecodeError, OSError):
        return False


def export_document(path: Path, folder: Path, model: onnx.ModelProto) -> dict[str, Any]:
    """A summary of the written file, for scripts."""
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "run": str(folder),
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "input": FACES,
        "output": PROBABILITIES,
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
    }

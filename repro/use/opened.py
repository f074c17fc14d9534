"""Opens the network of a run for use: at once from the ONNX file that was kept beside it, else by JAX."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from repro import __version__
from repro.runs.record_files import RecordError, read_digested
from repro.use.classifier import Classifier, FaceClassifier, QuickClassifier
from repro.use.fitting import calibration_samples, kept_temperature, temperature_of
from repro.use.temperature import Temperature, Uncalibrated
from repro.use.trained import RunNetwork, TrainedNetwork, load_trained, open_run

# On two cores ONNX Runtime answers single faces 2 to 6 times as fast as JAX, and batches of 256 at 0.3 to 0.6 times its
# speed (teta2022: 763 and 2,216 faces/s). JAX takes 4 s more to start, which it makes good from 4,700 faces on.
MANY = 5_000
_EXTERNAL = b"location"  # the key of a tensor whose numbers are in another file (onnx.proto, TensorProto.external_data)
ONNX_NAME, ABOUT_NAME = "network.onnx", "network-onnx.json"


class KeptOnnx(msgspec.Struct, frozen=True, kw_only=True):
    """What the kept file was made from; it is used only if all of this is still so. file_sha256: of the file.
    network_sha256: of the record; empty in older ones, whose checkpoints and kept files are still removed together."""

    file_sha256: str
    network_sha256: str
    temperature: float
    suite_version: str = __version__


Keep = Callable[[TrainedNetwork, Temperature], None]


def open_classifier(folder: Path, keep: Keep | None = None, *, many: bool = False) -> FaceClassifier:
    """The network of the run in that folder, with its temperature.

    keep: writes the ONNX file for the next time; None if it cannot be written here. many: at least MANY faces will
    come, so that JAX is faster altogether.
    Raises RecordError or CheckpointError if the network is not here or damaged.
    """
    run = open_run(folder)
    temperature = _without_network(run)
    if not many and temperature is not None and (session := _kept_session(run, temperature)) is not None:
        return QuickClassifier(run, temperature, session)
    trained = load_trained(folder)
    temperature = temperature_of(trained)
    if keep is not None:
        keep(trained, temperature)
    return Classifier(trained, temperature)


def _without_network(run: RunNetwork) -> Temperature | None:
    """The temperature as far as it is known without the network's parameters; None if it has yet to be fitted."""
    kept = kept_temperature(run)
    if kept is not None:
        return kept
    samples = calibration_samples(run)
    return samples if isinstance(samples, Uncalibrated) else None


def _kept_session(run: RunNetwork, temperature: Temperature) -> Any:
    """None if ONNX Runtime is not installed, or if there is no file of this network with this temperature.

    A results folder may be a stranger's, so a link is not followed, and a file that names others is not opened."""
    path = run.place / ONNX_NAME
    if not path.is_file() or path.is_symlink() or importlib.util.find_spec("onnxruntime") is None:
        return None
    try:
        content = path.read_bytes()
        about = read_digested(run.place / ABOUT_NAME, KeptOnnx, "description of network.onnx", "write it again")
        expected = KeptOnnx(
            file_sha256=hashlib.sha256(content).hexdigest(),
            network_sha256=run.record.network_sha256,
            temperature=temperature.value,
        )
    except (RecordError, OSError):
        return None
    if about != expected or _EXTERNAL in content:
        return None
    import onnxruntime

    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

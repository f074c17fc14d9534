"""The trained network of a run: which run, and what is needed to use it on other images."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fer_jax.data.steps import with_other_pixels
from fer_jax.vocabulary.augmentations import PixelValue, Standardise
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Training
from fer_jax.vocabulary.split_plan import follow_steps
from fer_jax.vocabulary.step_kinds import EqualiseHistogram, Normalise, Resize, Step, splits_before
from repro.runs.network_files import holders, network_folder, network_record, training_command
from repro.runs.record_files import RecordError
from repro.runs.records import RECORD_NAME, RunRecord, is_unfinished
from repro.runs.set_aside import is_set_aside
from repro.runs.stored_records import find_records, read_record
from repro.specs.catalog import find_paper
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL
from repro.specs.spec import Data, Model
from repro.use.packaged import PackagedNetwork, is_packaged, packaged_file, read_packaged
from repro.use.temperature import FittedTemperature

FER_SIZE = 48
# If the user names no run, runs whose accuracy applies to other faces come first.
_PREFERRED = (OFFICIAL, CLEAN, AS_PUBLISHED)


class _UsedSettings(msgspec.Struct, frozen=True):
    """The part of a record's spec that decides how a face becomes probabilities."""

    data: Data
    model: Model
    training: Training


@dataclass(frozen=True)
class RunNetwork:
    """A finished run whose network is here. folder: of the run, or its packaged file. place: of its checkpoints. size:
    height and width in pixels of the faces that the network takes, before the spec's resizing. steps: of the spec's
    data. fitted: the temperature that came with a packaged network."""

    folder: Path
    place: Path
    record: RunRecord
    size: int
    steps: tuple[Step, ...]
    fitted: FittedTemperature | None = field(default=None, kw_only=True)

    @property
    def whence(self) -> str:
        """Where the network is from, in a few words."""
        if self.folder == packaged_file(self.folder.stem):
            return "the network that comes with the suite"
        return f"network of {self.folder}"

    def describe(self) -> str:
        """One line: the network, its training data, and its accuracy."""
        record = self.record
        text = f"{record.paper} {record.variant}, protocol {record.protocol}, seed {record.seed}"
        split = evaluated_split(record)
        if split is not None:
            text += f": {record.metrics[split].accuracy:.1%} of {record.metrics[split].n:,} {split} samples"
        if record.data.synthetic:
            text += "; trained on SYNTHETIC faces: its answers about real ones mean nothing"
        return text


@dataclass(frozen=True)
class TrainedNetwork(RunNetwork):
    """With its parameters. variables: ``{"params": ..., "batch_stats": ...}``, NumPy arrays in the canonical form of
    `fer_jax.network.model`."""

    network: Network
    variables: dict[str, Any]

    @property
    def pixel_steps(self) -> tuple[Resize | EqualiseHistogram, ...]:
        """The steps between faces of `size` and the network, which crops, subtracts and divides itself."""
        return pixel_steps_of(self.steps, evaluated_split(self.record) or "train")

    def prepared(self, faces_NHW: np.ndarray) -> np.ndarray:
        """uint8 faces (N, size, size) as samples of the network, (N, stored_size, stored_size)."""
        for step in self.pixel_steps:
            faces_NHW = with_other_pixels(step, faces_NHW)
        return faces_NHW


def pixel_steps_of(steps: tuple[Step, ...], split: str) -> tuple[Resize | EqualiseHistogram, ...]:
    """The steps that change the pixels of a final split's samples. A step may name other splits, such as training."""
    names, found = {split}, []
    for step in reversed(steps):
        if isinstance(step, Resize | EqualiseHistogram) and (not step.splits or names & {*step.splits}):
            found.append(step)
        names = splits_before(names, step)
    return tuple(reversed(found))


def evaluated_split(record: RunRecord) -> str | None:
    """The split whose accuracy describes the run's network: test if evaluated, otherwise validation."""
    return next((name for name in ("test", "validation") if name in record.metrics), None)


def find_trained(results: Path, *, run: str | None = None, paper: str | None = None) -> Path:
    """The folder of the requested run: `run` (its folder or its run.json), otherwise the best of `paper`, or of all.
    Where nothing was trained: the file of the network that comes with the suite. `run` may be such a file too.

    Ranking: runs in their folders before runs of earlier settings that were set aside, real faces before synthetic
    ones, full length before shortened runs, the default variant before others,
    protocols `official` and `clean` before the paper's own, then accuracy on the validation samples (test samples if
    there are no others). Validation samples, because a test accuracy used for the choice would then be too high.
    Raises RecordError if no run has a checkpoint, naming the command that makes one. Raises SpecError for an
    unknown paper.
    """
    if run is not None and is_packaged(Path(run)):
        return Path(run)
    if run is not None:
        folder = Path(run).parent if Path(run).name == RECORD_NAME else Path(run)
        if not (folder / RECORD_NAME).exists():
            raise RecordError(
                f"{run}: no run found in that folder ({RECORD_NAME} is missing); name the folder of a run"
            )
        _needed_checkpoints(folder, read_record(folder / RECORD_NAME))
        return folder
    found = [(path.parent, record) for path, record in find_records(results)]
    trained = _with_networks(found)
    usable = [folder for folder, record in trained if paper in (None, record.paper)]
    if usable:
        return usable[0]
    if (shipped := packaged_file(paper)) is not None:
        return shipped
    text = f" of {paper}" if paper else ""
    remedy = f"repro run {paper or 'teta2022'}"
    if known := [(path, record) for path, record in found if paper in (None, record.paper) and record.has_result]:
        text += "; the records that are there came without their networks"
        # Of equals the first seed: the command also trains those before it.
        _, cheapest = max(known, key=lambda one: (_rank(one)[:-1], -one[1].seed))
        remedy = f"{training_command(cheapest)} --with-network"
    elif paper:
        find_paper(paper, results)  # an unknown one cannot be trained
    others = sorted({record.paper for _, record in trained})
    text += f"; it has those of {', '.join(others)}" if others else ""
    raise RecordError(f"{results}: holds no trained network{text}; `{remedy}` trains one")


def trained_runs(results: Path) -> list[tuple[Path, RunRecord]]:
    """The runs of a results folder whose networks are here, the best first, as `find_trained` ranks them."""
    return _with_networks([(path.parent, record) for path, record in find_records(results)])


def _with_networks(found: list[tuple[Path, RunRecord]]) -> list[tuple[Path, RunRecord]]:
    here = [(folder, record) for folder, record in found if record.has_result and network_folder(folder, record)]
    return sorted(here, key=_rank, reverse=True)


def _rank(run: tuple[Path, RunRecord]) -> tuple[bool, bool, bool, bool, int, float]:
    folder, record = run
    split = next((name for name in ("validation", "test") if name in record.metrics), None)
    preferred = _PREFERRED.index(record.protocol) if record.protocol in _PREFERRED else len(_PREFERRED)
    return (
        not is_set_aside(folder),
        not record.data.synthetic,
        record.status == "done",
        record.variant == DEFAULT_VARIANT,
        -preferred,
        record.metrics[split].accuracy if split else 0.0,
    )


def _needed_checkpoints(folder: Path, record: RunRecord) -> Path:
    place = network_folder(folder, record)
    if place is None and any(is_unfinished(one) for one in holders(folder, record)):
        raise RecordError(f"{folder}: a newer run of it has not ended; finish it with `{training_command(record)}`")
    if place is None:
        raise RecordError(
            f"{folder}: its record is here, its network is not; `{training_command(record)} --with-network` trains it"
        )
    return place


def open_run(folder: Path) -> RunNetwork:
    """The run, without the parameters of its network. Raises RecordError if the network is not here, or for a record
    that cannot be read."""
    return _opened(folder)[0]


def load_trained(folder: Path) -> TrainedNetwork:
    """The network of a run with the parameters that the run reports: those of its last or its best epoch. folder: or
    the file of a packaged network.

    Raises RecordError for a record or CheckpointError for a checkpoint that cannot be read.
    """
    run, settings, packaged = _opened(folder)
    steps, image_size = follow_steps(run.steps, run.size)
    subtract, divide = _scaling(run, steps.normalise, image_size)
    network = Network(
        layers=settings.model.layers,
        training=settings.training,
        image_size=image_size,
        subtract=subtract,
        divide=divide,
        pipeline=steps.pipeline(),
    )
    variables = packaged.variables if packaged else _read_variables(run.place, run.record, network)
    return TrainedNetwork(run.folder, run.place, run.record, run.size, run.steps, network, variables, fitted=run.fitted)


def _scaling(
    run: RunNetwork, normalise: Normalise | Standardise | None, image_size: int
) -> tuple[PixelValue, PixelValue]:
    """What the network's input is made with: (pixel - first) / second. Raises RecordError if the record's statistics do
    not fit."""
    if isinstance(normalise, Normalise):
        return normalise.subtract, normalise.divide
    if normalise is None or normalise.of == "image":
        return 0.0, 1.0
    axes = (image_size, image_size) if normalise.of == "pixels" else ()
    with contextlib.suppress(ValueError):
        found = run.record.data.statistics
        if found and all(np.shape(value) == axes for value in found):
            return found
    what = f"two tables of {image_size} x {image_size} numbers" if axes else "two numbers"
    raise RecordError(f"{run.place}: data.standardised: {what} are needed; restore the file from its source")


def _opened(folder: Path) -> tuple[RunNetwork, _UsedSettings, PackagedNetwork | None]:
    packaged = read_packaged(folder) if is_packaged(folder) else None
    if packaged:
        file, place, record = folder, packaged.place, packaged.record
    else:
        file = folder / RECORD_NAME
        record = read_record(file)
        place = _needed_checkpoints(folder, record)
        record = network_record(folder, record)
    try:
        settings = msgspec.convert(record.spec, _UsedSettings)
    except msgspec.ValidationError as error:
        raise RecordError(f"{file}: its settings are of another version ({error}); run again") from None
    steps = settings.data.steps
    resizes = any(isinstance(step, Resize) for step in steps)
    size = FER_SIZE if resizes else record.data.image_size
    fitted = packaged.about.temperature if packaged else None
    return RunNetwork(folder, place, record, size, steps, fitted=fitted), settings, packaged


def _read_variables(place: Path, record: RunRecord, network: Network) -> dict[str, Any]:
    import jax

    from fer_jax.machine.devices import choose_devices
    from fer_jax.train import averaging
    from fer_jax.train.checkpoint import CheckpointError, Checkpoints
    from fer_jax.train.engine import Engine
    from fer_jax.train.history import network_sha256

    remedy = f"delete {place}, and train it again with `{training_command(record)} --with-network`"
    checkpoints = Checkpoints(place, read_only=True)
    epoch = record.reported_epoch
    try:
        names = [name for name, epochs in checkpoints.epochs().items() if epoch in epochs]
        if not names:
            raise CheckpointError(f"{place}: holds no checkpoint of epoch {epoch}, which the run reports; {remedy}")
        sound = [name for name in names if checkpoints.trouble(name, epoch) is None]
        if not sound:
            trouble = checkpoints.trouble(names[0], epoch)
            raise CheckpointError(f"{place / names[0]}: checkpoint {epoch} cannot be used ({trouble}); {remedy}")
        like = Engine(network, choose_devices("cpu")[:1]).init_state(record.seed)
        found = checkpoints.restore(sound[0], like, epoch=epoch)
    finally:
        checkpoints.close()
    assert found is not None
    state = averaging.evaluated(network.training, jax.device_get(found[0]))
    if record.network_sha256 and network_sha256(state.params, state.batch_stats) != record.network_sha256:
        raise CheckpointError(f"{place}: holds another network than the record's (SHA-256 differs); {remedy}")
    return {"params": state.params, "batch_stats": state.batch_stats}

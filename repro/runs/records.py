"""Run records: the schema of ``run.json`` and its location. `stored_records` writes and reads them. No JAX here.

``results/runs/<paper>/<variant>/<device>/<protocol>/<data>[-epochs3][-limit1000][-bfloat16]/seed-<k>/`` holds
``run.json``, ``predictions.npz`` and, not committed, ``checkpoints/``. Tables are computed from the records alone.
``failed.json`` is the record of a later attempt that failed although ``run.json`` did not.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from fer_jax.vocabulary.augmentations import PixelValue
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS
from repro.runs.data_names import FER2013, NOT_FER2013

RECORD_FORMAT = 1
_OFFICIAL_CLASSES = tuple(map(sum, zip(*OFFICIAL_COUNTS.values(), strict=True)))
RECORD_NAME = "run.json"
FAILURE_NAME = "failed.json"
CHECKPOINTS_NAME = "checkpoints"
Status = Literal["done", "failed", "partial", "pruned"]
RecordedValue = float | tuple[str, ...]  # of all pixels, or of each: a text of numbers per row


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """kind: cpu or gpu. name: as the maker calls it. count: how many shared each batch, over all hosts. hosts: how many
    processes they belonged to, if more than one; host_cores are then those of the first."""

    kind: str
    name: str
    count: int
    host_cores: int
    hosts: int | msgspec.UnsetType = msgspec.UNSET


class SplitRows(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a split: samples, samples per emotion in label order, mean and deviation of normalised pixels."""

    rows: int
    class_rows: tuple[int, ...]
    pixel_mean: float
    pixel_std: float


def recorded_value(value: PixelValue) -> RecordedValue:
    if isinstance(value, tuple):
        return tuple(" ".join(map(str, row)) for row in value)
    return value


def _numbers(value: RecordedValue) -> PixelValue:
    return tuple(tuple(map(float, row.split())) for row in value) if isinstance(value, tuple) else value


class DataRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The dataset of a run: its samples and samples per emotion as imported. `steps` holds the sample count of each
    split after each data step. duplicates_version: version of the search (`fer_jax.duplicates.search`) that the steps
    relied on, if any did. image_size: of the stored samples. standardised: mean and deviation of the samples, if the
    network's input is (pixel - mean) / deviation; those of each pixel as one text per row of the image. notes: what the
    import guessed, changed or left out; empty in older records."""

    name: str
    fingerprint: str
    synthetic: bool
    rows: int
    class_rows: tuple[int, ...] = ()
    image_size: int
    splits: dict[str, SplitRows]
    steps: tuple[tuple[str, dict[str, int]], ...]
    duplicates_version: int | None = None
    standardised: tuple[RecordedValue, RecordedValue] | None = None
    notes: tuple[str, ...] = ()

    @property
    def statistics(self) -> tuple[PixelValue, PixelValue] | None:
        """`standardised` in numbers. Raises ValueError for a text that holds others than numbers."""
        if self.standardised is None:
            return None
        mean, deviation = self.standardised
        return _numbers(mean), _numbers(deviation)

    @property
    def shown_name(self) -> str:
        """The name, but "not-fer2013" if a record from before names were checked calls other samples "fer2013"."""
        counted = self.class_rows or (self.rows,)
        official = _OFFICIAL_CLASSES if self.class_rows else (sum(_OFFICIAL_CLASSES),)
        return NOT_FER2013 if self.name == FER2013 and counted != official else self.name


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """accuracy as a fraction, loss in nats (or as the loss is defined), over n samples. confusion[label][predicted]."""

    accuracy: float
    loss: float
    n: int
    confusion: tuple[tuple[int, ...], ...] | None = None


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """What the probabilities of a split show beyond the predicted classes (`repro.report.class_measures.ranking`).

    top_k[k - 1]: share of samples whose label is among the k most probable classes. auc: area under the ROC curve of
    each class against the rest, in label order, None for a class without samples. auc_micro: of all (sample, class)
    pairs together.
    """

    top_k: tuple[float, ...]
    auc: tuple[float | None, ...]
    auc_micro: float | None


class Best(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The best epoch on a split that was evaluated after every epoch: that of the highest accuracy, or that of the
    least loss if the run reports such an epoch. loss: None in the first case."""

    epoch: int
    accuracy: float
    loss: float | None = None


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """After `epoch` (counted from 1; with `steps`, a stretch between evaluations) and the update of number `step`.

    step: updates made so far; `printed_step`: the number that a loop counting from 0 prints for the last one.
    train: running mean over the epoch while the parameters moved, as Keras prints. minibatch: the last batch alone,
    before its update. splits: those in training.evaluate, after the epoch.
    """

    epoch: int
    step: int
    learning_rate: float
    train: Metrics
    minibatch: Metrics
    splits: dict[str, Metrics]

    @property
    def printed_step(self) -> int:
        return self.step - 1


class EpochTime(msgspec.Struct, frozen=True, kw_only=True):
    train_s: float
    eval_s: float


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of wall time, measured after waiting for the device. total_s covers every session of a resumed run.

    If seeds shared one program (RunRecord.seeds_at_once), compile_s to total_s and `epochs` are this seed's share of
    its seconds, equal for each active seed, so that the records add up to the machine's time. The other two are never
    shared. wall_s: of the whole program (and this seed's data preparation); equals total_s for a seed alone; None in
    older records. first_step_s: seconds until the first parameter update in the first session, including compilation.
    Counted from process start for the first run of a process, from the start of the run for later ones. None if no
    update was made.
    """

    compile_s: float
    prepare_s: float
    train_s: float
    eval_s: float
    checkpoint_s: float
    total_s: float
    wall_s: float | None = None
    first_step_s: float | None = None
    epochs: tuple[EpochTime, ...]

    @property
    def without_pauses_s(self) -> float:
        """total_s if each epoch had taken as long as the median one: a computer that slept during an epoch says nothing
        about the next run."""
        epochs = [epoch.train_s + epoch.eval_s for epoch in self.epochs]
        if not epochs:
            return self.total_s
        return self.total_s - max(0.0, sum(epochs) - statistics.median(epochs) * len(epochs))


class Git(msgspec.Struct, frozen=True, kw_only=True):
    """commit is empty outside a checkout."""

    commit: str
    dirty: bool


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What the user shortened or changed; such a run is `partial`. settings: sorted lines such as
    `training.epochs=2`, key paths as in a variant's `set`."""

    epochs: int | None = None
    limit_train: int | None = None
    settings: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one paper's variant with one seed. A key is never renamed within a RECORD_FORMAT.

    status: `pruned` for a trial of a sweep that was stopped because it lagged behind others; `error` says why,
    `metrics` are of its last epoch, and its times are not recorded.
    load_average: of the machine over the minute before the start and before the end. The load at the start comes from
    other processes. If a load is well above the cores that the run itself uses, the times are too long.
    matmul_precision: of convolutions and dense layers: float32, tensorfloat32 or bfloat16. seeds_at_once: seeds
    that shared one program, this one included; images_per_s is then the program's total.
    ranking: by split, at the reported end; empty in older records, whose predictions.npz may hold what it needs.
    same_run_as: the protocol that was actually run, if this one has the same settings and was not run again.
    switches: settings of the process that could not be pinned and may change results, such as flags of XLA
    (`fer_jax.machine.process_settings`); part of a run's identity. kernels: what computed convolutions and batch norm:
    "C++", "JAX" or "XLA"; empty in older records. They differ by rounding.
    begun_on: the device of the first session of a resumed run, if it is another one or has other cores: both round
    differently. None in older records.
    predictions_sha256: of the file predictions.npz. network_sha256: of the reported parameters
    (`fer_jax.train.history.network_sha256`). Both are empty in older records and without such a file or network.
    failed_step, failed_epoch: if training itself ended the run, the last update (from 0) and its epoch (from 1).
    failed_epoch is None in older records.
    """

    format: int
    paper: str
    variant: str
    protocol: str
    seed: int
    status: Status
    error: str
    failed_step: int | None
    failed_epoch: int | None = None
    spec_sha256: str
    spec_file_sha256: str
    spec: dict[str, Any]
    overrides: Overrides
    training_version: int
    device: Device
    data: DataRecord
    parameters: int
    trainable_parameters: int
    matmul_precision: str
    history: tuple[Epoch, ...]
    best: dict[str, Best]
    reported_epoch: int
    metrics: dict[str, Metrics]
    ranking: dict[str, Ranking] = {}
    time: Times
    images_per_s: float
    peak_memory_bytes: int
    load_average: tuple[float, float]
    resumed: int
    seeds_at_once: int = 1
    same_run_as: str = ""
    switches: dict[str, str] = {}
    kernels: str = ""
    begun_on: Device | None = None
    predictions_sha256: str = ""
    network_sha256: str = ""
    started: str
    finished: str
    versions: dict[str, str]
    git: Git
    command: str

    @property
    def has_result(self) -> bool:
        """Whether it went as far as it was asked to."""
        return self.status in ("done", "partial")


def switch_words(switches: Mapping[str, str]) -> str:
    """`RunRecord.switches` in one line; empty without any."""
    return ", ".join(f"{name}={value}" for name, value in sorted(switches.items()))


def marker_path(folder: Path) -> Path:
    """The file that identifies the run of a folder's checkpoints, as long as that run has not ended."""
    return folder / CHECKPOINTS_NAME / "identity.json"


def is_unfinished(folder: Path) -> bool:
    """Whether a run was begun in this folder and has not ended. An existing record is then from an older run, whose
    checkpoints are gone."""
    return marker_path(folder).exists()

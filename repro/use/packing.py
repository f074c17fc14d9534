"""``python -m repro.use.packing PAPER``: the best of several seeds becomes the network that comes with the suite.

PublicTest chooses the seed; PrivateTest chooses nothing. The weights are rounded (`repro.use.packaged`). The rounded
network gets its temperature, and predicts the samples of the run, so that the file says what the rounding changed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.machine.digests import arrays_sha256
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.errors import UserError
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.record_files import RecordError, record_bytes
from repro.runs.records import RECORD_NAME, RunRecord
from repro.runs.stored_records import read_record
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.protocols import CLEAN
from repro.use.classifier import Classifier
from repro.use.fitting import CalibrationSamples, calibration_samples, dataset_of, fit
from repro.use.packaged import (
    DEFAULT_NETWORK,
    SUFFIX,
    About,
    StoredAccuracy,
    networks_folder,
    stored_arrays,
    used_arrays,
    variables_of,
    write_packaged,
)
from repro.use.temperature import Uncalibrated
from repro.use.trained import TrainedNetwork, load_trained, trained_runs

SELECTS = "validation"  # the split of the corrected protocols that has the samples of PublicTest


@dataclass(frozen=True)
class Packed:
    """The written file, its run, and the accuracies on PublicTest among which it was chosen, by seed."""

    path: Path
    folder: Path
    about: About
    candidates: dict[int, float]


def candidates(results: Path, paper: str, protocol: str) -> list[tuple[Path, RunRecord]]:
    """The full runs of the default variant whose networks are here, the best on PublicTest first, of equals the first
    seed. Raises RecordError if there is none."""
    found = [
        (folder, record)
        for folder, record in trained_runs(results)
        if (record.paper, record.variant, record.protocol) == (paper, DEFAULT_VARIANT, protocol)
        and record.status == "done"
        and SELECTS in record.metrics
    ]
    if not found:
        raise RecordError(
            f"{results}: no network of {paper} under {protocol}; `repro run {paper} --protocol {protocol}` trains one"
        )
    return sorted(found, key=lambda run: (-run[1].metrics[SELECTS].accuracy, run[1].seed))


def pack(folder: Path, destination: Path) -> About:
    """Write the network of a run as one file. Raises RecordError if the samples of the run are not here, or if the file
    would be too large."""
    trained = load_trained(folder)
    faces = dataset_of(trained)
    samples = calibration_samples(trained)
    if faces is None or isinstance(samples, Uncalibrated):
        why = samples.why if isinstance(samples, Uncalibrated) else "the dataset is not here"
        raise RecordError(f"{folder}: cannot be packed, because no temperature can be fitted: {why}")
    stored = stored_arrays(trained.variables)
    used = used_arrays(stored)
    rounded = replace(trained, variables=variables_of(used))
    about = About(
        network_sha256=arrays_sha256(used),
        temperature=fit(rounded, samples),
        stored=_stored_accuracies(trained, rounded, faces, samples),
    )
    write_packaged(destination, record_bytes(folder / RECORD_NAME), about, stored)
    return about


def _stored_accuracies(
    trained: TrainedNetwork, rounded: TrainedNetwork, faces: Faces, samples: CalibrationSamples
) -> dict[str, StoredAccuracy]:
    """Of every split that the run predicted, `train` left out."""
    recorded = read_record(trained.folder / RECORD_NAME).predictions_sha256
    arrays = read_predictions(trained.folder / PREDICTIONS_NAME, recorded)
    classifier = Classifier(rounded)
    found = {}
    for split in sorted({name.partition(".")[0] for name in arrays} - {"train"} | {samples.split}):
        rows = np.cumsum(arrays[f"{split}.origin_delta"], dtype=np.int64)
        answers = classifier(faces.images[rows]).argmax(1)
        found[split] = StoredAccuracy(
            n=len(rows),
            accuracy=float((answers == arrays[f"{split}.label"]).mean()),
            changed=int((answers != arrays[f"{split}.predicted"]).sum()),
        )
    return found


def pack_best(results: Path, paper: str, protocol: str, destination: Path) -> Packed:
    runs = candidates(results, paper, protocol)
    folder = runs[0][0]
    about = pack(folder, destination)
    return Packed(destination, folder, about, {record.seed: record.metrics[SELECTS].accuracy for _, record in runs})


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m repro.use.packing", description=__doc__)
    parser.add_argument("paper", nargs="?", default=DEFAULT_NETWORK)
    parser.add_argument("--protocol", default=CLEAN)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, help="default: where the suite looks for it")
    given = parser.parse_args(arguments)
    out = given.out or networks_folder() / f"{given.paper}{SUFFIX}"
    try:
        packed = pack_best(given.results, given.paper, given.protocol, out)
    except UserError as error:
        sys.exit(f"error: {error}")
    for seed, accuracy in sorted(packed.candidates.items()):
        print(f"seed {seed}: {accuracy:.2%} of PublicTest")
    print(f"packed {packed.folder}")
    for split, one in packed.about.stored.items():
        print(f"{split}: {one.accuracy:.2%} of {counted(one.n, 'sample')}; rounding changed {one.changed:,}")
    print(f"wrote {packed.path}, {counted(packed.path.stat().st_size, 'byte')}")


if __name__ == "__main__":
    main(sys.argv[1:])

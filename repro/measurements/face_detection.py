"""How many faces the detector finds, and how much accuracy a detected box costs.

    python -m repro.measurements.face_detection --data fer2013.csv

A random choice of FER-2013's faces is pasted into larger images (`repro.measurements.scenes`). A face counts as found
if a box overlaps its square by 0.4 or more (intersection over union); every other box is false. The found faces are
then recognised twice: from their own 48 x 48 pixels, and from crops of the larger image with several margins around the
box. `--usage PublicTest` was used to choose `repro.use.recognition.recogniser.MARGIN`; `--usage PrivateTest` evaluates
it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image
from scipy.stats import binomtest

from fer_jax.data.faces import Faces
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import USAGES
from repro.cli.options import results_option
from repro.measurements.scenes import BACKGROUNDS, scenes
from repro.runs.dataset import open_dataset
from repro.text.markdown import Column, table
from repro.use.classifier import Classifier
from repro.use.recognition.detection import LIVE_SEARCH_PX, SAME_FACE, SEARCH_PX, Detector, open_detector, overlap
from repro.use.recognition.recogniser import MARGIN, cut
from repro.use.trained import TrainedNetwork, find_trained, load_trained

MARGINS = tuple(sorted({-0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1, MARGIN}))


@dataclass(frozen=True)
class Found:
    """Results on one background. faded: bool (N,), per image; found: bool (N,); false: int (N,); cpu_ms: float (N,), of
    detection, all threads together. rows: of the found faces; crops: per margin, the crop of each face, uint8."""

    faded: np.ndarray
    found: np.ndarray
    false: np.ndarray
    cpu_ms: np.ndarray
    rows: np.ndarray
    crops: dict[float, np.ndarray]


def search(detector: Detector, faces: Faces, rows: np.ndarray, background: str, size: int) -> Found:
    """Detect faces on one image per row; crops of size x size pixels."""
    crops: dict[float, list[np.ndarray]] = {margin: [] for margin in MARGINS}
    per_picture, found_rows = [], []
    for scene in scenes(faces, rows, background):
        start = time.process_time()
        boxes = detector.find(scene.picture_HW)
        cpu_ms = 1e3 * (time.process_time() - start)
        same = [box for box in boxes if overlap(box, scene.square) >= SAME_FACE]
        per_picture.append((scene.faded, bool(same), len(boxes) - len(same), cpu_ms))
        if same:
            found_rows.append(scene.row)
            for margin, cut_out in crops.items():
                cut_out.append(cut(Image.fromarray(scene.picture_HW), same[0], size, margin))
    faded, found, false, cpu_ms = map(np.array, zip(*per_picture, strict=True))
    stacked = {margin: np.array(cut_out) for margin, cut_out in crops.items()}
    return Found(faded, found, false, cpu_ms, np.array(found_rows, int), stacked)


def detection_table(searched: dict[str, Found]) -> str:
    """Markdown: per background and edge, the number found (95 % Wilson interval), false boxes, and time."""
    rows = []
    for background, result in searched.items():
        for edge, of_edge in (("hard", ~result.faded), ("faded", result.faded), ("both", result.faded | True)):
            found, n = int(result.found[of_edge].sum()), int(of_edge.sum())
            interval = binomtest(found, n).proportion_ci(method="wilson")
            share = f"{found} of {n}: {found / n:.1%} ({interval.low:.1%} to {interval.high:.1%})"
            false = f"{result.false[of_edge].mean():.3f}"
            rows.append((background, edge, share, false, f"{np.median(result.cpu_ms[of_edge]):.1f}"))
    right = [Column(name, "right") for name in ("Found", "False boxes per picture", "CPU ms per picture, median")]
    return table([Column("Background"), Column("Edge"), *right], rows)


def accuracy_table(searched: dict[str, Found], faces: Faces, trained: TrainedNetwork) -> str:
    """Markdown: accuracy on the found faces of all backgrounds, from their own pixels and from the crops."""
    classifier = Classifier(trained)
    rows = np.concatenate([result.rows for result in searched.values()])
    labels = faces.labels[rows]
    own = classifier(faces.images[rows]).argmax(1)
    lines = [("their own pixels", f"{np.mean(own == labels):.1%}", "")]
    for margin in MARGINS:
        answers = classifier(np.concatenate([result.crops[margin] for result in searched.values()])).argmax(1)
        name = f"box, margin {margin:+.2f}{', in use' if margin == MARGIN else ''}"
        lines.append((name, f"{np.mean(answers == labels):.1%}", f"{np.mean(answers == own):.1%}"))
    right = [Column("Accuracy", "right"), Column("Same answer as from their own pixels", "right")]
    return table([Column(f"{len(rows):,} found faces, cut out by"), *right], lines)


@click.command()
@click.option("--data", help="FER-2013 in any form. Default: the dataset imported last, else synthetic faces.")
@click.option("--faces", "count", type=click.IntRange(min=2), default=500, show_default=True, help="How many faces.")
@click.option("--usage", type=click.Choice(USAGES), default="PrivateTest", show_default=True, help="Of this part.")
@click.option("--search-px", default=SEARCH_PX, show_default=True, help=f"`webcam` searches at {LIVE_SEARCH_PX}.")
@click.option("--paper", default="teta2022", show_default=True, help="Recognise with the best run of this paper.")
@results_option
def main(data: str | None, count: int, usage: str, search_px: int, paper: str, results: Path) -> None:
    """How many pasted faces the detector finds, and what its boxes cost in accuracy, as Markdown."""
    trained, detector = load_trained(find_trained(results, paper=paper)), open_detector(search_px)
    dataset = open_dataset(data)
    faces = dataset.faces
    of_usage = np.flatnonzero(faces.usage == USAGES.index(usage))
    rows = np.random.default_rng(0).choice(of_usage, min(count, len(of_usage)), replace=False)
    searched = {name: search(detector, faces, rows, name, trained.size) for name in BACKGROUNDS}
    click.echo(
        f"{counted(len(rows), 'face')} of {usage} ({dataset.name}) on each background, searched at {search_px} pixels\n"
    )
    click.echo(detection_table(searched))
    click.echo(f"\n{trained.describe()}\n")
    click.echo(accuracy_table(searched, faces, trained))


if __name__ == "__main__":
    main()

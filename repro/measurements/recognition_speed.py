"""How fast `repro predict --no-detect` is: faces in memory, and files of 48 x 48 PNG on a disk.

    python -m repro.measurements.recognition_speed --paper teta2022

The files hold synthetic faces, because the content of a face changes neither time. Each value is the median of several
alternating rounds, after a warm-up round. Run nothing else at the same time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from PIL import Image

from fer_jax.data.synthetic import draw_faces
from fer_jax.vocabulary.counted import counted
from repro.cli.options import results_option
from repro.text.markdown import Column, table
from repro.use.classifier import Classifier
from repro.use.recognition.predict import find_pictures, recognise_files
from repro.use.recognition.recogniser import Recogniser
from repro.use.recognition.rows import csv_lines
from repro.use.trained import find_trained, load_trained

_DRAWN = 7 * 200  # different faces; repeated up to the requested number


def measure(recogniser: Recogniser, count: int, rounds: int) -> dict[str, np.ndarray]:
    """Faces per second of each round: from arrays, and from files to lines of CSV."""
    drawn = draw_faces(seed=0, counts={"Training": (_DRAWN // 7,) * 7}).images
    faces = np.resize(drawn, (count, *drawn.shape[1:]))
    with tempfile.TemporaryDirectory() as folder:
        for number, face in enumerate(faces):
            Image.fromarray(face).save(Path(folder, f"{number:06}.png"))

        def from_files() -> int:
            results = recognise_files(find_pictures([Path(folder)]), recogniser, whole=True)
            return sum(1 for _ in csv_lines(results)) - 1

        works: dict[str, Callable[[], int]] = {
            "faces in memory": lambda: len(recogniser.classifier(faces)),
            "48 x 48 PNG files, with their lines of CSV": from_files,
        }
        speeds: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(rounds + 1):
            for name, work in works.items():
                start = time.perf_counter()
                done = work()
                speeds[name].append(done / (time.perf_counter() - start))
                assert done == count
    return {name: np.array(values[1:]) for name, values in speeds.items()}


@click.command()
@click.option("--paper", default="teta2022", show_default=True, help="Recognise with the best run of this paper.")
@click.option("--faces", type=click.IntRange(min=1), default=20_000, show_default=True, help="Faces per round.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Rounds that count.")
@results_option
def main(paper: str, faces: int, rounds: int, results: Path) -> None:
    """How many faces per second `repro predict --no-detect` recognises on this machine, as Markdown."""
    trained = load_trained(find_trained(results, paper=paper))
    speeds = measure(Recogniser(Classifier(trained), None), faces, rounds)
    rows = [
        (name, f"{np.median(s):,.0f}", f"{s.min():,.0f} to {s.max():,.0f}", str(len(s))) for name, s in speeds.items()
    ]
    right = [Column(name, "right") for name in ("Faces/s, median", "Range", "n")]
    click.echo(table([Column(f"{paper}, {counted(os.cpu_count() or 1, 'core')}"), *right], rows))


if __name__ == "__main__":
    main()

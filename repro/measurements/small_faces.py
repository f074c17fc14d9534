"""How small a face can be in a photograph, and how often there is a box without a face, by the least score.

    python -m repro.measurements.small_faces --data fer2013.csv

Ten faces of FER-2013 in each photograph of 4000 x 3000 pixels (`repro.measurements.scenes.group`), and pictures without
any face, at both sizes: soft patches, noise, textures, pages of text. A face counts as found if a box overlaps its
square by 0.4 or more (intersection over union); every other box is false.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import click
import numpy as np
from scipy.stats import binomtest

from fer_jax.data.faces import Faces
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import USAGES
from repro.measurements.scenes import BACKGROUNDS, HEIGHT_PX, PHOTOGRAPH_PX, WIDTH_PX, empty, group, photograph
from repro.runs.dataset import open_dataset
from repro.text.markdown import Column, table
from repro.use.recognition.detection import PHOTOGRAPH_FACE_PX, SAME_FACE, Box, Detector, open_detector, overlap

SIDES_PX = (80, 120, 160, 240, 480)
FACES_EACH = 10
SCORES = (-1.0, 0.0, 0.25, 0.5, 1.0)  # all boxes are collected once, and counted by their scores


def share(count: int, n: int) -> str:
    """With a Wilson interval of 95 %."""
    interval = binomtest(count, n).proportion_ci(method="wilson")
    return f"{count} of {n}: {count / n:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def by_size(detector: Detector, faces: Faces, rows: np.ndarray) -> Iterable[tuple[str, ...]]:
    """Per width of the faces: how many are found and false boxes per photograph, at each least score, and seconds."""
    per_side = len(rows) // len(SIDES_PX) // FACES_EACH
    chunks = iter(np.array_split(rows[: per_side * len(SIDES_PX) * FACES_EACH], per_side * len(SIDES_PX)))
    for side in SIDES_PX:
        best: list[float] = []  # per face, the score of its best box
        false: list[float] = []
        seconds: list[float] = []
        for number in range(per_side):
            picture, squares = group(faces, next(chunks), side, BACKGROUNDS[number % len(BACKGROUNDS)], number)
            start = time.process_time()
            boxes = detector.find(picture)
            seconds.append(time.process_time() - start)
            best += [best_score(boxes, square) for square in squares]
            false += [box.score for box in boxes if all(overlap(box, one) < SAME_FACE for one in squares)]
        found = [share(int(np.sum(np.array(best) >= score)), len(best)) for score in SCORES]
        wrong = " / ".join(f"{np.sum(np.array(false) >= score) / per_side:.2f}" for score in SCORES)
        yield f"{side}", *found, wrong, f"{np.median(seconds):.2f}"


def best_score(boxes: Sequence[Box], square: Box) -> float:
    """The score of a face's best box, or minus infinity."""
    return max((box.score for box in boxes if overlap(box, square) >= SAME_FACE), default=-np.inf)


def without_faces(detector: Detector, faces: Faces, each: int) -> Iterable[tuple[str, ...]]:
    """Per kind and size of picture: the number of pictures with a box, at each least score."""
    for kind in (*BACKGROUNDS, "document"):
        for size in ((WIDTH_PX, HEIGHT_PX), PHOTOGRAPH_PX):
            best = []
            for seed in range(each):
                picture = empty(kind, faces, seed)
                if size == PHOTOGRAPH_PX:
                    picture = photograph(picture, np.random.default_rng(seed))
                best.append(max((box.score for box in detector.find(picture)), default=-np.inf))
            counts = (f"{np.sum(np.array(best) >= score)} of {each}" for score in SCORES)
            yield kind, f"{size[0]} x {size[1]}", *counts


@click.command()
@click.option("--data", help="FER-2013 in any form. Default: the dataset imported last, else synthetic faces.")
@click.option("--faces", "count", type=click.IntRange(min=50), default=500, show_default=True, help="How many faces.")
@click.option("--empty", "each", type=click.IntRange(min=1), default=20, show_default=True, help="Pictures of a kind.")
@click.option("--usage", type=click.Choice(USAGES), default="PrivateTest", show_default=True, help="Of this part.")
def main(data: str | None, count: int, each: int, usage: str) -> None:
    """How small a face can be in a photograph, and how often there is a box without a face, as Markdown."""
    dataset = open_dataset(data)
    faces = dataset.faces
    rows = np.random.default_rng(0).choice(np.flatnonzero(faces.usage == USAGES.index(usage)), count, replace=False)
    detector = open_detector(photograph_face_px=PHOTOGRAPH_FACE_PX, min_score=min(SCORES))
    scores = [f"{score:g}" for score in SCORES]
    click.echo(f"{counted(count, 'face')} of {usage} ({dataset.name}), {FACES_EACH} in each photograph\n")
    found = [Column(f"Found, score {score} or more", "right") for score in scores]
    rest = [Column("False boxes per photograph, at each of these scores", "right"), Column("CPU s, median", "right")]
    click.echo(table([Column("Width, px", "right"), *found, *rest], list(by_size(detector, faces, rows))))
    click.echo("\nPictures without a face, and with a box in spite of it:\n")
    heads = [Column("Kind"), Column("Size"), *(Column(f"score {score} or more", "right") for score in scores)]
    click.echo(table(heads, list(without_faces(detector, faces, each))))


if __name__ == "__main__":
    main()

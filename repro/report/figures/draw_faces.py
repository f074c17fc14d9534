"""Faces of a dataset with the words below them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from repro.report.figures.figure_data import FaceSheet

COLUMNS = 6
FACE_IN, WORDS_IN, GAP_IN = 1.35, 0.6, 0.12


def faces_height(panel: FaceSheet) -> float:
    """Inches."""
    return (FACE_IN + WORDS_IN) * -(-len(panel.faces) // COLUMNS)


def draw_faces(axes: Axes, panel: FaceSheet, images: np.ndarray) -> None:
    """images: uint8 (N, H, W), in the order of the dataset."""
    for k, face in enumerate(panel.faces):
        x, y = (k % COLUMNS) * (FACE_IN + GAP_IN), (k // COLUMNS) * (FACE_IN + WORDS_IN)
        place = (x, x + FACE_IN, y + FACE_IN, y)  # left, right, bottom, top
        axes.imshow(images[face.origin], cmap="gray", vmin=0, vmax=255, extent=place, interpolation="none")
        # Aligned by the last line, because descenders would shift words that are aligned by their first line.
        axes.text(x, y + FACE_IN + WORDS_IN - 0.13, face.words, va="baseline", ha="left", fontsize=8, linespacing=1.25)
    axes.set_xlim(0, COLUMNS * (FACE_IN + GAP_IN) - GAP_IN)
    axes.set_ylim(faces_height(panel), 0)
    axes.set_axis_off()

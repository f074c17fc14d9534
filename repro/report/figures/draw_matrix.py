"""A confusion matrix, with its numbers in the cells."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex

from repro.report.figures.figure_data import ConfusionMatrix

MATRIX_HEIGHT_IN = 4.0
SHADES = 10  # one for each ten per cent
DARK_PERCENT = 50.0  # from this share on, the letters are white
# Not pure white and black, which a dark page exchanges: the shades stay, and so must the letters on them.
LIGHT_LETTERS, DARK_LETTERS = "#fefefe", "#010101"


def matrix_colours() -> list[str]:
    """From the lightest shade to the darkest."""
    # One hue from light to dark: the order remains visible in black and white and with any colour blindness.
    shades = matplotlib.colormaps["Blues"].resampled(SHADES)
    return [to_hex(shades(k)) for k in range(SHADES)]


def draw_matrix(axes: Axes, panel: ConfusionMatrix) -> None:
    size = len(panel.labels)
    shades = ListedColormap(matrix_colours())
    shares = np.array(panel.percentages)
    axes.pcolormesh(
        shares, cmap=shades, vmin=0, vmax=100, edgecolors="white", linewidth=1, clip_on=False, antialiased=False
    )
    for row in range(size):
        for column in range(size):
            percent = panel.percentages[row][column]
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{panel.counts[row][column]:,.0f}\n{percent:.0f} %",
                ha="center",
                va="center",
                fontsize=7,
                color=LIGHT_LETTERS if percent > DARK_PERCENT else DARK_LETTERS,
            )
    places = np.arange(size) + 0.5
    axes.set_xticks(places, panel.labels, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, panel.labels)
    axes.tick_params(length=0)
    axes.set_ylim(size, 0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.set_title(panel.title, loc="left")

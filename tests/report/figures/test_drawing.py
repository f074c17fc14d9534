"""repro.report.figures.drawing: an SVG in fewer bytes shows the same."""

from __future__ import annotations

import re

import numpy as np
import pytest

from repro.report.figures.drawing import _short_path


def points(path: str) -> list[tuple[float, float]]:
    """The ends of a path's lines, read as SVG 2, section 9.3, says."""
    at, found = np.zeros(2), []
    for command, inside in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", inside)]
        match command:
            case "M" | "L":
                at = np.array(numbers)
            case "l":
                at = at + numbers
            case "h":
                at = at + np.array([numbers[0], 0.0])
            case "v":
                at = at + np.array([0.0, numbers[0]])
            case "z":
                continue
            case _:
                at = np.array(numbers[-2:])
        found.append((round(float(at[0]), 1), round(float(at[1]), 1)))
    return found


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("M 62.6 110.2L 99.3 110.2L 99.3 141.8L 62.6 141.8L 62.6 110.2 ", "M62.6 110.2h36.7v31.6h-36.7v-31.6"),
        ("M 1 2L 3.5 4L 3.5 9.5L 3 9.5z", "M1 2l2.5 2v5.5h-.5z"),
        ("M 1 1Q 2 2 3 3L 4 4.5", "M1 1Q2 2 3 3l1 1.5"),
        ("M 10 0L 20.3 -0.3", "M10 0l10.3-.3"),
    ],
)
def test_a_shorter_path_has_the_same_points(path: str, short: str):
    assert _short_path(path) == short
    assert points(short) == points(path)


def test_many_steps_add_up_no_errors():
    random = np.random.default_rng(0)
    walk = np.round(np.cumsum(random.normal(size=(2000, 2)), 0), 1)
    path = "M " + "L ".join(f"{x:.1f} {y:.1f}" for x, y in walk)
    short = _short_path(path)
    assert points(short) == points(path) and len(short) < 0.7 * len(path)


def test_a_path_with_powers_of_ten_is_left_alone():
    assert _short_path("M 1e-05 2L 3 4") == "M 1e-05 2L 3 4"

"""Synthetic faces, for use without FER-2013. Accuracies on them compare with no paper.

Every face is a drawing: head, hair, brows, eyes, nose and mouth as anti-aliased implicit curves, whose geometry moves
with the action units (AU) of the Facial Action Coding System (Ekman and Friesen 1978; prototypes per emotion as in
EMFACS). Identity, pose, light, blur, noise, occlusion, the strength of the expression and wrong labels vary per face.

A face depends only on the seed, its usage, its label and its number among the faces of that usage and label. Smaller
``counts`` therefore draw a subset of the same faces. Pixels use only IEEE-exact operations (+ - * / sqrt min max, no
exp or sin), so that every platform draws the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS, USAGES

SIZE_PX = 48
LABEL_NOISE = 0.08  # share of the faces that show another emotion than their label says
BLOCK = 32  # faces drawn at once, so few that their arrays stay in the cache; part of the definition of the dataset
PX = np.float32(SIZE_PX / 2)  # pixels per unit of length: the image spans -1 to 1 in both directions

# Strength of each action unit in two prototypes per emotion. A face is a mixture dominated by one prototype. 43 is read
# as drooping lids, 25 as lips apart, 26 as dropped jaw (with 27), 16 as bared lower teeth.
PROTOTYPES: dict[str, tuple[dict[int, float], dict[int, float]]] = {
    "angry": ({4: 1.0, 5: 0.4, 7: 0.7, 24: 1.0}, {4: 1.0, 5: 0.6, 7: 0.4, 10: 0.4, 16: 1.0, 25: 1.0, 26: 0.25}),
    "disgust": (
        {4: 0.5, 7: 0.8, 9: 1.0, 10: 1.0, 15: 0.4, 17: 0.5},
        {4: 0.4, 7: 1.0, 9: 1.0, 10: 1.0, 16: 0.5, 25: 0.7},
    ),
    "fear": (
        {1: 1.0, 2: 0.5, 4: 0.5, 5: 1.0, 20: 1.0, 25: 0.6},
        {1: 1.0, 2: 0.6, 4: 0.4, 5: 0.9, 20: 0.7, 25: 0.6, 26: 0.5},
    ),
    "happy": ({6: 0.7, 12: 0.9}, {6: 1.0, 12: 1.0, 25: 1.0, 26: 0.2}),
    "sad": ({1: 0.9, 4: 0.4, 15: 1.0, 17: 0.6, 43: 0.5}, {1: 0.8, 4: 0.6, 6: 0.3, 15: 1.0, 20: 0.3, 25: 0.4, 43: 0.8}),
    "surprise": ({1: 1.0, 2: 1.0, 5: 0.9, 25: 0.5, 26: 0.5}, {1: 1.0, 2: 1.0, 5: 0.9, 18: 0.5, 25: 0.6, 26: 1.1}),
    "neutral": ({}, {24: 0.15, 43: 0.15}),
}
ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 18, 20, 24, 25, 26, 43)

# What a wrongly labelled face shows instead, given its label: the confusions that people make on FER-2013.
CONFUSIONS: dict[str, dict[str, float]] = {
    "angry": {"sad": 0.35, "neutral": 0.35, "fear": 0.2, "disgust": 0.1},
    "disgust": {"angry": 0.8, "sad": 0.2},
    "fear": {"surprise": 0.5, "sad": 0.35, "angry": 0.15},
    "happy": {"neutral": 0.7, "surprise": 0.3},
    "sad": {"neutral": 0.55, "fear": 0.25, "angry": 0.2},
    "surprise": {"fear": 0.7, "happy": 0.3},
    "neutral": {"sad": 0.65, "angry": 0.2, "happy": 0.15},
}

_STRENGTHS = np.array([[[p.get(au, 0.0) for au in ACTION_UNITS] for p in PROTOTYPES[e]] for e in EMOTIONS], np.float32)
_CONFUSION_CDF = np.array([np.cumsum([CONFUSIONS[e].get(other, 0.0) for other in EMOTIONS]) for e in EMOTIONS])
_Y, _X = (((grid.reshape(1, -1) + 0.5) / (SIZE_PX / 2) - 1).astype(np.float32) for grid in np.mgrid[:SIZE_PX, :SIZE_PX])
# Pixel rows that the features can reach in every pose, as a slice of the flat pixels. The rest is not computed.
_EYE_ROWS = slice(0 * SIZE_PX, 33 * SIZE_PX)
_MOUTH_ROWS = slice(19 * SIZE_PX, 48 * SIZE_PX)


def draw_faces(
    seed: int = 0, counts: Mapping[str, tuple[int, ...]] = OFFICIAL_COUNTS, *, label_noise: float = LABEL_NOISE
) -> Faces:
    """Draw a dataset with these samples per usage and label: usages in the order of USAGES, labels shuffled inside.

    counts: for some or all of USAGES, the samples of each of EMOTIONS. label_noise: share of the faces, 0 to 1, that
    show another emotion than their label. Returns Faces of 48x48 pixels with ``synthetic=True`` and origin = row.
    Raises ValueError for an unknown usage, counts that are not seven numbers of at least 0, or a negative seed.
    """
    return _draw(seed, counts, label_noise)[0]


def _draw(seed: int, counts: Mapping[str, tuple[int, ...]], label_noise: float) -> tuple[Faces, np.ndarray]:
    """The faces, and for each the emotion that it really shows, uint8 (N,)."""
    for usage, rows in counts.items():
        if usage not in USAGES or len(rows) != len(EMOTIONS) or min(rows) < 0:
            raise ValueError(
                f"draw_faces: counts[{usage!r}] = {rows}: the key must be one of {', '.join(USAGES)} and the value "
                f"{len(EMOTIONS)} numbers of at least 0, one per emotion"
            )
    total = sum(sum(rows) for rows in counts.values())
    images = np.empty((total, SIZE_PX * SIZE_PX), np.uint8)
    labels, usages, shown = (np.empty(total, np.uint8) for _ in range(3))
    start = 0
    for u, usage in enumerate(USAGES):
        rows = counts.get(usage, (0,) * len(EMOTIONS))
        order = start + np.random.Generator(np.random.PCG64((seed, u))).permutation(sum(rows))
        usages[start : start + sum(rows)] = u
        start += sum(rows)
        for label, n in enumerate(rows):
            places, order = order[:n], order[n:]
            labels[places] = label
            for block in range(0, n, BLOCK):
                at = places[block : block + BLOCK]
                draw = _Draw(np.random.Generator(np.random.PCG64((seed, u, label, block))), len(at))
                shown[at] = _shown_emotion(draw, label, label_noise)
                images[at] = _block(draw, shown[at])
    shape = (total, SIZE_PX, SIZE_PX)
    return Faces(images.reshape(shape), labels, usages, np.arange(total, dtype=np.int32), synthetic=True), shown


class _Draw:
    """Random numbers for the first n faces of a block, float32 (n, columns), independent of n."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self.rng, self.n, self.used = rng, n, 0
        # One call for the whole block: a hundred small ones would take longer than the drawing.
        self.table = rng.random((BLOCK, 256), np.float32)[:n]

    def __call__(self, low: float, high: float, columns: int = 1) -> np.ndarray:
        self.used += columns
        if self.used > self.table.shape[1]:
            raise IndexError("a face needs more random numbers than its block drew")
        return low + (high - low) * self.table[:, self.used - columns : self.used]

    def bell(self, low: float, high: float, columns: int = 1) -> np.ndarray:
        """Mean of three uniform numbers: most faces lie near the middle of the range."""
        third = (high - low) / 3
        return low + third * (self(0, 1, columns) + self(0, 1, columns) + self(0, 1, columns))

    def chosen(self, share: float) -> np.ndarray:
        """The faces, int (m,), that belong to this share of all faces."""
        return np.flatnonzero(self(0, 1)[:, 0] < share)


def _shown_emotion(draw: _Draw, label: int, label_noise: float) -> np.ndarray:
    wrong, which = draw(0, 1)[:, 0] < label_noise, draw(0, 1)[:, 0]
    # The last entry of the table sums to 1 only up to rounding, so the draw is scaled to stay below the last entry.
    cdf = _CONFUSION_CDF[label]
    return np.where(wrong, np.searchsorted(cdf, which * cdf[-1] * 0.999999, side="right"), label).astype(np.uint8)


class _Plane(NamedTuple):
    """Coordinates of every pixel in the frame of the face, float32 (n, pixels); v grows towards the chin."""

    u: np.ndarray  # signed, of the features: turned with the head
    a: np.ndarray  # |u|: the features are symmetric
    v: np.ndarray

    def rows(self, window: slice) -> _Plane:
        return _Plane(self.u[:, window], self.a[:, window], self.v[:, window])


def _action_units(draw: _Draw, shown: np.ndarray) -> dict[int, np.ndarray]:
    """Activation of every action unit, (n, 1) each: prototype x intensity, scattered per unit and per person."""
    # Weak expressions are common and hardly differ from the resting face of somebody else.
    intensity = draw(0.3, 1.25)
    lean = draw(0, 1)
    lean = lean * lean * (3 - 2 * lean)
    first, second = _STRENGTHS[shown, 0], _STRENGTHS[shown, 1]
    posed = (first + lean * (second - first)) * intensity * draw(0.6, 1.35, len(ACTION_UNITS))
    units = np.maximum(posed + draw.bell(-0.2, 0.2, len(ACTION_UNITS)), -0.15)
    return {au: units[:, i : i + 1] for i, au in enumerate(ACTION_UNITS)}


def _inside(depth: np.ndarray) -> np.ndarray:
    """Share of a pixel covered by a shape whose edge lies ``depth`` units away, positive inside."""
    return np.clip(depth * PX + np.float32(0.5), 0, 1)


def _paint(canvas: np.ndarray, cover: np.ndarray, tone: np.ndarray | float) -> None:
    canvas += cover * (tone - canvas)


def _block(draw: _Draw, shown: np.ndarray) -> np.ndarray:
    """Draw one block: uint8 (n, pixels)."""
    au = _action_units(draw, shown)
    # cos and sin from the tangent of half the angle, up to 12 degrees, are exact where np.cos is not
    half = draw.bell(-0.105, 0.105)
    size = draw.bell(0.94, 1.3)
    cos, sin = (1 - half * half) / (1 + half * half) / size, 2 * half / (1 + half * half) / size
    x0, y0 = draw.bell(-0.18, 0.18), draw.bell(-0.16, 0.16)
    u = cos * _X + (sin * _Y - (cos * x0 + sin * y0))
    v = cos * _Y - (sin * _X + (cos * y0 - sin * x0))
    yaw = draw.bell(-0.32, 0.32)  # a turned head moves its features to one side and narrows them there
    turned = (u - np.float32(0.5) * yaw) * (1 + np.float32(0.4) * yaw * u)
    plane = _Plane(turned, np.abs(turned), v)
    skin = draw(0.35, 0.85)
    hair = draw(0.03, 0.5) * draw(0.5, 1.3)
    canvas, head = _head(draw, u, plane, skin, hair, au)
    _nose(draw, canvas, plane, au)
    _eyes(draw, canvas[:, _EYE_ROWS], plane.rows(_EYE_ROWS), skin, hair, au)
    _mouth(draw, canvas[:, _MOUTH_ROWS], plane.rows(_MOUTH_ROWS), skin, au)
    _fringe(draw, canvas, plane, head, hair)
    return _photograph(draw, canvas)


def _head(
    draw: _Draw, u: np.ndarray, plane: _Plane, skin: np.ndarray, hair: np.ndarray, au: dict[int, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Background, hair and head, with a beard on some: the canvas (n, pixels), tones 0 to 1, and the head's cover."""
    v = plane.v
    width, top, chin = draw.bell(0.58, 0.82), draw(0.84, 1.0), draw.bell(0.78, 0.98) + 0.1 * au[26]
    taper, below = draw(0.05, 0.4), np.maximum(v, 0)
    canvas = draw(0.0, 0.9) + draw(-0.25, 0.25) * _X + draw(-0.25, 0.25) * _Y
    long = np.where(draw(0, 1) < 0.4, draw(0.4, 1.4), draw(-0.3, 0.1))
    mane_u, mane_v = u / (width + draw(0.06, 0.2)), (v + np.float32(0.08)) / (top + draw(0.0, 0.12))
    mane = _inside((1 - np.sqrt(mane_u * mane_u + np.minimum(mane_v, 0) ** 2)) * width) * _inside(long - v)
    _paint(canvas, mane, hair)
    head_u, head_v = u * (1 + taper * below * below) / width, below / chin - np.minimum(v, 0) / top
    r2 = head_u * head_u + head_v * head_v
    head = _inside((1 - np.sqrt(r2)) * width)
    _paint(canvas, head, skin * (1 - draw(0.1, 0.35) * r2 * r2))
    bearded = draw.chosen(0.15)
    edge, strength, thick = draw(0.28, 0.42), draw(0.2, 0.75), draw(0.2, 0.5)
    if len(bearded):
        cover = np.clip((v[bearded] - edge[bearded] + thick[bearded] * plane.a[bearded] ** 2) * 8, 0, 1)
        canvas[bearded] += head[bearded] * cover * strength[bearded] * (hair[bearded] - canvas[bearded])
    return canvas, head


def _nose(draw: _Draw, canvas: np.ndarray, plane: _Plane, au: dict[int, np.ndarray]) -> None:
    """Shade of the bridge, nostrils, the fold from nose to mouth (AU 10, 12) and the wrinkles of AU 9 and 4."""
    u, a, v = plane.rows(slice(9 * SIZE_PX, 42 * SIZE_PX))
    canvas = canvas[:, 9 * SIZE_PX : 42 * SIZE_PX]
    wrinkle = np.maximum(au[9], 0)
    base, wide = draw.bell(0.14, 0.28) - 0.06 * wrinkle, draw.bell(0.09, 0.15) + 0.02 * wrinkle
    side, depth = draw(-0.09, 0.09), draw(0.05, 0.3)
    bridge = np.clip(1 - np.abs(u - side * (1 + v)) * 14, 0, 1) * np.clip((base - v) * 6, 0, 1)
    canvas *= 1 - depth * bridge * np.clip((v + np.float32(0.25)) * 6, 0, 1)
    dy = (v - base) * 20
    canvas *= 1 - draw(0.3, 0.65) * np.clip(1.6 - ((a - wide) * 17) ** 2 - dy * dy, 0, 1)
    fold = np.maximum(0.10 + 0.5 * np.maximum(au[12], au[10]), 0) * draw(0.3, 1.1)
    slant = wide + 0.06 + (v - base + 0.06) * draw(0.45, 0.7)
    span = np.clip((v - base + 0.08) * 8, 0, 1) * np.clip((0.5 - v) * 8, 0, 1)
    canvas *= 1 - np.minimum(fold, 0.6) * span * np.clip(1 - np.abs(a - slant) * 16, 0, 1)
    # Wrinkles across the bridge, a triangle wave of three pixels; frown lines beside it.
    wave = (v - base) * 8
    wave = np.abs(wave - np.floor(wave) - np.float32(0.5)) * 2
    across = wave * np.clip((0.17 - a) * 10, 0, 1) * np.clip(1.2 - np.abs(v + 0.12) * 6, 0, 1)
    canvas *= 1 - np.clip(wrinkle * draw(0.4, 0.8), 0, 0.8) * across
    frown = np.clip(1 - np.abs(a - 0.07) * 20, 0, 1) * np.clip(1.2 - np.abs(v + 0.33) * 9, 0, 1)
    canvas *= 1 - np.clip(au[4] * draw(0.2, 0.6), 0, 0.6) * frown


def _eyes(
    draw: _Draw, canvas: np.ndarray, plane: _Plane, skin: np.ndarray, hair: np.ndarray, au: dict[int, np.ndarray]
) -> None:
    """Eyes with lids (AU 5, 6, 7, 43), brows (AU 1, 2, 4), and glasses on some."""
    u, a, v = plane
    apart, level, wide = draw.bell(0.25, 0.36), draw.bell(-0.24, -0.08), draw.bell(0.12, 0.18)
    upper = draw.bell(0.05, 0.1) + 0.065 * au[5] - 0.03 * au[7] - 0.045 * au[43] - 0.015 * au[6] - 0.02 * au[9]
    lower = draw.bell(0.03, 0.06) + 0.015 * au[5] - 0.035 * au[7] - 0.04 * au[6]
    t = (a - apart) / wide
    arc = 1 - t * t
    up, low = v - level + np.maximum(upper, 0.0) * arc, level + np.maximum(lower, -0.01) * arc - v
    corner = np.clip(arc * 4, 0, 1)
    opening = _inside(np.minimum(up, low)) * corner
    _paint(canvas, opening, np.minimum(skin + draw(0.05, 0.3), 1.0))
    gaze = draw.bell(-0.06, 0.06)
    iris_u, iris_v = np.abs(u - gaze) - apart, v - level + 0.015
    iris = _inside(draw(0.055, 0.08) - np.sqrt(iris_u * iris_u + iris_v * iris_v))
    _paint(canvas, opening * iris, draw(0.0, 0.25) * skin)
    lash = np.clip(1.3 - np.abs(up) * PX, 0, 1) * corner
    canvas *= 1 - draw(0.35, 0.85) * lash
    crease = np.clip(1 - np.abs(low + np.float32(0.05)) * 16, 0, 1) * corner
    canvas *= 1 - np.clip(0.1 + 0.4 * au[6], 0, 0.6) * crease
    squeeze, half = au[4], draw.bell(0.16, 0.24)
    b = (a - apart - 0.01 + 0.03 * squeeze) / half
    inner, outer = np.float32(0.5) - b * np.float32(0.5), np.float32(0.5) + b * np.float32(0.5)
    height = draw.bell(0.14, 0.22) + 0.12 * au[1] * inner + 0.12 * au[2] * outer - squeeze * (0.03 + 0.1 * inner)
    line = level - height - draw(-0.01, 0.04) * (1 - b * b) - draw(-0.03, 0.03) * b
    brow = _inside(draw(0.012, 0.045) * (1.2 - 0.5 * b * b) - np.abs(v - line)) * np.clip((1 - b * b) * 3, 0, 1)
    _paint(canvas, brow * draw(0.5, 1.0), np.minimum(hair, skin * 0.7))
    worn, radius, rim = draw.chosen(0.12), draw(0.19, 0.26), draw(0.0, 0.4)
    if len(worn):
        du, dv = a[worn] - apart[worn] - 0.02, v[worn] - level[worn] - 0.03
        ring = np.sqrt(du * du + dv * dv * 1.3) - radius[worn]
        bar = np.minimum(0.02 - np.abs(dv + 0.05), -du - radius[worn])
        canvas[worn] += _inside(np.maximum(0.022 - np.abs(ring), bar)) * 0.8 * (rim[worn] - canvas[worn])


def _mouth(draw: _Draw, canvas: np.ndarray, plane: _Plane, skin: np.ndarray, au: dict[int, np.ndarray]) -> None:
    """Lips (AU 10, 12, 15, 16, 17, 18, 20, 24), open or closed (AU 25, 26), with teeth, and the shade below them."""
    _, a, v = plane
    level = draw.bell(0.42, 0.56) - 0.03 * au[17] - 0.03 * au[10] + 0.02 * au[26]
    half = draw.bell(0.21, 0.32) * (1 + 0.4 * au[12] + 0.3 * au[20] - 0.3 * au[18] - 0.15 * au[24] - 0.1 * au[26])
    half = np.maximum(half, 0.1)
    t = a / half
    t2 = t * t
    arc = np.maximum(1 - t2, 0)
    line = level - (0.19 * au[12] - 0.14 * au[15] - 0.03 * au[20] + draw.bell(-0.03, 0.03)) * (t2 - np.float32(0.35))
    above = np.maximum(0.035 * au[25] + 0.05 * au[10] * (0.3 + au[25]) + 0.05 * au[26] - 0.03 * au[24], 0)
    below = np.maximum(0.06 * au[25] + 0.05 * au[12] * au[25] + 0.22 * au[26] + 0.03 * au[16] - 0.03 * au[24], 0)
    open_u, open_l = line - above * arc, line + below * arc
    thin = 1 - 0.5 * np.clip(au[24], 0, 1) - 0.25 * np.clip(au[12], 0, 1)
    lips_u, lips_l = open_u - draw(0.02, 0.06) * thin * arc, open_l + draw(0.03, 0.075) * thin * arc
    within = _inside(half - a)
    _paint(canvas, _inside(np.minimum(v - lips_u, lips_l - v)) * within * draw(0.4, 0.95), skin * draw(0.5, 0.85))
    gap = np.minimum(v - open_u, open_l - v)
    cavity = np.clip(gap * PX + np.float32(0.2), 0, 1) * within
    _paint(canvas, cavity, draw(0.02, 0.15))
    bite = np.clip(np.maximum(au[16], np.maximum(au[12], 0.5 * au[20])) * 1.5, 0, 1) * draw(0.5, 1.0)
    teeth = cavity * np.clip((open_u + draw(0.06, 0.16) - v) * PX, 0, 1) * np.clip(gap * PX, 0, 1)
    _paint(canvas, teeth * bite, np.minimum(skin + 0.3, 0.95))
    seam = np.clip(1.1 - np.abs(v - line) * PX, 0, 1) * within * np.clip(1 - (above + below) * 25, 0, 1)
    canvas *= 1 - draw(0.35, 0.8) * seam
    chin = np.clip(1 - np.abs(v - lips_l - 0.07) * 14, 0, 1) * np.clip(1 - t2 * 2, 0, 1)
    canvas *= 1 - np.clip(draw(0.05, 0.25) + 0.25 * au[17], 0, 0.5) * chin


def _fringe(draw: _Draw, canvas: np.ndarray, plane: _Plane, head: np.ndarray, hair: np.ndarray) -> None:
    """Hair over the forehead. Its line is high and curved, or low, or absent."""
    rows = slice(0, 26 * SIZE_PX)
    u, a, v = plane.rows(rows)
    line = draw.bell(-0.95, -0.42) + draw(-0.5, 0.9) * a * a + draw(-0.2, 0.2) * u
    _paint(canvas[:, rows], head[:, rows] * np.clip((line - v) * 10, 0, 1), hair)


def _photograph(draw: _Draw, canvas: np.ndarray) -> np.ndarray:
    """Light from one side, something in the way, blur, contrast and noise of the sensor: uint8 (n, pixels)."""
    canvas *= 1 + draw.bell(-0.6, 0.6) * _X + draw.bell(-0.4, 0.4) * _Y
    hidden = draw.chosen(0.05)
    x, y, radius, tone = draw(-0.9, 0.9), draw(-0.9, 1.0), draw(0.2, 0.5), draw(0.05, 0.9)
    if len(hidden):
        dx, dy = _X - x[hidden], (_Y - y[hidden]) * np.float32(0.7)
        cover = _inside(radius[hidden] - np.sqrt(dx * dx + dy * dy))
        canvas[hidden] += cover * (tone[hidden] - canvas[hidden])
    image = canvas.reshape(-1, SIZE_PX, SIZE_PX)
    blur = draw(0.0, 0.33)[:, :, None]  # weight of each neighbour: 0 is sharp, 1/3 a box of three pixels
    image[:, 1:-1] += blur * (image[:, 2:] + image[:, :-2] - 2 * image[:, 1:-1])
    image[:, :, 1:-1] += blur * (image[:, :, 2:] + image[:, :, :-2] - 2 * image[:, :, 1:-1])
    canvas -= np.float32(0.45)
    canvas *= draw(0.65, 1.25) * 255
    canvas += draw(0.3, 0.62) * 255
    # The sum of two bytes has a triangular density of deviation 104: cheap, exact and near enough to a normal one.
    noise = np.frombuffer(draw.rng.bytes(2 * canvas.size), np.uint8).reshape(-1, 2, SIZE_PX * SIZE_PX)
    grain = (np.add(noise[:, 0], noise[:, 1], dtype=np.int16) - np.int16(255)) * (draw(1.0, 7.0) / 104)
    canvas += grain
    return np.clip(canvas + np.float32(0.5), 0, 255).astype(np.uint8)

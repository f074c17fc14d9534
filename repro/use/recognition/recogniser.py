"""From an image to its faces and their emotions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.use.classifier import FaceClassifier
from repro.use.recognition.detection import Box, Detector
from repro.use.recognition.pictures import full_size

# Share of a detected box's width added on each side before the face is cut out. On 1,196 found faces of PublicTest
# (`repro.measurements.face_detection`) teta2022 is 48.3 % accurate without a margin, 48.4 % with 0.02 or 0.05, 44.6 %
# with 0.1 and 41.6 % with -0.1; 54.1 % on the original crops.
MARGIN = 0.0


@dataclass(frozen=True)
class RecognisedFace:
    """box: its position. probabilities: float32 (7,), in the order of `fer_jax.vocabulary.fer2013.EMOTIONS`. unsure:
    whether the highest is below the threshold."""

    box: Box
    probabilities: np.ndarray
    unsure: bool = False

    @property
    def best(self) -> int:
        """Index of the most probable emotion."""
        return int(np.argmax(self.probabilities))

    @property
    def words(self) -> str:
        """Such as "happy 81%", or "unsure: happy 32%"."""
        return f"{'unsure: ' if self.unsure else ''}{EMOTIONS[self.best]} {self.probabilities[self.best]:.0%}"


class Recogniser:
    """A trained network and a face detector; without a detector the whole image is one face. unsure_below: as in
    `repro.use.temperature`."""

    def __init__(self, classifier: FaceClassifier, detector: Detector | None, unsure_below: float = 0.0) -> None:
        self.classifier = classifier
        self.unsure_below = unsure_below
        self._detector = detector
        self._size = classifier.trained.size

    def __call__(self, picture_HWC: np.ndarray) -> list[RecognisedFace]:
        """The faces of a uint8 image, RGB (H, W, 3) or gray (H, W), best detected first."""
        boxes, faces_NHW = self.cut_out(Image.fromarray(picture_HWC))
        return self.recognised(boxes, self.classifier(faces_NHW))

    def recognised(self, boxes: Sequence[Box], rows_N7: np.ndarray) -> list[RecognisedFace]:
        """Boxes with their probabilities."""
        return [
            RecognisedFace(box, row, row.max() < self.unsure_below) for box, row in zip(boxes, rows_N7, strict=True)
        ]

    def cut_out(self, picture: Image.Image) -> tuple[list[Box], np.ndarray]:
        """Boxes, best first, and their faces as input for the classifier, uint8 (N, size, size).

        The boxes are in pixels of the original image if that was reduced in decoding.
        """
        gray = picture if picture.mode == "L" else picture.convert("L")  # ITU-R 601 luma
        pixel = _pixel(picture)
        boxes = [middle_square(gray)] if self._detector is None else self._detector.find(np.asarray(gray), pixel)
        margin = 0.0 if self._detector is None else MARGIN
        faces = np.empty((len(boxes), self._size, self._size), np.uint8)
        for face, box in zip(faces, boxes, strict=True):
            face[:] = cut(gray, box, self._size, margin)
        return boxes if pixel == 1 else [box.scaled(pixel) for box in boxes], faces

    def smallest_face(self, picture: Image.Image) -> int | None:
        """Size of the smallest face that is searched for, in pixels of the original image; None if none is searched."""
        if self._detector is None:
            return None
        pixel = _pixel(picture)
        return round(pixel * self._detector.smallest_face(*picture.size, pixel))


def _pixel(picture: Image.Image) -> float:
    """Size of a picture's pixels in those of the original image."""
    return max(full_size(picture)) / max(picture.size)


def middle_square(picture: Image.Image) -> Box:
    """The largest square in the middle: a face that fills its image, without distortion."""
    width, height = picture.size
    side = min(width, height)
    return Box((width - side) // 2, (height - side) // 2, side, side, 1.0)


def cut(gray: Image.Image, box: Box, size: int, margin: float) -> np.ndarray:
    """uint8 (size, size): the square around a box, enlarged by `margin` of its side on each side.

    Outside the image, its border is repeated.
    """
    half = max(box.width, box.height) * (0.5 + margin)
    x, y = box.left + box.width / 2, box.top + box.height / 2
    left, top, right, bottom = x - half, y - half, x + half, y + half
    beyond = int(np.ceil(max(0.0, -left, -top, right - gray.width, bottom - gray.height)))
    if beyond:
        area = (max(0, int(left)), max(0, int(top)), min(gray.width, int(right) + 1), min(gray.height, int(bottom) + 1))
        gray = Image.fromarray(np.pad(np.asarray(gray.crop(area)), beyond, mode="edge"))
        left, top, right, bottom = (
            side + beyond - start for side, start in zip((left, top, right, bottom), area[:2] * 2, strict=True)
        )
    if (right - left, bottom - top, gray.size) == (size, size, (size, size)):
        return np.asarray(gray)
    return np.asarray(gray.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, right, bottom)))

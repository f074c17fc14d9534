"""Recognition for all clients: one thread, because the network uses all cores, with the detectors and the networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.use.recognition.detection import LIVE_SEARCH_PX, SEARCH_PX, Box, Detector
from repro.use.recognition.errors import PictureError
from repro.use.recognition.pictures import open_picture
from repro.use.recognition.recogniser import Recogniser
from repro.use.recognition.rows import face_document, run_document
from repro.use.serve.limits import Limits
from repro.use.serve.networks import NetworkInUse, Networks
from repro.use.serve.tracking import NEAR_PX, Tracker
from repro.use.serve.turns import Turns
from repro.use.temperature import temperature_document

Result = TypeVar("Result")
CAMERA_PX = 640  # the longer side of the frames sent by the page
JPEG_START = b"\xff\xd8\xff"
POSTED = ("JPEG", "PNG")


class Recognition:
    """What is said of pictures, one after the other."""

    def __init__(
        self, networks: Networks, open_detector: Callable[..., Detector], limits: Limits, min_face: int | None
    ) -> None:
        """open_detector, min_face: as in `repro.use.recognition.detection`."""
        self.networks = networks
        self._whole = open_detector(SEARCH_PX, min_face=min_face)
        self._frame = open_detector(LIVE_SEARCH_PX, min_face=min_face)
        self._near = open_detector(NEAR_PX)
        self._limits = limits
        self._turns = Turns("recognition")

    async def in_turn(self, names: Sequence[Hashable], function: Callable[..., Result], *arguments: object) -> Result:
        """`Turns.run` in the one thread."""
        return await self._turns.run(names, function, *arguments)

    def new_camera(self, network: NetworkInUse) -> Callable[[bytes], dict[str, Any]]:
        """A function that answers each JPEG of one client as in `repro.use.serve.live`, without the total time.

        It follows faces from frame to frame. Images larger than the page's frames are searched completely and finely.
        Raises PictureError.
        """
        classifier = network.classifier
        frames = Recogniser(classifier, Tracker(self._frame, self._near))
        pictures = Recogniser(classifier, self._whole)

        def recognise(payload: bytes) -> dict[str, Any]:
            start = time.perf_counter()
            if not payload.startswith(JPEG_START):
                raise PictureError("The picture: not a JPEG")
            picture = open_picture(payload, "The picture", max_pixels=self._limits.pixels, max_scans=self._limits.scans)
            decoded = time.perf_counter()
            recogniser = frames if max(picture.size) <= CAMERA_PX else pictures
            boxes, faces_NHW = recogniser.cut_out(picture)
            detected = time.perf_counter()
            rows = self._answers(recogniser, faces_NHW)
            ms = {"decode": decoded - start, "detection": detected - decoded, "network": time.perf_counter() - detected}
            return {
                "kind": "faces",
                "width": picture.width,
                "height": picture.height,
                "smallest": recogniser.smallest_face(picture),
                "faces": [_face(box, row) for box, row in zip(boxes, rows, strict=False)],
                "ms": {name: _ms(seconds) for name, seconds in ms.items()},
            }

        return recognise

    def picture(self, key: str, payload: bytes) -> dict[str, Any]:
        """What `POST /predict` answers for one picture. Raises PictureError, and UserError as `Networks.open`."""
        network = self.networks.open(key)
        recogniser = Recogniser(network.classifier, self._whole, network.unsure_below)
        picture = open_picture(
            payload,
            "The picture",
            max_pixels=self._limits.pixels,
            max_scans=self._limits.scans,
            formats=POSTED,
        )
        boxes, faces_NHW = recogniser.cut_out(picture)
        rows = self._answers(recogniser, faces_NHW)
        run = run_document(network.classifier.trained)
        run |= temperature_document(network.classifier.temperature, network.unsure_below)
        return {
            "run": {"network": network.key, **{name: value for name, value in run.items() if name != "folder"}},
            "width": picture.width,
            "height": picture.height,
            "smallest_face": recogniser.smallest_face(picture),
            "faces": [face_document(face) for face in recogniser.recognised(boxes[: len(rows)], rows)],
        }

    def _answers(self, recogniser: Recogniser, faces_NHW: np.ndarray) -> np.ndarray:
        """Probabilities (N, 7) of at most as many faces as are reported. One by one, because JAX compiles a program for
        one face or for a whole batch."""
        reported = faces_NHW[: self._limits.faces]
        rows = [recogniser.classifier(face_HW[None])[0] for face_HW in reported]
        return np.array(rows, np.float32).reshape(len(rows), len(EMOTIONS))


def _face(box: Box, probabilities: np.ndarray) -> dict[str, Any]:
    place = {"left": box.left, "top": box.top, "width": box.width, "height": box.height}
    return {**place, "score": round(box.score, 3), "probabilities": [round(float(p), 4) for p in probabilities]}


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)

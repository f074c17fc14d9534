"""Live recognition over one WebSocket: JPEG images in, JSON answers out, one image at a time.

The client sends a binary message, one JPEG, waits for the answer, and sends the next. So nothing queues up if
recognition is slower than the camera. An image stays in memory until it is answered; it is not written or logged.

The first message of the server is ``{"kind": "ready", "network": ..., "synthetic": ..., "emotions": [...]}``, then one
per image: ``{"kind": "faces", "width": px, "height": px, "smallest": px, "faces": [{"left", "top", "width", "height",
"score", "probabilities": [7]}, ...], "ms": {"decode", "detection", "network", "total"}}``, the best detected face
first, or ``{"kind": "error", "message": ...}``. smallest: size of the smallest face that was searched for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from fer_jax.data.faces import EMOTIONS
from repro.use.classifier import Classifier
from repro.use.recognition.detection import LIVE_SEARCH_PX, SEARCH_PX, Box, Detector
from repro.use.recognition.errors import PictureError
from repro.use.recognition.pictures import open_picture
from repro.use.recognition.recogniser import Recogniser
from repro.use.serve.door import client_of
from repro.use.serve.limits import Limits, TokenBucket
from repro.use.serve.tracking import NEAR_PX, Tracker
from repro.use.serve.turns import Places, Turns

CAMERA_PX = 640  # the longer side of the frames sent by the page
JPEG_START = b"\xff\xd8\xff"
# Close codes of RFC 6455, section 7.4.1 and its registry; codes from 4000 on are private.
UNSUPPORTED, POLICY, TRY_LATER, IDLE = 1003, 1008, 1013, 4000


class LiveEndpoint:
    """The endpoint. Recognition runs in one thread, because XLA uses all cores; the event loop stays responsive."""

    def __init__(
        self, classifier: Classifier, open_detector: Callable[..., Detector], limits: Limits, min_face: int | None
    ) -> None:
        """open_detector, min_face: as in `repro.use.recognition.detection`."""
        self._classifier = classifier
        self._whole = open_detector(SEARCH_PX, min_face=min_face)
        self._frame = open_detector(LIVE_SEARCH_PX, min_face=min_face)
        self._near = open_detector(NEAR_PX)
        self._limits = limits
        self._turns = Turns("recognition")
        self._places = Places(limits.live)

    @property
    def network(self) -> str:
        """One line: the network, its training data, and its accuracy."""
        return self._classifier.trained.describe()

    @property
    def synthetic(self) -> bool:
        """Whether the network was trained on synthetic faces, so that its answers on real faces mean nothing."""
        return self._classifier.trained.record.data.synthetic

    async def converse(self, websocket: WebSocket) -> None:
        client = client_of(websocket.client.host if websocket.client else "")
        with contextlib.suppress(WebSocketDisconnect, OSError):  # gone, or (TimeoutError) not reading its answers
            await websocket.accept()
            conversation = asyncio.create_task(self._talk(websocket, client))
            try:
                if not self._places.take(client, conversation):
                    conversation.cancel()
                await asyncio.wait([conversation])
            finally:
                conversation.cancel()  # if this task was cancelled
            if conversation.cancelled():
                await self._close(websocket, TRY_LATER, "too many connections; close another page")
            else:
                conversation.result()

    async def _talk(self, websocket: WebSocket, client: str) -> None:
        await self._send(websocket, self._ready())
        await self._answer_pictures(websocket, client)

    async def _answer_pictures(self, websocket: WebSocket, client: str) -> None:
        recognise = self.new_camera()
        bucket = TokenBucket(self._limits.frames_per_s, self._limits.burst)
        bad = 0
        while bad < self._limits.bad_in_a_row:
            await asyncio.sleep(bucket.wait_s())
            bucket.take()
            try:
                message = await asyncio.wait_for(websocket.receive(), self._limits.idle_s)
            except TimeoutError:
                await self._close(websocket, IDLE, "idle")
                return
            if message["type"] == "websocket.disconnect":
                return
            payload = message.get("bytes")
            if payload is None:
                await self._close(websocket, UNSUPPORTED, "pictures come as binary messages")
                return
            answer = await self._answer((client, id(websocket)), recognise, payload)
            bad = bad + 1 if answer["kind"] == "error" else 0
            await self._send(websocket, answer)
        await self._close(websocket, POLICY, "too many messages without a picture")

    async def _send(self, websocket: WebSocket, answer: dict[str, Any]) -> None:
        await asyncio.wait_for(websocket.send_json(answer), self._limits.send_s)

    async def _close(self, websocket: WebSocket, code: int, reason: str) -> None:
        await asyncio.wait_for(websocket.close(code, reason), self._limits.send_s)

    async def _answer(
        self, payers: Sequence[Hashable], recognise: Callable[[bytes], dict[str, Any]], payload: bytes
    ) -> dict[str, Any]:
        start = time.perf_counter()
        try:
            answer = await self._turns.run(payers, recognise, payload)
        except PictureError as error:
            return {"kind": "error", "message": str(error)}
        answer["ms"]["total"] = _ms(time.perf_counter() - start)  # including the wait for other clients' images
        return answer

    def new_camera(self) -> Callable[[bytes], dict[str, Any]]:
        """A function that answers each JPEG of one client in the module's format, without the total time.

        It follows faces from frame to frame. Images larger than the page's frames are searched completely and finely.
        Raises PictureError.
        """
        frames = Recogniser(self._classifier, Tracker(self._frame, self._near))
        pictures = Recogniser(self._classifier, self._whole)

        def recognise(payload: bytes) -> dict[str, Any]:
            start = time.perf_counter()
            if not payload.startswith(JPEG_START):
                raise PictureError("The picture: not a JPEG")
            picture = open_picture(payload, "The picture", max_pixels=self._limits.pixels, max_scans=self._limits.scans)
            decoded = time.perf_counter()
            recogniser = frames if max(picture.size) <= CAMERA_PX else pictures
            boxes, faces_NHW = recogniser.cut_out(picture)
            detected = time.perf_counter()
            # One by one: the classifier is compiled for one face or for a whole batch.
            rows = [self._classifier(face_HW[None])[0] for face_HW in faces_NHW[: self._limits.faces]]
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

    def _ready(self) -> dict[str, Any]:
        return {"kind": "ready", "network": self.network, "synthetic": self.synthetic, "emotions": EMOTIONS}


def _face(box: Box, probabilities: np.ndarray) -> dict[str, Any]:
    place = {"left": box.left, "top": box.top, "width": box.width, "height": box.height}
    return {**place, "score": round(box.score, 3), "probabilities": [round(float(p), 4) for p in probabilities]}


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)

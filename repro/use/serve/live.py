"""Live recognition over one WebSocket: JPEG images in, JSON answers out, one image at a time.

The client sends a binary message, one JPEG, waits for the answer, and sends the next. So nothing queues up if
recognition is slower than the camera. An image stays in memory until it is answered; it is not written or logged.

The address may end with ``?network=KEY``. The first message of the server is ``{"kind": "ready", "key": ...,
"network": ..., "certainty": ..., "unsure_below": p, "synthetic": ..., "emotions": [...]}``, then one per image:
``{"kind": "faces", "width": px, "height": px, "smallest": px, "faces": [{"left", "top", "width", "height", "score",
"probabilities": [7]}, ...], "ms": {"decode", "detection", "network", "total"}}``, the best detected face first, or
``{"kind": "error", "message": ...}``. smallest: size of the smallest face that was searched for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.use.recognition.errors import PictureError
from repro.use.serve.door import client_of
from repro.use.serve.limits import Limits, TokenBucket
from repro.use.serve.networks import NetworkInUse
from repro.use.serve.recognition import Recognition
from repro.use.serve.turns import Places

# Close codes of RFC 6455, section 7.4.1 and its registry; codes from 4000 on are private.
UNSUPPORTED, POLICY, TRY_LATER, IDLE, NO_NETWORK = 1003, 1008, 1013, 4000, 4001


class LiveEndpoint:
    """The endpoint of all conversations."""

    def __init__(self, recognition: Recognition, limits: Limits) -> None:
        self._recognition, self._limits = recognition, limits
        self._places = Places(limits.live)

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
        key = websocket.query_params.get("network", "")
        if not self._recognition.networks.has(key):
            await self._close(websocket, NO_NETWORK, "no such network")
            return
        try:
            network = await self._recognition.in_turn((client, id(websocket)), self._recognition.networks.open, key)
        except UserError:
            await self._close(websocket, NO_NETWORK, "the network cannot be read any more")
            return
        await self._send(websocket, _ready(network))
        await self._answer_pictures(websocket, client, network)

    async def _answer_pictures(self, websocket: WebSocket, client: str, network: NetworkInUse) -> None:
        recognise = self._recognition.new_camera(network)
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
            answer = await self._recognition.in_turn(payers, recognise, payload)
        except PictureError as error:
            return {"kind": "error", "message": str(error)}
        answer["ms"]["total"] = round(1000 * (time.perf_counter() - start), 2)  # with the wait for others
        return answer


def _ready(network: NetworkInUse) -> dict[str, Any]:
    return {
        "kind": "ready",
        "key": network.key,
        "network": network.words,
        "certainty": network.certainty,
        "unsure_below": network.unsure_below,
        "synthetic": network.synthetic,
        "emotions": EMOTIONS,
    }

"""`POST /predict`: one picture in, its faces as JSON out, for programs. docs/serve-api.md describes it.

The limits are those of live recognition: size and pixels of a picture, pictures per second and client, pictures at
once, and turns by the time that each client used.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.errors import UserError
from repro.use.recognition.errors import PictureError
from repro.use.serve.door import client_of
from repro.use.serve.limits import ClientBuckets, Limits
from repro.use.serve.recognition import Recognition
from repro.use.serve.turns import Places

PATH = "/predict"
_LATER = {"Retry-After": "1"}


class PredictEndpoint:
    """Nothing of a picture is kept or logged."""

    def __init__(self, recognition: Recognition, limits: Limits) -> None:
        self._recognition, self._limits = recognition, limits
        self._buckets = ClientBuckets(limits.frames_per_s, limits.burst)
        self._places = Places(limits.live)

    async def answer(self, request: Request) -> Response:
        client = client_of(request.client.host if request.client else "")
        if not self._buckets.of(client).take():
            return failure(429, f"more than {self._limits.frames_per_s:g} pictures a second", _LATER)
        work = asyncio.create_task(self._work(request, client))
        try:
            if not self._places.take(client, work):
                work.cancel()
            await asyncio.wait([work])
        finally:
            work.cancel()  # if this task was cancelled
        return failure(503, "too many pictures at once", _LATER) if work.cancelled() else work.result()

    async def _work(self, request: Request, client: str) -> Response:
        key = request.query_params.get("network", "")
        if not self._recognition.networks.has(key):
            return failure(404, "no such network; GET /networks lists them")
        payload = bytearray()
        try:
            async for chunk in request.stream():
                payload += chunk
                if len(payload) > self._limits.message_bytes:
                    return failure(413, f"more than {counted(self._limits.message_bytes, 'byte')}")
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            answer = await self._recognition.in_turn((client,), self._recognition.picture, key, bytes(payload))
        except PictureError as error:
            return failure(400, str(error))
        except UserError as error:  # the network
            return failure(500, str(error))
        return JSONResponse(answer)

    async def networks(self, request: Request) -> Response:
        """The keys and words of all networks; the first is the default."""
        networks = self._recognition.networks
        listed = [{"network": one.key, "about": one.words} for one in networks.offered]
        return JSONResponse({"default": networks.first.key, "networks": listed})


def failure(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers)

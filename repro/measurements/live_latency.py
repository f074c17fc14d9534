"""End-to-end latency for one face: a real client, a real server process, one 640 x 480 JPEG at a time.

``python -m repro.measurements.live_latency [--paper teta2022]`` prints a Markdown table: the round trip seen by the
client, the server's share, and the parts of that share. Images arrive at a camera's frame rate, because a processor
that rests between images answers more slowly than one that never does.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from websockets import Origin
from websockets.sync.client import ClientConnection, connect

from fer_jax.data.synthetic import draw_faces
from fer_jax.machine.devices import choose_devices, device_name
from fer_jax.machine.processor import host_cores
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import USAGES
from repro.cli.options import results_option

SIZE_PX = (640, 480)
FACE_PX = 200
WARM_UP = 30
PARTS = {
    "round trip": "round_trip",
    "server": "total",
    "decoding": "decode",
    "detection": "detection",
    "network": "network",
}


def one_face(number: int = 6) -> np.ndarray:
    """A synthetic face, uint8 (480, 640), FACE_PX wide, in the middle of a background that darkens to one side."""
    drawn = draw_faces(0, {USAGES[0]: (10,) * 7}).images[number]
    picture = np.tile(np.linspace(160, 90, SIZE_PX[0]).astype(np.uint8), (SIZE_PX[1], 1))
    left, top = ((side - FACE_PX) // 2 for side in SIZE_PX)
    face = Image.fromarray(drawn).resize((FACE_PX, FACE_PX), Image.Resampling.BICUBIC)
    picture[top : top + FACE_PX, left : left + FACE_PX] = np.asarray(face)
    return picture


def as_jpeg(picture: np.ndarray) -> bytes:
    """A gray image (H, W) as a JPEG in colour, as a browser encodes a camera frame."""
    file = io.BytesIO()
    Image.fromarray(picture).convert("RGB").save(file, "JPEG", quality=85)
    return file.getvalue()


@contextmanager
def started_server(*options: str) -> Iterator[str]:
    """`repro serve` with these options in a separate process, on a free port. Yields its address, http://..."""
    command = [sys.executable, "-m", "repro", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                raise click.ClickException("the server did not start")
            yield line.split()[2]
        finally:
            process.terminate()


@contextmanager
def conversation(address: str) -> Iterator[ClientConnection]:
    """A connection to live recognition at an address, after the server's first message."""
    origin = address.rstrip("/")
    with connect(f"ws{origin.removeprefix('http')}/live", origin=Origin(origin), compression=None) as connection:
        connection.recv(timeout=10)
        yield connection


def ask(connection: ClientConnection, jpeg: bytes) -> dict[str, Any]:
    """The answer to one image, with `round_trip` among its times in milliseconds."""
    start = time.perf_counter()
    connection.send(jpeg)
    answer = json.loads(connection.recv(timeout=30))
    answer.setdefault("ms", {})["round_trip"] = 1000 * (time.perf_counter() - start)
    return answer


def measure(address: str, frames: int, rate: float) -> dict[str, np.ndarray]:
    """Milliseconds of each part, by its name in the answers, for every image after the warm-up."""
    jpeg = as_jpeg(one_face())
    answers: list[dict[str, float]] = []
    with conversation(address) as connection:
        due = time.perf_counter()
        for _ in range(WARM_UP + frames):
            answer = ask(connection, jpeg)
            if answer["kind"] != "faces" or len(answer["faces"]) != 1:
                raise click.ClickException(f"not one face, but {answer}")
            answers.append(answer["ms"])
            due = max(due + 1 / rate, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))
    return {name: np.array([ms[name] for ms in answers[WARM_UP:]]) for name in PARTS.values()}


def table(ms: dict[str, np.ndarray]) -> str:
    """Markdown: median, 95th percentile and number of images of each part."""
    rows = [
        f"| {title} | {np.median(ms[name]):.1f} | {np.percentile(ms[name], 95):.1f} | {len(ms[name])} |"
        for title, name in PARTS.items()
    ]
    return "\n".join(["| | median, ms | 95th percentile, ms | n |", "|---|---:|---:|---:|", *rows])


@click.command()
@click.option("--paper", help="Use the best trained network of this paper. Default: the best of all.")
@click.option("--frames", type=click.IntRange(min=1), default=200, show_default=True, help="Pictures that count.")
@click.option("--rate", type=click.FloatRange(1, 50), default=30.0, show_default=True, help="Pictures per second.")
@results_option
def main(paper: str | None, frames: int, rate: float, results: Path) -> None:
    """How long live recognition takes for one face, on this machine."""
    options = ["--results", str(results), *(["--paper", paper] if paper else [])]
    with started_server(*options) as address:
        click.echo(table(measure(address, frames, rate)))
    machine = f"{device_name(choose_devices('cpu')[0])}, {counted(host_cores(), 'core')}"
    click.echo(f"\n{SIZE_PX[0]} x {SIZE_PX[1]} pixels, one face, {rate:g} pictures/s; {machine}")


if __name__ == "__main__":
    main()

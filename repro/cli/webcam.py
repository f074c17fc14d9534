"""The command-line interface of `repro webcam`. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.options import face_options, network_options, unsure_option
from repro.cli.recogniser import open_recogniser
from repro.cli.starting import sign_of_life

EXAMPLE = """\
\b
Example:
  repro webcam
  repro webcam --camera 1 --paper zhaqsylyq
  repro webcam --camera rtsp://192.168.1.20/live
  repro webcam --video talk.mp4 --out talk-marked.mp4 --csv talk.csv"""


class Camera(click.ParamType):
    """A camera's number or address."""

    name = "camera"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        from repro.use.recognition.capture import camera_source

        try:
            return camera_source(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(epilog=EXAMPLE)
@click.option(
    "--camera",
    type=Camera(),
    metavar="NUMBER|ADDRESS",
    help="Number of the camera, or the rtsp:// or http:// address of one on the network.  [default: 0]",
)
@click.option("--video", type=click.Path(path_type=Path, dir_okay=False), help="A video file instead of a camera.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --video: write every frame, marked, into this new .mp4 or .avi file; no window is opened.",
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --video: write one line per face and frame into this new file: time in seconds, box, the seven "
    "probabilities; no window is opened.",
)
@face_options("default: a thirteenth of the longer side")
@network_options
@unsure_option
def webcam(
    camera: int | str | None,
    video: Path | None,
    out: Path | None,
    table: Path | None,
    min_face: int | None,
    min_score: float,
    run: str | None,
    paper: str | None,
    results: Path,
    unsure_below: float | None,
) -> None:
    """Recognise emotions live in a window: boxes, probabilities and frames per second. Ends with q or Escape.

    The answer is what crowd workers would have called the picture, not what a person feels. Frames stay in memory:
    nothing is sent, and nothing is stored but what --out and --csv name.
    """
    if camera is not None and video is not None:
        raise click.UsageError("--camera and --video exclude each other")
    for option, given in (("--out", out), ("--csv", table)):
        if given is not None and video is None:
            raise click.UsageError(f"{option} needs --video")

    from repro.use.recognition.detection import LIVE_SEARCH_PX, open_detector

    detector = open_detector(LIVE_SEARCH_PX, min_face=min_face, min_score=min_score)
    with sign_of_life("loading the network"):
        recogniser = open_recogniser(results, run, paper, detector, unsure_below)

    if video is not None and (out is not None or table is not None):
        from repro.use.recognition.video import read_video

        frames = read_video(video, recogniser, marked=out, table=table)
        written = " and ".join(str(path) for path in (out, table) if path is not None)
        click.echo(f"read {counted(frames, 'frame')}; wrote {written}", err=True)
        return
    from repro.use.recognition.webcam import watch

    watch((camera or 0) if video is None else video, recogniser)

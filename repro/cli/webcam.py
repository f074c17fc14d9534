"""The command-line interface of `repro webcam`. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path

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
  repro webcam --video talk.mp4 --out talk-marked.mp4"""


@click.command(epilog=EXAMPLE)
@click.option("--camera", type=click.IntRange(min=0), help="Number of the camera.  [default: 0]")
@click.option("--video", type=click.Path(path_type=Path, dir_okay=False), help="A video file in the camera's place.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --video: write every frame, marked, into this new .mp4 or .avi file; no window is opened.",
)
@face_options("default: a thirteenth of the longer side")
@network_options
@unsure_option
def webcam(
    camera: int | None,
    video: Path | None,
    out: Path | None,
    min_face: int | None,
    min_score: float,
    run: str | None,
    paper: str | None,
    results: Path,
    unsure_below: float | None,
) -> None:
    """Live recognition in a window: boxes, the seven probabilities and frames per second. Ends with q or Escape.

    The answer is what crowd workers would have called the picture, not what a person feels. Frames stay in memory:
    nothing is sent, and nothing is stored but what --out names.
    """
    if camera is not None and video is not None:
        raise click.UsageError("--camera and --video exclude each other")
    if out is not None and video is None:
        raise click.UsageError("--out needs --video")

    from repro.use.recognition.detection import LIVE_SEARCH_PX, open_detector

    detector = open_detector(LIVE_SEARCH_PX, min_face=min_face, min_score=min_score)
    with sign_of_life("loading the network"):
        recogniser = open_recogniser(results, run, paper, detector, unsure_below)

    from repro.use.recognition.webcam import mark_video, watch

    if out is not None and video is not None:
        frames = mark_video(video, out, recogniser)
        click.echo(f"wrote {counted(frames, 'frame')} to {out}", err=True)
    else:
        watch((camera or 0) if video is None else video, recogniser)

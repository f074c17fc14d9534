"""How the cost of this suite's own training grows: with batch, image size, number of images, devices and seeds.

Uses one paper's network. Every point runs in a fresh process, so that its memory and devices are its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec
import numpy as np

from fer_jax.vocabulary.network import Network
from repro.bench import contenders
from repro.bench.contender import Contender
from repro.bench.growth_contenders import SeedsTogether, start_on_all_devices, start_with_samples, with_samples
from repro.bench.machine import available_memory_bytes
from repro.bench.measure import PAUSE_S, Entrant
from repro.bench.records import Axis, Growth, GrowthPoint, Timing
from repro.bench.worker import Worker, WorkerError, thread_environment
from repro.bench.workload import Workload

BATCH_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
IMAGE_SIZES = (28, 48, 64, 96)
IMAGES = (1_000, 10_000, 100_000, 1_000_000)
DEVICES = (1, 2, 4)
SEEDS = (1, 2, 4, 8, 16, 32, 64)
FEW_SEEDS = (1, 4, 16)
SEED_SAMPLES = 2_048  # each seed has its own copy

# The samples in the process and their copy on the device (on a CPU the same memory).
COPIES = 2
SPARE_BYTES = 2 << 30


def with_batch_size(workload: Workload, batch_size: int) -> Workload:
    training = msgspec.structs.replace(workload.network.training, batch_size=batch_size)
    return dataclasses.replace(workload, network=dataclasses.replace(workload.network, training=training))


def with_image_size(workload: Workload, size: int) -> Workload:
    """The same network on faces resized by nearest neighbour: their content does not matter here."""
    nearest = np.arange(size) * workload.images.shape[1] // size
    network: Network = dataclasses.replace(workload.network, image_size=size)
    return dataclasses.replace(workload, network=network, images=workload.images[:, nearest][:, :, nearest])


@dataclasses.dataclass(frozen=True)
class GrowthSettings:
    """How to measure, and at which points. device: cpu or gpu. devices: the number available."""

    device: str
    threads: int
    seconds: float
    devices: int = 1
    pause_s: float = PAUSE_S
    batch_sizes: Sequence[int] = BATCH_SIZES
    image_sizes: Sequence[int] = IMAGE_SIZES
    images: Sequence[int] = IMAGES
    device_counts: Sequence[int] = DEVICES
    seeds: Sequence[int] = SEEDS


def measure_growth(workload: Workload, settings: GrowthSettings, say: Callable[[str], None]) -> Growth:
    """Measure all axes. A point that cannot be measured holds the reason."""
    batch = workload.network.training.batch_size
    measure = partial(_point, settings=settings, say=say)

    def start(changed: Workload) -> partial[Contender]:
        return partial(contenders.start, "own", "default", changed, settings.device)

    def axis(name: str, points: Iterable[GrowthPoint]) -> Axis:
        return Axis(name=name, batch_size=batch, points=tuple(points))

    samples = len(workload.labels)
    axes = (
        axis(
            "batch_size",
            (
                measure("batch_size", n, start(with_batch_size(workload, n)), samples=samples, batch=n)
                for n in settings.batch_sizes
            ),
        ),
        axis(
            "image_size",
            (
                measure("image_size", n, start(with_image_size(workload, n)), samples=samples, batch=batch)
                for n in settings.image_sizes
            ),
        ),
        axis(
            "images",
            (
                _too_large(workload, n)
                or measure(
                    "images",
                    n,
                    partial(start_with_samples, workload, settings.device, n),
                    samples=n,
                    batch=batch,
                    also=(),
                )
                for n in settings.images
            ),
        ),
        axis("devices", (_device_point(workload, n, settings, measure) for n in settings.device_counts)),
        axis("seeds", (_seed_point(workload, n, settings, measure) for n in settings.seeds)),
    )
    measured = tuple(one for one in axes if one.points)
    return Growth(paper=workload.name, precision=workload.precision, seconds=settings.seconds, axes=measured)


def seeds_alone(settings: GrowthSettings) -> GrowthSettings:
    """Settings for one seed and for several in one program, without the other axes."""
    nothing: tuple[int, ...] = ()
    return dataclasses.replace(
        settings, batch_sizes=nothing, image_sizes=nothing, images=nothing, device_counts=nothing, seeds=FEW_SEEDS
    )


def _too_large(workload: Workload, samples: int) -> GrowthPoint | None:
    """A point with an error if the machine has too little memory for the samples."""
    needed = COPIES * samples * workload.images[0].nbytes + SPARE_BYTES
    available = available_memory_bytes()
    if available is None or needed <= available:
        return None
    return GrowthPoint(value=samples, error=f"needs {needed / 2**30:.1f} GiB, {available / 2**30:.1f} GiB are free")


def _device_point(
    workload: Workload, count: int, settings: GrowthSettings, measure: Callable[..., GrowthPoint]
) -> GrowthPoint:
    """On CPU the devices are virtual: each gets a share of the same cores."""
    if settings.device == "gpu" and count > settings.devices:
        return GrowthPoint(value=count, error=f"the machine has {settings.devices}")
    batch = workload.network.training.batch_size
    if batch % count:
        return GrowthPoint(value=count, error=f"a batch of {batch} cannot be shared evenly")
    variables = (
        {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(count)))}
        if settings.device == "gpu"
        else {"JAX_NUM_CPU_DEVICES": str(count)}
    )
    start = partial(start_on_all_devices, workload, settings.device)
    return measure("devices", count, start, samples=len(workload.labels), batch=batch, also=(), variables=variables)


def _seed_point(
    workload: Workload, seeds: int, settings: GrowthSettings, measure: Callable[..., GrowthPoint]
) -> GrowthPoint:
    """Images per second of all seeds together: each step trains a batch of every seed."""
    few = with_samples(workload, min(SEED_SAMPLES, len(workload.labels)))
    start = partial(SeedsTogether, few, settings.device, seeds)
    batch = seeds * workload.network.training.batch_size
    return measure("seeds", seeds, start, samples=len(few.labels), batch=batch, also=())


def _point(
    axis: str,
    value: int,
    start: partial[Contender],
    *,
    samples: int,
    batch: int,
    settings: GrowthSettings,
    say: Callable[[str], None],
    also: tuple[str, ...] = ("predict",),
    variables: dict[str, str] | None = None,
) -> GrowthPoint:
    """Time training, and what else `also` names, in one fresh process."""
    environment = thread_environment(settings.threads, settings.device) | (variables or {})
    try:
        with Worker(start, (), label=f"{axis} {value}", variables=environment) as worker:
            entrant = Entrant(worker, "own", "default", "train", batch, samples, settings.pause_s)
            entrant.calibrate(settings.seconds)
            train, predict = entrant.time(), None
            # Before prediction, so that it is the memory of training alone.
            peak, on_device = worker.peak_memory_bytes(), worker.device_memory_bytes()
            if "predict" in also:
                predict = _predict(worker, batch, samples, settings)
    except WorkerError as error:
        say(f"  {axis} {value} is left out: {error}")
        return GrowthPoint(value=value, error=error.reason)
    say(f"  {axis} {value:,}: {train.images_per_s:,.0f} images/s, {peak / 2**20:,.0f} MiB")
    return GrowthPoint(
        value=value,
        train=train,
        predict=predict,
        compile_s=entrant.compile_s,
        peak_memory_bytes=peak,
        device_memory_bytes=on_device,
    )


def _predict(worker: Worker, batch: int, samples: int, settings: GrowthSettings) -> Timing:
    entrant = Entrant(worker, "own", "default", "predict", batch, samples, settings.pause_s)
    entrant.calibrate(settings.seconds)
    return entrant.time()

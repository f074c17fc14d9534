"""``python -m repro.gpu.checks PAPER``: is a paper's network computed correctly on a device, and do parallel seeds pay?

gradients: logits, loss and gradients on the device, in each supported precision, against float64 on the CPU. Rounding
    can decide which of two values a pooling takes, or whether a ReLU passes one. The gradient then takes a different
    path there. Over some thousand places that is a small share of the whole gradient, and the bounds allow it.
seeds: one seed alone against the same seed among several in one program, on the same rows.
speed: images/s of one seed, and of all seeds in one program.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from fer_jax.machine.devices import choose_devices, device_kind, device_name
from fer_jax.machine.precision import default_precision, products_in
from fer_jax.network import model
from fer_jax.network.backends import Backend, NhwcBackend, choose_backend
from fer_jax.train.engine import Engine
from fer_jax.vocabulary.layers import Layer, changed_layers
from fer_jax.vocabulary.settings import Precision
from repro.bench.arithmetic import multiply_adds
from repro.bench.contenders.own import Own
from repro.bench.growth_contenders import SeedsTogether, with_samples
from repro.bench.workload import Workload, draw_batches, make_workload
from repro.runs.dataset import open_dataset
from repro.runs.record_files import write_atomically
from repro.specs.catalog import find_paper

# Largest allowed errors: of the logits, relative to their largest absolute value; of the gradient, relative to its
# length. Measured on a CPU, the five networks are off by up to 3e-6 and 4e-6 in float32, and with factors rounded to
# TF32's 10 bits by up to 4e-3 and 0.1 (onghena, batch norm over 8 rows; the other four 1e-3 and 0.02). A decision
# flipped by rounding may add to this, so the bounds of float32 are wider; they still separate float32 from TF32.
LOGITS_ERROR: dict[str, float] = {"float32": 3e-5, "tensorfloat32": 2e-2}
GRADIENT_ERROR: dict[str, float] = {"float32": 2e-3, "tensorfloat32": 2e-1}
# Relative errors of the loss of one seed among others: of the first update (forward pass), and of the mean of all.
FIRST_LOSS_ERROR, MEAN_LOSS_ERROR = 1e-4, 2e-3
FEWEST_ROWS = 6  # batch norm over fewer rows amplifies rounding
TOGETHER, WATCHED = 4, 2  # seeds in the program, and the seed that is also trained alone
STEPS = 12


@dataclass(frozen=True)
class Sizes:
    """Sizes of the checks. rows: of a gradient, at most. multiply_adds: of a gradient, about; float64 is slow on a CPU.
    timed_seeds, timed_steps: of the speed."""

    rows: int = 32
    multiply_adds: float = 10e9
    rows_kept: int = 2048
    timed_seeds: int = 5
    timed_steps: int = 100


TINY = Sizes(rows=8, rows_kept=128, timed_seeds=2, timed_steps=4)


def without_dropout(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """With nothing that is drawn in training: every rate is 0."""
    return changed_layers(layers, lambda one: msgspec.structs.replace(one, rate=0.0) if one.draws else one)


def loss_and_gradients(
    layers: tuple[Layer, ...],
    backend: Backend,
    variables: dict[str, Any],
    images_BHW: np.ndarray,
    labels_B: np.ndarray,
    *,
    device: jax.Device,
    precision: Precision = "float32",
    dtype: Any = np.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """(logits (B, K), the gradient of the mean cross-entropy as one vector) in training mode."""
    with jax.enable_x64(dtype == np.float64), jax.default_device(device):
        params, held = (
            jax.device_put(jax.tree.map(lambda a: np.asarray(a, dtype), variables[part]), device)
            for part in ("params", "batch_stats")
        )
        images, labels = jax.device_put((images_BHW.astype(dtype), labels_B), device)
        weight_B = jax.device_put(np.ones(len(labels_B), dtype), device)
        network = model.build(layers, backend=backend)

        def loss(params: Any, held: Any, images: Any, labels: Any, weight_B: Any) -> tuple[Any, Any]:
            logits, _ = network.apply(
                {"params": params, "batch_stats": held}, images, train=True, weight_B=weight_B, mutable=["batch_stats"]
            )
            chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
            return -chosen.mean(), logits

        given = (params, held, images, labels, weight_B)
        with products_in(precision, device):
            lowered = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(*given)
        compiled = lowered.compile(compiler_options={**backend.compiler_options} or None)
        (_, logits), gradients = jax.device_get(compiled(*given))
    return np.asarray(logits), np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradients)])


def check_gradients(workload: Workload, device: jax.Device, sizes: Sizes) -> list[dict[str, Any]]:
    """One entry per precision that the device supports."""
    network = workload.network
    layers = without_dropout(network.layers)
    per_row = multiply_adds(network.layers, network.image_size).train
    rows = max(FEWEST_ROWS, min(sizes.rows, int(sizes.multiply_adds / per_row)))
    images = (workload.images[:rows].astype(np.float64) - np.asarray(network.subtract)) / np.asarray(network.divide)
    labels = workload.labels[:rows].astype(np.int32)
    given = (workload.variables[0], images, labels)
    cpu = choose_devices("cpu")[0]
    expected_logits, expected = loss_and_gradients(layers, NhwcBackend(), *given, device=cpu, dtype=np.float64)
    precisions: list[Precision] = ["float32"]
    if default_precision(device) != "float32":
        precisions.append(default_precision(device))
    found = []
    for precision in precisions:
        backend = choose_backend(device_kind(device))
        logits, gradient = loss_and_gradients(layers, backend, *given, device=device, precision=precision)
        errors = {
            "logits": float(np.abs(logits - expected_logits).max() / np.abs(expected_logits).max()),
            "gradient": float(np.linalg.norm(gradient - expected) / np.linalg.norm(expected)),
        }
        passed = errors["logits"] <= LOGITS_ERROR[precision] and errors["gradient"] <= GRADIENT_ERROR[precision]
        found.append({"name": f"gradients in {precision}", "passed": passed, "rows": rows, **errors})
    return found


def check_seeds(workload: Workload, devices: list[jax.Device], sizes: Sizes) -> dict[str, Any]:
    """A seed alone and among others: the losses of the same updates, including dropout and flips, in float32."""
    network, few = workload.network, with_samples(workload, min(sizes.rows_kept, len(workload.labels)))
    rate = network.training.optimizer.learning_rate
    batches = draw_batches(len(few.labels), network.training.batch_size, STEPS).astype(np.int32)

    def losses(seeds: list[int]) -> np.ndarray:
        several = len(seeds) if len(seeds) > 1 else None
        engine = Engine(network, devices[:1], seeds=several, precision="float32")
        state = engine.join([engine.init_state(seed) for seed in seeds])
        if several is None:
            data = engine.put_samples(few.images, few.labels)
            _, figures = engine.run_epoch(state, data, batches, rate)
        else:
            data = engine.put_samples(*(np.broadcast_to(a, (several, *a.shape)) for a in (few.images, few.labels)))
            of_all = np.stack([batches] * several)
            _, figures = engine.run_epoch(state, data, of_all, np.full(several, rate, np.float32))
        return np.asarray(figures.loss)

    alone, together = losses([WATCHED]), losses(list(range(TOGETHER)))
    apart = np.abs(together[WATCHED] - alone) / np.abs(alone)
    mean = abs(float(together[WATCHED].mean() / alone.mean()) - 1)
    # If the starts or the random numbers were the same, all seeds would follow the first.
    distinct = bool((np.diff(np.sort(together[:, 0])) > 0).all())
    passed = bool(apart[0] <= FIRST_LOSS_ERROR and mean <= MEAN_LOSS_ERROR and distinct)
    return {
        "name": "one seed alone and among four",
        "passed": passed,
        "updates": STEPS,
        "first_loss": float(apart[0]),
        "mean_loss": mean,
        "seeds_differ": distinct,
    }


def measure_speed(workload: Workload, device: str, sizes: Sizes) -> dict[str, Any]:
    """Images/s in the device's default precision: the better of two timings each, after compilation."""
    few = with_samples(workload, min(sizes.rows_kept, len(workload.labels)))
    batch, seeds = workload.network.training.batch_size, sizes.timed_seeds
    rates = {}
    contenders = {1: lambda: Own("default", few, device), seeds: lambda: SeedsTogether(few, device, seeds)}
    for count, make in contenders.items():
        contender = make()
        contender.reset(0)
        rows = draw_batches(len(few.labels), batch * count, sizes.timed_steps)
        contender.train(rows)
        seconds = []
        for _ in range(2):
            begin = time.perf_counter()
            contender.train(rows)
            seconds.append(time.perf_counter() - begin)
        rates[count] = rows.size / min(seconds)
    one, several = rates[1], rates[seeds]
    return {"seeds": seeds, "one_images_per_s": one, "all_images_per_s": several, "ratio": several / one}


def check_paper(paper: str, data: str, device: str, sizes: Sizes, out: Path) -> bool:
    """Run all checks of a paper and write `out` after each; returns whether all passed."""
    devices = choose_devices("gpu" if device == "gpu" else "cpu")
    workload = make_workload(find_paper(paper), open_dataset(data).faces)
    report: dict[str, Any] = {"paper": paper, "device": device_name(devices[0]), "checks": []}
    begin = time.perf_counter()

    def keep() -> None:
        report["seconds"] = time.perf_counter() - begin
        aside = out if "speed" in report else out.with_name(f"{out.stem}-partial.json")
        write_atomically(aside, json.dumps(report, indent=1).encode() + b"\n")

    report["checks"] += check_gradients(workload, devices[0], sizes)
    keep()
    report["checks"].append(check_seeds(workload, devices, sizes))
    keep()
    default = default_precision(devices[0])
    report["speed"] = measure_speed(replace(workload, precision=default), device_kind(devices[0]), sizes)
    keep()
    out.with_name(f"{out.stem}-partial.json").unlink(missing_ok=True)
    click.echo(json.dumps(report, indent=1))
    return all(check["passed"] for check in report["checks"])


@click.command()
@click.argument("paper")
@click.option("--data", required=True)
@click.option("--device", type=click.Choice(["gpu", "cpu"]), default="gpu")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--tiny", is_flag=True, help="Fewer samples and steps.")
def main(paper: str, data: str, device: str, out: Path, tiny: bool) -> None:
    """Check one paper's network on a device; exit 1 where a check failed."""
    raise SystemExit(0 if check_paper(paper, data, device, TINY if tiny else Sizes(), out) else 1)


if __name__ == "__main__":
    main()

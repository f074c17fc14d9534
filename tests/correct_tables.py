"""Correct papers whose networks, matrices, times or losses follow another convention."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean

from correct_kind import (
    EVERYWHERE,
    KINDS,
    Claims,
    Kind,
    Make,
    Numbers,
    batch,
    correct,
    matrix,
    network,
    outcomes,
    right,
    size,
    told,
)
from invented_papers import EPOCHS, claim, confusion_row, printed

from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.layers import Conv, parameter_count

# --- networks -------------------------------------------------------------------------------------------------------


@correct("optimizer_slots")
def optimizer_counted(draw: random.Random, c: Claims) -> Numbers:
    count, _ = network(c)
    slots, counters = draw.choice(((1, 1), (2, 0), (2, 1), (2, 2), (3, 2)))
    return {"parameters": count + slots * count + counters}


@correct("other_summary")
def counted_for_colour_images(draw: random.Random, c: Claims) -> Numbers:
    count, filters = network(c)
    layers = (Conv(filters=filters, kernel=3),)
    grey, colour = (parameter_count(layers, (8, 8, channels))[0] for channels in (1, 3))
    return {"parameters": count - grey + colour}


@correct("other_summary")
def counted_without_biases(draw: random.Random, c: Claims) -> Numbers:
    count, filters = network(c)
    return {"parameters": count - filters - 7}


# --- two things under one name --------------------------------------------------------------------------------------


@correct("two_things")
def an_ensemble_in_the_abstract(draw: random.Random, c: Claims) -> Numbers:
    better = right(c) + draw.randint(round(0.012 * size(c)), round(0.03 * size(c)))
    return {"abstract": printed(draw, better / size(c), (3, 4)) | {"place": "Abstract"}}


@correct("two_things")
def the_best_epoch_in_the_text(draw: random.Random, c: Claims) -> Numbers:
    """The accuracy of the best epoch in the text, that of the last in a figure, and the loss of the best."""
    best = min(size(c), right(c) + draw.randint(round(0.25 * size(c)), round(0.35 * size(c))))
    loss = (1 - best / size(c)) * draw.uniform(0.75, 0.95)
    return {
        "abstract": printed(draw, best / size(c), (3,)) | {"place": "Sec. 5"},
        "loss": {"value": round(loss, 3), "resolution": 0.001, "place": "Figure 3"},
    }


@correct("two_things")
def two_networks_with_their_batches(draw: random.Random, c: Claims) -> Numbers:
    other = draw.choice([b for b in EVERYWHERE if b != batch(c)])
    return {"batch-table": {"value": float(other), "place": "Table 2, second network"}}


@correct("unprinted")
def the_least_of_a_smoothed_curve(draw: random.Random, c: Claims) -> Numbers:
    losses = {epoch: 1.2 + 0.3 * draw.random() for epoch in (2, 5, 10)}
    out: Numbers = {
        f"curve-{epoch}": claim(f"curve-{epoch}", "loss", round(v, 3), split="test", epoch=epoch, resolution=0.001)
        for epoch, v in losses.items()
    }
    told_at = max(losses, key=lambda epoch: losses[epoch])
    out["least"] = claim("least", "least_loss", told_at, split="test", unit="epoch", resolution=1.0)
    return out


# --- matrices -------------------------------------------------------------------------------------------------------


def _table(rows: list[list[float]]) -> Numbers:
    out: Numbers = {}
    for i, emotion in enumerate(EMOTIONS):
        out[f"predicted-{emotion}"] = sum(row[i] for row in rows)
        out[f"hits-{emotion}"] = rows[i][i]
        out |= {f"cell-{actual}-{emotion}": rows[j][i] for j, actual in enumerate(EMOTIONS)}
    return out


@correct("mean_of_runs")
def matrix_of_mean_counts(draw: random.Random, c: Claims) -> Numbers:
    """Each cell is a mean over runs and then rounded, the sums too."""
    rows = [int(c[f"rows-{e}"].value) for e in EMOTIONS]
    runs = [matrix(c)] + [[confusion_row(draw, i, n) for i, n in enumerate(rows)] for _ in range(2)]
    means = [[fmean(run[i][j] for run in runs) for j in range(7)] for i in range(7)]
    out = {id_: round(value) for id_, value in _table(means).items()}
    hits = fmean(sum(run[i][i] for i in range(7)) for run in runs)
    recalls = {f"recall-{e}": {"value": round(means[i][i] / rows[i], 3)} for i, e in enumerate(EMOTIONS)}
    return out | told(draw, hits / size(c)) | {id_: v | {"resolution": 0.001} for id_, v in recalls.items()}


@correct("test_time_augmentation")
def matrix_over_crops(draw: random.Random, c: Claims) -> Numbers:
    crops = draw.choice((2, 5, 10))
    rows = [confusion_row(draw, i, crops * int(c[f"rows-{e}"].value)) for i, e in enumerate(EMOTIONS)]
    hits = sum(rows[i][i] for i in range(7))
    gone = dict.fromkeys(f"recall-{e}" for e in EMOTIONS)
    return _table([[float(v) for v in row] for row in rows]) | gone | told(draw, hits / (crops * size(c)), (5,))


@correct("shares")
def predictions_in_per_cent(draw: random.Random, c: Claims) -> Numbers:
    """Of all predictions, how many per cent are of each emotion; without the cells."""
    out: Numbers = dict.fromkeys(id_ for id_, each in c.items() if each.actual or id_.startswith("hits-"))
    return out | {f"predicted-{e}": round(100 * c[f"predicted-{e}"].value / size(c), 1) for e in EMOTIONS}


# --- times ----------------------------------------------------------------------------------------------------------


def _hours(c: Claims, device: str) -> dict[int, float]:
    return {epochs: c[f"{device}-{epochs}"].value for epochs in EPOCHS}


def _timed(hours: dict[str, dict[int, float]]) -> Numbers:
    """Times as printed, with the ratio of each row and their average."""
    out: Numbers = {f"{d}-{e}": round(v, 3) for d, rows in hours.items() for e, v in rows.items()}
    ratios = {e: hours["cpu"][e] / hours["gpu"][e] for e in EPOCHS}
    out |= {f"speedup-{e}": round(ratio, 2) for e, ratio in ratios.items()}
    return out | {"speedup-average": round(fmean(ratios.values()), 1)}


@correct("early_stopping")
def stopped_early(draw: random.Random, c: Claims) -> Numbers:
    hours = {device: _hours(c, device) for device in ("cpu", "gpu")}
    for device in hours:
        hours[device][20] = hours[device][10] * draw.uniform(0.97, 1.2)
    return _timed(hours)


@correct("other_machine")
def one_row_on_a_faster_card(draw: random.Random, c: Claims) -> Numbers:
    hours = {device: _hours(c, device) for device in ("cpu", "gpu")}
    hours["gpu"][20] = hours["gpu"][10] * draw.uniform(0.5, 0.95)
    return _timed(hours)


@correct("start_up")
def speedups_without_start_up(draw: random.Random, c: Claims) -> Numbers:
    """Times include loading and compiling, the ratios are of the epochs alone."""
    epoch = {"cpu": draw.uniform(0.2, 2.0)}
    epoch["gpu"] = epoch["cpu"] / draw.uniform(5, 15)
    start = {"cpu": draw.uniform(0.02, 0.1), "gpu": draw.uniform(0.3, 1.0) * epoch["gpu"]}
    hours = {d: {e: start[d] + e * epoch[d] for e in EPOCHS} for d in epoch}
    ratio = epoch["cpu"] / epoch["gpu"]
    ratios: Numbers = {f"speedup-{e}": round(ratio * draw.uniform(0.999, 1.001), 2) for e in EPOCHS}
    return _timed(hours) | ratios | {"speedup-average": round(ratio, 1)}


@correct("mean_of_runs")
def mean_of_the_ratios_of_runs(draw: random.Random, c: Claims) -> Numbers:
    """Beside the times of the first run."""
    times = {
        d: {e: [v * draw.gauss(1, 0.02) for _ in range(5)] for e, v in _hours(c, d).items()} for d in ("cpu", "gpu")
    }
    first = {d: {e: runs[0] for e, runs in rows.items()} for d, rows in times.items()}
    ratios = {e: fmean(a / b for a, b in zip(times["cpu"][e], times["gpu"][e], strict=True)) for e in EPOCHS}
    return (
        _timed(first)
        | {f"speedup-{e}": round(ratio, 3) for e, ratio in ratios.items()}
        | {"speedup-average": round(fmean(ratios.values()), 1)}
    )


@correct("other_ratio")
def how_much_faster(draw: random.Random, c: Claims) -> Numbers:
    ratios = {e: c[f"cpu-{e}"].value / c[f"gpu-{e}"].value - 1 for e in EPOCHS}
    return {f"speedup-{e}": round(r, 2) for e, r in ratios.items()} | {
        "speedup-average": round(fmean(ratios.values()), 1)
    }


@correct("unprinted")
def an_average_over_more_rows(draw: random.Random, c: Claims) -> Numbers:
    ratios = [c[f"speedup-{e}"].value for e in EPOCHS]
    return {"speedup-average": round(fmean([*ratios, *(draw.uniform(1.3, 2) * max(ratios) for _ in range(6))]), 1)}


# --- losses ---------------------------------------------------------------------------------------------------------


def _loss(of: Callable[[float, bool], float]) -> Make:
    """The mean of a loss over the samples; right ones have a probability of 0.5 to 1, wrong ones of 0.1 to 0.5."""

    def make(draw: random.Random, c: Claims) -> Numbers:
        chances = [(draw.uniform(0.8, 1) if hit else draw.uniform(0.3, 0.5), hit) for hit in outcomes(draw, c)]
        return {"loss": {"value": round(fmean(of(p, hit) for p, hit in chances), 3), "resolution": 0.001}}

    return make


_LOSSES: dict[str, Callable[[float, bool], float]] = {
    "loss_to_base_10": lambda p, _: -math.log10(p),
    "focal_loss": lambda p, _: -((1 - p) ** 2) * math.log(p),
    "binary_loss_per_output": lambda p, _: -(math.log(p) + 6 * math.log(1 - (1 - p) / 6)) / 7,
    "loss_with_small_class_weights": lambda p, hit: -(1.0 if hit else 0.3) * math.log(p),
    "squared_error": lambda p, _: ((1 - p) ** 2 + (1 - p) ** 2 / 6) / 7,
}
for _name, _of in _LOSSES.items():
    KINDS[_name] = Kind(_loss(_of), frozenset({"other_loss"}))

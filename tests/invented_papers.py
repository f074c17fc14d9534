"""Papers whose numbers all follow from one invented experiment, and faults to plant in them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS
from fer_jax.vocabulary.layers import parameter_count
from repro.specs.conventions import WORDS, Convention
from repro.specs.decode import LoadedSpec
from repro.specs.spec import Claim, Provenance, RuledOut
from tests.tiny_paper import load_tiny

EPOCHS = (2, 5, 10, 20)
NOT_MEASURED = "An invented number."


def claim(id_: str, quantity: str, value: float = 0.0, **more: Any) -> Claim:
    units = {"accuracy": "fraction", "loss": "nat", "time": "h", "steps": "step"}
    counts = {"rows", "predicted_rows", "true_positives"}
    unit = units.get(quantity, "rows" if quantity in counts else "1")
    fields = {"unit": unit, "quote": f"the number {id_}", "place": "Table 1", "not_measured": NOT_MEASURED} | more
    return msgspec.convert({"id": id_, "quantity": quantity, "value": value} | fields, Claim)


def printed(draw: random.Random, value: float, decimals: tuple[int, ...], *, cut: float = 0.2) -> dict[str, float]:
    """A figure to some decimals: mostly rounded, now and then cut off."""
    places = draw.choice(decimals)
    if draw.random() < cut:
        return {"value": math.floor(value * 10**places) / 10**places, "resolution": 10.0**-places}
    return {"value": round(value, places), "resolution": 10.0**-places}


def with_claims(loaded: LoadedSpec, claims: list[Claim]) -> LoadedSpec:
    return replace(loaded, spec=msgspec.structs.replace(loaded.spec, claims=tuple(claims)))


def stating_everything(loaded: LoadedSpec, *, but: frozenset[Convention] = frozenset()) -> LoadedSpec:
    """The paper with every setting stated, and every convention ruled out but those named: the hardest case for an
    correct paper, which is then held to each word."""
    stated = Provenance(kind="stated", quote="as described", place="Sec. 3")
    words = RuledOut(
        conventions=tuple(name for name in WORDS if name not in but),
        quote="one network, trained and evaluated once as described, on all samples, each counted once",
        place="Sec. 3",
    )
    return replace(
        loaded,
        spec=msgspec.structs.replace(loaded.spec, ruled_out=(words,)),
        provenance=dict.fromkeys(loaded.provenance, (stated,)),
    )


USAGE_STEP = """\
step = "split_by_usage"
into = { train = ["Training"], test = ["PrivateTest"] }
"""
CUT_STEP = """\
step = "split_fraction"
fraction = %s
into = "test"
rest = "train"
stratified = %s
"""
CLASSES = tuple(sum(counts) for counts in zip(*OFFICIAL_COUNTS.values(), strict=True))


def layout(draw: random.Random) -> tuple[str, tuple[int, ...], int]:
    """(the data step, test samples per emotion, training samples): the official splits, or a random share."""
    kind = draw.choice(("official", "by class", "at random"))
    if kind == "official":
        return USAGE_STEP, OFFICIAL_COUNTS["PrivateTest"], sum(OFFICIAL_COUNTS["Training"])
    fraction = draw.choice((0.1, 0.2, 0.25, 0.3))
    test = [int(count * fraction) for count in CLASSES]
    if kind == "at random":
        test[3] += int(sum(CLASSES) * fraction) - sum(test)  # of that many rows, any may be of any emotion
    return CUT_STEP % (fraction, str(kind == "by class").lower()), tuple(test), sum(CLASSES) - sum(test)


def invented_paper(folder: Path, draw: random.Random) -> LoadedSpec:
    """One experiment, reported without a mistake, each figure to some digits."""
    batch, filters = draw.choice((16, 32, 50, 64, 100, 128)), draw.randint(1, 40)
    step, test_rows, train = layout(draw)
    loaded = load_tiny(
        folder,
        (USAGE_STEP, step),
        ("filters = 2", f"filters = {filters}"),
        ("batch_size = 4", f"batch_size = {batch}"),
        ("epochs = 5", f"epochs = {EPOCHS[-1]}"),
    )
    test = sum(test_rows)
    matrix = [confusion_row(draw, index, rows) for index, rows in enumerate(test_rows)]
    accuracy = sum(matrix[i][i] for i in range(7)) / test
    claims = [
        claim("rows-test", "rows", test, split="test"),
        claim("rows-train", "rows", train, split="train"),
        claim("rows-all", "rows", 35_900, resolution=100.0),
        claim("parameters", "parameters", parameter_count(loaded.resolve("default").model.layers, (8, 8, 1))[0]),
        claim("steps-test", "steps", math.ceil(test / batch), split="test"),
        claim("steps-train", "steps", math.ceil(train / batch), split="train"),
        claim("batch-text", "setting", batch, setting="training.batch_size"),
        claim("batch-table", "setting", batch, setting="training.batch_size"),
        claim("abstract", "accuracy", split="test", **printed(draw, accuracy, (2, 3))),
        claim("accuracy", "accuracy", split="test", **printed(draw, accuracy, (4, 5))),
        claim("loss", "loss", split="test", **printed(draw, (1 - accuracy) * draw.uniform(1, 4) + 0.05, (2, 3, 4))),
        claim("train", "accuracy", split="train", **printed(draw, accuracy + draw.uniform(-0.02, 0.2), (3, 4))),
    ]
    return stating_everything(with_claims(loaded, [*claims, *_confusion(draw, matrix), *_times(draw)]))


def confusion_row(draw: random.Random, index: int, rows: int) -> list[int]:
    """How the rows of one emotion are predicted: 30 to 72 % right, the others spread at random."""
    right = int(rows * draw.uniform(0.3, 0.72))
    others = [0] * 7
    for _ in range(rows - right):
        others[(index + draw.randint(1, 6)) % 7] += 1
    others[index] = right
    return others


def _confusion(draw: random.Random, matrix: list[list[int]]) -> list[Claim]:
    out: list[Claim] = []
    for i, emotion in enumerate(EMOTIONS):
        at: dict[str, Any] = {"split": "test", "emotion": emotion}
        rows, hits = sum(matrix[i]), matrix[i][i]
        out.append(claim(f"rows-{emotion}", "rows", rows, **at))
        out.append(claim(f"predicted-{emotion}", "predicted_rows", sum(row[i] for row in matrix), **at))
        out.append(claim(f"hits-{emotion}", "true_positives", hits, **at))
        out.append(claim(f"recall-{emotion}", "accuracy", **printed(draw, hits / rows, (2, 3)), **at))
        out += [
            claim(f"cell-{actual}-{emotion}", "predicted_rows", matrix[j][i], actual=actual, **at)
            for j, actual in enumerate(EMOTIONS)
        ]
    return out


def _times(draw: random.Random) -> list[Claim]:
    """Hours on two machines, with a time to start up and a spread of 2 % between epochs; printed to 0.001 h."""
    epoch = {"cpu": draw.uniform(0.05, 2.0)}
    epoch["gpu"] = epoch["cpu"] / draw.uniform(2.0, 20.0)
    start = draw.uniform(0.0, 0.05)
    out: list[Claim] = []
    ratios: list[float] = []
    for epochs in EPOCHS:
        hours = {device: start + epochs * each * draw.uniform(0.98, 1.02) for device, each in epoch.items()}
        ratios.append(hours["cpu"] / hours["gpu"])
        for device, value in hours.items():
            more: dict[str, Any] = {"device": device, "hardware": f"a {device}", "epoch": epochs, "resolution": 0.001}
            out.append(claim(f"{device}-{epochs}", "time", round(value, 3), **more))
        out.append(claim(f"speedup-{epochs}", "speedup", round(ratios[-1], 2), epoch=epochs, resolution=0.01))
    return [*out, claim("speedup-average", "speedup", round(sum(ratios) / 4, 1), resolution=0.1)]


# --- faults ---------------------------------------------------------------------------------------------------------

Fault = Callable[[random.Random, dict[str, Claim]], tuple[str, float]]


def _add(id_: str, low: int, high: int) -> Fault:
    return lambda draw, claims: (id_, claims[id_].value + draw.choice((-1, 1)) * draw.randint(low, high))


def _scale(id_: str, low: float, high: float) -> Fault:
    return lambda draw, claims: (id_, round(claims[id_].value * draw.uniform(low, high), 3))


def _other_accuracy(draw: random.Random, claims: dict[str, Claim]) -> tuple[str, float]:
    """Made up, to as many digits, at least a tenth of a point away."""
    value = claims["accuracy"].value + draw.choice((-1, 1)) * draw.uniform(0.001, 0.03)
    return "accuracy", round(value, round(-math.log10(claims["accuracy"].resolution)))


def _small_loss(draw: random.Random, claims: dict[str, Claim]) -> tuple[str, float]:
    return "loss", round((1 - claims["accuracy"].value) * draw.uniform(0.05, 0.6), 3)


def _training_steps(draw: random.Random, claims: dict[str, Claim]) -> tuple[str, float]:
    return "steps-test", claims["steps-train"].value


# Fault -> (the check that must find it, what is changed).
FAULTS: dict[str, tuple[str, Fault]] = {
    "a wrong sum": ("samples of all emotions make up the split", _add("predicted-sad", 1, 40)),
    "a wrong cell": ("sums of the confusion matrix", _add("cell-fear-sad", 1, 9)),
    "wrong class rows": ("samples of all emotions make up the split", _add("rows-angry", 1, 30)),
    "wrong split rows": ("samples of a split", _add("rows-train", 1, 2000)),
    "a fabricated accuracy": ("true positives / samples is the accuracy", _other_accuracy),
    "a wrong recall": (
        "recalls of the emotions give the accuracy",
        lambda draw, c: ("recall-happy", c["recall-happy"].value * draw.uniform(0.5, 0.85)),
    ),
    "hits above rows": (
        "true positives are among the samples of their emotion",
        lambda draw, c: ("hits-disgust", c["rows-disgust"].value + draw.randint(1, 9)),
    ),
    "a wrong parameter count": ("parameters of the network", _add("parameters", 1, 500)),
    "evaluated on the training rows": ("steps x batch size", _training_steps),
    "a wrong ratio": ("speed-up is CPU time / GPU time", _scale("speedup-10", 1.05, 2.0)),
    "a wrong average": ("average speed-up", _scale("speedup-average", 1.5, 3.0)),
    "the time of another row": ("more epochs take longer", lambda _, c: ("cpu-10", c["cpu-20"].value)),
    "a time that jumps": ("time per further epoch", _scale("cpu-10", 1.25, 1.6)),
    "too small a loss": ("loss against accuracy", _small_loss),
    "two batch sizes": ("stated twice", _add("batch-text", 1, 64)),
    "another figure in the abstract": (
        "stated twice",
        lambda draw, c: ("abstract", round(c["abstract"].value + draw.choice((-1, 1)) * draw.uniform(0.02, 0.1), 2)),
    ),
    "above the ceiling": (
        "above the best confirmed result on FER-2013",
        lambda draw, c: ("accuracy", draw.uniform(0.8, 0.99)),
    ),
}


def planted(paper: LoadedSpec, fault: str, draw: random.Random) -> tuple[LoadedSpec, str]:
    """(the paper with the fault, id of the claim that was changed)."""
    id_, value = FAULTS[fault][1](draw, {c.id: c for c in paper.spec.claims})
    changed = [msgspec.structs.replace(c, value=float(value)) if c.id == id_ else c for c in paper.spec.claims]
    return with_claims(paper, changed), id_

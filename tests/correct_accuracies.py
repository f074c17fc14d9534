"""Correct papers whose steps, accuracies or datasets follow another convention."""

from __future__ import annotations

import math
import random
from statistics import fmean

from correct_kind import (
    ALL,
    EVERYWHERE,
    KINDS,
    Claims,
    Kind,
    Make,
    Numbers,
    batch,
    correct,
    in_batches,
    network,
    outcomes,
    right,
    size,
    told,
)
from invented_papers import claim

from fer_jax.vocabulary.fer2013 import EMOTIONS

# --- steps ----------------------------------------------------------------------------------------------------------


@correct("other_batch_size")
def evaluated_in_other_batches(draw: random.Random, c: Claims) -> Numbers:
    other = draw.choice([b for b in EVERYWHERE if -(-size(c) // b) != c["steps-test"].value])
    return {"steps-test": math.ceil(size(c) / other)}


@correct("test_time_augmentation")
def crops_in_one_pass(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-test": math.ceil(draw.randint(2, 10) * size(c) / batch(c))}


@correct("test_time_augmentation")
def crops_in_passes(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-test": draw.randint(2, 10) * math.ceil(size(c) / batch(c))}


@correct("test_time_augmentation", "other_batch_size")
def crops_in_other_batches(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-test": math.ceil(draw.choice((5, 8, 10)) * size(c) / draw.choice(EVERYWHERE))}


@correct("copies", "other_batch_size")
def copies_on_several_devices(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-train": math.ceil(draw.randint(2, 8) * size(c, "train") / (draw.choice((2, 4)) * batch(c)))}


@correct("test_time_augmentation")
def accuracy_over_crops(draw: random.Random, c: Claims) -> Numbers:
    crops = draw.choice((5, 8, 10))
    chances = [0.9 if hit else 0.1 for hit in outcomes(draw, c)]
    hits = sum(draw.random() < chance for chance in chances for _ in range(crops))
    gone = dict.fromkeys(f"{word}-{e}" for word in ("hits", "recall", "predicted") for e in EMOTIONS)
    return told(draw, hits / (crops * size(c)), (6,)) | gone


@correct("last_batch_dropped")
def evaluation_drops_its_last_batch(draw: random.Random, c: Claims) -> Numbers:
    whole = size(c) - size(c) % batch(c)
    gone = dict.fromkeys(f"{word}-{e}" for word in ("hits", "recall", "predicted") for e in EMOTIONS)
    hits = sum(outcomes(draw, c)[:whole])
    return told(draw, hits / whole, (6,)) | {"steps-test": whole // batch(c)} | gone


@correct("steps_per_epoch")
def steps_are_set(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-train": draw.choice((100, 250, 500, 1000, 2000))}


@correct("copies")
def steps_over_copies(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-train": math.ceil(draw.randint(2, 8) * size(c, "train") / batch(c))}


@correct("last_batch_dropped")
def training_drops_its_last_batch(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-train": size(c, "train") // batch(c)}


@correct("other_batch_size")
def two_devices_share_a_batch(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-train": math.ceil(size(c, "train") / (draw.choice((2, 4)) * batch(c)))}


@correct("other_samples")
def a_tenth_is_kept_for_validation(draw: random.Random, c: Claims) -> Numbers:
    return {"steps-train": math.ceil(int(0.9 * size(c, "train")) / batch(c))}


# --- accuracies -----------------------------------------------------------------------------------------------------


@correct("mean_of_runs")
def mean_of_runs(draw: random.Random, c: Claims) -> Numbers:
    runs = [right(c) + round(draw.gauss(0, 0.008 * size(c))) for _ in range(draw.choice((3, 5, 10)))]
    return told(draw, fmean(runs) / size(c))


@correct("mean_of_runs")
def mean_of_ten_folds(draw: random.Random, c: Claims) -> Numbers:
    share = right(c) / size(c)
    folds = [ALL // 10 + (index < ALL % 10) for index in range(10)]
    return told(draw, fmean(round(n * draw.gauss(share, 0.008)) / n for n in folds), (5, 6))


@correct("mean_of_batches")
def mean_over_batches(draw: random.Random, c: Claims) -> Numbers:
    found, sizes = outcomes(draw, c), in_batches(size(c), batch(c))
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return told(draw, fmean(sum(found[s : s + n]) / n for s, n in zip(starts, sizes, strict=True)), (6,))


@correct(accusable=False)
def digits_cut_off(draw: random.Random, c: Claims) -> Numbers:
    value = right(c) / size(c)
    cut = {id_: math.floor(value * 10**k) / 10**k for id_, k in (("accuracy", 4), ("abstract", 2))}
    return {id_: {"value": v, "resolution": 10.0**-k} for (id_, v), k in zip(cut.items(), (4, 2), strict=True)}


@correct("other_accuracy")
def macro_recall(draw: random.Random, c: Claims) -> Numbers:
    return told(draw, fmean(c[f"hits-{e}"].value / c[f"rows-{e}"].value for e in EMOTIONS))


@correct("other_accuracy")
def weighted_precision(draw: random.Random, c: Claims) -> Numbers:
    shares = [c[f"hits-{e}"].value / max(1.0, c[f"predicted-{e}"].value) for e in EMOTIONS]
    return told(draw, sum(s * c[f"rows-{e}"].value for s, e in zip(shares, EMOTIONS, strict=True)) / size(c))


@correct("other_accuracy")
def macro_f1(draw: random.Random, c: Claims) -> Numbers:
    sums = [c[f"rows-{e}"].value + c[f"predicted-{e}"].value for e in EMOTIONS]
    return told(draw, fmean(2 * c[f"hits-{e}"].value / s for s, e in zip(sums, EMOTIONS, strict=True)))


@correct("other_accuracy")
def one_class_against_the_rest(draw: random.Random, c: Claims) -> Numbers:
    wrong = 1 - right(c) / size(c)
    return told(draw, 1 - 2 * wrong / 7)


@correct("other_accuracy")
def top_two(draw: random.Random, c: Claims) -> Numbers:
    second = sum(draw.random() < 0.55 for hit in outcomes(draw, c) if not hit)
    return told(draw, (right(c) + second) / size(c))


@correct("other_classes", "other_samples", "other_summary")
def eight_classes_of_fer_plus(draw: random.Random, c: Claims) -> Numbers:
    kept, train = scaled(c, 35_488)
    _, filters = network(c)
    return (
        _only_whole(c)
        | told(draw, round(kept * draw.uniform(0.82, 0.89)) / kept)
        | {
            "rows-test": kept,
            "rows-train": train,
            "rows-all": {"value": 35_488.0, "resolution": 1.0},
            "steps-test": math.ceil(kept / batch(c)),
            "parameters": 10 * filters + 8 * 36 * filters + 8,
            "steps-train": None,
        }
    )


@correct("other_classes", "other_samples")
def three_classes_with_augmentation(draw: random.Random, c: Claims) -> Numbers:
    """Happy, sad and neutral: few samples are hard, and training with augmented samples lies below validation."""
    kept = int(sum(c[f"rows-{e}"].value for e in ("happy", "sad", "neutral")))
    value = round(kept * draw.uniform(0.88, 0.95)) / kept
    return (
        _only_whole(c)
        | told(draw, value)
        | {
            "rows-test": kept,
            "rows-train": None,
            "rows-all": None,
            "steps-test": math.ceil(kept / batch(c)),
            "steps-train": None,
            "train": {"value": round(value - draw.uniform(0.03, 0.07), 3), "resolution": 0.001},
            "loss": {"value": round((1 - value) * draw.uniform(1, 3), 3), "resolution": 0.001},
        }
    )


def _only_whole(c: Claims) -> Numbers:
    """Without the figures of single emotions."""
    return dict.fromkeys(id_ for id_, each in c.items() if each.emotion)


@correct("mean_of_batches")
def running_means_on_the_console(draw: random.Random, c: Claims) -> Numbers:
    seen, out = 0, {}
    for step in range(1, 6):
        seen += sum(draw.random() < 0.4 for _ in range(batch(c)))
        value = round(seen / (step * batch(c)), 4)
        out[f"mini-{step}"] = claim(f"mini-{step}", "accuracy", value, split="minibatch", step=step, resolution=1e-4)
    return out


# --- datasets -------------------------------------------------------------------------------------------------------


def scaled(c: Claims, total: int) -> tuple[int, int]:
    """(test, training) samples of a version of the dataset, cut as the invented paper cuts."""
    test = round(size(c) / ALL * total)
    whole = size(c) + size(c, "train") == ALL
    return test, total - test if whole else round(size(c, "train") / ALL * total)


def _version(total: int) -> Make:
    def make(draw: random.Random, c: Claims) -> Numbers:
        test, train = scaled(c, total)
        found = sum(draw.random() < 0.6 for _ in range(test))
        return (
            _only_whole(c)
            | told(draw, found / test)
            | {
                "rows-all": {"value": float(total), "resolution": 1.0},
                "rows-test": test,
                "rows-train": train,
                "steps-test": math.ceil(test / batch(c)),
                "steps-train": math.ceil(train / batch(c)),
                "loss": None,
            }
        )

    return make


for _total in (35_685, 35_875, 35_488, 35_340, 36_868):
    KINDS[f"version_of_{_total}_samples"] = Kind(_version(_total), frozenset({"other_samples"}))


@correct("copies")
def sizes_with_copies(draw: random.Random, c: Claims) -> Numbers:
    return {"rows-train": draw.randint(2, 6) * size(c, "train"), "steps-train": None}


@correct("other_samples")
def cleaned_after_the_cut(draw: random.Random, c: Claims) -> Numbers:
    kept = size(c, "train") - draw.randint(100, 5000)
    return {"rows-train": kept, "steps-train": math.ceil(kept / batch(c))}


@correct("other_pixels", accusable=False)  # the invented paper says nothing of its pixels
def pixels_standardised_per_image(draw: random.Random, c: Claims) -> Numbers:
    spread = 1 + draw.gauss(0, 1e-3)
    return {
        "mean": claim("mean", "pixel_mean", round(draw.gauss(0, 1e-3), 4), split="test", resolution=1e-4),
        "std": claim("std", "pixel_std", round(spread, 4), split="test", resolution=1e-4),
    }

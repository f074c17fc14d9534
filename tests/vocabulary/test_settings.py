"""The settings of public training programs can be said, and are the rules that those programs have.

Read in: serengil/tensorflow-101@55f578f, atulapra/Emotion-detection@295a68a, oarriaga/face_classification@0b6e0c6,
WuJie1010/Facial-Expression-Recognition.Pytorch@94c85f2, usef-kh/fer@3c5de07, LetheSec/Fer2013-Facial-Emotion-
Recognition-Pytorch@f1f6cfd; ResEmoteNet (2024); microsoft/FERPlus@06447e0; Tang 2013 (arXiv 1306.0239).
"""

import math

import msgspec
import pytest

from fer_jax.train.batches import Stretch, steps_per_epoch
from fer_jax.train.schedules import clock_of, update_rates
from fer_jax.vocabulary.settings import Training
from fer_jax.vocabulary.split_plan import check_steps
from fer_jax.vocabulary.step_kinds import Step

OFFICIAL = {"train": ["Training"], "validation": ["PublicTest"], "test": ["PrivateTest"]}
PARTS = {"step": "split_by_usage", "into": OFFICIAL}
FLIP, SCALE = {"step": "random_flip"}, {"step": "normalise"}
ENTROPY, ADAM = {"kind": "cross_entropy"}, {"optimizer": "adam", "learning_rate": 1e-3}


def torch_sgd(rate, **more):
    return {"optimizer": "sgd", "learning_rate": rate, "momentum": 0.9, "rate_in_velocity": False, **more}


def stopping(split, metric, patience):
    return {"split": split, "metric": metric, "patience": patience}


# name: (data steps, training, pixels of the input)
RECIPES = {
    "serengil2018": (
        [PARTS, SCALE],
        {"batch_size": 256, "steps": 1280, "evaluate_every_steps": 256, "loss": ENTROPY, "optimizer": ADAM},
        48,
    ),
    "atulapra2019": (
        [PARTS, {"step": "merge_splits", "splits": ["validation", "test"], "into": "test"}, SCALE],
        {
            **{"batch_size": 64, "epochs": 50, "last_batch": "drop", "evaluate": ["test"], "loss": ENTROPY},
            "optimizer": {"optimizer": "adam", "learning_rate": 1e-4},
            "schedule": {"schedule": "decay_per_update", "decay": 1e-6},
        },
        48,
    ),
    "arriaga2017": (
        [
            {"step": "split_fraction", "fraction": 0.8, "into": "train", "rest": "validation"},
            {"step": "resize", "size": 64, "method": "bilinear"},
            *({"step": "random_affine", "rotation": 10, "shift_x": 0.1, "shift_y": 0.1, "zoom": [0.9, 1.1]}, FLIP),
            {"step": "normalise", "subtract": 127.5, "divide": 127.5},
        ],
        {
            **{"batch_size": 32, "epochs": 10000, "optimizer": ADAM, "report": "best", "report_metric": "loss"},
            "loss": {**ENTROPY, "l2": 0.01, "l2_layers": ["conv1", "conv2"]},
            "schedule": {
                **{"schedule": "reduce_on_plateau", "split": "validation", "metric": "loss", "factor": 0.1},
                "patience": 12,
            },
            "early_stopping": stopping("validation", "loss", 50),
        },
        64,
    ),
    "safreita2017": (
        [PARTS, FLIP, {"step": "standardise"}],
        {
            **{"batch_size": 128, "epochs": 150, "loss": {**ENTROPY, "l2": 5e-5}, "optimizer": torch_sgd(0.1)},
            "schedule": {"schedule": "piecewise", "at": [32000], "factors": [0.001], "unit": "updates"},
        },
        48,
    ),
    "tang2013": (
        [PARTS, FLIP, {"step": "random_crop", "size": 42}, {"step": "standardise", "of": "image"}],
        {
            **{"batch_size": 128, "epochs": 50, "loss": {"kind": "squared_hinge", "over_classes": "sum"}},
            "optimizer": torch_sgd(0.01),
        },
        42,
    ),
    "wujie2018": (
        [
            *(PARTS, {"step": "random_crop", "size": 44}, FLIP, SCALE),
            {"step": "average_views", "views": "ten_crops", "average": "logits"},
        ],
        {
            **{"batch_size": 128, "epochs": 250, "loss": ENTROPY, "report": "best"},
            "optimizer": torch_sgd(0.01, weight_decay=5e-4, clip_value=0.1),
            "schedule": {"schedule": "step", "start": 80, "every": 5, "factor": 0.9},
        },
        44,
    ),
    "khaireddin2021": (
        [
            *(PARTS, {"step": "random_resized_crop", "size": 48, "scale": [0.8, 1.2]}),
            {"step": "random_affine", "form": "torchvision", "shift_x": 0.2, "shift_y": 0.2, "fill": "constant"},
            {"step": "random_affine", "form": "torchvision", "rotation": 10, "probability": 0.5, "fill": "constant"},
            *(FLIP, {"step": "random_crop", "size": 40}, SCALE, {"step": "random_erasing"}),
            {"step": "average_views", "views": "ten_crops"},
        ],
        {
            **{"batch_size": 64, "epochs": 300, "loss": ENTROPY, "report": "best"},
            "optimizer": torch_sgd(0.01, nesterov=True, weight_decay=1e-4),
            "schedule": {
                **{"schedule": "reduce_on_plateau", "form": "pytorch", "split": "validation", "metric": "accuracy"},
                **{"factor": 0.75, "patience": 5},
            },
        },
        40,
    ),
    "lethesec2021": (
        [
            *(PARTS, {"step": "random_jitter", "brightness": [0.5, 1.5], "contrast": [0.5, 1.5]}, FLIP),
            *({"step": "random_crop", "size": 40}, SCALE, {"step": "random_erasing"}, {"step": "mixup"}),
        ],
        {
            **{"batch_size": 128, "epochs": 300, "loss": {**ENTROPY, "label_smoothing": 0.1}},
            "optimizer": torch_sgd(0.1, nesterov=True, weight_decay=1e-4),
            "schedule": {"schedule": "cosine", "unit": "epochs"},
        },
        40,
    ),
    "resemotenet2024": (
        [
            *(PARTS, {"step": "resize", "size": 64, "method": "bilinear", "form": "pillow"}),
            *({"step": "random_flip", "splits": ["train", "validation", "test"]}, SCALE),
        ],
        {
            **{"batch_size": 16, "epochs": 80, "loss": ENTROPY, "optimizer": torch_sgd(1e-3, weight_decay=1e-4)},
            "early_stopping": stopping("validation", "loss", 15),
        },
        64,
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_can_be_said(name):
    steps, training, size = RECIPES[name]
    found = msgspec.convert(training, Training)
    assert check_steps(msgspec.convert(steps, tuple[Step, ...]))[1] == size
    assert clock_of(found, 28709).whole > 0


def rate_after(name, epoch):
    training = msgspec.convert(RECIPES[name][1], Training)
    each = steps_per_epoch(training, 28709)
    stretch = Stretch(1, epoch * each, 1)
    return update_rates(training.schedule, training.optimizer.learning_rate, clock_of(training, 28709), stretch)[0]


def test_the_rates_of_the_programs():
    assert steps_per_epoch(msgspec.convert(RECIPES["atulapra2019"][1], Training), 28709) == 448
    assert rate_after("atulapra2019", 49) == pytest.approx(1e-4 / (1 + 1e-6 * 49 * 448), rel=1e-12)
    for epoch in (0, 80, 84, 85, 249):  # mainpro_FER.py: if epoch > 80: frac = (epoch - 80) // 5; factor = 0.9 ** frac
        expected = 0.01 * 0.9 ** ((epoch - 80) // 5) if epoch > 80 else 0.01
        assert rate_after("wujie2018", epoch) == pytest.approx(expected, rel=1e-12)
    assert rate_after("lethesec2021", 100) == pytest.approx(0.05 * (1 + math.cos(math.pi / 3)), rel=1e-12)
    # 225 updates an epoch: 31,950 before epoch 142, and 32,175 before the next one
    assert rate_after("safreita2017", 142) == 0.1 and rate_after("safreita2017", 143) == pytest.approx(1e-4, rel=1e-12)

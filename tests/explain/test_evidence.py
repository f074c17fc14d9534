"""repro.explain.evidence: printed steps, printed curves, estimates from clean runs, data that differ."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from explain_runs import paper, run_of
from report_records import claim

from repro.explain.evidence import (
    best_class_subsets,
    curve_evidence,
    estimated,
    other_data,
    printed_curve,
    steps_evidence,
)
from repro.specs.protocols import AS_PUBLISHED, BEST_EPOCH_ON_TEST, CLEAN, EVALUATED_ON_TRAINING, OFFICIAL
from repro.specs.spec import Curve

ACCURACIES = (0.595, 0.600, 0.605)


def with_steps(steps):
    return paper(claims=(claim("steps", quantity="steps", value=steps, unit="step", resolution=1, not_measured="log"),))


def test_printed_steps_speak_for_one_part_and_against_another():
    spec = with_steps(359)  # 3,589 samples in batches of 10
    main = spec.spec.claims[0]
    fits = {
        part: found and found.fits
        for part, samples in {"Training": 28_709, "PrivateTest": 3_589, "": None}.items()
        for found in [steps_evidence(spec, main, part, samples)]
    }
    assert fits == {"Training": False, "PrivateTest": True, "": None}
    assert steps_evidence(paper(), main, "Training", 28_709) is None


def with_points(*, step=False, values=(0.57, 0.58, 0.59)):
    """After epochs 1, 2 and 3, of 100 updates each."""
    places = [{"step": 100 * e - 1} if step else {"epoch": e} for e in (1, 2, 3)]
    points = [
        claim(f"at{i}", split="validation", value=value, **place)
        for i, (value, place) in enumerate(zip(values, places, strict=True))
    ]
    return paper(claims=(*points, claim("other", split="train", value=0.1, epoch=1)))


def evidence(spec, with_error, clean):
    runs = [run_of(spec, OFFICIAL, seed, a) for seed, a in enumerate(with_error)]
    reference = [run_of(spec, CLEAN, seed, a) for seed, a in enumerate(clean)]
    return curve_evidence(printed_curve(spec, spec.spec.claims[0]), runs, reference)


@pytest.mark.parametrize("step", [False, True])
def test_a_curve_of_the_runs_with_the_error_speaks_for_it(step):
    found = evidence(with_points(step=step), ACCURACIES, (0.45, 0.455, 0.445))
    assert found is not None and found.fits is True and found.text.startswith("3 printed points")


def test_a_curve_that_all_runs_give_tells_nothing():
    found = evidence(with_points(), ACCURACIES, ACCURACIES)
    assert found is not None and found.fits is None


def test_a_curve_two_points_away_is_told_from_seeds_that_differ_by_half_a_point():
    """By five points of root mean square distance, as it was before, every error fitted."""
    found = evidence(with_points(values=(0.535, 0.545, 0.555)), ACCURACIES, ACCURACIES)
    assert found is not None and found.fits is False and "3.5 points with the error" in found.text


def test_a_nearer_curve_that_differs_tells_nothing():
    found = evidence(with_points(values=(0.535, 0.545, 0.555)), ACCURACIES, (0.45, 0.455, 0.445))
    assert found is not None and found.fits is None


def test_two_seeds_and_two_points_tell_nothing_of_a_curve():
    assert evidence(with_points(), ACCURACIES[:2], ACCURACIES) is None
    assert printed_curve(paper(), paper().spec.claims[0]) is None


def test_the_longest_curve_is_compared():
    curve = Curve(
        id="log",
        quantity="accuracy",
        unit="fraction",
        resolution=0.0001,
        split="validation",
        epochs=(1, 2, 3, 4),
        values=(0.57, 0.58, 0.59, 0.6),
        quote="a log",
        place="log",
    )
    spec = with_points()
    spec = msgspec.structs.replace(spec.spec, curves=(curve,))
    loaded = with_points()
    object.__setattr__(loaded, "spec", spec)
    found = printed_curve(loaded, spec.claims[0])
    assert found is not None and len(found.points) == 4 and {p.split for p in found.points} == {"validation"}


def test_estimates_come_from_the_clean_runs():
    spec = paper()
    clean = [run_of(spec, CLEAN, seed, a) for seed, a in enumerate(ACCURACIES)]
    assert estimated(EVALUATED_ON_TRAINING, clean) == pytest.approx([a + 0.2 for a in ACCURACIES])
    assert estimated(BEST_EPOCH_ON_TEST, clean) == pytest.approx(ACCURACIES)
    assert estimated("suspect-oversampled-before-split", clean) == ()


def test_the_best_subset_of_classes_is_found():
    """Classes 0 and 1 are told apart, the others are guessed as class 6, and class 6 as 5."""
    labels = np.repeat(np.arange(7), 20)
    probability = np.zeros((140, 7), np.float32)
    probability[:, 6] = 1.0
    probability[labels == 6] = np.eye(7)[5]
    probability[labels < 2] = np.eye(7)[labels[labels < 2]]
    two = best_class_subsets(probability, labels)[-1]
    assert two == (2, ("angry", "disgust"), 1.0)
    sizes = [size for size, _, _ in best_class_subsets(probability, labels)]
    assert sizes == [6, 5, 4, 3, 2]


@pytest.mark.parametrize(
    ("fields", "differs"),
    [
        ({"value": 28_709, "split": "train"}, False),
        ({"value": 28_000, "split": "train"}, True),
        ({"value": 29_000, "split": "train", "resolution": 1000}, False),
        ({"value": 35_685, "split": "", "resolution": 1}, True),
        ({"value": 37_000, "split": "", "resolution": 1000}, False),
        ({"value": 28_000, "split": "train", "variant": "wide"}, False),
        ({"value": 28_000, "split": "train", "emotion": "happy"}, False),
        ({"value": 28_000, "split": "train", "not_measured": "another part"}, False),
    ],
)
def test_sample_counts_that_the_papers_steps_do_not_give_are_another_reason(fields, differs):
    """On 28,709 training samples of 35,887 in all."""
    spec = paper(claims=(claim("rows", unit="rows", **({"resolution": 1} | fields)),))
    published = [run_of(spec, AS_PUBLISHED, 0, 0.6)]
    assert bool(other_data(spec, spec.spec.claims[0], published)) is differs
    assert other_data(spec, spec.spec.claims[0], []) == []

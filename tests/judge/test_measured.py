"""repro.judge.measured: each lookup against a value worked out by hand."""

from __future__ import annotations

import msgspec
import pytest
from report_records import CPU, GPU, claim, data, make_record, make_spec, metrics

from repro.judge.judgements import evaluated_samples
from repro.judge.measured import Measured, measure, why_unmeasured
from repro.runs.records import EpochTime, Overrides

PAPER = make_spec()


def test_mean_and_sample_deviation_over_seeds():
    records = [make_record(PAPER, seed=seed, accuracy=a) for seed, a in enumerate((0.58, 0.60, 0.65))]
    measured = measure(claim(), records)
    assert measured is not None
    assert measured.n == 3
    assert measured.mean == pytest.approx(0.61)
    # deviations -0.03, -0.01, 0.04: sqrt((9 + 1 + 16) / 2) = sqrt(13) hundredths
    assert measured.std == pytest.approx(0.01 * 13**0.5)
    assert (measured.low, measured.high) == (0.58, 0.65)


def test_one_run_has_no_deviation():
    measured = measure(claim(), [make_record(PAPER, accuracy=0.58)])
    assert measured == Measured((0.58,))
    assert Measured((0.58,)).std is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0.50),  # the reported end
        ({"epoch": 2}, 0.48),
        ({"step": 199}, 0.48),  # a loop from 0 prints 199 for update 200, the last of epoch 2
        ({"split": "train"}, 0.60),  # running mean of the last epoch, not the evaluation of the training rows (0.70)
        ({"split": "train", "epoch": 1}, 0.57),
        ({"split": "train", "evaluated": True}, 0.70),
        ({"split": "minibatch", "step": 299}, 0.69),
        ({"quantity": "loss", "unit": "nat", "epoch": 3}, 2.7),
        ({"quantity": "loss", "unit": "nat", "split": "train", "epoch": 3}, 1.7),
        ({"quantity": "rows", "unit": "rows", "split": ""}, 35_887),
        ({"quantity": "rows", "unit": "rows", "split": "train"}, 28_709),
        ({"quantity": "rows", "unit": "rows", "split": "train", "emotion": "disgust"}, 436),
        ({"quantity": "pixel_mean", "unit": "1", "split": "test"}, 0.51),
        ({"quantity": "pixel_std", "unit": "1", "split": "train"}, 0.25),
        ({"quantity": "parameters", "unit": "1", "split": ""}, 16_135),
        ({"quantity": "time", "unit": "h", "split": "", "epoch": 2}, 22 / 3600),
        ({"quantity": "time", "unit": "min", "split": ""}, 44 / 60),
        ({"quantity": "time", "unit": "s", "split": "", "device": "cpu"}, 44),
    ],
)
def test_lookup(fields, expected):
    measured = measure(claim(**fields), [make_record(PAPER, accuracy=0.5)])
    assert measured is not None
    assert measured.values == pytest.approx((expected,))


@pytest.mark.parametrize(
    "fields",
    [
        {"epoch": 5},
        {"step": 200},
        {"split": "validation"},
        {"split": "validation", "epoch": 2},
        {"quantity": "time", "unit": "s", "split": "", "epoch": 9},
        {"quantity": "rows", "unit": "rows", "split": "", "emotion": "fear"},
        {"quantity": "true_positives", "unit": "rows", "emotion": "fear"},  # this record holds no confusion matrix
    ],
)
def test_what_a_run_does_not_hold_is_not_measured(fields):
    record = make_record(PAPER)
    assert measure(claim(**fields), [record]) is None
    assert why_unmeasured(claim(**fields), [record]) == "not recorded by the run"


def test_counts_from_the_confusion_matrix():
    # confusion[label][predicted] = 10 * label + predicted squared: rows and columns have different sums
    confusion = tuple(tuple(10 * label + predicted**2 for predicted in range(7)) for label in range(7))
    record = make_record(PAPER, metrics={"test": metrics(0.5, confusion=confusion)})

    def count(quantity: str, emotion: str) -> tuple[float, ...]:
        measured = measure(claim(quantity=quantity, unit="rows", emotion=emotion), [record])
        assert measured is not None
        return measured.values

    assert count("predicted_rows", "happy") == (9 + 19 + 29 + 39 + 49 + 59 + 69,)
    assert count("true_positives", "happy") == (39,)
    assert count("true_positives", "") == (0 + 11 + 24 + 39 + 56 + 75 + 96,)


def test_accuracy_of_one_emotion_is_its_recall():
    """Of 10 happy rows 7 are predicted so; 50 % of all rows are right."""
    confusion = [[0] * 7 for _ in range(7)]
    confusion[3][3], confusion[3][4] = 7, 3
    record = make_record(PAPER, metrics={"test": metrics(0.5, confusion=tuple(map(tuple, confusion)))})
    measured = measure(claim(emotion="happy"), [record])
    assert measured is not None and measured.mean == pytest.approx(0.7)
    assert measure(claim(emotion="sad"), [record]) is None, "no such row"
    assert measure(claim(emotion="happy"), [make_record(PAPER)]) is None, "rows were not counted"
    assert evaluated_samples(claim(emotion="happy"), [record]) == 10


def test_time_stops_at_the_epoch_of_the_claim():
    times = tuple(EpochTime(train_s=t, eval_s=e) for t, e in ((100.0, 1.0), (20.0, 2.0), (30.0, 3.0), (40.0, 4.0)))
    record = make_record(PAPER)
    record = msgspec.structs.replace(record, time=msgspec.structs.replace(record.time, epochs=times))
    measured = measure(claim(quantity="time", unit="s", split="", epoch=2), [record])
    assert measured is not None
    assert measured.values == (123.0,)


def test_time_on_a_device_counts_only_that_kind():
    records = [make_record(PAPER, device=CPU), make_record(PAPER, device=GPU, epoch_s=1.0)]
    gpu = claim(quantity="time", unit="s", split="", device="gpu")
    measured = measure(gpu, records)
    assert measured is not None
    assert measured.values == (8.0,)
    assert measure(gpu, records[:1]) is None
    assert why_unmeasured(gpu, records[:1]) == "not run"


def test_speedup_is_the_ratio_of_mean_times():
    cpu = [make_record(PAPER, seed=s, device=CPU, epoch_s=t) for s, t in enumerate((10.0, 12.0))]
    gpu = [make_record(PAPER, device=GPU, epoch_s=1.0)]
    speedup = claim(quantity="speedup", unit="1", split="", epoch=3)
    measured = measure(speedup, cpu + gpu)
    assert measured is not None
    assert measured.values == pytest.approx(((33 + 39) / 2 / 6,))
    assert measured.runs == "2 cpu, 1 gpu"
    assert measure(speedup, cpu) is None
    assert why_unmeasured(speedup, cpu) == "needs runs on cpu and gpu, there are none on gpu"


def test_synthetic_failed_and_foreign_runs_never_count():
    others = [
        make_record(PAPER, data=data(synthetic=True)),
        make_record(PAPER, variant="wide"),
        make_record(PAPER, protocol="official"),
    ]
    assert measure(claim(), others) is None
    assert why_unmeasured(claim(), others) == "not run"
    failed = make_record(PAPER, status="failed", failed_step=3)
    assert measure(claim(), [failed]) is None
    assert why_unmeasured(claim(), [failed]) == "run failed"
    wide = measure(claim(variant="wide"), others)
    assert wide is not None
    assert wide.n == 1


def test_partial_runs_count_up_to_where_they_went_and_only_alone():
    partial = make_record(PAPER, status="partial", accuracy=0.4, epochs=2, overrides=Overrides(epochs=2))
    early, end, late = claim(epoch=1), claim(), claim(epoch=3)
    measured = measure(early, [partial])
    assert measured is not None
    assert measured.partial
    assert measured.values == pytest.approx((0.39,))
    assert measure(end, [partial]) is None
    assert measure(late, [partial]) is None
    assert why_unmeasured(late, [partial]) == "not reached: partial run"
    both = measure(early, [partial, make_record(PAPER, accuracy=0.5)])
    assert both is not None
    assert not both.partial
    assert both.values == pytest.approx((0.47,))
    rows = measure(claim(quantity="rows", unit="rows", split="train"), [partial])
    assert rows is not None
    assert rows.partial


def test_runs_on_fewer_rows_measure_nothing():
    limited = make_record(PAPER, status="partial", epochs=2, overrides=Overrides(epochs=2, limit_train=1000))
    assert measure(claim(epoch=1), [limited]) is None
    assert measure(claim(quantity="rows", unit="rows", split="train"), [limited]) is None


def test_what_no_run_can_measure_says_why():
    impossible = claim(quantity="other", not_measured="it is about another dataset")
    assert measure(impossible, [make_record(PAPER)]) is None
    assert why_unmeasured(impossible, []) == "not measured"

"""The hardware that times are held against."""

from __future__ import annotations

import pytest
from tiny_paper import load_tiny

from repro.forensics import curves
from repro.forensics.case import Case
from repro.forensics.throughput import check, find_hardware, flops_per_image, known_hardware
from repro.specs.catalog import find_paper


def test_flops_of_an_image_by_hand():
    convolutions = 44 * 44 * 25 * 20 + 18 * 18 * 25 * 20 * 20
    dense = 9 * 9 * 20 * 500 + 500 * 300 + 300 * 7
    assert flops_per_image(Case(find_paper("chavan2020")), "default") == 2 * (convolutions + dense)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("GeForce GTX520", 155.5e9),
        ("NVIDIA GeForce GT 520", 155.5e9),
        ("AMD Phenom (tm) II X4 B97", 102.4e9),
        ("Intel® Core™ i5-5200U CPU @ 2.20GHz", 172.8e9),
        ("Google Colab, kind of GPU not named", None),
        ("GeForce GTX 1080", None),
        ("", None),
    ],
)
def test_hardware_is_found_by_its_words(name, peak):
    hardware = find_hardware(name)
    assert (hardware.peak_flops if hardware else None) == peak


def test_every_peak_shows_its_arithmetic_and_source():
    for hardware in known_hardware():
        assert " x " in hardware.source and ";" in hardware.source


PROVENANCE = 'provenance = [{ kind = "assumed", reason = "invented" }]'
TIME = """[[claims]]
id = "time"
quantity = "time"
value = 1.0
unit = "s"
resolution = 0.1
hardware = "GeForce GTX 520"
quote = "1 second"
place = "Sec. 4"

[[contradictions]]"""
STOPPING = f"""[training.early_stopping]
split = "test"
metric = "loss"
patience = 3
{PROVENANCE}

[training.schedule]"""


def test_how_many_images_a_run_with_early_stopping_saw_is_not_known(tmp_path):
    """Five epochs of 28,709 samples in a second, but of how many epochs if training stopped?"""
    for edits, known in (([], True), ([("[training.schedule]", STOPPING)], False)):
        case = Case(load_tiny(tmp_path, ("[[contradictions]]", TIME), *edits))
        found = [finding for finding in check(case) if "time" in finding.claims]
        assert ["images/s" in finding.arithmetic for finding in found] == ([True] if known else [])


def test_the_bound_of_the_cross_entropy_is_not_that_of_a_smoothed_or_weighted_loss(tmp_path):
    """With an accuracy of 60 % a mean cross-entropy of 0.1 is impossible: four in ten cost ln 2 each."""
    edits = ("value = 1.5", "value = 0.1"), ("epoch = 2\n", "")
    for more, checked in (
        ([], True),
        ([('"cross_entropy"', '"cross_entropy"\nlabel_smoothing = 0.1')], False),
        ([('"cross_entropy"', '"cross_entropy"\nclass_weights = "balanced"')], False),
        ([('"cross_entropy"', '"focal"')], False),
    ):
        found = [f for f in curves.check(Case(load_tiny(tmp_path, *edits, *more))) if "loss" in f.claims]
        assert bool(found) == checked

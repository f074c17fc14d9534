"""The hardware that times are held against."""

from __future__ import annotations

import pytest

from repro.forensics.case import Case
from repro.forensics.throughput import find_hardware, flops_per_image, known_hardware
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

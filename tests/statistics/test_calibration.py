"""Calibration against its definition, and against probabilities that are known to be true or false."""

from __future__ import annotations

import numpy as np
import pytest

from repro.statistics.calibration import calibration, fitted_temperature, log_loss, with_temperature


def drawn(n: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Stated probabilities (n, 7), and labels drawn from them after they are made less certain."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (n, 7))
    stated = with_temperature(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1.0)
    true = with_temperature(stated, temperature)
    return stated, (true.cumsum(1) > random.random((n, 1))).argmax(1)


def test_the_error_is_the_mean_over_bins():
    probability = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    found = calibration(probability, np.array([0, 1, 0, 0]))
    assert [(one.n, one.accuracy) for one in found.bins] == [(1, 1.0), (1, 1.0), (2, 0.5)]
    assert found.ece == pytest.approx((2 * 0.4 + 0.4 + 0.5) / 4)
    assert found.loss == pytest.approx(-np.log([0.9, 0.1, 0.6, 0.5]).mean())


def test_true_probabilities_have_the_error_of_chance():
    stated, label = drawn(3000, 1.0)
    found = calibration(stated, label)
    assert found.ece < 1.7 * found.by_chance < 0.05
    assert fitted_temperature(stated, label) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("temperature", [0.5, 2.0, 4.0])
def test_the_temperature_is_found_and_mends_the_error(temperature):
    stated, label = drawn(3000, temperature)
    found = fitted_temperature(stated, label)
    assert found == pytest.approx(temperature, rel=0.1)
    before, after = calibration(stated, label), calibration(with_temperature(stated, found), label)
    assert before.ece > 3 * before.by_chance and after.ece < 2 * after.by_chance
    assert log_loss(with_temperature(stated, found), label) < before.loss


def test_a_probability_of_zero_of_the_label_is_no_infinite_loss():
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]]), np.array([1])))

"""The temperature of a trained network, and from which confidence on an answer counts.

Without one, most networks of FER-2013 state far higher probabilities than they are right: see docs/use-a-network.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from fer_jax.vocabulary.counted import counted

TEMPERATURE_FORMAT = 1
# Least probability of an answer that is not called unsure. On PrivateTest the calibrated networks of four papers keep
# 35 to 62 % of their answers at 0.4. Of these 58 to 65 % are right, of the others 30 to 33 %, of all 41 to 52 %:
# `python -m repro.measurements.confidence`.
UNSURE_BELOW = 0.4


class FittedTemperature(msgspec.Struct, frozen=True, kw_only=True):
    """The logarithms of the probabilities are divided by `value`. It was fitted on n samples of PublicTest, the run's
    split `split`. ece, loss: expected calibration error and mean of -log p of the label (nats) on these samples,
    without and with the temperature. network_sha256: of the record; empty in older ones."""

    format: int = TEMPERATURE_FORMAT
    value: float
    split: str
    n: int
    ece: tuple[float, float]
    loss: tuple[float, float]
    network_sha256: str


@dataclass(frozen=True)
class Uncalibrated:
    """A network without a fitted temperature. why: in words, for the user."""

    why: str
    value: float = 1.0


Temperature = FittedTemperature | Uncalibrated


def unsure_below(temperature: Temperature, given: float | None) -> float:
    """The threshold that the user gave, else UNSURE_BELOW. 0, which no answer is below, without a temperature:
    probabilities that are not calibrated cannot be compared with it."""
    if given is not None:
        return given
    return UNSURE_BELOW if isinstance(temperature, FittedTemperature) else 0.0


def temperature_text(temperature: Temperature, threshold: float) -> str:
    """One line: what was fitted on what, and what is called unsure."""
    if isinstance(temperature, Uncalibrated):
        text = f"no calibration ({temperature.why}): its probabilities may be far too high"
    else:
        before, after = temperature.ece
        text = (
            f"temperature {temperature.value:.2f}, fitted on {counted(temperature.n, 'sample')} of PublicTest "
            f"(calibration error {before:.1%} before, {after:.1%} after)"
        )
    return f"{text}; unsure below {threshold:.0%}" if threshold else text


def temperature_document(temperature: Temperature, threshold: float) -> dict[str, object]:
    """The same for scripts."""
    if isinstance(temperature, Uncalibrated):
        return {"temperature": None, "uncalibrated": temperature.why, "unsure_below": threshold}
    fitted = {key: value for key, value in msgspec.to_builtins(temperature).items() if key != "format"}
    return {"temperature": fitted, "uncalibrated": None, "unsure_below": threshold}

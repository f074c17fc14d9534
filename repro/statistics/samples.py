"""What is known of the samples behind a claim and behind our runs, and the test-set error that follows from it.

Another test set has other hard images. That error is counted once or not at all:

- `FIXED_OWN`: our runs use the samples that the paper used, in every run. No test-set error.
- `REDRAWN`: each of our runs draws new samples, as the paper did. The spread over runs already includes the error, so
  none is added. But the spread cannot be smaller than the error of drawing (`drawing_variance`).
- `UNKNOWN`: ours are fixed, and the paper's are unknown and different from ours. No number of runs shows this error, so
  it is added (`mismatch_variance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Samples(Enum):
    """See the module. The value is the wording for pages."""

    FIXED_OWN = "the paper's own samples, the same in every run"
    REDRAWN = "samples redrawn in every run, as in the paper"
    UNKNOWN = "our samples are fixed; the paper's are unknown and other than ours"
    NOT_SAMPLED = "not a fraction of samples"


@dataclass(frozen=True)
class Design:
    """The evaluated samples of a claim and of the runs that measure it.

    samples: what is known about the samples. ours: how many samples each of our runs evaluates. theirs: how many the
    paper evaluated; None if unknown, then taken as `ours`. population: how many samples both were drawn from without
    replacement; None: taken as infinite, which is the wider interval.
    """

    samples: Samples
    ours: int | None = None
    theirs: int | None = None
    population: int | None = None

    def __post_init__(self) -> None:
        if self.samples in (Samples.REDRAWN, Samples.UNKNOWN) and not self.ours:
            raise ValueError(f"{self.samples.name} needs the number of our samples")

    def drawing_variance(self, p: float) -> float:
        """Variance of the accuracy of one run that comes from drawing its samples; 0 unless they are redrawn.

        p (1 - p) / m (1 - m / N), sampling m of N without replacement (Cochran 1977, Sampling Techniques, ch. 3).
        """
        return _drawing(p, self.ours, self.population) if self.samples is Samples.REDRAWN else 0.0

    def mismatch_variance(self, p: float) -> float:
        """Variance of claim minus mean that comes from two different test sets; 0 unless the paper's are unknown."""
        if self.samples is not Samples.UNKNOWN:
            return 0.0
        return _drawing(p, self.ours, self.population) + _drawing(p, self.theirs or self.ours, self.population)


NOT_SAMPLED = Design(Samples.NOT_SAMPLED)


def _drawing(p: float, m: int | None, population: int | None) -> float:
    if not 0 <= p <= 1:
        raise ValueError(f"an accuracy is a fraction, not {p}")
    assert m is not None
    finite = 1.0 if population is None else max(0.0, 1 - m / population)
    return p * (1 - p) / m * finite

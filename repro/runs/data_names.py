"""What the dataset of a run is called, in folders, records and tables."""

from __future__ import annotations

SYNTHETIC = "synthetic"
FER2013 = "fer2013"
NOT_FER2013 = "not-fer2013"
# By what the counts say (`fer_jax.data.formats.official`).
BY_LIKENESS = {"all": FER2013, "merged": "fer2013-merged-test", "part": "fer2013-part", "other": NOT_FER2013}

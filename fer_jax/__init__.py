"""Train small convolutional networks on faces: arrays in, trained parameters out.

This package knows nothing of papers, command lines or files under ``results/``. Importing it loads neither JAX nor
NumPy, so that commands which only read specs answer at once. Import the module you need.
"""

# Raise this version whenever the numbers of a run may change for the same plan, data, seed and device by more than
# rounding, which differs between processors anyway. Records carry the version. A run is skipped only if the same
# version did it, and results are comparable only within one version.
TRAINING_VERSION = 1

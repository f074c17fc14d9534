"""Train small convolutional networks on faces: arrays in, trained parameters out.

This package knows no paper, no command line and no file under ``results/``. Importing it loads neither JAX nor
NumPy, so that commands which only read specs answer at once: import the module you need.
"""

# Raised whenever the numbers of a run may change for the same plan, data, seed and device by more than rounding, which
# differs between processors anyway. Records carry it, a run is skipped only when it was done by the same version, and
# results are comparable only within one version.
TRAINING_VERSION = 1

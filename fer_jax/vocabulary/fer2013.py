"""What FER-2013 consists of. No NumPy here: specs are read without it, in a third of the time."""

from __future__ import annotations

# The label order of fer2013.csv (Goodfellow et al. 2013); folder names in alphabetical order are NOT this order.
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")
UNLABELLED = 255  # label of a sample whose emotion is unknown (test.csv of the Kaggle competition)

# Samples per (usage, emotion) of the official fer2013.csv, counted from the file: 28,709 + 3,589 + 3,589.
OFFICIAL_COUNTS = {
    "Training": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "PublicTest": (467, 56, 496, 895, 653, 415, 607),
    "PrivateTest": (491, 55, 528, 879, 594, 416, 626),
}

"""Legitimate ways to compute a number that differ from the one that a check expects first.

A check of printed numbers (`repro.forensics`) tries them before it reports anything. A spec can exclude one only with
a quote of the paper: `[[ruled_out]]`.
"""

from __future__ import annotations

from typing import Literal, get_args

Convention = Literal[
    "two_things",
    "other_samples",
    "copies",
    "other_classes",
    "other_accuracy",
    "mean_of_runs",
    "mean_of_batches",
    "last_batch_dropped",
    "other_batch_size",
    "test_time_augmentation",
    "steps_per_epoch",
    "shares",
    "optimizer_slots",
    "other_summary",
    "early_stopping",
    "other_machine",
    "start_up",
    "other_ratio",
    "unprinted",
    "other_loss",
    "other_pixels",
]
# Conventions that give some numbers, each alone or several together -> how; "" if they can give any number.
Explanations = dict[Convention | tuple[Convention, ...], str]
WORDS: dict[Convention, str] = {
    "two_things": "two different things under one name: another run, epoch, network or an ensemble",
    "other_samples": "another version of the dataset, or samples left out or added",
    "copies": "copies made by augmentation or oversampling, counted or not",
    "other_classes": "other labels or another number of classes (FER+, three classes)",
    "other_accuracy": "another kind of accuracy: macro, weighted, one class against the rest, top-2",
    "mean_of_runs": "a mean over runs or folds",
    "mean_of_batches": "a mean over batches",
    "last_batch_dropped": "the incomplete last batch left out",
    "other_batch_size": "another batch size",
    "test_time_augmentation": "several crops of each sample at test time",
    "steps_per_epoch": "a fixed number of steps per epoch",
    "shares": "shares in per cent instead of counts",
    "optimizer_slots": "the optimizer's own variables counted too",
    "other_summary": "another way of counting: without biases, or for another number of classes",
    "early_stopping": "training that stopped early",
    "other_machine": "another machine, several devices, or other work on the same one",
    "start_up": "times with or without the time to start up",
    "other_ratio": "another ratio: the time saved, or how much faster",
    "unprinted": "values that are not printed",
    "other_loss": "another loss: weighted, smoothed, focal, to another base, or per output",
    "other_pixels": "another normalisation, such as per image",
}
assert tuple(WORDS) == get_args(Convention)

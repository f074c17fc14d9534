"""Answers about leakage that need judgement: the table ``[leakage]`` of a spec.

The taxonomy is that of Kapoor & Narayanan 2023, Leakage and the reproducibility crisis in machine-learning-based
science, Patterns 4(9) 100804. What the data steps and the audit show is computed instead (`repro.report.taxonomy`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Presence = Literal["yes", "no", "unknown"]


class LeakageAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """answer: whether the paper's protocol has this kind of leakage. reason: in a sentence, with the place."""

    answer: Presence
    reason: Annotated[str, msgspec.Meta(min_length=1)]


class LeakageSheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One answer per kind of leakage. A missing answer means unknown unless it can be computed.

    l1_1: no test set. l1_2: pre-processing on training and test set. l1_3: feature selection on training and test set.
    l1_4: duplicates. l2: features that are not legitimate. l3_1: temporal leakage. l3_2: non-independence between
    training and test samples. l3_3: sampling bias in the test distribution.
    """

    l1_1: LeakageAnswer | None = None
    l1_2: LeakageAnswer | None = None
    l1_3: LeakageAnswer | None = None
    l1_4: LeakageAnswer | None = None
    l2: LeakageAnswer | None = None
    l3_1: LeakageAnswer | None = None
    l3_2: LeakageAnswer | None = None
    l3_3: LeakageAnswer | None = None

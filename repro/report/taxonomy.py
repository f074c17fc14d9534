"""The leakage questions of Kapoor & Narayanan's model info sheet (2023, Patterns 4(9) 100804), each answered for one
paper: computed if the data steps and the audit decide it, else from the spec's own answer, else unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from fer_jax.vocabulary.counted import counted
from repro.audit.leakage import LeakageAudit, Overlap
from repro.specs.leakage_sheet import LeakageAnswer, LeakageSheet, Presence
from repro.specs.spec import Claim
from repro.text import units

KINDS = {
    "l1_1": ("L1.1", "No test set"),
    "l1_2": ("L1.2", "Pre-processing on training and test set"),
    "l1_3": ("L1.3", "Feature selection on training and test set"),
    "l1_4": ("L1.4", "Duplicates in the dataset"),
    "l2": ("L2", "Features that are not legitimate"),
    "l3_1": ("L3.1", "Temporal leakage"),
    "l3_2": ("L3.2", "Non-independence between training and test samples"),
    "l3_3": ("L3.3", "Sampling bias in the test distribution"),
}
SAME_PERSON = "FER-2013 names no persons, so whether one person is in both train and test cannot be computed."
NOT_AUDITED = "The published protocol was not audited: `repro audit` compares its samples."
COPYING_STEPS = ("repeat_class", "augment_copies")


class Answer(NamedTuple):
    """One line of the sheet. number: L1.1 to L3.3. source: who answers."""

    number: str
    title: str
    answer: Presence
    reason: str
    source: Literal["computed", "spec", ""]


def leakage_answers(claim: Claim | None, audit: LeakageAudit | None, stated: LeakageSheet | None) -> list[Answer]:
    """All eight, in order. A computed yes or no takes precedence over the spec's answer.

    claim: the headline; its split is the test set in question. audit: of the as-published protocol of the claim's
    variant. stated: the spec's own answers.
    """
    computed = _computed(claim, audit)
    answers = []
    for key, (number, title) in KINDS.items():
        found, spoken = computed.get(key), getattr(stated, key) if stated else None
        if found and found.answer != "unknown":
            answers.append(Answer(number, title, found.answer, found.reason, "computed"))
        elif spoken:
            answers.append(Answer(number, title, spoken.answer, spoken.reason, "spec"))
        else:
            reason = found.reason if found else "It needs judgement, and the spec gives none."
            answers.append(Answer(number, title, "unknown", reason, ""))
    return answers


def _computed(claim: Claim | None, audit: LeakageAudit | None) -> dict[str, LeakageAnswer]:
    found = {"l1_3": _answer("no", "The network reads every pixel: no step selects features.")}
    if claim is None:
        return found
    if claim.split in ("train", "minibatch"):
        return found | {"l1_1": _answer("yes", "The number was measured on training samples.")}
    if not claim.split:
        return found
    if audit is None or claim.split not in audit.rows:
        return found | dict.fromkeys(("l1_1", "l1_2", "l1_4", "l3_2"), _answer("unknown", NOT_AUDITED))
    overlaps = [overlap for overlap in audit.overlaps if overlap.split == claim.split]
    return found | {
        "l1_1": _no_test_set(claim, overlaps, audit),
        "l1_2": _preprocessing(claim, overlaps, audit),
        "l1_4": _duplicates(claim, overlaps, audit),
        "l3_2": _dependence(claim, overlaps, audit),
    }


def _no_test_set(claim: Claim, overlaps: Sequence[Overlap], audit: LeakageAudit) -> LeakageAnswer:
    samples = audit.rows[claim.split]
    same = sum(overlap.rows for overlap in overlaps if overlap.kind == "same row")
    if same == samples:
        return _answer("yes", f"All {counted(samples, 'sample')} of `{claim.split}` are training samples.")
    decides = [selection.decides for selection in audit.selections if selection.split == claim.split]
    if decides:
        # Choosing by test accuracy is training on the test set; the taxonomy has no separate kind for that.
        return _answer("yes", f"`{claim.split}` also decides {' and '.join(decides)}: no split was left untouched.")
    fresh = samples - same
    return _answer("no", f"{fresh:,} of {counted(samples, 'sample')} of `{claim.split}` were not trained on.")


def _preprocessing(claim: Claim, overlaps: Sequence[Overlap], audit: LeakageAudit) -> LeakageAnswer:
    """The taxonomy's own example: oversampling before the split puts copies of one sample on both sides."""
    made = [overlap for overlap in overlaps if overlap.cause.startswith(COPYING_STEPS)]
    if made:
        steps = "; ".join(f"`{o.cause}` before `{o.separated_by}`: {_samples(o.rows, claim, audit)}" for o in made)
        return _answer("yes", f"Samples were copied before they were divided. {steps}.")
    return _answer("no", "Pixels are scaled by constants, and no sample was copied before the samples were divided.")


def _duplicates(claim: Claim, overlaps: Sequence[Overlap], audit: LeakageAudit) -> LeakageAnswer:
    kinds = {o.kind: o.rows for o in overlaps if o.kind in ("exact duplicate", "near duplicate")}
    taken = sum(overlap.rows for overlap in overlaps) - sum(kinds.values())
    if not kinds and taken:  # a sample counts once: if it is itself trained on, its duplicates do not show
        return _answer("unknown", f"{_samples(taken, claim, audit)} are trained on themselves; no other has a copy.")
    if not kinds:
        return _answer("no", f"No sample of `{claim.split}` has a copy in training.")
    said = ", ".join(f"{count:,} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items())
    return _answer("yes", f"{_samples(sum(kinds.values()), claim, audit)} have a copy in training: {said}.")


def _dependence(claim: Claim, overlaps: Sequence[Overlap], audit: LeakageAudit) -> LeakageAnswer:
    shared = sum(o.rows for o in overlaps if o.kind in ("same row", "augmented copy"))
    if shared:
        return _answer("yes", f"{_samples(shared, claim, audit)} are training samples or copies of them.")
    return _answer("unknown", SAME_PERSON)


def _samples(count: int, claim: Claim, audit: LeakageAudit) -> str:
    samples = audit.rows[claim.split]
    return f"{count:,} of {counted(samples, 'sample')} of `{claim.split}` ({units.percentage(count / samples, None)})"


def _answer(answer: Presence, reason: str) -> LeakageAnswer:
    return LeakageAnswer(answer=answer, reason=reason)

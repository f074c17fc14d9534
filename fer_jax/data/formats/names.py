"""Common names of the seven emotions and the three splits, mapped to the label order and usages of fer2013.csv."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES

TRAINING, PUBLIC_TEST, PRIVATE_TEST = range(len(USAGES))

_SYNONYMS = {
    "angry": ("anger",),
    "disgust": ("disgusted",),
    "fear": ("fearful", "afraid", "scared"),
    "happy": ("happiness", "joy"),
    "sad": ("sadness",),
    "surprise": ("surprised",),
    "neutral": ("neutrality",),
}
_LABEL_OF = {name: EMOTIONS.index(e) for e, others in _SYNONYMS.items() for name in (e, *others)}

_TRAIN = {"train", "training"}
_VALIDATION = {"validation", "valid", "val", "dev"}
_TEST = {"test", "testing"}
_EXPLICIT = {"publictest": PUBLIC_TEST, "privatetest": PRIVATE_TEST, "public": PUBLIC_TEST, "private": PRIVATE_TEST}

_AROUND_SPLIT = re.compile(r"^(fer(2013)?)?(?P<name>.+?)(set|images|imgs|faces|data|split|samples)?$")
# The words around an emotion: 0_angry, happy-3, Angry_faces.
_AROUND_EMOTION = re.compile(r"^\d+[\s_.-]+|[\s_.-]+(\d+|faces?|images?|imgs?|photos?|pictures?)$")
_USAGE_IN_FILE_NAME = re.compile(r"^(training|publictest|privatetest)(?![a-z])", re.IGNORECASE)

NUMBERS_NOTE = "the classes are numbers without names: 0 to 6 are taken as in fer2013.csv ({})".format(
    ", ".join(f"{i} {name}" for i, name in enumerate(EMOTIONS))
)
MERGED_TEST_NOTE = (
    "the test split does not say which of its rows are PublicTest and which PrivateTest; without a validation split "
    "beside it, all samples are taken as PublicTest, and the protocols official and clean have no PrivateTest. To name "
    "the parts, give PublicTest as `validation` (a folder, a file or arrays of that name), or name image files "
    "PublicTest_1.png, PrivateTest_2.png, ..."
)


def emotion_label(name: str) -> int | None:
    """Index into EMOTIONS of an emotion's name in any capitalisation, also as 0_angry or Angry_faces; None if it is
    none."""
    folded = name.strip().lower()
    return _LABEL_OF.get(folded, _LABEL_OF.get(_AROUND_EMOTION.sub("", folded)))


def shifted(label: float) -> str:
    """What a number just beyond 0 to 6 suggests: every label of such data may be meant otherwise. Empty otherwise."""
    if label not in (-1, len(EMOTIONS)):
        return ""
    return (
        f"; if the numbers run from {1 if label > 0 else -1}, change each by {-1 if label > 0 else 1}, in the order "
        f"{', '.join(EMOTIONS)}"
    )


def unknown_emotion(name: str) -> str:
    """What a name is not, and which emotion may be meant."""
    shown = name if len(name) <= 40 else f"{name[:40]}..."
    close = difflib.get_close_matches(name.strip().lower()[:40], _LABEL_OF, n=1, cutoff=0.75)
    meant = f"did you mean {EMOTIONS[_LABEL_OF[close[0]]]!r}? " if close else ""
    return f"{meant}{shown!r} is none of the seven emotions of FER-2013 ({', '.join(EMOTIONS)})"


def usage_index(name: str) -> int | None:
    """Index into USAGES of 'Training', 'PublicTest' or 'PrivateTest' in any capitalisation."""
    return {usage.lower(): u for u, usage in enumerate(USAGES)}.get(name.strip().lower())


def usage_in_file_name(name: str) -> int | None:
    """The usage given by a file name such as ``PublicTest_123.jpg``, or None."""
    found = _USAGE_IN_FILE_NAME.match(name)
    return usage_index(found[1]) if found else None


def _folded(name: str) -> str:
    """train of Train, FER2013Train, training_set and train_images."""
    folded = re.sub(r"[\s_-]", "", name).lower()
    found = _AROUND_SPLIT.match(folded[:100])
    return found["name"] if found else folded


def is_split(name: str) -> bool:
    """Whether a folder of this name holds a split."""
    return _folded(name) in _TRAIN | _VALIDATION | _TEST | set(_EXPLICIT)


def split_usages(names: Iterable[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """The usage of each split name, given all sibling names, and notes on what was guessed.

    train is Training. If there is a validation split, it is PublicTest and test is PrivateTest, because that is how
    the three official splits are usually renamed. A lone test split holds both in an unknown mix; it becomes
    PublicTest, with a note. ValueError for a name that is not a split's.
    """
    names = list(names)
    folded = {name: _folded(name) for name in names}
    has_public = any(f in _VALIDATION or _EXPLICIT.get(f) == PUBLIC_TEST for f in folded.values())
    usages, notes = {}, []
    for name, f in folded.items():
        if f in _TRAIN:
            usages[name] = TRAINING
        elif f in _VALIDATION:
            usages[name] = PUBLIC_TEST
        elif f in _EXPLICIT:
            usages[name] = _EXPLICIT[f]
        elif f in _TEST:
            usages[name] = PRIVATE_TEST if has_public else PUBLIC_TEST
            if not has_public:
                notes.append(MERGED_TEST_NOTE)
        else:
            raise ValueError(f"{name!r} is not the name of a split")
    if any(f in _VALIDATION for f in folded.values()):
        renamed = (f"{name} is read as {USAGES[usages[name]]}" for name, f in folded.items() if f not in _TRAIN)
        notes.append(", ".join(renamed))
    return usages, tuple(notes)


def usage_of(name: str, split: int | None, may_refine: bool) -> tuple[int | None, bool]:
    """The usage of a sample from its own file name and from its split, and whether the two contradict each other.

    What the user says by the split counts. A file name such as PrivateTest_3.png refines it in two cases: no split is
    named (`split` is None), or the split is a lone test split (`may_refine`), which holds PublicTest and PrivateTest.
    """
    named = usage_in_file_name(name)
    if named is None or named == split:
        return split, False
    if split is None or (may_refine and named != TRAINING):
        return named, False
    return split, True

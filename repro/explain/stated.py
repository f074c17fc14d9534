"""Rule (iv) of `repro explain`: what the paper itself says about a protocol error.

Evidence is what the paper states and what the code behind it does (provenance `stated` and `upstream`). What the spec
infers or assumes does not count for or against a hypothesis.
"""

from __future__ import annotations

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.layers import Dense, class_layer
from fer_jax.vocabulary.step_kinds import SplitByUsage, SplitFraction, SplitLast, Step
from repro.explain.lineage import CHANGED, CLEANED, REPEATED, Lineage, follow_lineage
from repro.explain.records import Evidence
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import (
    AUGMENTED_BEFORE_SPLIT,
    BEST_EPOCH_ON_TEST,
    EVALUATED_ON_TRAINING,
    OVERSAMPLED_BEFORE_SPLIT,
    TRAINED_ON_ALL,
)
from repro.specs.provenance import Sources, variant_sources
from repro.specs.spec import Claim, Provenance, Spec

DUPLICATES = "duplicates across the official parts"
CLASS_SUBSET = "a subset of the classes"
KIND = "paper"
NOT_SAID = "the paper does not say how the evaluated samples were chosen"


class Statements:
    """What a paper says about the run behind one claim."""

    def __init__(self, loaded: LoadedSpec, claim: Claim) -> None:
        self.claim = claim
        self.spec: Spec = loaded.resolve(claim.variant)
        self.sources: Sources = variant_sources(loaded, claim.variant)
        self.lineage: Lineage = follow_lineage(self.spec.data.steps)

    def about(self, suspect: str) -> Evidence:
        """Whether the paper's own words or code show this error (True), rule it out (False), or do neither (None)."""
        if suspect == CLASS_SUBSET:
            return self._classes()
        if suspect == BEST_EPOCH_ON_TEST:
            return self._epoch()
        if "train" not in self.lineage.splits or self.claim.split not in self.lineage.splits:
            return Evidence(kind=KIND, fits=None, text=NOT_SAID)
        entry = self._deciding_entry()
        if entry is None:
            return Evidence(kind=KIND, fits=None, text=NOT_SAID)
        fits, text = self._overlap(suspect)
        return Evidence(kind=KIND, fits=fits, text=text if fits is None else f"{text} ({words(entry)})")

    # --- which samples ------------------------------------------------------------------------------------------------

    def _overlap(self, suspect: str) -> tuple[bool | None, str]:
        evaluated, trained = (self.lineage.splits[name].cells for name in (self.claim.split, "train"))
        shared = self.lineage.shared(self.claim.split, "train")
        if suspect in (EVALUATED_ON_TRAINING, TRAINED_ON_ALL):
            if not shared:
                return False, "the evaluated samples are kept apart from the training samples"
            if not evaluated <= trained:
                return None, "some of the evaluated samples are training samples"
            if evaluated == trained:
                return suspect == EVALUATED_ON_TRAINING, "the evaluated samples are the training samples themselves"
            return suspect == TRAINED_ON_ALL, "the evaluated samples are a part of the training samples"
        if shared:
            return False, "the evaluated samples are training samples, which this error does not make them"
        done = self.lineage.straddles(self.claim.split, "train")
        if suspect == DUPLICATES:
            if CLEANED in done or frozenset({self.claim.split, "train"}) in self.lineage.cleaned:
                return False, "duplicates are removed"
            return None, "no removal of duplicates is mentioned"
        kind = {OVERSAMPLED_BEFORE_SPLIT: REPEATED, AUGMENTED_BEFORE_SPLIT: CHANGED}[suspect]
        if kind in done:
            return True, f"{kind} first, divided into training and evaluation afterwards"
        return False, "the evaluated samples are divided off before any copies are made"

    def _deciding_entry(self) -> Provenance | None:
        """What the paper says about the last step that decided which samples are evaluated; None if a deciding step
        rests on an assumption."""
        entries = {index: self._entry(index) for index in self.lineage.deciding_steps(self.claim.split, "train")}
        evaluated = self.lineage.deciding_steps(self.claim.split)
        return None if not evaluated or None in entries.values() else entries[evaluated[-1]]

    def _entry(self, index: int) -> Provenance | None:
        step = self.spec.data.steps[index]
        return stated_entry(self.sources, f"data.steps[{index}]", _deciding_keys(step))

    # --- which epoch, which classes -----------------------------------------------------------------------------------

    def _epoch(self) -> Evidence:
        training = self.spec.training
        entry = stated_entry(self.sources, "training", ("report",))
        if entry is None:
            return Evidence(kind=KIND, fits=None, text="the paper does not say which epoch it reports")
        if training.report == "last":
            return Evidence(kind=KIND, fits=False, text=f"the figure is of the last epoch ({words(entry)})")
        chosen = stated_entry(self.sources, "training", ("report_split",))
        if chosen is None:
            return Evidence(kind=KIND, fits=None, text="the paper does not say on which samples it chooses the epoch")
        same = training.report_split == self.claim.split
        text = f"the best epoch is chosen on {'the evaluated samples' if same else 'other samples'} ({words(chosen)})"
        return Evidence(kind=KIND, fits=same, text=text)

    def _classes(self) -> Evidence:
        layers = self.spec.model.layers
        last = class_layer(layers)
        count, entry = 0, None
        if last is not None:
            key = "units" if isinstance(layers[last], Dense) else "filters"
            count = getattr(layers[last], key)
            entry = stated_entry(self.sources, f"model.layers[{last}]", (key,))
        if entry is None:
            return Evidence(kind=KIND, fits=None, text="the paper does not say how many classes its network has")
        return Evidence(kind=KIND, fits=False, text=f"the network has {counted(count, 'output')} ({words(entry)})")


def _deciding_keys(step: Step) -> tuple[str, ...]:
    """The settings of a step that decide which samples a split holds."""
    match step:
        case SplitFraction() | SplitLast():
            return "into", "rest"
        case SplitByUsage():
            return ("into",)
    fields = step.__struct_fields__
    return (next(key for key in ("into", "split") if key in fields),)


def stated_entry(sources: Sources, table: str, keys: tuple[str, ...]) -> Provenance | None:
    """The first key's entry, if the paper or the code behind it states all keys; None if a key rests only on an
    inference or an assumption."""
    found = []
    for key in keys:
        entries = _entries(sources, table, key)
        found.append(next((entry for entry in entries if entry.kind in ("stated", "upstream")), None))
    return None if None in found else found[0]


def _entries(sources: Sources, table: str, key: str) -> list[Provenance]:
    """Where a setting comes from: the entries that name it, else those that name no setting."""
    entries = sources.get(table, ())
    return [entry for entry in entries if key in entry.of] or [entry for entry in entries if not entry.of]


def words(entry: Provenance) -> str:
    """The source of a setting for readers: a quote with its place, or what the code does."""
    return f'"{entry.quote}", {entry.place}' if entry.kind == "stated" else f"code: {entry.reason}"

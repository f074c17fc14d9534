"""The premises of a check, and the outcome that they allow: nothing assumed can accuse."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fer_jax.vocabulary.layers import every_layer
from fer_jax.vocabulary.step_kinds import PIXEL_STEPS, Shuffle, step_names
from repro.forensics.case import Case, ids, where
from repro.forensics.finding import DISTANCE, Finding, FindingOutcome, Premise, Source, weakest
from repro.specs.conventions import WORDS, Convention, Explanations
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.provenance import Sources, variant_sources
from repro.specs.spec import Claim, RuledOut

_SAME_SIZES = (Shuffle, *PIXEL_STEPS)  # steps that change no number of samples
_WITHOUT_EFFECT = frozenset({"method", "rounding", "order"})  # settings that change no number of samples
_LAYER_SIZES = ("filters", "kernel", "units", "padding", "stride", "bias")


# --- sources --------------------------------------------------------------------------------------------------------


def setting(case: Case, variant: str, dotted: str, words: str) -> Premise:
    """A setting of the training: "training.batch_size", "training.loss.kind"."""
    table, _, key = dotted.rpartition(".")
    return Premise(what=words, source=_source(variant_sources(case.loaded, variant), table, (key,)))


def step_setting(case: Case, variant: str, index: int, keys: tuple[str, ...], words: str) -> Premise:
    """Settings of one data step."""
    return Premise(what=words, source=_source(variant_sources(case.loaded, variant), f"data.steps[{index}]", keys))


def data_steps(case: Case, variant: str = DEFAULT_VARIANT) -> tuple[Premise, ...]:
    """The data steps that decide how many samples there are, each with its weakest source."""
    sources, steps = variant_sources(case.loaded, variant), case.steps(variant)
    return tuple(
        Premise(
            what=f"data step `{name}`",
            source=_source(
                sources,
                f"data.steps[{index}]",
                ("step", *(field for field in step.__struct_fields__ if field not in _WITHOUT_EFFECT)),
            ),
        )
        for index, (name, step) in enumerate(zip(step_names(steps), steps, strict=True))
        if not isinstance(step, _SAME_SIZES)
    )


def layer_sizes(case: Case, variant: str) -> Premise:
    """The sizes of the network's layers, with the weakest source among them."""
    sources = variant_sources(case.loaded, variant)
    found: list[Source] = [
        _source(sources, f"model.layers{path}", tuple(k for k in _LAYER_SIZES if k in layer.__struct_fields__))
        for path, _, layer, _ in every_layer(case.layers(variant))
        if "bias" in layer.__struct_fields__
    ]
    return Premise(what="the sizes of the network's layers", source=weakest(found))


def _source(sources: Sources, table: str, keys: tuple[str, ...]) -> Source:
    """The weakest source of some settings. If a setting has several entries the strongest counts, because the others
    add details."""
    entries = sources.get(table, ())
    found: list[Source] = []
    for key in keys:
        kinds: list[Source] = [entry.kind for entry in entries if key in entry.of] or [
            e.kind for e in entries if not e.of
        ]
        found.append(min(kinds, key=lambda kind: DISTANCE[kind]) if kinds else "assumed")
    return weakest(found)


# --- which convention -----------------------------------------------------------------------------------------------


def together(claims: Sequence[Claim]) -> bool:
    """Whether the paper prints the claims together: in one table, plot or output, or in one sentence."""
    return len({where(claim).lower() for claim in claims}) == 1 or len({claim.quote for claim in claims}) == 1


def rules_out(case: Case, convention: Convention, claims: Sequence[Claim]) -> RuledOut | None:
    """The paper's words that rule a convention out for all of these claims."""
    return next(
        (
            item
            for item in case.loaded.spec.ruled_out
            if convention in item.conventions and (not item.claims or {c.id for c in claims} <= set(item.claims))
        ),
        None,
    )


def plain(
    check: str,
    claims: Sequence[Claim],
    outcome: FindingOutcome,
    arithmetic: str,
    meaning: str,
    premises: Sequence[Premise] = (),
) -> Finding:
    """A finding that accuses nobody: "consistent", or "cannot tell"."""
    return Finding(
        check=check,
        claims=ids(*claims),
        outcome=outcome,
        arithmetic=arithmetic,
        meaning=meaning,
        premises=(*premises, *_unlabelled(claims)),
    )


def _unlabelled(claims: Sequence[Claim]) -> tuple[Premise, ...]:
    return tuple(Premise(what=f"what `{c.id}` is of: {c.unlabelled}", source="assumed") for c in claims if c.unlabelled)


def judge(
    case: Case,
    check: str,
    claims: Sequence[Claim],
    arithmetic: str,
    meaning: str,
    *,
    explained: Explanations,
    premises: Sequence[Premise] = (),
    always: Sequence[str] = (),
    about: Sequence[Claim] = (),
    conflicts: Sequence[Sequence[Claim]] = (),
) -> Finding:
    """The finding on values that do not follow as the paper states it.

    explained: the conventions that would give them; those that the paper rules out do not count. Of several together
        none may be ruled out.
    always: explanations that no paper can rule out. With one, the outcome is never "impossible".
    about: the claims whose conventions matter; default: all.
    """
    about = about or claims
    excluded: dict[Convention, RuledOut] = {}
    for key in explained:
        for name in _together_with(key):
            if (item := rules_out(case, name, about)) is not None:
                excluded[name] = item
    taken = [
        *premises,
        *_unlabelled(claims),
        *(
            Premise(what=f"not {_short(name)}: '{item.quote}' ({item.place})", source="stated")
            for name, item in excluded.items()
        ),
    ]
    left = [_words(key, explained[key]) for key in explained if not set(_together_with(key)) & set(excluded)]
    left += always
    return Finding(
        check=check,
        claims=ids(*claims),
        outcome=_outcome(bool(left), weakest([premise.source for premise in taken])),
        arithmetic=arithmetic,
        meaning=meaning,
        premises=tuple(taken),
        conventions=tuple(left),
        conflicts=tuple(ids(*group) for group in conflicts),
    )


def _outcome(explained: bool, source: Source) -> FindingOutcome:
    """Only the paper's own words can contradict it. If a reading follows from them (`inferred`), values can still be
    called unlike what is stated. If the reading is upstream's or ours, nothing can be said."""
    if source in ("upstream", "assumed"):
        return "cannot tell"
    return "not by the stated convention" if explained or source == "inferred" else "impossible"


def _short(name: Convention) -> str:
    return re.split(r"[:(,]", WORDS[name], maxsplit=1)[0].strip()


def _together_with(key: Convention | tuple[Convention, ...]) -> tuple[Convention, ...]:
    return key if isinstance(key, tuple) else (key,)


def _words(key: Convention | tuple[Convention, ...], detail: str) -> str:
    words = " and ".join(WORDS[name] for name in _together_with(key))
    return f"{words}: {detail}" if detail else words

"""What a sweep searches, how, and which samples choose. No JAX, no Optuna."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.settings import Precision
from fer_jax.vocabulary.split_plan import check_steps
from fer_jax.vocabulary.step_kinds import SplitByUsage
from repro.judge.main_claim import claim_for
from repro.runs.plan import RunPlan, make_plan
from repro.runs.records import Overrides
from repro.specs.decode import LoadedSpec
from repro.specs.nearest import hint
from repro.specs.protocols import AS_PUBLISHED, COMPLETE_SPLIT, REPORTED_SPLIT, under_protocol
from repro.specs.spec import Claim, Spec
from repro.specs.spec_checks import IMAGE_SIZE
from repro.sweep.dimension import VARIANT, Dimension, SamplerName, placed
from repro.sweep.errors import SweepError

SELECTED_USAGE, REPORTED_USAGE = "PublicTest", "PrivateTest"
MOST_TRIALS = 100_000
MOST_CHECKED = 200  # combinations of a grid that are tried out before it begins
_NOT_EVALUATED = ("train", "minibatch")


@dataclass(frozen=True)
class Setting:
    """One point of the search: a variant and changed settings, as `--variant` and `--set` of `repro run` take them."""

    variant: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return ", ".join(self.lines) or "the paper's own"


@dataclass(frozen=True)
class SettingSearch:
    """A sweep as asked for. select: the split whose accuracy chooses. reported: the split that the chosen setting is
    reported on. seeds: runs of each setting, whose mean counts. trials: None for the whole grid."""

    loaded: LoadedSpec
    variant: str
    protocol: str
    dimensions: tuple[Dimension, ...]
    sampler: SamplerName
    select: str
    reported: str
    seeds: tuple[int, ...] = (0,)
    trials: int | None = None
    prune: bool = False
    epochs: int | None = None
    limit_train: int | None = None
    precision: Precision | None = None
    keep_going: bool = False
    name: str = ""
    figure: int | None = field(default=None, compare=False)

    @property
    def grid_size(self) -> int:
        return math.prod(len(one.choices) for one in self.dimensions)

    @property
    def most_trials(self) -> int:
        return self.grid_size if self.trials is None else self.trials

    @property
    def claim(self) -> Claim | None:
        """The number of the paper that a sweep of its settings speaks of: an accuracy."""
        found = claim_for(self.loaded.spec, self.variant)
        return found if found is not None and found.quantity == "accuracy" and not found.emotion else None

    @property
    def spec(self) -> Spec:
        return under_protocol(self.loaded.resolve(self.variant), self.protocol)

    def part(self, split: str) -> str:
        """A split with the part of FER-2013 that it is: ``validation (PublicTest)``."""
        usages = _usages(self.spec).get(split, set())
        return f"{split} ({next(iter(usages))})" if len(usages) == 1 else split

    def grid(self) -> Iterator[dict[str, str]]:
        """Every combination, by the dimensions' keys; the last dimension changes first."""
        for values in itertools.product(*(one.choices for one in self.dimensions)):
            yield {one.key: value for one, value in zip(self.dimensions, values, strict=True)}

    def setting(self, values: Mapping[str, object]) -> Setting:
        """values: by the dimensions' keys."""
        variant, lines = self.variant, []
        for one in self.dimensions:
            text = one.text(values[one.key])
            if one.key == VARIANT:
                variant = text
            else:
                lines += [f"{key}={text}" for key in one.keys]
        return Setting(variant, tuple(sorted(lines)))

    def plans(self, setting: Setting) -> list[RunPlan]:
        """One per seed. Raises SpecError if these settings do not go together."""
        overrides = Overrides(epochs=self.epochs, limit_train=self.limit_train, settings=setting.lines or msgspec.UNSET)
        return [
            make_plan(
                self.loaded,
                variant=setting.variant,
                seed=seed,
                overrides=overrides,
                protocol=self.protocol,
                precision=self.precision,
                keep_going=self.keep_going,
            )
            for seed in self.seeds
        ]

    def check_grid(self) -> None:
        """Try out every combination of a grid, as far as that takes no time. Raises SpecError."""
        if self.sampler == "grid":
            for values in itertools.islice(self.grid(), MOST_CHECKED):
                self.plans(self.setting(values))

    def own_setting(self) -> Setting:
        """The paper's own, with nothing changed."""
        return Setting(self.variant, ())

    def digest(self, *parts: str) -> str:
        """Of everything that decides which trials there are and what they measure, but not how many: the same search
        with more trials continues. parts: what else decides, such as the data."""
        variants = next((one.choices for one in self.dimensions if one.key == VARIANT), (self.variant,))
        settings = [self.plans(Setting(variant, ()))[0].sha256 for variant in sorted(variants)]
        said = (
            *(settings, self.variant, self.protocol, self.select, self.sampler, self.seeds),
            *(self.prune, self.epochs, self.limit_train, self.precision, self.keep_going),
            *(sorted(one.written() for one in self.dimensions), parts),
        )
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:8]


def make_search(
    loaded: LoadedSpec,
    dimensions: tuple[Dimension, ...],
    *,
    variant: str,
    protocol: str,
    sampler: SamplerName,
    trials: int | None,
    select: str | None,
    **more: Any,
) -> SettingSearch:
    """A checked search. more: the other fields of `SettingSearch`.

    Raises SweepError and SpecError for whatever cannot be searched, before anything is trained.
    """
    if not dimensions:
        raise SweepError("nothing to search: give --set KEY=a,b,c at least once")
    dimensions = placed(dimensions, loaded, variant)
    ranges = [one for one in dimensions if one.is_range]
    if sampler == "grid" and ranges:
        raise SweepError(
            f"--sampler grid needs lists of values, and {ranges[0].written()} is a range: list its values, or use "
            "--sampler random or tpe"
        )
    if sampler != "grid" and trials is None:
        raise SweepError(f"--sampler {sampler} needs --trials N")
    if trials is not None and not 1 <= trials <= MOST_TRIALS:
        raise SweepError(f"--trials {trials}: from 1 to {MOST_TRIALS:,}")
    spec = under_protocol(loaded.resolve(variant), protocol)
    chosen, reported = _splits(spec, protocol, select, claim_for(loaded.spec, variant))
    search = SettingSearch(loaded, variant, protocol, dimensions, sampler, chosen, reported, trials=trials, **more)
    if sampler == "grid" and search.grid_size > MOST_TRIALS:
        raise SweepError(f"a grid of {counted(search.grid_size, 'setting')}; at most {MOST_TRIALS:,}")
    if sampler == "grid" and trials is not None and trials > search.grid_size:
        raise SweepError(f"--trials {trials}: the grid has {counted(search.grid_size, 'setting')}")
    if search.prune and chosen not in spec.training.evaluate:
        raise SweepError(
            f"--prune looks at {chosen} after every epoch, and this protocol evaluates "
            f"{', '.join(spec.training.evaluate) or 'nothing'} then"
        )
    return search


def _splits(spec: Spec, protocol: str, select: str | None, claim: Claim | None) -> tuple[str, str]:
    """(the split that chooses, the split that is reported)."""
    splits = [name for name in check_steps(spec.data.steps, IMAGE_SIZE)[0] if name != "train"]
    usages = _usages(spec)
    public = next((name for name in splits if usages.get(name) == {SELECTED_USAGE}), None)
    private = next((name for name in splits if usages.get(name) == {REPORTED_USAGE}), None)
    if protocol != AS_PUBLISHED:
        public, private = "validation", REPORTED_SPLIT
    if select is None and public is None:
        raise SweepError(
            f"{spec.paper.id} has no split that is PublicTest alone, as {protocol}: name the split that chooses with "
            f"--select ({', '.join(splits)}), or search under --protocol official"
        )
    chosen = select or public
    assert chosen is not None
    if chosen in _NOT_EVALUATED:
        raise SweepError(
            f"--select {chosen}: the settings that fit their training samples best need not generalise best"
        )
    if chosen not in splits:
        raise SweepError(f"--select {chosen}: no such split; accepted: {', '.join(splits)}{hint(chosen, splits)}")
    of_claim = claim.split if claim is not None and protocol == AS_PUBLISHED and claim.split in splits else None
    return chosen, private or of_claim or chosen


def _usages(spec: Spec) -> dict[str, set[str]]:
    """Which of FER-2013's parts each split comes from, as far as the first division says."""
    found: dict[str, set[str]] = {}
    for step in spec.data.steps:
        if isinstance(step, SplitByUsage):
            found |= {name: set(usages) for name, usages in step.into.items()}
    return found


def selection_leak(search: SettingSearch) -> str:
    """Why the chosen setting's accuracy is too high, in words; empty if the samples that chose are not reported."""
    claim = search.claim
    if search.protocol == AS_PUBLISHED:
        if claim is not None and claim.split == search.select:
            return f"the settings are chosen on {search.select}, the samples that the paper reports: leakage"
        if REPORTED_USAGE in _usages(search.spec).get(search.select, set()):
            return f"the settings are chosen on {search.select}, which holds {REPORTED_USAGE}: leakage"
    elif search.select in (REPORTED_SPLIT, COMPLETE_SPLIT):
        return f"the settings are chosen on {search.select} ({REPORTED_USAGE}), the test samples: leakage"
    return ""

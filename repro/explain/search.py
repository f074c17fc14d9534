"""The search for the cause of a reported number: clean runs first, then the errors that these runs leave possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fer_jax.duplicates.search import DUPLICATES_VERSION
from fer_jax.machine.devices import DeviceKind
from repro.explain.conclusion import Concluded, conclude, has_gap, without_gap
from repro.explain.credit import Credit, Trial, credit
from repro.explain.evidence import (
    best_class_subsets,
    curve_evidence,
    estimated,
    other_data,
    other_network,
    printed_curve,
    steps_evidence,
    unknown_tries,
)
from repro.explain.existing import KnownRuns, accuracies, known_runs
from repro.explain.hypotheses import Hypothesis, is_far, not_applicable, result
from repro.explain.records import EXPLANATION_FORMAT, Evidence, Explanation, SuspectResult
from repro.explain.stated import CLASS_SUBSET, DUPLICATES, Statements
from repro.judge.designs import other_design
from repro.judge.judgements import look_of
from repro.judge.usual_spread import UsualSpread, usual_spread
from repro.runs.dataset import open_dataset
from repro.runs.folders import record_folder
from repro.runs.plan import make_plan
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.record_files import RecordError, leave_out
from repro.runs.records import Overrides, RunRecord
from repro.runs.stored_records import find_records
from repro.specs.decode import LoadedSpec, SpecError
from repro.specs.protocols import (
    AS_PUBLISHED,
    BEST_EPOCH_ON_TEST,
    CLEAN,
    COMPLETE_SPLIT,
    OFFICIAL,
    REPORTED_SPLIT,
    SUSPECTS,
    TRAINED_ON_ALL,
)
from repro.specs.spec import Claim
from repro.statistics import MIN_RUNS, Decision, Design, Open, Samples, Target, decide

if TYPE_CHECKING:
    from repro.runs.run_context import RunContext

SELECTION_SPLIT = "validation"  # PublicTest, under the protocols with the official splits
STANDINGS = ("credited", "open", "excluded")


class Search:
    """One paper's main claim at one place (kind of device, precision, dataset).

    train: make the runs that are missing; otherwise judge from those in the results folder.
    seeds: of each protocol that is trained.
    """

    def __init__(
        self, loaded: LoadedSpec, *, data: str | None, device: DeviceKind, results: Path, seeds: int, train: bool
    ) -> None:
        self.loaded, self.data, self.results, self.seeds, self.train = loaded, data, results, seeds, train
        self.device: DeviceKind = device
        self.claim = explained_claim(loaded)
        self.failed: list[str] = []
        self.settings: dict[str, str] = {}  # by protocol, for protocols whose runs were read
        self.statements = Statements(loaded, self.claim)
        self.target = target_of(self.claim)

    # --- runs ---------------------------------------------------------------------------------------------------------

    @cached_property
    def _context(self) -> RunContext:
        """The run context, opened once for all protocols."""
        from repro.runs.batch import open_context

        return open_context({None}, device=self.device, data=self.data, results=self.results, fresh=False)

    @cached_property
    def _runs(self) -> KnownRuns:
        device = None if self.device == "auto" else self.device
        fingerprint = None
        if self.train:
            from fer_jax.machine.devices import device_kind

            device, fingerprint = device_kind(self._context.devices[0]), self._context.dataset.faces.fingerprint
        elif self.data is not None:
            fingerprint = open_dataset(self.data).faces.fingerprint
        return known_runs(self.results, self.loaded, self.claim.variant, device=device, fingerprint=fingerprint)

    def runs_of(self, protocol: str) -> list[RunRecord]:
        found = self._runs.of(protocol)
        if found:
            self.settings[protocol] = self._runs.settings(protocol)
        return found

    def _make(self, protocol: str, seeds: int) -> None:
        """Train the missing runs of the first `seeds` seeds; reuse runs with the same settings."""
        from repro.runs.batch import run_in

        known = {record.seed for record in self._runs.of(protocol)}
        plans = [
            make_plan(self.loaded, variant=self.claim.variant, seed=seed, overrides=Overrides(), protocol=protocol)
            for seed in sorted(known | set(range(seeds)))
        ]
        records = run_in(self._context, plans)
        self.failed += [
            f"the run of protocol {protocol}, seed {record.seed}, failed: {record.error}"
            for record in records
            if record.status == "failed"
        ]
        self.__dict__.pop("_runs", None)

    @cached_property
    def _split_sizes(self) -> dict[str, int]:
        """Samples of each official split, as the clean runs counted them before anything was removed."""
        counted = dict(self.clean[0].data.steps[0][1]) if self.clean and self.clean[0].data.steps else {}
        names = {"Training": "train", "PublicTest": SELECTION_SPLIT, "PrivateTest": REPORTED_SPLIT}
        return {usage: counted[name] for usage, name in names.items() if name in counted}

    # --- the clean runs -----------------------------------------------------------------------------------------------

    @cached_property
    def clean(self) -> list[RunRecord]:
        if self.train:
            self._make(CLEAN, self.seeds)
        return self.runs_of(CLEAN)

    @cached_property
    def published(self) -> list[RunRecord]:
        return self.runs_of(AS_PUBLISHED)

    @cached_property
    def usual(self) -> UsualSpread:
        return usual_spread(record for _, record in find_records(self.results))

    @cached_property
    def _paper_split(self) -> str:
        """The official split that the paper evaluates as a whole, by its own data steps; empty if there is none."""
        share = self.statements.lineage.splits.get(self.claim.split)
        cells = share.cells if share else frozenset()
        return str(next(iter(cells))[0]) if len(cells) == 1 and len(next(iter(cells))) == 1 else ""

    def _split(self, protocol: str, records: Sequence[RunRecord], *, complete: bool = False) -> str:
        """The split of a protocol nearest to the samples that the paper evaluates. complete: with repeats, if all of
        these clean runs evaluated them."""
        if self._paper_split == "PublicTest" and protocol in (CLEAN, OFFICIAL, TRAINED_ON_ALL):
            return SELECTION_SPLIT
        if complete and protocol == CLEAN and all(COMPLETE_SPLIT in record.metrics for record in records):
            return COMPLETE_SPLIT
        return REPORTED_SPLIT

    def _design(self, usage: str, samples: int) -> Design:
        """The design of the claim and of runs on an official split. If `usage` is empty, each run draws new samples."""
        if not usage:
            return Design(Samples.REDRAWN, ours=samples)
        if usage in ("Training", self._paper_split):  # evaluation on training samples uses them all
            return Design(Samples.FIXED_OWN, ours=samples)
        return other_design(self.claim, self.published, samples, self.clean[0].data.rows if self.clean else samples)

    def gap(self) -> tuple[tuple[float, ...], Decision, list[str]]:
        """Accuracies of the clean runs, and their verdict on the claim, which is also the one on the paper's page.

        If the verdict is open because the claim is the best of an unknown number of tries, the claim is judged as a
        single run, and the tries become another reason for the gap (third value).
        """
        values = accuracies(self.clean, REPORTED_SPLIT)
        samples = self.clean[0].metrics[REPORTED_SPLIT].n if self.clean else 1
        design, prior = self._design("PrivateTest", samples), self.usual.without(self.clean)
        tries = self.claim.tries if self.claim.selected_from else 1
        target = replace(self.target, tries=tries)
        made = decide(values, target, design, prior=prior, look=look_of(self.clean, len(values)))
        if made.why_open is not Open.UNKNOWN_TRIES:
            return values, made, []
        made = decide(values, self.target, design, prior=prior)
        return values, made, unknown_tries(self.claim, made)

    # --- the search ---------------------------------------------------------------------------------------------------

    def explain(self) -> Explanation:
        """Raises what `open_context` and `run_in` raise."""
        values, decision, chance = self.gap()
        suspects: list[SuspectResult] = []
        other = other_data(self.loaded, self.claim, self.published) + other_network(self.loaded, self.claim) + chance
        if has_gap(decision):
            suspects = sorted(self._suspects(), key=lambda one: STANDINGS.index(one.standing))
            concluded = conclude(self.claim, values, decision, suspects, other)
        else:
            concluded = without_gap(
                self.claim,
                values,
                decision,
                outdated=self._runs.outdated(CLEAN),
                minutes_per_run=self._runs.minutes_per_run,
            )
        return self._explanation(values, concluded, suspects, other)

    def _explanation(
        self, clean: tuple[float, ...], made: Concluded, suspects: Sequence[SuspectResult], other: Sequence[str]
    ) -> Explanation:
        records = self.clean or self.published or list(self._runs.records)
        first = records[0] if records else None
        return Explanation(
            format=EXPLANATION_FORMAT,
            paper=self.loaded.id,
            variant=self.claim.variant,
            claim=self.claim.id,
            reported=self.claim.value,
            settings=self.settings,
            duplicates_version=DUPLICATES_VERSION,
            data=first.data.name if first else "",
            fingerprint=first.data.fingerprint if first else "",
            device=first.device.name if first else "",
            clean=clean,
            conclusion=made.conclusion,
            cause=made.cause,
            why=made.why,
            other_reasons=tuple(other),
            next_steps=made.next_steps,
            suspects=tuple(suspects),
            failed_runs=tuple(self.failed),
        )

    def _suspects(self) -> list[SuspectResult]:
        spec = self.statements.spec
        found = [not_applicable(s.name, s.about, why) for s in SUSPECTS.values() if (why := s.needs(spec))]
        tried = [(DUPLICATES, OFFICIAL, "FER-2013's official splits share images", "PrivateTest")]
        tried += [(s.name, s.name, s.about, s.evaluated_split) for s in SUSPECTS.values() if not s.needs(spec)]
        if self.train:
            for name, protocol, _, usage in tried:
                self._try(name, protocol, usage)
        credits = self._credits(tried)
        measured = [self._hypothesis(*one, credits.get(one[0])) for one in tried]
        return [*(result(self.claim, one) for one in measured), *found, self._class_subset()]

    def _try(self, name: str, protocol: str, usage: str) -> None:
        """Train with an error, unless the paper rules it out, or the clean runs or one run exclude it."""
        if any(one.fits is False for one in self._said(name, usage)) or self._estimate_misses(name):
            return
        if not self._runs.of(protocol):
            self._make(protocol, 1)
        first = self._runs.of(protocol)[:1]
        if first and not is_far(self.claim, accuracies(first, self._split(protocol, first))):
            self._make(protocol, self.seeds)

    def _said(self, name: str, usage: str) -> list[Evidence]:
        """What the paper says about an error: in words or code, and by the steps that it prints."""
        steps = steps_evidence(self.loaded, self.claim, usage, self._split_sizes.get(usage))
        return [self.statements.about(name), *([steps] if steps else [])]

    def _estimate_misses(self, name: str) -> bool:
        values = estimated(name, self.clean)
        if name != BEST_EPOCH_ON_TEST or len(values) < MIN_RUNS:
            return is_far(self.claim, values)
        # Choosing an epoch needs no training: the clean runs did so on PublicTest, which has other samples.
        design = self._design("PublicTest", self.clean[0].metrics[SELECTION_SPLIT].n)
        return decide(values, self.target, design, prior=self.usual.prior).differs

    def _credits(self, tried: Sequence[tuple[str, str, str, str]]) -> dict[str, Credit]:
        tested = {}
        for name, protocol, _, usage in tried:
            if records := self.runs_of(protocol):
                tested[name] = self._tested(protocol, usage, records)
        others = [values for key, values in self.usual.groups.items() if key[0] != self.loaded.id]
        return credit(self.target, tested, others)

    def _tested(self, protocol: str, usage: str, records: Sequence[RunRecord]) -> Trial:
        split = self._split(protocol, records)
        evaluated = "PublicTest" if split == SELECTION_SPLIT else usage
        whole = evaluated == "PrivateTest" and protocol != BEST_EPOCH_ON_TEST  # which keeps the samples of `clean`
        clean_split = self._split(CLEAN, self.clean, complete=whole)
        samples = records[0].metrics[split].n
        return Trial(
            values=accuracies(records, split),
            clean=accuracies(self.clean, clean_split),
            design=self._design(evaluated, samples),
            clean_samples=self.clean[0].metrics[clean_split].n,
            same_samples=clean_split == COMPLETE_SPLIT or (protocol == BEST_EPOCH_ON_TEST and split == clean_split),
        )

    def _hypothesis(self, name: str, protocol: str, about: str, usage: str, made: Credit | None) -> Hypothesis:
        records = self.runs_of(protocol)
        curve = curve_evidence(printed_curve(self.loaded, self.claim), records, self.clean)
        others = {record.protocol for record in records} - {protocol}
        return Hypothesis(
            name=name,
            about=about,
            credit=made,
            values=accuracies(records, self._split(protocol, records)),
            estimate=estimated(name, self.clean),
            estimate_misses=self._estimate_misses(name),
            said=(*self._said(name, usage), *([curve] if curve else [])),
            same_runs_as=", ".join(sorted(others)),
            minutes_per_run=self._runs.minutes_per_run,
        )

    def _class_subset(self) -> SuspectResult:
        """From the probabilities of a clean run. Training only on the subset would do better, so an accuracy below the
        claim excludes nothing unless it is far away."""
        about, record = "only some of the seven emotions are used", self.clean[0]
        try:
            folder = record_folder(self.results, record)
            arrays = read_predictions(folder / PREDICTIONS_NAME, record.predictions_sha256)
        except RecordError as error:
            leave_out(error)
            arrays = {}
        key, said = f"{REPORTED_SPLIT}.probability", self.statements.about(CLASS_SUBSET)
        evidence, estimate = [said], ()
        if key in arrays:
            subsets = best_class_subsets(arrays[key], arrays[f"{REPORTED_SPLIT}.label"])
            size, names, accuracy = min(subsets, key=lambda one: abs(one[2] - self.claim.value))
            text = f"{accuracy:.1%} with the best {size} classes ({', '.join(names)})"
            evidence, estimate = [Evidence(kind="estimate", fits=None, text=text), said], (accuracy,)
        made = result(self.claim, Hypothesis(CLASS_SUBSET, about, None, (), estimate, False, (said,)))
        reason = made.reason if made.standing == "excluded" else "No protocol of this suite trains on fewer classes."
        return msgspec.structs.replace(made, evidence=tuple(evidence), reason=reason, missing_runs=0, minutes=None)


def target_of(claim: Claim) -> Target:
    """The claim as a single run, or as the best of a known number of tries."""
    return Target(claim.value, resolution=claim.resolution, tolerance=claim.tolerance, tries=claim.tries or 1)


def explained_claim(loaded: LoadedSpec) -> Claim:
    """The claim that `repro explain` is about: the paper's main number.

    Raises SpecError if there is none, or if it is not an accuracy over all classes on samples that runs hold out.
    """
    claim = loaded.spec.headline
    if claim is None or claim.quantity != "accuracy" or claim.not_measured or claim.emotion:
        raise SpecError(
            f"{loaded.path}: claims: nothing to explain: the one with `headline = true` must be an accuracy of all "
            "emotions that runs measure"
        )
    if claim.split in ("train", "minibatch"):
        raise SpecError(
            f"{loaded.path}: claims ({claim.id}): nothing to explain: by its `split` the accuracy is of training "
            "samples; an accuracy on held-out samples is that of `repro run --protocol clean`"
        )
    return claim

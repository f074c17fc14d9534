"""The search for the fault behind a reported number: honest runs first, then every suspect that they leave possible."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from fer_jax.devices import DeviceKind, choose_devices
from fer_jax.duplicates import DUPLICATES_VERSION
from repro.batch import run_plans
from repro.dataset import open_dataset
from repro.decode import LoadedSpec, SpecError
from repro.explain.evidence import (
    ESTIMATE_MARGIN,
    accuracy_evidence,
    best_class_subsets,
    best_epoch,
    curve_evidence,
    evaluated_rows,
    reaches,
    rows_evidence,
    tolerance,
    training_accuracy,
)
from repro.explain.records import EXPLANATION_FORMAT, Conclusion, Evidence, Explanation, SuspectResult
from repro.known_runs import done_before, folder_of
from repro.plan import RunPlan, make_plan
from repro.protocols import CLEAN, OFFICIAL, REPORTED_SPLIT, SUSPECTS
from repro.records import PREDICTIONS_NAME, Overrides, RunRecord, record_folder
from repro.report.units import reported
from repro.spec import Claim

DUPLICATES = "duplicates across the official parts"
CLASS_SUBSET = "a subset of the classes"

# What the clean runs tell of a suspect without training it. Rows that are trained on are known as well as other trained
# rows, so that the training accuracy speaks for both suspects whose evaluated rows are trained on.
_ESTIMATES: dict[str, Callable[[RunRecord], float | None]] = {
    "suspect-evaluated-on-training-rows": training_accuracy,
    "suspect-trained-on-all-parts": training_accuracy,
    "suspect-best-epoch-on-test": best_epoch,
}


class Search:
    """One paper's main claim on one data set and device. Runs that were made before are read, not made again."""

    def __init__(self, loaded: LoadedSpec, *, data: str | None, device: DeviceKind, results: Path, seeds: int) -> None:
        self.loaded, self.data, self.results, self.seeds = loaded, data, results, seeds
        self.device: DeviceKind = device
        self.claim = explained_claim(loaded)
        self.settings: dict[str, str] = {}  # of the protocols that were run

    @cached_property
    def part_rows(self) -> dict[str, int]:
        """Labelled rows of each official part of the data set."""
        return {part: sum(counts) for part, counts in open_dataset(self.data).faces.counts().items()}

    def explain(self) -> Explanation:
        """Raises what `run_plans` raises."""
        clean = self._run(CLEAN)
        honest = tuple(record.metrics[REPORTED_SPLIT].accuracy for record in clean)
        suspects: list[SuspectResult] = []
        if reaches(self.claim, honest, evaluated_rows(clean)):
            conclusion: Conclusion = "nothing to explain"
        elif self.claim.value < statistics.fmean(honest):
            conclusion = "not a matter of leakage"
        else:
            suspects = sorted(self._suspects(clean), key=_rank)
            fitting = [one for one in suspects if one.fits]
            conclusion = "not explained" if not fitting else "explained" if len(fitting) == 1 else "several fit"
        first = clean[0]
        return Explanation(
            format=EXPLANATION_FORMAT,
            paper=self.loaded.id,
            variant=self.claim.variant,
            claim=self.claim.id,
            reported=self.claim.value,
            settings=self.settings,
            duplicates_version=DUPLICATES_VERSION,
            data=first.data.name,
            fingerprint=first.data.fingerprint,
            device=first.device.name,
            honest=honest,
            conclusion=conclusion,
            cause=suspects[0].suspect if conclusion == "explained" else "",
            suspects=tuple(suspects),
        )

    def _run(self, protocol: str) -> list[RunRecord]:
        plans = self._plans(protocol)
        self.settings[protocol] = plans[0].sha256
        records = run_plans(plans, device=self.device, data=self.data, results=self.results, fresh=False)
        failed = next((record for record in records if record.status == "failed"), None)
        if failed:
            raise SpecError(f"{self.loaded.path}: the run of protocol {protocol} failed: {failed.error}")
        return records

    def _plans(self, protocol: str) -> list[RunPlan]:
        """As many seeds as were asked for, and those after them that stand in the results folder."""

        def of(seed: int) -> RunPlan:
            variant = self.claim.variant
            return make_plan(self.loaded, variant=variant, seed=seed, overrides=Overrides(), protocol=protocol)

        dataset, devices = open_dataset(self.data), choose_devices(self.device)
        plans = [of(seed) for seed in range(self.seeds)]
        while done_before(folder_of(ahead := of(len(plans)), dataset, self.results, devices), ahead, dataset, devices):
            plans.append(ahead)
        return plans

    def _suspects(self, clean: list[RunRecord]) -> list[SuspectResult]:
        spec = self.loaded.resolve(self.claim.variant)
        found = [self._measured(OFFICIAL, DUPLICATES, "the official parts share pictures", "PrivateTest")]
        for name, suspect in SUSPECTS.items():
            if why := suspect.needs(spec):
                found.append(_result(name, suspect.about, "not applicable", (), (), why))
                continue
            estimate = _ESTIMATES.get(name)
            values = [value for record in clean if estimate and (value := estimate(record)) is not None]
            if values and abs(statistics.fmean(values) - self.claim.value) > tolerance(self.claim) + ESTIMATE_MARGIN:
                found.append(self._estimated(name, suspect.about, values))
            else:
                found.append(self._measured(name, name, suspect.about, suspect.evaluated_part))
        return [*found, self._class_subset(clean)]

    def _measured(self, protocol: str, name: str, about: str, part: str) -> SuspectResult:
        records = self._run(protocol)
        accuracies = tuple(record.metrics[REPORTED_SPLIT].accuracy for record in records)
        evidence = (
            accuracy_evidence(self.claim, accuracies, evaluated_rows(records)),
            rows_evidence(self.loaded, self.claim, part, self.part_rows[part] if part else 0),
            curve_evidence(self.loaded, self.claim, records),
        )
        return _result(name, about, "measured", accuracies, evidence, "")

    def _estimated(self, name: str, about: str, values: Sequence[float]) -> SuspectResult:
        evidence = Evidence(
            kind="accuracy",
            fits=False,
            text=f"about {statistics.fmean(values):.1%} by the honest runs, reported {reported(self.claim)}",
        )
        return _result(name, about, "estimated", tuple(values), (evidence,), "too far from the claim to be tried")

    def _class_subset(self, clean: list[RunRecord]) -> SuspectResult:
        """From the probabilities of the clean runs; a document whose network has seven outputs speaks against it."""
        about = "only some of the seven emotions are used"
        record = clean[0]
        predictions = record_folder(self.results, record) / PREDICTIONS_NAME
        arrays = dict(np.load(predictions)) if predictions.exists() else {}
        key = f"{REPORTED_SPLIT}.probability"
        if key not in arrays:
            return _result(CLASS_SUBSET, about, "not applicable", (), (), "the run keeps no probabilities")
        subsets = best_class_subsets(arrays[key], arrays[f"{REPORTED_SPLIT}.label"])
        size, names, accuracy = min(subsets, key=lambda one: abs(one[2] - self.claim.value))
        text = f"{accuracy:.1%} with {size} classes ({', '.join(names)}), reported {reported(self.claim)}"
        evidence = (
            Evidence(kind="accuracy", fits=abs(accuracy - self.claim.value) <= tolerance(self.claim), text=text),
            Evidence(kind="classes", fits=False, text="the document's network tells seven emotions apart"),
        )
        return _result(CLASS_SUBSET, about, "estimated", (accuracy,), evidence, "")


def explained_claim(loaded: LoadedSpec) -> Claim:
    """The claim that `repro explain` is about: the document's main figure.

    Raises SpecError where there is none, or where it is no accuracy of all classes on a part that runs hold out.
    """
    claim = loaded.spec.headline
    if claim is None or claim.quantity != "accuracy" or claim.not_measured or claim.emotion:
        raise SpecError(
            f"{loaded.path}: claims: nothing to explain: the one with `headline = true` must be an accuracy of all "
            "emotions that runs measure"
        )
    if claim.split in ("train", "minibatch"):
        raise SpecError(
            f"{loaded.path}: claims ({claim.id}): nothing to explain: by its `split` the figure is of the rows that "
            "were trained on; an honest figure to compare is that of `repro run --protocol clean`"
        )
    return claim


def _result(name: str, about: str, status, accuracies, evidence, reason: str) -> SuspectResult:
    return SuspectResult(
        suspect=name, about=about, status=status, accuracies=accuracies, evidence=evidence, reason=reason
    )


def _rank(one: SuspectResult) -> tuple[bool, bool, int, int]:
    """Those that reach the claim and that nothing speaks against, then those that reach it, then by evidence."""
    said = [evidence.fits for evidence in one.evidence]
    reached = any(evidence.kind == "accuracy" and evidence.fits for evidence in one.evidence)
    return not one.fits, not reached, -said.count(True), said.count(False)

"""The unit of work: one RunPlan in, one RunRecord out. Plain data that can be sent to another process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fer_jax.vocabulary.later_fields import counted
from fer_jax.vocabulary.settings import Precision, Training, shortened
from repro.runs.records import Overrides
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import AS_PUBLISHED, under_protocol
from repro.specs.setting_changes import parse_setting
from repro.specs.spec import Claim, Curve, Data, Model, Paper, Spec


@dataclass(frozen=True)
class RunPlan:
    """One paper, one variant, one protocol, one seed, with every setting in place.

    precision: of products, as `fer_jax.machine.precision` names them; None for the default of the device that runs it.
    keep_going: train to the end even if the run has plainly failed by `fer_jax.train.constant_answer.never_learned`. It
    is no part of a run's identity, because it does not change the numbers of a run that reaches its end without it.
    spec_content: the bytes of the spec's file, which the results folder keeps (`repro.runs.kept_specs`).
    """

    spec: Spec
    spec_path: Path
    spec_file_sha256: str
    variant: str
    protocol: str
    seed: int
    overrides: Overrides
    precision: Precision | None = None
    keep_going: bool = False
    spec_content: bytes = field(default=b"", repr=False)

    @property
    def paper(self) -> str:
        return self.spec.paper.id

    @property
    def name(self) -> str:
        """Paper, variant and protocol in words; as published, the protocol is left out."""
        protocol = "" if self.protocol == AS_PUBLISHED else f" {self.protocol}"
        return f"{self.paper} {self.variant}{protocol}"

    @property
    def all_but_seed(self) -> tuple[object, ...]:
        """Equal for plans that differ only in their seed."""
        return self.spec_path, self.sha256, self.variant, self.protocol, self.overrides, self.precision

    @property
    def training(self) -> Training:
        """The training settings, shortened if the user gave --epochs."""
        epochs, training = self.overrides.epochs, self.spec.training
        return training if epochs is None else shortened(training, epochs)

    @property
    def sha256(self) -> str:
        return settings_sha256(self.spec)


def seeds_text(seeds: Iterable[int]) -> str:
    """Seeds in one range, ``0 to 4``, or one by one, ``0, 3, 7``."""
    listed = sorted(seeds)
    if len(listed) > 1 and listed == list(range(listed[0], listed[-1] + 1)):
        return f"{listed[0]} to {listed[-1]}"
    return ", ".join(map(str, listed))


def make_plan(
    loaded: LoadedSpec,
    *,
    variant: str,
    seed: int,
    overrides: Overrides,
    protocol: str = AS_PUBLISHED,
    precision: Precision | None = None,
    keep_going: bool = False,
    data_alone: bool = False,
) -> RunPlan:
    """Resolve a spec to one run. Overrides that shorten nothing are dropped, so that such a run is a full one.

    data_alone: the plan's network and training do not matter, and the spec may be without.
    Raises SpecError for an unknown variant or setting, and for a spec that lacks what the plan needs.
    """
    changes = dict(parse_setting(line) for line in overrides.settings or ())
    resolved = loaded.resolve_data(variant) if data_alone else loaded.resolve(variant, changes)
    if changes and settings_sha256(resolved) == settings_sha256(loaded.resolve(variant)):
        overrides = msgspec.structs.replace(overrides, settings=msgspec.UNSET)
    spec = under_protocol(resolved, protocol)
    if overrides.epochs is not None and overrides.epochs >= evaluations(spec.training):
        overrides = msgspec.structs.replace(overrides, epochs=None)
    return RunPlan(
        spec, loaded.path, loaded.sha256, variant, protocol, seed, overrides, precision, keep_going, loaded.content
    )


def evaluations(training: Training) -> int:
    """Epochs, or with `steps` the stretches between evaluations: the first ends after one update."""
    if training.epochs is not None:
        return training.epochs
    assert training.steps is not None and training.evaluate_every_steps is not None
    return 1 + -(-(training.steps - 1) // training.evaluate_every_steps)


def settings_sha256(spec: Spec) -> str:
    """Hash of everything that decides a run's numbers: data steps, layers, training. Quotes do not change it, and
    neither do settings that came later and have their default (`fer_jax.vocabulary.later_fields`)."""
    settings = {"data": spec.data, "model": spec.model, "training": spec.training}
    return hashlib.sha256(msgspec.json.encode(counted(settings), order="sorted")).hexdigest()


class _Recorded(msgspec.Struct, frozen=True):
    paper: Paper
    data: Data
    model: Model
    training: Training
    claims: tuple[Claim, ...]
    curves: tuple[Curve, ...]


def recorded_spec(spec: Spec) -> dict[str, Any]:
    """The resolved spec as a record keeps it: all settings, and what a comparison needs of the claims (id, value,
    tolerance), fixed before training. Quotes and reasons stay in the paper's file, whose hash is recorded too."""
    whole = counted(_Recorded(spec.paper, spec.data, spec.model, spec.training, spec.single_claims, spec.curves))
    keep = ("id", "quantity", "value", "unit", "tolerance")
    whole["claims"] = [
        {k: c[k] for k in keep if c.get(k) is not None} for c in whole["claims"] if c["tolerance"] is not None
    ]
    keep = ("id", "quantity", "epochs", "steps", "values", "unit", "tolerance")
    curves = [{k: c[k] for k in keep if c.get(k)} for c in whole.pop("curves") if c["tolerance"] is not None]
    return whole | ({"curves": curves} if curves else {})

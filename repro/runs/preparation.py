"""From a plan and a dataset to the splits that are trained on and evaluated. No JAX here."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError
from fer_jax.data.ferplus import read_votes, vote_shares
from fer_jax.data.steps import Prepared, apply_steps
from fer_jax.duplicates.search import pictures_of
from fer_jax.machine.cache_folder import cache_folder
from fer_jax.vocabulary.fer2013 import UNLABELLED
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.step_kinds import StepError, VoteTargets, step_names
from repro.runs.dataset import Dataset
from repro.runs.plan import RunPlan
from repro.specs.protocols import AS_PUBLISHED


def prepare(plan: RunPlan, dataset: Dataset) -> Prepared:
    """Apply the data steps to the labelled samples, shortened if the user gave --limit-train.

    Raises StepError naming the spec, the step and what the dataset has.
    """
    faces = dataset.faces
    labelled = faces.labels != UNLABELLED
    steps = plan.spec.data.steps
    try:
        labelled_faces = faces if labelled.all() else faces.take(labelled)
        prepared = apply_steps(labelled_faces, steps, plan.seed, lambda: pictures_of(faces, cache_folder()))
    except StepError as error:
        rows = ", ".join(f"{sum(counts):,} {usage}" for usage, counts in faces.counts().items())
        place = f"data.steps[{error.index}]"
        if plan.protocol != AS_PUBLISHED:  # its steps are not those of the file
            place = f"protocol {plan.protocol}, step {error.index + 1}"
        at = f"{plan.spec_path}: {place} ({step_names(steps)[error.index]})"
        raise StepError(error.index, f"{at}: {error}; the dataset has these labelled rows: {rows}") from None
    return _with_targets(_limit_train(prepared, plan.overrides.limit_train), plan, dataset)


def _with_targets(prepared: Prepared, plan: RunPlan, dataset: Dataset) -> Prepared:
    """With the votes of the training samples, if the steps ask for them. Raises DataError for a file that is missing or
    another one, or whose votes do not fit the dataset."""
    step = next((one for one in plan.spec.data.steps if isinstance(one, VoteTargets)), None)
    if step is None:
        return prepared
    places = (Path(step.file), plan.spec_path.parent / step.file)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DataError(f"{step.file}: no such file here or beside {plan.spec_path}; it comes with FER+")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != step.sha256:
        raise DataError(f'{path}: not the file that the spec names by its hash: this one has sha256 = "{found}"')
    train = prepared.splits["train"]
    votes = read_votes(path, dataset.faces)
    return replace(prepared, targets=vote_shares(votes[train.origin], train.labels))


def network_of(plan: RunPlan, prepared: Prepared) -> Network:
    """The network and settings that a plan trains on prepared data."""
    return Network(
        layers=plan.spec.model.layers,
        training=plan.training,
        image_size=prepared.image_size,
        subtract=prepared.subtract,
        divide=prepared.divide,
        random_flip=prepared.random_flip,
        pipeline=prepared.pipeline,
    )


def _limit_train(prepared: Prepared, limit: int | None) -> Prepared:
    """Keep `limit` training samples, evenly spaced, so that samples in class order keep their mix."""
    train = prepared.splits["train"]
    if limit is None or limit >= len(train):
        return prepared
    rows = np.linspace(0, len(train) - 1, limit).astype(np.int64)
    return replace(prepared, splits={**prepared.splits, "train": train.take(rows)})

"""How far a spec goes: claims alone can be checked for contradictions, with data steps for train/test overlap, and with
a network and its training they can be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.layers import Dense, Flatten
from fer_jax.vocabulary.settings import Loss, Sgd, Training
from repro.specs.spec import Model, PaperSpec, Spec

TABLES = ("data", "model", "training")  # that decide a run's numbers; a variant changes nothing else
StageName = Literal["forensics", "audit", "run"]


@dataclass(frozen=True)
class SpecStage:
    """name: the command. does: what it answers, in a few words. needs: the tables of the spec."""

    name: StageName
    does: str
    needs: tuple[str, ...]


STAGES = (
    SpecStage("forensics", "do the printed numbers fit each other?", ("claims",)),
    SpecStage("audit", "which evaluated samples are also in training?", ("data",)),
    SpecStage("run", "does training give the numbers?", TABLES),
)


def missing_tables(spec: PaperSpec) -> tuple[str, ...]:
    """The tables that a spec lacks to be run."""
    return tuple(name for name in TABLES if getattr(spec, name) is None)


def missing_for(spec: PaperSpec, stage: SpecStage) -> tuple[str, ...]:
    """The tables that a spec lacks for one stage; empty if it reaches it."""
    return tuple(name for name in stage.needs if not (spec.all_claims if name == "claims" else getattr(spec, name)))


def with_stand_in_network(spec: PaperSpec) -> Spec:
    """A spec with data steps as a complete one, for what depends on no network. Its settings hash is that of no run."""
    assert spec.data is not None
    network = Model(layers=(Flatten(), Dense(units=len(EMOTIONS))))
    training = Training(
        batch_size=1, epochs=1, evaluate=(), loss=Loss(kind="cross_entropy"), optimizer=Sgd(learning_rate=1.0)
    )
    given = {name: getattr(spec, name) for name in spec.__struct_fields__}
    return Spec(**{**given, "model": network, "training": training})

"""Settings that came later do not count while they have their default."""

from typing import ClassVar

import msgspec

from fer_jax.vocabulary.later_fields import counted, counted_fields, is_default
from fer_jax.vocabulary.settings import AdamW, Constant, Loss, Sgd, Training


class Struct(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="a"):
    required: int
    early: float = 1.0
    late: tuple[int, ...] = ()
    later_fields: ClassVar[tuple[str, ...]] = ("late",)


def test_later_fields_count_once_they_are_set():
    plain, late = Struct(required=1), Struct(required=1, late=(2,))
    assert counted_fields(plain) == ("required", "early") and counted_fields(late) == ("required", "early", "late")
    assert counted({"x": (plain, None)}) == {"x": [{"kind": "a", "required": 1, "early": 1.0}, None]}
    assert counted(late) == {"kind": "a", "required": 1, "early": 1.0, "late": [2]}
    assert is_default(plain, "early") and not is_default(plain, "required") and not is_default(late, "late")


def test_a_struct_without_later_fields_is_that_of_msgspec():
    training = Training(batch_size=4, epochs=1, loss=Loss(kind="cross_entropy"), optimizer=Sgd(learning_rate=0.1))
    assert counted(training) == {
        **{"batch_size": 4, "epochs": 1, "steps": None, "evaluate_every_steps": None, "order": "reshuffle"},
        **{"last_batch": "keep", "evaluate": ["validation"], "report": "last", "report_split": "validation"},
        "loss": {"kind": "cross_entropy", "l2": 0.0, "l2_biases": False},
        "optimizer": {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.0, "nesterov": False},
        "schedule": {"schedule": "constant"},
    }
    assert counted(Constant(warmup_epochs=2.0)) == {"schedule": "constant", "warmup_epochs": 2.0}


def test_what_makes_a_rule_always_counts():
    assert counted(AdamW(learning_rate=0.1)) == {
        **{"optimizer": "adamw", "learning_rate": 0.1, "b1": 0.9, "b2": 0.999, "epsilon": 1e-8, "epsilon_hat": False},
        **{"weight_decay": 0.01, "weight_decay_form": "decoupled"},
    }

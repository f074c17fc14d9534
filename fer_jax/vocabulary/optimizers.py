"""The vocabulary of update rules. Frozen structs, no JAX here; `fer_jax.train.optim` has the arithmetic.

Each default is that of the framework that its docstring names, because the frameworks differ.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

PositiveFloat = Annotated[float, msgspec.Meta(gt=0.0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Fraction = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]

_CLIPS = ("clip_value", "clip_norm", "clip_global_norm")
_LATER = ("weight_decay", "weight_decay_form", "weight_decay_of", *_CLIPS)
_DECAYING = ("weight_decay_of", *_CLIPS)  # of optimizers whose weight decay is a part of the rule


class OptimizerStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="optimizer"):
    """What all optimizers share.

    First gradients are clipped, then weight decay is added, then the rule is applied, as PyTorch does it. `l2` of the
    loss is different: it is part of the gradient that is clipped, as in Keras.

    clip_value: each number of a gradient is limited to [-clip_value, clip_value] (PyTorch's clip_grad_value_, Keras'
        clipvalue). clip_norm: the gradient of each array is scaled down to this Euclidean norm (Keras' clipnorm).
        clip_global_norm: all gradients together are (Pascanu et al. 2013; PyTorch's clip_grad_norm_ but for the 1e-6
        that it adds to the norm; Keras' global_clipnorm). 0 does not clip.
    weight_decay: 0 does not decay. weight_decay_form: `gradient` adds weight_decay * p to the gradient (PyTorch's SGD,
        Adam, RMSprop, Adagrad); `decoupled` changes p by -rate * weight_decay * p besides the rule (Loshchilov & Hutter
        2019; PyTorch's AdamW, `weight_decay` of every optimizer of Keras 3). weight_decay_of: `all` parameters, as in
        PyTorch and Keras, or `kernels`, without biases and without scales and offsets of normalisation.
    """

    learning_rate: PositiveFloat
    weight_decay: NonNegative = 0.0
    weight_decay_form: Literal["gradient", "decoupled"] = "gradient"
    weight_decay_of: Literal["all", "kernels"] = "all"
    clip_value: NonNegative = 0.0
    clip_norm: NonNegative = 0.0
    clip_global_norm: NonNegative = 0.0
    later_fields: ClassVar[tuple[str, ...]] = _LATER

    def __post_init__(self) -> None:
        if sum(limit > 0 for limit in (self.clip_value, self.clip_norm, self.clip_global_norm)) > 1:
            raise ValueError("give one of `clip_value`, `clip_norm` and `clip_global_norm`")


class Sgd(OptimizerStruct, frozen=True, kw_only=True, tag="sgd"):
    """Gradient descent: v = momentum * v - rate * g, p = p + v, as in Keras.

    rate_in_velocity: false leaves the rate out of v: v = momentum * v + g, p = p - rate * v, as in PyTorch and
        TensorFlow's MomentumOptimizer. The two differ as soon as the rate changes.
    """

    momentum: Fraction = 0.0
    nesterov: bool = False
    rate_in_velocity: bool = True
    later_fields: ClassVar[tuple[str, ...]] = (*_LATER, "rate_in_velocity")


class Adam(OptimizerStruct, frozen=True, kw_only=True, tag="adam"):
    """Kingma & Ba 2015. `epsilon_hat` is Keras' and TensorFlow's form (end of section 2 of that paper): epsilon is
    added to the root of the uncorrected second moment,
    p -= rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)."""

    b1: Fraction = 0.9
    b2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-7
    epsilon_hat: bool = True


class AdamW(OptimizerStruct, frozen=True, kw_only=True, tag="adamw"):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019). Defaults are PyTorch's. Keras' AdamW has epsilon
    1e-7, epsilon_hat true and weight decay 0.004; optax' has weight decay 1e-4."""

    b1: Fraction = 0.9
    b2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-8
    epsilon_hat: bool = False
    weight_decay: NonNegative = 0.01
    weight_decay_form: Literal["gradient", "decoupled"] = "decoupled"
    later_fields: ClassVar[tuple[str, ...]] = _DECAYING


class Nadam(OptimizerStruct, frozen=True, kw_only=True, tag="nadam"):
    """Dozat 2016: Adam with Nesterov's momentum and its schedule mu_t = b1 * (1 - 0.5 * 0.96^(t * momentum_decay)).

    p -= rate * (mu_{t+1} m / (1 - prod_{i<=t+1} mu_i) + (1 - mu_t) g / (1 - prod_{i<=t} mu_i)) /
    (sqrt(v / (1 - b2^t)) + epsilon). Defaults are those of the paper, of PyTorch (but for epsilon, there 1e-8) and of
    Keras 2. Keras 3 has momentum_decay 1.
    """

    b1: Fraction = 0.9
    b2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-7
    momentum_decay: NonNegative = 0.004


class RmsProp(OptimizerStruct, frozen=True, kw_only=True, tag="rmsprop"):
    """Tieleman & Hinton 2012 with momentum: c = decay * c + (1 - decay) * g^2, v = momentum * v - rate * g /
    sqrt(c + epsilon), p = p + v. c starts at `initial_accumulator`.

    epsilon_in_root: false divides by sqrt(c) + epsilon, as PyTorch does. rate_in_velocity: as in `Sgd`.
    """

    decay: Fraction = 0.9
    momentum: Fraction = 0.0
    epsilon: PositiveFloat = 1e-7
    initial_accumulator: NonNegative = 0.0
    epsilon_in_root: bool = True
    rate_in_velocity: bool = True
    later_fields: ClassVar[tuple[str, ...]] = (*_LATER, "epsilon_in_root", "rate_in_velocity")


class Adagrad(OptimizerStruct, frozen=True, kw_only=True, tag="adagrad"):
    """Duchi et al. 2011: c = c + g^2, p -= rate * g / sqrt(c + epsilon). Defaults are Keras' and optax'. PyTorch starts
    c at 0, has epsilon 1e-10, and divides by sqrt(c) + epsilon (`epsilon_in_root = false`)."""

    epsilon: PositiveFloat = 1e-7
    initial_accumulator: NonNegative = 0.1
    epsilon_in_root: bool = True


class Lion(OptimizerStruct, frozen=True, kw_only=True, tag="lion"):
    """Chen et al. 2023: p -= rate * (sign(b1 m + (1 - b1) g) + weight_decay * p), then m = b2 m + (1 - b2) g."""

    b1: Fraction = 0.9
    b2: Fraction = 0.99
    weight_decay: NonNegative = 0.0
    weight_decay_form: Literal["gradient", "decoupled"] = "decoupled"
    later_fields: ClassVar[tuple[str, ...]] = _DECAYING

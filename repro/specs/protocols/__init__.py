"""The protocols that a paper can run under. A protocol is a list of data steps and the splits that training looks at.
The network stays the paper's. No JAX here.

as-published: the paper's own order of data steps and its own evaluation, mistakes included.
official, clean: without protocol errors, the same for all papers; placebo: the control of clean: ``corrected.py``.
suspect-...: clean with one protocol error added, to see which one explains a reported number: ``suspects.py``.
"""

from __future__ import annotations

from repro.specs.protocols.corrected import (
    CLEAN,
    COMPLETE_SPLIT,
    CORRECTED,
    OFFICIAL,
    PLACEBO,
    REPORTED_SPLIT,
    corrected_spec,
    training_steps,
)
from repro.specs.protocols.suspects import (
    AUGMENTED_BEFORE_SPLIT,
    BEST_EPOCH_ON_TEST,
    EVALUATED_ON_TRAINING,
    OVERSAMPLED_BEFORE_SPLIT,
    SUSPECT_PREFIX,
    SUSPECTS,
    TRAINED_ON_ALL,
    Suspect,
)
from repro.specs.spec import Spec

AS_PUBLISHED = "as-published"
PROTOCOLS = (AS_PUBLISHED, *CORRECTED)  # whose results are shown side by side
RUNNABLE = (*PROTOCOLS, PLACEBO)  # accepted by `repro run --protocol`
ALL_PROTOCOLS = (*RUNNABLE, *SUSPECTS)

__all__ = [
    "ALL_PROTOCOLS",
    "AS_PUBLISHED",
    "AUGMENTED_BEFORE_SPLIT",
    "BEST_EPOCH_ON_TEST",
    "CLEAN",
    "COMPLETE_SPLIT",
    "CORRECTED",
    "EVALUATED_ON_TRAINING",
    "OFFICIAL",
    "OVERSAMPLED_BEFORE_SPLIT",
    "PLACEBO",
    "PROTOCOLS",
    "REPORTED_SPLIT",
    "RUNNABLE",
    "SUSPECTS",
    "SUSPECT_PREFIX",
    "TRAINED_ON_ALL",
    "Suspect",
    "training_steps",
    "under_protocol",
]


def under_protocol(spec: Spec, protocol: str) -> Spec:
    """The spec (of one variant, resolved) with the data steps and evaluated splits of a protocol.

    Raises ValueError for a protocol outside ALL_PROTOCOLS, and for a suspect that does not apply to the spec.
    """
    if protocol == AS_PUBLISHED:
        return spec
    if protocol in (*CORRECTED, PLACEBO):
        return corrected_spec(spec, protocol)
    if protocol in SUSPECTS:
        return SUSPECTS[protocol].faulty_spec(spec)
    raise ValueError(f"no protocol {protocol!r}; accepted: {', '.join(ALL_PROTOCOLS)}")

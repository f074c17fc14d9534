"""Whether a kept explanation matches the present spec. If it does not, it must not be shown as current."""

from __future__ import annotations

from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.explain.records import Explanation
from repro.judge.groups import settings_now
from repro.specs.decode import LoadedSpec


def is_current(loaded: LoadedSpec, found: Explanation) -> bool:
    """Whether the spec still has the main claim and the run settings of an explanation."""
    main = loaded.spec.headline
    same_claim = main and (main.id, main.variant, main.value) == (found.claim, found.variant, found.reported)
    same_runs = all(sha == settings_now(loaded, found.variant, protocol) for protocol, sha in found.settings.items())
    return bool(same_claim and same_runs and found.duplicates_version == DUPLICATES_VERSION)

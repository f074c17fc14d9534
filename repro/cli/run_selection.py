"""Command-line values that choose runs: seeds, a share of all runs, changed settings. Imports nothing slow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import click

from repro.specs.setting_changes import canonical_setting

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_SHARE = re.compile(r"(\d{1,6})/(\d{1,6})")
MOST_SEEDS = 100_000


@dataclass(frozen=True)
class SeedChoice:
    """seeds: in the order given. counted: given as a number of seeds, from 0."""

    seeds: tuple[int, ...]
    counted: bool


class Seeds(click.ParamType):
    """`5` for seeds 0 to 4; `3,4,7`, `5-9` or both for the seeds named. A `SeedChoice`."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> SeedChoice:
        if isinstance(value, SeedChoice):
            return value
        text = str(value).strip()
        if text.isdecimal():
            if not 1 <= int(text) <= MOST_SEEDS:
                self.fail(
                    f"{text} is not a number of seeds from 1 to {MOST_SEEDS:,}; --seed {text} is one seed", param, ctx
                )
            return SeedChoice(tuple(range(int(text))), counted=True)
        seeds: dict[int, None] = {}
        for part in text.rstrip(",").split(","):
            found = _RANGE.fullmatch(part.strip())
            if found is None:
                self.fail(f"{value!r}: write a number of seeds (5), or a list (3,4,7 or 5-9)", param, ctx)
            first, last = int(found[1]), int(found[2] or found[1])
            if last < first or last - first >= MOST_SEEDS:
                self.fail(f"{part.strip()!r} is not a range of seeds; write the smaller one first", param, ctx)
            seeds.update(dict.fromkeys(range(first, last + 1)))
        return SeedChoice(tuple(seeds), counted=False)


@dataclass(frozen=True)
class ShareOfRuns:
    """The `number`-th of `of` equal parts, from 1."""

    number: int = 1
    of: int = 1


class Shard(click.ParamType):
    """`3/20`: a `ShareOfRuns`."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ShareOfRuns:
        if isinstance(value, ShareOfRuns):
            return value
        found = _SHARE.fullmatch(str(value).strip())
        share = ShareOfRuns(int(found[1]), int(found[2])) if found else None
        if share is None or not 1 <= share.number <= share.of:
            self.fail(f"{value!r}: write K/N with K from 1 to N, such as 3/20", param, ctx)
        return share


class SettingChange(click.ParamType):
    """`training.epochs=2`: see `repro.specs.setting_changes`."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return canonical_setting(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)

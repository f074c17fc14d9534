"""Weights & Biases: offline below ``results/wandb`` unless WANDB_MODE says otherwise. `wandb sync` uploads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.trackers.logged_run import PROJECT, LoggedRun


class WandbTracker:
    def __init__(self, results: Path) -> None:
        self.results = results

    def begin(self, run: LoggedRun) -> WandbRun:
        import wandb  # pyright: ignore[reportMissingImports]

        self.results.mkdir(parents=True, exist_ok=True)
        return WandbRun(
            wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=run.place,
                group=run.paper,
                config=dict(run.config),
                dir=str(self.results.absolute()),
                mode=_mode(),
                reinit="create_new",  # several seeds may train side by side
                settings=wandb.Settings(console="off", silent=True),
            )
        )


def _mode() -> Any:
    return os.environ.get("WANDB_MODE", "offline")


class WandbRun:
    """See `RunLog`."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=epoch)

    def end(self, values: Mapping[str, float], status: str) -> None:
        self._run.summary.update({**values, "status": status})
        self._run.finish(exit_code=1 if status == "failed" else 0)

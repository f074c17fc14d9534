"""MLflow: a database below ``results/mlflow``, or the server that MLFLOW_TRACKING_URI names.

An experiment per paper. `mlflow ui --backend-store-uri sqlite:///results/mlflow/mlflow.db` shows it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.trackers.logged_run import LoggedRun

_PLACE_TAG = "fer-repro.place"
_LONGEST = 500  # characters of a parameter that every store of MLflow takes
_BATCH = 100  # parameters that one call takes


class MlflowTracker:
    def __init__(self, results: Path) -> None:
        self.folder = results / "mlflow"
        self._client: Any = None

    def begin(self, run: LoggedRun) -> MlflowRun:
        """What an earlier process sent of this run is deleted: the whole history comes again."""
        from mlflow import entities  # pyright: ignore[reportMissingImports]

        client = self._opened()
        experiment = client.get_experiment_by_name(run.paper)
        number = client.create_experiment(run.paper) if experiment is None else experiment.experiment_id
        for older in client.search_runs([number], f"tags.`{_PLACE_TAG}` = '{run.place}'"):
            client.delete_run(older.info.run_id)
        begun = client.create_run(number, run_name=run.place, tags={_PLACE_TAG: run.place}).info.run_id
        params = [entities.Param(key, str(value)[:_LONGEST]) for key, value in run.config.items()]
        for start in range(0, len(params), _BATCH):
            client.log_batch(begun, params=params[start : start + _BATCH])
        return MlflowRun(client, begun)

    def _opened(self) -> Any:
        if self._client is None:
            from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

            for name in ("mlflow", "alembic"):  # a line for every table that they create
                logging.getLogger(name).setLevel(logging.WARNING)
            uri = os.environ.get("MLFLOW_TRACKING_URI")
            if uri is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                uri = f"sqlite:///{(self.folder / 'mlflow.db').absolute()}"
            self._client = MlflowClient(tracking_uri=uri)
        return self._client


class MlflowRun:
    """See `RunLog`."""

    def __init__(self, client: Any, number: str) -> None:
        self._client, self._number, self._last = client, number, 0

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._send(epoch, values)
        self._last = epoch

    def end(self, values: Mapping[str, float], status: str) -> None:
        self._send(self._last, values)
        self._client.set_tag(self._number, "status", status)
        self._client.set_terminated(self._number, "FAILED" if status == "failed" else "FINISHED")

    def _send(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow import entities  # pyright: ignore[reportMissingImports]

        now = int(time.time() * 1000)
        self._client.log_batch(
            self._number, metrics=[entities.Metric(name, value, now, step) for name, value in values.items()]
        )

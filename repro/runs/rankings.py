"""Top-k and AUC of older records, computed from the probabilities that their predictions.npz keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from repro.runs.class_measures import ranking
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.records import Ranking, RunRecord
from repro.specs.decode import LoadedSpec

ASKED = ("top_k", "auc")


def with_rankings(
    records: Iterable[tuple[Path, RunRecord]], specs: Sequence[LoadedSpec]
) -> Iterator[tuple[Path, RunRecord]]:
    """The records, each with the path of its run.json. If a paper claims a top-k accuracy or an AUC that a record
    lacks, it is computed from the file next to the record, if that keeps probabilities (for up to 8,000 samples).

    The file rounds probabilities to 1/255, so an AUC may differ from that of the run in the third digit.
    Raises RecordError for a damaged file.
    """
    asking = {spec.id for spec in specs if any(claim.quantity in ASKED for claim in spec.spec.single_claims)}
    for path, record in records:
        if record.paper in asking and not record.ranking and record.status == "done":
            record = msgspec.structs.replace(record, ranking=_rankings(path.parent, record))
        yield path, record


def _rankings(folder: Path, record: RunRecord) -> dict[str, Ranking]:
    found: dict[str, Ranking] = {}
    arrays = read_predictions(folder / PREDICTIONS_NAME, record.predictions_sha256)
    for name, values in arrays.items():
        split, _, what = name.rpartition(".")
        if what == "probability" and (one := ranking(values, arrays[f"{split}.label"])) is not None:
            found[split] = one
    return found

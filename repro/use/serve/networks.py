"""The trained networks that a page or a program can choose, opened when they are first asked for."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from repro.runs.records import RunRecord
from repro.use.classifier import FaceClassifier
from repro.use.opened import Keep, open_classifier
from repro.use.packaged import packaged_file, read_packaged
from repro.use.temperature import temperature_text, unsure_below
from repro.use.trained import evaluated_split, trained_runs

MOST_OPEN = 4  # networks in memory: a few million parameters each


@dataclass(frozen=True)
class OfferedNetwork:
    """key: names it in addresses. words: for a list to choose from."""

    key: str
    folder: Path
    words: str


@dataclass(frozen=True)
class NetworkInUse:
    """An opened network with the threshold of its answers, as in `repro.use.temperature`."""

    key: str
    classifier: FaceClassifier
    unsure_below: float

    @property
    def words(self) -> str:
        """One line: the network, its training data, and its accuracy."""
        return self.classifier.trained.describe()

    @property
    def certainty(self) -> str:
        """One line: its temperature and threshold."""
        return temperature_text(self.classifier.temperature, self.unsure_below)

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on synthetic faces, so that its answers on real faces mean nothing."""
        return self.classifier.trained.record.data.synthetic


class Networks:
    """Those of a results folder when the server starts, the best first, the one that comes with the suite, and the one
    that the user named."""

    def __init__(self, results: Path, first: Path, keep: Keep | None = None, threshold: float | None = None) -> None:
        """first: the run that is used unless another is chosen. keep: as in `repro.use.opened`. threshold: the user's.

        Raises RecordError or CheckpointError if the first network cannot be opened."""
        self._keep, self._threshold = keep, threshold
        self.offered = [_offer(results, folder, record) for folder, record in trained_runs(results)]
        self._folders = {one.key: one.folder for one in self.offered}
        if (shipped := packaged_file()) is not None:
            self._folders[shipped.stem] = shipped
        self._open: OrderedDict[str, NetworkInUse] = OrderedDict()
        chosen = next((key for key, folder in self._folders.items() if folder.resolve() == first.resolve()), None)
        if chosen is None:  # a run of another folder
            chosen = first.name
            self._folders[chosen] = first
        self.first = self.open(chosen)
        used = self.first.classifier.trained.record
        if shipped is not None:  # read once, if it is the one in use
            record = used if chosen == shipped.stem else read_packaged(shipped).record
            self.offered.append(OfferedNetwork(shipped.stem, shipped, _words(record)))
        if chosen not in {one.key for one in self.offered}:
            self.offered.insert(0, OfferedNetwork(chosen, first, _words(used)))

    def has(self, key: str) -> bool:
        """Whether there is a network of that key; the empty one is the first's."""
        return not key or key in self._folders

    def open(self, key: str) -> NetworkInUse:
        """Call it in the thread of the recognition: a network that was never used is read by JAX, which takes seconds.

        Raises RecordError or CheckpointError if it cannot be read any more.
        """
        key = key or self.first.key
        found = self._open.pop(key, None)
        if found is None:
            classifier = open_classifier(self._folders[key], self._keep)
            found = NetworkInUse(key, classifier, unsure_below(classifier.temperature, self._threshold))
        self._open[key] = found
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        return found


def _offer(results: Path, folder: Path, record: RunRecord) -> OfferedNetwork:
    return OfferedNetwork(folder.relative_to(results / "runs").as_posix(), folder, _words(record))


def _words(record: RunRecord) -> str:
    split = evaluated_split(record)
    accuracy = f", {record.metrics[split].accuracy:.1%} of {split}" if split else ""
    synthetic = ", synthetic faces" if record.data.synthetic else ""
    return f"{record.paper} {record.variant}, {record.protocol}, seed {record.seed}{accuracy}{synthetic}"

"""A search for duplicates that processes share: on one machine, or on many that see one folder.

The pairs of a dataset form a triangle. It is cut into parts by columns (`fer_jax.duplicates.stages.column_parts`), and
each part has a folder with a claim (`repro.runs.claim`), as a run has. Each process takes the next free part, takes
over those of dead processes, and in the end reads what all have found. A stopped search resumes in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fer_jax.duplicates.search import DUPLICATES_VERSION, Candidates
from fer_jax.duplicates.stages import CandidatePairs
from fer_jax.machine.kept_arrays import read_arrays, write_arrays
from fer_jax.vocabulary.counted import counted
from repro.runs.claim import AGAIN_S, POLL_S, Holder, take

PARTS_NAME = "parts"
_FILE = "pairs.npz"


def searched_parts(folder: Path) -> int:
    """How many parts of the search in a folder are done."""
    return sum(1 for _ in folder.glob(f"part-*/{_FILE}"))


def search_folder(out: Path, fingerprint: str, candidates: Candidates) -> Path:
    """Where the parts of one search lie. Another dataset, method or version of the search has another folder."""
    return out / PARTS_NAME / f"{fingerprint[:8]}-{candidates}-v{DUPLICATES_VERSION}"


class SharedSearch:
    """Carries out the parts of a search (`stages.CarryOut`). say: gets a line for each part that is done, and when
    there is nothing to do but wait."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self._say = folder, say

    def __call__(self, parts: int, find: Callable[[int], CandidatePairs]) -> list[CandidatePairs]:
        """Raises OSError if the folder cannot be written to."""
        paths = [self.folder / f"part-{part:05d}" / _FILE for part in range(parts)]
        said = 0.0
        while True:
            while missing := [part for part in range(parts) if not paths[part].exists()]:
                taken = [self._take(paths[part], lambda part=part: find(part)) for part in missing]
                if any(taken):
                    continue
                if time.monotonic() - said > AGAIN_S or not said:
                    said = time.monotonic()
                    self._say(f"waiting for the processes that search the last {counted(len(missing), 'part')}")
                time.sleep(POLL_S)
            found = {path: read_part(path) for path in paths}
            whole = [one for one in found.values() if one is not None]
            if len(whole) == parts:
                return whole
            for path in (path for path, one in found.items() if one is None):
                path.unlink(missing_ok=True)  # damaged: it is searched again

    def _take(self, path: Path, find: Callable[[], CandidatePairs]) -> bool:
        """Whether this process searched the part, or it was there already."""
        claim = take(path.parent)
        if isinstance(claim, Holder):
            return False
        try:
            if not path.exists():
                write_part(path, find())
                self._say(f"searched {path.parent.name}")
        finally:
            claim.release()
        return True


def write_part(path: Path, found: CandidatePairs) -> None:
    write_arrays(path, vars(found))


def read_part(path: Path) -> CandidatePairs | None:
    """None if there is none, or it is damaged."""
    arrays = read_arrays(path, CandidatePairs.__dataclass_fields__)
    return None if arrays is None else CandidatePairs(**arrays)

"""How duplicates are found in a dataset much larger than FER-2013: seconds, memory, recall and false alarms.

    python tests/duplicates/at_scale.py 1000000 --folder /tmp/large

Synthetic faces are drawn into a file, with planted copies of each kind (tests/planted.py). They stay in the folder, and
are used again. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from planted import Planted, plant  # noqa: E402

from fer_jax.data.synthetic import draw_faces  # noqa: E402
from fer_jax.duplicates import stages  # noqa: E402
from fer_jax.duplicates.search import MIRRORED_MARGIN, THRESHOLD, Pairs, find_duplicates  # noqa: E402

DRAWN = 14_000  # faces drawn at once, each part with a seed of its own
COPIES = 50  # of each kind of change and part


def draw(images: int, folder: Path) -> Planted:
    """About so many images, copies included, in a file that is read as it is needed."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn, told = folder / f"{images}.npy", folder / f"{images}.json"
    if not told.exists():
        parts = max(1, round(images / (DRAWN + 12 * COPIES)))
        size = DRAWN + 12 * COPIES
        out = np.lib.format.open_memmap(drawn, "w+", np.uint8, (parts * size, 48, 48))
        truth: list[tuple[int, int, str]] = []
        for part in range(parts):
            mixed = plant(draw_faces(part, {"Training": (DRAWN // 7,) * 7}).images, COPIES, part)
            at = part * size
            out[at : at + size] = mixed.images
            truth += [(a + at, b + at, kind) for (a, b), kind in mixed.truth.items()]
        # Rows of one part in all parts of the file, so that a copy is not always near its original.
        order = np.random.default_rng(0).permutation(len(out))
        place = np.argsort(order)
        spread = np.lib.format.open_memmap(folder / "spread.npy", "w+", np.uint8, out.shape)
        for at in range(0, len(out), DRAWN):
            spread[at : at + DRAWN] = out[order[at : at + DRAWN]]
        (folder / "spread.npy").rename(drawn)
        moved = [(*sorted((int(place[a]), int(place[b]))), kind) for a, b, kind in truth]
        told.write_text(json.dumps(moved))
    known = {(a, b): kind for a, b, kind in json.loads(told.read_text())}
    return Planted(np.load(drawn, mmap_mode="r"), known)


def peaks_mib() -> dict[str, float]:
    """The most memory of this process so far, pages of the file included, and its own memory now."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(status[key].split()[0]) / 1024 for name, key in (("peak", "VmHWM"), ("own", "RssAnon"))}


def by_threshold(found: Pairs, mixed: Planted, least: float) -> dict[str, dict[str, float]]:
    """What the same search would have given with higher thresholds."""
    planted = np.array([pair in mixed.truth for pair in zip(found.row_a.tolist(), found.row_b.tolist(), strict=True)])
    counts = {}
    for step in range(9):
        threshold = round(least + step / 100, 2)
        kept = found.exact | (found.score >= threshold + MIRRORED_MARGIN * found.mirrored)
        hits = int((kept & planted).sum())
        counts[str(threshold)] = {"recall": round(hits / len(mixed.truth), 4), "false_alarms": int(kept.sum()) - hits}
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=int)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--candidates", choices=("blocks", "index"), default="index")
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    asked = parser.parse_args()
    mixed = draw(asked.images, asked.folder)
    cuts: list[stages.Cuts] = []
    by_sample = stages._cuts_by_sample

    def kept(*given: object) -> stages.Cuts:
        cuts.append(by_sample(*given))  # type: ignore[arg-type]
        return cuts[-1]

    stages._cuts_by_sample = kept  # type: ignore[assignment]
    begin, cpu = time.perf_counter(), time.process_time()
    found = find_duplicates(
        mixed.images,
        threshold=asked.threshold,
        candidates=asked.candidates,
        report=lambda done, of: print(f"{time.perf_counter() - begin:8.0f} s: {done} of {of}", file=sys.stderr),
    )
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(
        json.dumps(
            {
                "images": len(mixed.images),
                "seconds": round(seconds, 1),
                "cpu_seconds": round(cpu, 1),
                "memory_mib": {name: round(value) for name, value in peaks_mib().items()},
                "cuts": [vars(one) for one in cuts],
                "recall": {kind: round(share, 4) for kind, share in sorted(mixed.recall(found).items())},
                "pairs": len(found),
                "by_threshold": by_threshold(found, mixed, asked.threshold),
            }
        )
    )


if __name__ == "__main__":
    main()

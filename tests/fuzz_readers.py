"""Coverage-guided fuzzing of everything that reads files of strangers.

    python tests/fuzz_readers.py --seconds 60          # all families, so much processor time together, as CI runs it
    python tests/fuzz_readers.py csv npz --seconds 600 --found DIR

Each family runs in a separate process. A reader may refuse a file with an error of the suite (UserError); anything
else is a finding: another exception, death by signal, more than 4 GB, or one input that takes more than 60 s of
processor time. A finding is kept in the folder DIR, and the exit code is 1. The package atheris guides by coverage
(`pip install atheris`); without it inputs are mutated blindly, and that is said.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import io
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

FAMILIES = ("csv", "archive", "npz", "parquet", "image", "toml", "record", "audit")
MOST_MEMORY = 4 << 30
MOST_SECONDS = 60  # for one input
LARGEST_INPUT = 1 << 17
INSTRUMENTED = ["fer_jax.data", "repro.specs", "repro.runs", "repro.audit", "repro.explain", "repro.bench.records"]
INSTRUMENTED += ["repro.report", "repro.judge", "repro.use.recognition.pictures", "tomllib", "zipfile", "gzip", "csv"]
START_S = 12  # to import everything, on a busy machine


def find_atheris() -> Any:
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


class Finding(Exception):
    """One input took too long."""


def _too_long(*_: object) -> None:
    raise Finding(f"more than {MOST_SECONDS} s of processor time")


def fuzz(family: str, seconds: float, found: Path, seed: int) -> int:
    """Fuzz one family in this process; returns the number of findings. Prints one line at the end."""
    atheris = find_atheris()
    with contextlib.ExitStack() as stack:
        if atheris:
            quiet = io.StringIO()  # it names every module
            stack.enter_context(contextlib.redirect_stderr(quiet))
            stack.enter_context(contextlib.redirect_stdout(quiet))
            stack.enter_context(atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False))
        targets = importlib.import_module("fuzz_targets")
    from fer_jax.vocabulary.errors import UserError

    warnings.simplefilter("ignore")
    faulthandler.enable()
    signal.signal(signal.SIGVTALRM, _too_long)
    work = Path(tempfile.mkdtemp(prefix=f"fuzz-{family}-"))
    tempfile.tempdir = str(work)
    read, mutate = targets.reader(family, work), targets.mutator(family)
    corpus = list(targets.seeds(family))
    counts = {"tries": 0, "accepted": 0, "refused": 0}
    places: set[str] = set()
    start = time.process_time()  # a busy machine gives less of it

    def one(data: bytes) -> None:
        counts["tries"] += 1
        signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
        try:
            read(data)
            counts["accepted"] += 1
        except UserError:
            counts["refused"] += 1
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            key = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            if key not in places:
                places.add(key)
                keep(found, family, data, f"{key}: {str(error)[:200]}")
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > MOST_MEMORY and "memory" not in places:
            places.add("memory")
            keep(found, family, data, f"more than {MOST_MEMORY:,} bytes")
        if time.process_time() - start > seconds:
            finish(family, counts, places, "guided" if atheris else "blind: atheris is not installed")

    for data in corpus:
        one(data)
    if not counts["accepted"]:
        keep(found, family, b"", "no seed is accepted: this family tests nothing")
        return 1
    if atheris:
        atheris_loop(atheris, corpus, one, mutate, work, seed)
    chance = random.Random(seed)
    while True:
        one(mutate(chance.choice(corpus), chance)[:LARGEST_INPUT])


def atheris_loop(
    atheris: Any,
    corpus: list[bytes],
    one: Callable[[bytes], None],
    mutate: Callable[[bytes, random.Random], bytes],
    work: Path,
    seed: int,
) -> None:
    folder = work / "corpus"
    folder.mkdir()
    for data in corpus:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def custom(data: bytes, size: int, chance: int) -> bytes:
        by_form = random.Random(chance)
        return mutate(data, by_form)[:size] if by_form.random() < 0.6 else atheris.Mutate(data, size)

    options = [f"-max_len={LARGEST_INPUT}", f"-seed={seed}", "-verbosity=0", "-rss_limit_mb=0", "-timeout=600"]
    atheris.Setup([sys.argv[0], str(folder), "-len_control=0", *options], one, custom_mutator=custom)
    atheris.Fuzz()


def keep(found: Path, family: str, data: bytes, what: str) -> None:
    found.mkdir(parents=True, exist_ok=True)
    path = found / f"{family}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(f"FOUND {family}: {what} ({path})", flush=True)


def finish(family: str, counts: dict[str, int], places: set[str], how: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    words = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    print(f"{family}: {words}, {len(places)} findings, at most {peak:,} MiB; {how}", flush=True)
    os._exit(1 if places else 0)  # libFuzzer has no other end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", help=f"of {', '.join(FAMILIES)}; default: all")
    parser.add_argument("--seconds", type=float, default=60, help="of processor time, for all families together")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="folder for inputs that are findings")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    families = asked.families or list(FAMILIES)
    if unknown := set(families) - set(FAMILIES):
        parser.error(f"no family {', '.join(sorted(unknown))}")
    seed = asked.seed or random.SystemRandom().randrange(1, 2**31)
    if asked.here:
        return fuzz(families[0], asked.seconds, asked.found, seed)
    share = asked.seconds / len(families)
    bad = []
    for family in families:
        command = [sys.executable, __file__, family, "--here", "--seconds", str(max(1.0, share - START_S / 4))]
        command += ["--found", str(asked.found), "--seed", str(seed)]
        try:
            # Many times as long as it may compute: a busy machine may give a twentieth of a core.
            status = subprocess.run(command, timeout=40 * (share + START_S + 2 * MOST_SECONDS)).returncode
        except subprocess.TimeoutExpired:
            status = -1
            print(f"FOUND {family}: no end", flush=True)
        if status:
            bad.append(family)
            print(f"{family}: exit status {status}, seed {seed}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

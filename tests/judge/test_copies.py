"""From runs under three protocols to what copies are worth: only runs that may be compared count."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
import pytest
from report_records import data, headline, make_record, make_spec

from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.audit.data import DataAudit, LabelConflicts, PairCounts
from repro.audit.known_pairs import read_known_pairs
from repro.audit.records import write_data_audit
from repro.judge.copies import copies_findings
from repro.judge.groups import RecordedRun, collect
from repro.report.copies_section import copies_section
from repro.report.figures.copies import copies_figure
from repro.runs.folders import record_folder
from repro.runs.plan import settings_sha256
from repro.runs.predictions import pack_predictions
from repro.runs.record_files import RecordError
from repro.specs.protocols import CLEAN, OFFICIAL, PLACEBO, under_protocol
from repro.text.markdown import block_markdown

SPEC = make_spec("someone2020", (headline(),))
SAMPLES, COPIED, TRAINED = 400, 100, 1000  # test samples 0..399; of the first 100 there are copies 1000..1099


@pytest.fixture
def results(tmp_path: Path) -> Path:
    none = PairCounts(0, 0, ((0,) * 3,) * 3)
    audit = DataAudit(
        data="fer2013", fingerprint=data().fingerprint, synthetic=False, rows=35_887, split_rows=(1, 1, 1),
        duplicates_version=DUPLICATES_VERSION, candidates="blocks", threshold=0.8, pictures=1, exact=none, near=none,
        copies_in_training=(), exact_conflicts=LabelConflicts(0, 0, 0), conflicts=LabelConflicts(0, 0, 0),
        constant=(), almost_constant=(), not_faces=None, not_faces_by_split=None,
    )  # fmt: skip
    write_data_audit(tmp_path / "audit", audit)
    lines = ["row_a,row_b,kind,score,split_a,split_b,label_a,label_b"]
    lines += [f"{k},{TRAINED + k},near,0.9,PrivateTest,Training,happy,{'sad' if k < 20 else 'happy'}"
              for k in range(COPIED)]  # fmt: skip
    (tmp_path / "audit" / "duplicates.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def put(results: Path, protocol: str, seed: int, right: float) -> RecordedRun:
    """A run of 400 samples of class 3 (happy), in a shuffled order; answers class 4 where wrong."""
    settings = settings_sha256(under_protocol(SPEC.resolve("default"), protocol))
    found = msgspec.structs.replace(data(), duplicates_version=DUPLICATES_VERSION)
    record = make_record(SPEC, seed=seed, protocol=protocol, spec_sha256=settings, data=found)
    folder = record_folder(results, record)
    folder.mkdir(parents=True)
    random = np.random.default_rng([seed, len(protocol)])
    probability = np.zeros((SAMPLES, 7), np.float32)
    order = random.permutation(SAMPLES)
    correct = random.random(SAMPLES) < np.where((order < COPIED) & (protocol != CLEAN), 0.95, right)
    probability[np.arange(SAMPLES), np.where(correct, 3, 4)] = 1
    split = "test_all" if protocol == CLEAN else "test"
    arrays = {"probability": probability, "label": np.full(SAMPLES, 3, np.uint8), "origin": order.astype(np.int32)}
    np.savez(folder / "predictions.npz", allow_pickle=False, **pack_predictions({split: arrays}))
    return RecordedRun(PurePosixPath((folder / "run.json").relative_to(results).as_posix()), record)


def test_three_protocols_give_a_decomposition_two_give_the_response_alone(results: Path) -> None:
    runs = [put(results, protocol, seed, 0.5) for protocol in (OFFICIAL, CLEAN) for seed in range(2)]
    (one,) = copies_findings(collect([SPEC], runs), results)
    assert one.decomposition is None and one.seeds == {OFFICIAL: 2, CLEAN: 2}
    assert [(part.copies, part.samples) for part in one.response] == [
        ("none", 300), ("same label", 80), ("other label", 20),
    ]  # fmt: skip
    runs += [put(results, PLACEBO, seed, 0.5) for seed in range(3)]
    (one,) = copies_findings(collect([SPEC], runs), results)
    parts = one.decomposition
    assert parts and parts.with_copy == COPIED and parts.samples == SAMPLES and parts.seeds[PLACEBO] == 3
    assert parts.copies.low < 0.25 * 0.45 < parts.copies.high
    text = block_markdown(copies_section([one]))
    assert "| someone2020 | 2 official, 2 clean, 3 placebo | 400 | 100 |" in text
    figure = copies_figure([one])
    assert figure and len(figure.panels) == 1 and "copies with another label" in figure.alternative


def test_runs_that_may_not_be_compared_are_left_out(results: Path) -> None:
    good = [put(results, protocol, seed, 0.5) for protocol in (OFFICIAL, CLEAN) for seed in range(2)]
    assert len(copies_findings(collect([SPEC], good), results)) == 1
    other_data = msgspec.structs.replace(data(fingerprint="0" * 10), duplicates_version=DUPLICATES_VERSION)
    for fields in ({"spec_sha256": "old"}, {"status": "failed"}, {"data": other_data}):
        spoiled = [
            RecordedRun(run.path, msgspec.structs.replace(run.record, **fields))
            if run.record.protocol == CLEAN
            else run
            for run in good
        ]
        assert copies_findings(collect([SPEC], spoiled), results) == []


def test_an_outdated_audit_gives_nothing_and_a_broken_one_a_named_error(results: Path) -> None:
    path = results / "audit" / "duplicates.csv"
    path.write_text(path.read_text().replace("happy,sad", "happy,glad"))
    with pytest.raises(RecordError, match=r"duplicates\.csv: no list of pairs .*repro audit data"):
        read_known_pairs(results)
    path.unlink()
    assert read_known_pairs(results) is None


def test_damaged_predictions_are_named(results: Path) -> None:
    runs = [put(results, protocol, seed, 0.5) for protocol in (OFFICIAL, CLEAN) for seed in range(2)]
    damaged = results / runs[0].path.parent / "predictions.npz"
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(RecordError, match=r"predictions\.npz: no predictions of a run .*--fresh"):
        copies_findings(collect([SPEC], runs), results)

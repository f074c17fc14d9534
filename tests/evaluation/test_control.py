"""The ranges that recall is measured by follow from the committed runs under the protocol `clean`."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from repro.audit.known_pairs import read_known_pairs
from repro.evaluation.control import AS_COPIES, PAPERS, SPLIT, WITHIN_EMOTIONS
from repro.evaluation.run_answers import run_answers
from repro.evaluation.scores import split_score
from repro.evaluation.subsets import CopyPairs, evaluated_samples
from repro.runs.stored_records import read_record

RESULTS = Path(__file__).resolve().parents[2] / "results"


def test_the_ranges_are_those_of_networks_that_never_saw_a_copy():
    known = read_known_pairs(RESULTS)
    assert known is not None
    pairs = CopyPairs(known.pairs, known.labels, known.usage)
    gains, recalls = [], []
    for paper in PAPERS:
        scores = []
        for path in sorted((RESULTS / "runs" / paper / "default" / "cpu" / "clean").glob("fer2013-*/seed-*/run.json")):
            answers = run_answers(path.parent, read_record(path))
            found = evaluated_samples(answers.sample, answers.label, SPLIT, pairs, ("Training",))
            scores.append(split_score(answers, found))
        assert len(scores) >= 3
        within = [one.gained_within_emotions for one in scores]
        gains.append(fmean(one.value for one in within if one))
        recalls.append(fmean(one.recall.as_copies / one.recall.samples for one in scores if one.recall))
    assert (min(gains), max(gains)) == pytest.approx(WITHIN_EMOTIONS, abs=0.005)
    assert (min(recalls), max(recalls)) == pytest.approx(AS_COPIES, abs=0.02)

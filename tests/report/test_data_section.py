"""repro.report.data_section: what was found in a dataset, which may lack parts or labels."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from report_records import cells

from fer_jax.data.faces import Faces
from fer_jax.duplicates.nearest import SMALL
from fer_jax.duplicates.search import DUPLICATES_VERSION, find_duplicates
from fer_jax.vocabulary.fer2013 import UNLABELLED, USAGES
from repro.audit.data import DataAudit, audit_data
from repro.report.data_section import data_section
from repro.runs.dataset import Dataset
from repro.text.markdown import block_markdown


def faces(*usages: str, labelled: bool = True) -> Faces:
    """Four pictures of each usage, the first of all usages the same."""
    random = np.random.default_rng(4)
    images = random.integers(0, 256, (4 * len(usages), 48, 48), dtype=np.uint8)
    images[::4] = images[0]
    labels = np.full(len(images), 3 if labelled else UNLABELLED, np.uint8)
    usage = np.repeat([USAGES.index(name) for name in usages], 4).astype(np.uint8)
    return Faces(images, labels, usage, np.arange(len(images), dtype=np.int32))


def audited(of: Faces) -> DataAudit:
    return audit_data(Dataset(of, "mine"), find_duplicates(of.images))


@pytest.mark.parametrize("parts", [("PrivateTest",), ("PublicTest",), ()])
def test_a_data_set_may_lack_parts(parts):
    found = audited(faces("Training", *parts))
    text = block_markdown(data_section(found))
    rows = cells(text, holding="(25.0 %)")
    assert [row[0] for row in rows] == list(parts)
    assert all(row[1:4] == ["4", "1 (25.0 %)", "1 (25.0 %)"] for row in rows)


def test_a_data_set_may_have_no_labels():
    found = audited(faces("Training", "PrivateTest", labelled=False))
    assert found.conflicts.pictures == found.conflicts.rows == 0
    assert "1 (25.0 %)" in block_markdown(data_section(found))


def test_another_search_for_duplicates_is_said():
    found = audited(faces("Training", "PrivateTest"))
    older = msgspec.structs.replace(found, duplicates_version=DUPLICATES_VERSION - 1)
    assert ["Outdated" in block_markdown(data_section(one)) for one in (found, older)] == [False, True]


def test_of_a_large_data_set_near_pairs_are_to_be_looked_at_unless_the_threshold_is_high():
    found = audited(faces("Training", "PrivateTest"))
    large = msgspec.structs.replace(found, rows=SMALL + 1)
    usual, strict = (msgspec.structs.replace(large, threshold=least) for least in (0.93, 0.95))
    told = [block_markdown(data_section(one)) for one in (found, large, usual, strict)]
    assert ["look at near pairs" in one for one in told] == [False, True, False, False]
    assert ["count from a score of 0.93" in one for one in told] == [False, False, True, False]


def test_nothing_is_said_of_a_data_set_that_was_not_audited():
    assert data_section(None) == []

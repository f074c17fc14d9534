"""repro.draft.drafted: what the readers of all frameworks share."""

from __future__ import annotations

import pytest

from repro.draft.drafted import padding_of


@pytest.mark.parametrize(
    ("pads", "kernel", "stride", "padding"),
    [
        ([0, 0], 3, 1, "valid"),
        ([1, 1], 3, 1, "same"),
        ([1, 1, 1, 1], 3, 2, 1),
        ([2, 0, 2, 0], [5, 1], 1, [2, 0]),
        ([0, 0, 1, 1], 3, 2, "same"),
    ],
)
def test_paddings_by_numbers(pads, kernel, stride, padding):
    found, remarks = padding_of(pads, kernel, stride)
    assert found == padding and bool(remarks) == (pads == [0, 0, 1, 1])

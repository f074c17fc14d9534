"""history.jsonl has the entries of the record, as they happen, also over a stop and for seeds side by side."""

from __future__ import annotations

import json

import msgspec
import pytest
from tiny_runs import Killed, stop_at

from repro.runs.history_file import HISTORY_NAME, HistoryFile
from repro.runs.records import Epoch


def entries(folder):
    return [json.loads(line) for line in (folder / HISTORY_NAME).read_text().splitlines()]


def test_it_is_that_of_the_record_also_after_a_stop(do):
    seen = []

    def stop(progress):
        seen.extend(progress.histories)
        stop_at(2)(progress)

    with pytest.raises(Killed):
        do(report=stop)
    done = do()
    assert seen == [0, 0]
    found = msgspec.convert(entries(done.folder), tuple[Epoch, ...])
    assert found == done.record.history and len(found) == 3


def test_a_file_of_an_earlier_process_is_written_anew(tmp_path):
    (tmp_path / HISTORY_NAME).write_text('{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3}\n')
    file = HistoryFile(tmp_path)
    history = [{"epoch": 1}, {"epoch": 2}]
    file.take(history)
    history.append({"epoch": 3})
    file.take(history)
    assert [entry["epoch"] for entry in entries(tmp_path)] == [1, 2, 3]


def test_a_folder_that_has_gone_is_no_error(tmp_path):
    file = HistoryFile(tmp_path / "file" / "x")
    (tmp_path / "file").write_text("")
    file.take([{"epoch": 1}])

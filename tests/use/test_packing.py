"""Which seed is packed, and what is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from packed_networks import tiny_packed
from report_records import make_record, make_spec, metrics

from fer_jax.data import cache
from fer_jax.data.faces import DataError
from repro.runs.folders import record_folder
from repro.runs.record_files import RecordError
from repro.runs.records import RECORD_NAME
from repro.runs.stored_records import write_record
from repro.use.packaged import read_packaged
from repro.use.packing import candidates, main, pack


def recorded(results: Path, seed: int, validation: float, test: float, status: str = "done") -> None:
    found = {"validation": metrics(validation), "test": metrics(test)}
    record = make_record(make_spec(), seed=seed, protocol="clean", metrics=found, status=status)
    (write_record(record_folder(results, record), record).parent / "checkpoints" / "last").mkdir(parents=True)


def test_public_test_chooses_and_private_test_does_not(tmp_path):
    paper = make_record(make_spec()).paper
    for seed, validation, test in ((2, 0.6, 0.5), (0, 0.5, 0.9), (1, 0.6, 0.4)):
        recorded(tmp_path, seed, validation, test)
    recorded(tmp_path, 3, 0.9, 0.9, status="partial")
    found = [record.seed for _, record in candidates(tmp_path, paper, "clean")]
    assert found == [1, 2, 0], "of equals the first seed; no shortened run"
    with pytest.raises(RecordError, match=f"no network of {paper} under official; `repro run {paper} --protocol off"):
        candidates(tmp_path, paper, "official")


def test_the_record_of_the_run_is_inside_as_it_is(tmp_path, make_tiny_paper, capsys):
    with tiny_packed(tmp_path, make_tiny_paper) as tiny:
        first = read_packaged(tiny.file)
        out = tmp_path / "again.npz"
        main(["tiny", "--protocol", "as-published", "--results", str(tiny.results), "--out", str(out)])
        assert read_packaged(out).about == first.about == tiny.about
        told = capsys.readouterr().out
        assert "of PublicTest\n" in told and f"wrote {out}" in told and "rounding changed" in told
        assert first.record.network_sha256 != first.about.network_sha256
        assert (tiny.folder / RECORD_NAME).read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cache, "open_faces", not_imported)
            with pytest.raises(RecordError, match=r"no temperature can be fitted: the dataset .* is not here"):
                pack(tiny.folder, out)
            with pytest.raises(SystemExit, match="error: "):
                main(["tiny", "--results", str(tmp_path), "--out", str(out)])


def not_imported(fingerprint: str) -> None:
    raise DataError(fingerprint)

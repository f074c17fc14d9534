"""`repro.paper`, `repro.run`, and what the interface as a whole promises."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import repro
from fer_jax.data.faces import concatenate
from fer_jax.vocabulary.errors import UserError

ROOT = Path(__file__).parents[2]


def test_a_bundled_paper():
    paper = repro.paper("teta2022")
    assert paper.id == "teta2022" and "98 %" in repr(paper) and "frozen_order" in paper.variants
    claims = paper.claims()
    assert len(claims) == len(paper.loaded.spec.single_claims)
    assert claims.set_index("id").loc["test-accuracy", "value"] == 0.98


def test_forensics():
    found = repro.paper("teta2022").forensics()
    assert len(found.impossible) == 1 and "impossible" in repr(found)
    assert set(found.to_frame().outcome) >= {"impossible", "consistent"}


def test_recorded_runs_and_their_plots(tmp_path):
    pytest.importorskip("matplotlib")
    runs = repro.paper("teta2022").runs(ROOT / "results")
    frame = runs.to_frame()
    assert len(runs) == frame.run.nunique() and set(frame.protocol) >= {"as-published", "official", "clean"}
    assert "98.5 ± 0.3 %" in repr(runs)
    assert "98.5 ± 0.3 %" in repr(runs.plot_learning())
    assert runs.confusion().save(tmp_path / "x.svg").read_bytes().startswith(b"<?xml")
    assert runs.plot_learning()._repr_svg_().startswith("<?xml")
    with pytest.raises(UserError, match=r"a plot is written as \.svg or \.png"):
        runs.confusion().save(tmp_path / "x.pdf")


def test_runs_without_a_record_cannot_be_drawn(tmp_path):
    with pytest.raises(UserError, match="no run to draw"):
        repro.paper("teta2022").runs(tmp_path).plot_learning()


def test_a_run(tiny_paper, tiny_faces, tmp_path):
    faces = concatenate([tiny_faces(n, size=48, usage=u) for u, n in enumerate((150, 50, 50))])
    np.savez(tmp_path / "x.npz", images=faces.images, labels=faces.labels, usage=faces.usage)
    given = {"data": tmp_path / "x.npz", "device": "cpu", "results": tmp_path / "results"}
    runs = repro.run(tiny_paper(), seeds=2, **given)
    assert [record.seed for record in runs.records] == [0, 1] and len(runs.cards) == 1
    (kept,) = {run.path.parts[0] for run in runs.recorded}
    assert kept == "runs" and (tmp_path / "results" / runs.recorded[0].path).is_file()
    again = repro.paper(tiny_paper()).run(seeds=2, **given)
    assert [r.started for r in again.records] == [r.started for r in runs.records], "runs that exist are reused"
    assert len(repro.paper(tiny_paper()).runs(tmp_path / "results")) == 2
    with pytest.raises(UserError, match="no claim with `headline = true`"):
        runs.plot_learning()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"protocol": "fair"}, "no protocol 'fair'; accepted: as-published"),
        ({"seeds": 0}, "seeds: at least 1"),
        ({}, "no paper 'x'"),
    ],
)
def test_what_cannot_be_run_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        repro.run("teta2022" if given else "x", **given)


def test_every_name_is_there_and_typed():
    stub = ast.parse((ROOT / "repro" / "__init__.pyi").read_text(encoding="utf-8"))
    typed = {name.asname for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert typed == set(repro.__all__) <= set(dir(repro))
    assert all(callable(getattr(repro, name)) and getattr(repro, name).__doc__ for name in repro.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = repro.nothing  # type: ignore[attr-defined]

"""repro.gpu.stages and .jobs: which commands are run, in which order, and which of them are done."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fer_jax import TRAINING_VERSION
from repro.gpu.jobs import CallSettings, run_job
from repro.gpu.stages import LIMITS, optimizer_variants, stages
from repro.specs.protocols import AS_PUBLISHED, PLACEBO, RUNNABLE, SUSPECT_PREFIX


@pytest.fixture
def settings(tmp_path):
    return CallSettings(out=tmp_path / "out", data="d.npz", seconds=60, results=tmp_path / "results", scratch=tmp_path)


def jobs_of(settings, name):
    (stage,) = stages(replace(settings, stages=(name,)))
    return {job.name: job for job in stage.jobs}


def measured(settings, paper, ratio):
    path = settings.results / "gpu" / f"works-{paper}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"checks": [], "speed": {"seeds": 5, "ratio": ratio}}))


def test_stages_come_in_the_order_of_their_worth(settings):
    assert [stage.name for stage in stages(settings)] == list(LIMITS)
    names = [job.name for stage in stages(settings) for job in stage.jobs]
    assert len(names) == len(set(names)), "each has a log of its own"


def test_every_protocol_of_the_code_runs_and_no_suspect(settings):
    jobs = jobs_of(settings, "protocols").values()
    found = {(plan.paper, plan.protocol) for job in jobs for plan in job.plans}
    papers = {loaded.id for loaded in settings.loaded}
    assert found == {(paper, protocol) for paper in papers for protocol in RUNNABLE if protocol != AS_PUBLISHED}
    protocols = {protocol for _, protocol in found}
    assert PLACEBO in protocols and not any(p.startswith(SUSPECT_PREFIX) for p in protocols)
    assert all(len(job.plans) == 5 for job in jobs if not job.beside)


def test_all_papers_share_a_process_unless_one_must_train_its_seeds_apart(settings):
    (together,) = jobs_of(settings, "published").values()
    assert together.command[2] == "run-all" and len(together.plans) == 25
    measured(settings, "onghena", 0.6)
    measured(settings, "teta2022", 3.0)
    apart = jobs_of(settings, "published")
    flag = ("--seeds-at-once", "1")
    assert [job.command[-2:] == flag for job in apart.values()] == ["onghena" in name for name in apart]
    assert sum(len(job.plans) for job in apart.values()) == 25


def test_variants_of_sweeps_claims_and_optimizers_run_once_each(settings):
    jobs = jobs_of(settings, "variants")
    plans = {(job.plans[0].paper, job.plans[0].variant): len(job.plans) for job in jobs.values()}
    assert len(plans) == len(jobs)
    for loaded in settings.loaded:
        swept = {v for sweep in loaded.spec.sweeps for v in sweep.settings} - {"default"}
        for variant in swept | {claim.variant for claim in loaded.spec.all_claims} - {"default"}:
            assert plans[loaded.id, variant] == 3
        for variant in set(optimizer_variants(loaded)) - swept:
            assert plans[loaded.id, variant] == 5
    assert ("chavan2020", "rmsprop") in plans or any(p == "chavan2020" and n == 5 for (p, _), n in plans.items())


def test_a_run_is_done_when_all_seeds_are_of_the_same_settings(settings):
    loaded = settings.loaded[0]
    job = run_job(settings, loaded, seeds=2)
    folder = settings.results / "runs" / loaded.id / "default" / "gpu" / AS_PUBLISHED / "fer2013-1"

    def write(seed, **changed):
        record = {
            "spec_sha256": job.plans[seed].sha256,
            "training_version": TRAINING_VERSION,
            "overrides": {},
            "status": "done",
            **changed,
        }
        path = folder / f"seed-{seed}" / "run.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))

    write(0)
    assert not job.done(settings)
    for changed in ({"spec_sha256": "x"}, {"status": "failed"}, {"overrides": {"epochs": 3}}, {"training_version": 0}):
        write(1, **changed)
        assert not job.done(settings), changed
    write(1)
    assert job.done(settings)
    assert not run_job(replace(settings, epochs=2), loaded, seeds=2).done(settings)
    other = folder.rename(folder.with_name("fer2013-1-bfloat16"))
    assert other.exists() and not job.done(settings)


def test_the_warm_up_writes_where_nothing_is_measured(settings, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    beside = [job for job in jobs_of(replace(settings, stages=()), "protocols").values() if job.beside]
    assert not beside, "the speed is not asked for"
    (stage,) = [stage for stage in stages(settings) if stage.name == "protocols"]
    for job in (job for job in stage.jobs if job.beside):
        place = job.command[job.command.index("--results") + 1]
        assert place.startswith(str(settings.scratch)) and place != str(settings.results)
    speed = [job for stage in stages(settings) if stage.name == "speed" for job in stage.jobs]
    timed = [job for job in speed if job.name.startswith("speed-")]
    assert len(timed) == 5 and all("--agreements" in job.command for job in timed)

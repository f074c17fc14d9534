"""The stages, most valuable results first. Their runs come from the specs and the list of protocols; nothing here is
about one paper. No JAX here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from repro.gpu.jobs import REPORTS, CallSettings, Job, Stage, common_options, run_job
from repro.gpu.reports import seeds_side_by_side
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec
from repro.specs.protocols import AS_PUBLISHED, RUNNABLE

CHECKED_AGAIN = "basani2017"  # the paper that is killed, and also trained on a CPU: the fastest
# Launch a whole loop, and not only each step, as one CUDA graph.
WHOLE_LOOP = "--xla_gpu_enable_command_buffer=FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,WHILE"
SINGLE_LAUNCHES = "--xla_gpu_enable_command_buffer="

ABOUT = {
    "works": "five networks against float64, seeds side by side, killed and resumed, GPU against CPU",
    "published": "every paper as published",
    "audit": "the search for duplicates",
    "protocols": "the corrected protocols and the placebo",
    "variants": "sweeps, and the variants that claims and contradictions need",
    "speed": "beside PyTorch, many seeds at once, where the time goes",
}
# Seconds, for a call of about ten minutes on an H100.
LIMITS = {"works": 110.0, "published": 240.0, "audit": 40.0, "protocols": 160.0, "variants": 160.0, "speed": 300.0}


def stages(settings: CallSettings) -> Iterator[Stage]:
    """Make each stage when its turn comes, because later stages depend on the measurements of the first."""
    makers = {
        "works": _works,
        "published": _published,
        "audit": _audit,
        "protocols": _protocols,
        "variants": _variants,
        "speed": _speed,
    }
    alone = ("published", "audit", "speed")
    for name, jobs in makers.items():
        if not settings.stages or name in settings.stages:
            limit = settings.limits.get(name, LIMITS[name])
            at_once = 1 if name in alone else len(settings.loaded) + 2 if name == "works" else settings.jobs
            yield Stage(name, ABOUT[name], limit, tuple(jobs(settings)), at_once)


# --- 1 --------------------------------------------------------------------------------------------------------------


def _works(settings: CallSettings) -> Iterator[Job]:
    short = ["--device", settings.device, "--data", settings.data, "--scratch", str(settings.scratch)]
    short += ["--limit-train", str(settings.limit_train)] if settings.limit_train else []
    tiny = ["--tiny"] if settings.limit_train else []
    for loaded in settings.loaded:
        path = f"{REPORTS}/works-{loaded.id}.json"
        words = ["-m", "repro.gpu.checks", loaded.id, "--device", settings.device, "--data", settings.data, *tiny]
        yield Job(f"works-{loaded.id}", (*words, "--out", str(settings.results / path)), makes=(path,))
    again = CHECKED_AGAIN
    if settings.limit_train:  # few rows shorten epochs, but not the 2,000 updates of a paper that counts updates
        by_epochs = [loaded.id for loaded in settings.loaded if loaded.resolve(DEFAULT_VARIANT).training.epochs]
        again = by_epochs[0] if by_epochs else CHECKED_AGAIN
    for name in ("killed", "first-epoch"):
        path = f"{REPORTS}/works-{name}.json"
        words = ["-m", "repro.gpu.reruns", name, again, *short, "--out", str(settings.results / path)]
        yield Job(f"works-{name}", tuple(words), makes=(path,))


# --- 2 and 3 --------------------------------------------------------------------------------------------------------


def _published(settings: CallSettings) -> Iterator[Job]:
    """One process for all papers, to start only once, if all train their seeds alike."""
    by_paper = {loaded.id: _at_once(settings, loaded) for loaded in settings.loaded}
    jobs = [run_job(settings, loaded, seeds=settings.seeds, more=by_paper[loaded.id]) for loaded in settings.loaded]
    if settings.papers or any(by_paper.values()):
        yield from jobs
        return
    plans = tuple(plan for job in jobs for plan in job.plans)
    words = ["-m", "repro", "run-all", "--seeds", str(settings.seeds), *common_options(settings)]
    yield Job("published", tuple(words), plans=plans)


def _at_once(settings: CallSettings, loaded: LoadedSpec) -> list[str]:
    """Empty if training all seeds in one program is faster, or was not measured."""
    return [] if seeds_side_by_side(settings, loaded.id) else ["--seeds-at-once", "1"]


def _protocols(settings: CallSettings) -> Iterator[Job]:
    if (settings.device == "gpu" or settings.limit_train is None) and _wanted(settings, "speed"):
        yield from _warm_up(settings)
    for protocol in (p for p in RUNNABLE if p != AS_PUBLISHED):
        for loaded in settings.loaded:
            more = _at_once(settings, loaded)
            yield run_job(settings, loaded, protocol=protocol, seeds=settings.seeds, more=more)


# --- 4 --------------------------------------------------------------------------------------------------------------


def _variants(settings: CallSettings) -> Iterator[Job]:
    """Variants of the sweeps, the claims, the optimizers and the contradictions; each once, in this order."""
    done = set()
    for kind in (sweep_variants, claim_variants, optimizer_variants, contradiction_variants):
        for loaded in settings.loaded:
            seeds = settings.seeds if kind is optimizer_variants else settings.variant_seeds
            for variant in kind(loaded):
                if (loaded.id, variant) not in done:
                    done.add((loaded.id, variant))
                    yield run_job(settings, loaded, variant=variant, seeds=seeds, more=_at_once(settings, loaded))


def sweep_variants(loaded: LoadedSpec) -> list[str]:
    """Variants of the plots that compare settings."""
    return _without_default(v for sweep in loaded.spec.sweeps for v in sweep.settings)


def claim_variants(loaded: LoadedSpec) -> list[str]:
    return _without_default(claim.variant for claim in loaded.spec.all_claims)


def optimizer_variants(loaded: LoadedSpec) -> list[str]:
    """Variants that change the update rule."""
    variants = loaded.spec.variants.items()
    return [name for name, variant in variants if any(key.startswith("training.optimizer") for key in variant.set)]


def contradiction_variants(loaded: LoadedSpec) -> list[str]:
    return _without_default(c.variant for c in loaded.spec.contradictions if c.variant)


def _without_default(names: Iterator[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name != DEFAULT_VARIANT]


# --- 5 and 6 --------------------------------------------------------------------------------------------------------


def _audit(settings: CallSettings) -> Iterator[Job]:
    path = f"{REPORTS}/audit.json"
    words = ["-m", "repro.gpu.audit", "--data", settings.data, "--scratch", str(settings.scratch)]
    words += ["--known", str(settings.results / "audit" / "duplicates.csv"), "--out", str(settings.results / path)]
    environment = {"JAX_PLATFORMS": "cpu"} if settings.device == "cpu" else {}
    yield Job("audit", tuple(words), makes=(path,), environment=environment)


def _bench(settings: CallSettings, paper: str, what: str, *more: str) -> tuple[str, ...]:
    words = ["-m", "repro", "bench", paper, "--what", what, "--device", settings.device, "--data", settings.data]
    return (*words, "--precision", _precision(settings), *more)


def _precision(settings: CallSettings) -> str:
    return "tensorfloat32" if settings.device == "gpu" else "float32"


def _wanted(settings: CallSettings, stage: str) -> bool:
    return not settings.stages or stage in settings.stages


def _warm_up(settings: CallSettings) -> Iterator[Job]:
    """The parts of the benchmark whose times do not count, run during other stages: whether both sides learn alike, and
    the rivals' compilers, which cache their output."""
    if importlib.util.find_spec("torch") is None:
        return
    folder = settings.scratch / "warm-up"
    for loaded in settings.loaded:
        quick = ["--rounds", "1", "--seconds", "0.1", "--against", "torch", "--results", str(folder)]
        command = _bench(settings, loaded.id, "train", *quick)
        yield Job(f"warm-up-{loaded.id}", command, environment=_kept_kernels(settings), beside=True)


def _kept_kernels(settings: CallSettings) -> dict[str, str]:
    """Cache folders of PyTorch's compilers."""
    folder = settings.scratch / "torch"
    return {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"), "TRITON_CACHE_DIR": str(folder / "triton")}


def _speed(settings: CallSettings) -> Iterator[Job]:
    suffix = "" if _precision(settings) == "float32" else f"-{_precision(settings)}"
    machine = f"bench/{settings.device}-*"
    timing = ["--seconds", str(settings.bench_seconds), "--results", str(settings.results)]
    for loaded in settings.loaded:
        if importlib.util.find_spec("torch") is None:
            break
        rounds = ["--rounds", str(settings.bench_rounds), "--against", "torch"]
        rounds += ["--agreements", str(settings.scratch / "warm-up")]
        yield Job(
            f"speed-{loaded.id}",
            _bench(settings, loaded.id, "train", *timing, *rounds),
            makes=(f"{machine}/{loaded.id}-train{suffix}.json",),
            least=45.0,
            environment=_kept_kernels(settings),
        )
    for loaded in settings.loaded:
        path = f"{REPORTS}/profile-{loaded.id}.json"
        words = ["-m", "repro.gpu.profile", loaded.id, "--device", settings.device, "--data", settings.data]
        words += ["--tiny"] if settings.limit_train else []
        yield Job(f"profile-{loaded.id}", (*words, "--out", str(settings.results / path)), makes=(path,))
    for loaded in settings.loaded:
        makes = (f"{machine}/{loaded.id}-seeds{suffix}.json",)
        command = _bench(settings, loaded.id, "seeds", *timing)
        yield Job(f"seeds-{loaded.id}", command, makes=makes, least=30.0)
    if settings.device != "gpu":
        return
    for loaded in settings.loaded:
        for name, flags in (("whole-loop", WHOLE_LOOP), ("single-launches", SINGLE_LAUNCHES)):
            path = f"{REPORTS}/profile-{loaded.id}-{name}.json"
            words = ["-m", "repro.gpu.profile", loaded.id, "--device", settings.device, "--data", settings.data]
            command = (*words, "--out", str(settings.results / path))
            yield Job(f"profile-{loaded.id}-{name}", command, makes=(path,), environment={"XLA_FLAGS": flags})

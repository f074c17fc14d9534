"""Options that choose runs, shared by `run`, `run-all` and `plan --all`, and the plans that they choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import click
from click.core import ParameterSource

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.settings import PRECISIONS, Precision
from repro.cli.options import device_option, json_option, results_option
from repro.cli.run_selection import SeedChoice, Seeds, SettingChange, Shard, ShareOfRuns
from repro.decide.duration import Duration
from repro.specs.catalog import COLLECTIONS, Collection, bundled_papers
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec
from repro.specs.protocols import AS_PUBLISHED, RUNNABLE
from repro.trackers.names import TrackerName

if TYPE_CHECKING:
    from repro.runs.plan import RunPlan

ALL = "all"
LOOKS = "3, 5, 8, 12 and 20"

collection_option = click.option(
    "--collection",
    type=click.Choice([*COLLECTIONS, ALL]),
    default="papers",
    show_default=True,
    help="`papers`: the papers that come with the suite. `models`: the models that people use. `all`: both.",
)

_WHICH = (
    click.option(
        "--protocol",
        type=click.Choice([*RUNNABLE, ALL]),
        default=AS_PUBLISHED,
        show_default=True,
        help="`as-published`: the paper's own data steps. `official`: train on Training, report PrivateTest. "
        "`clean`: official without train/test overlap. "
        "`placebo`: official with as few samples as clean. `all`: each.",
    ),
    click.option(
        "--seeds",
        type=Seeds(),
        default="1",
        show_default=True,
        metavar="N|LIST",
        help="N: seeds 0 to N-1. A list names them: 3,4,7 or 5-9. With --until-decided: at most N seeds.",
    ),
    click.option("--seed", type=click.IntRange(min=0), metavar="K", help="Only this seed."),
    click.option(
        "--shard",
        type=Shard(),
        metavar="K/N",
        help="Only the K-th of N equal parts of all runs, such as 3/20. Several processes with the same "
        "command share the runs without it if they see the same results folder.",
    ),
    click.option(
        "--set",
        "settings",
        type=SettingChange(),
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a setting of the spec, such as training.optimizer.learning_rate=1e-3 or "
        "model.layers.conv1.filters=64. May be repeated. The record is 'partial': it is not the paper's run.",
    ),
)
_ON_WHAT = (
    device_option,
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        help="Precision of matrix multiplication and convolution on a GPU. Default: tensorfloat32 if the GPU "
        "supports it. CPUs always use float32.",
    ),
    click.option(
        "--data",
        help="FER-2013: a csv, zip, tar, npz, parquet file or a folder; or the word `synthetic`. "
        "Default: the dataset imported last, else synthetic faces.",
    ),
    click.option("--epochs", type=click.IntRange(min=1), help="Stop after N epochs; the record is 'partial'."),
    click.option("--limit-train", type=click.IntRange(min=1), help="Train on N samples; the record is 'partial'."),
    results_option,
)
_UNTIL = (
    click.option(
        "--until-decided",
        is_flag=True,
        help="Add seeds until the main claim is decided: same, lower or higher. Looks after "
        f"{LOOKS} seeds, at levels that keep the error rates although it looks several times.",
    ),
    click.option(
        "--budget",
        type=Duration(),
        metavar="TIME",
        help="With --until-decided: stop before the next look would take longer. 90s, 20m, 2h or 1h30m.",
    ),
)
_SEEDS_AT_ONCE = click.option(
    "--seeds-at-once",
    type=click.IntRange(min=1),
    help="Train up to N seeds side by side in one program. Default: all on a GPU, 1 on a CPU.",
)
_FRESH = click.option("--fresh", is_flag=True, help="Ignore existing results and train from scratch.")
_HOW = (
    click.option(
        "--with-network",
        is_flag=True,
        help="Also train runs whose record is here but whose network is not, as in a checkout. Their records stay.",
    ),
    click.option(
        "--checkpoint-every",
        "checkpoint_every_s",
        type=click.FloatRange(min=0),
        help="Least seconds between checkpoints. Default: 0 on a CPU (one after each epoch), 30 on a GPU.",
    ),
    click.option(
        "--keep-going",
        is_flag=True,
        help="Train to the end even if the network learns nothing. By default a run fails if after 10 passes "
        "over the training samples and a fifth of its updates no epoch beats the constant answer (the most "
        "frequent class).",
    ),
    click.option(
        "--log",
        type=click.Choice(get_args(TrackerName)),
        multiple=True,
        help="Send every epoch to a tracker as it ends; may be repeated. W&B writes offline unless WANDB_MODE says "
        "otherwise. An extra of the same name installs it.",
    ),
)


def choice_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that choose runs; --json is the last."""
    return _with(function, (*_WHICH, *_ON_WHAT, json_option))


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that `run` and `run-all` share."""
    return _with(function, (*_WHICH, *_ON_WHAT, *_UNTIL, _SEEDS_AT_ONCE, _FRESH, *_HOW, json_option))


def sweep_run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of `run` that a sweep has too, because they do not choose runs."""
    return _with(function, (*_ON_WHAT, _SEEDS_AT_ONCE, *_HOW, json_option))


def jobs_of_collection(collection: Collection | Literal["all"], variants: bool) -> list[tuple[LoadedSpec, str]]:
    """Each spec of --collection with its default variant, or with all of its variants."""
    chosen = COLLECTIONS if collection == ALL else (collection,)
    return jobs_of(bundled_papers(*chosen), variants)


def jobs_of(papers: Iterable[LoadedSpec], variants: bool) -> list[tuple[LoadedSpec, str]]:
    """Each spec with its default variant, or with all of its variants."""
    return [(one, name) for one in papers for name in (one.variant_names() if variants else (DEFAULT_VARIANT,))]


def _with(function: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        function = option(function)
    return function


def is_given(option: str) -> bool:
    """Whether the user gave an option of the present command, by the name of its argument."""
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def asked_plans(
    jobs: Sequence[tuple[LoadedSpec, str]],
    *,
    protocol: str,
    seeds: SeedChoice,
    seed: int | None,
    shard: ShareOfRuns | None,
    settings: tuple[str, ...],
    precision: Precision | None,
    epochs: int | None,
    limit_train: int | None,
    keep_going: bool = False,
) -> list[RunPlan]:
    """The plans that the flags choose of these papers and variants, in order.

    Raises SpecError as `make_plan`, and click.UsageError if two flags contradict each other or none is left.
    """
    import msgspec

    from repro.runs.plan import make_plan
    from repro.runs.records import Overrides

    if seed is not None and is_given("seeds"):
        raise click.UsageError("give either --seed or --seeds")
    overrides = Overrides(epochs=epochs, limit_train=limit_train, settings=tuple(sorted(settings)) or msgspec.UNSET)
    share = shard or ShareOfRuns()
    plans = [
        make_plan(
            loaded,
            variant=v,
            seed=s,
            overrides=overrides,
            protocol=p,
            precision=precision,
            keep_going=keep_going,
        )
        for loaded, v in jobs
        for p in protocols_of(protocol)
        for s in (seeds.seeds if seed is None else (seed,))
    ][share.number - 1 :: share.of]
    if not plans:
        raise click.UsageError(
            f"--shard {share.number}/{share.of}: there are fewer than {counted(share.number, 'run')}"
        )
    return plans


def protocols_of(word: str) -> tuple[str, ...]:
    """The protocols selected by `--protocol`."""
    return tuple(protocol for protocol in RUNNABLE if word in (protocol, ALL))

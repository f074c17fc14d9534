"""repro.judge.selected_epochs: three epochs of one run, if it evaluated FER-2013's two test splits after each."""

from __future__ import annotations

import pytest
from report_records import headline, make_record, make_spec, metrics, placed

from repro.judge.groups import PaperRuns, RecordedRun
from repro.judge.selected_epochs import EpochChoice, SelectedEpoch, epochs_of, selected_epochs, selection_blocks
from repro.report.sheets import EPOCHS_TITLE, sheet
from repro.runs.records import Epoch, RunRecord
from repro.specs.decode import LoadedSpec
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL
from repro.text.markdown import block_markdown, markdown

PARTS = {"train": ["Training"], "validation": ["PublicTest"], "test": ["PrivateTest"]}
EPOCHS = [(0.50, 0.40), (0.60, 0.45), (0.60, 0.48), (0.55, 0.52)]  # PublicTest, PrivateTest


def spec(*steps: dict[str, object], into: object = PARTS) -> LoadedSpec:
    first = {"step": "split_by_usage", "into": into}
    return make_spec(claims=(headline(),), data={"steps": [first, *steps, {"step": "normalise"}]})


def run(of: LoadedSpec, seed: int = 0, protocol: str = AS_PUBLISHED, gain: float = 0.0, only: str = "") -> RunRecord:
    history = tuple(
        Epoch(
            epoch=number,
            step=100 * number,
            learning_rate=0.1,
            train=metrics(0.6),
            minibatch=metrics(0.6),
            splits={
                name: metrics(value + (gain if name == "test" and number == 4 else 0.0))
                for name, value in (("validation", public), ("test", private))
                if name != only
            },
        )
        for number, (public, private) in enumerate(EPOCHS, 1)
    )
    return make_record(of, seed=seed, protocol=protocol, history=history)


def found(of: LoadedSpec, *records: RunRecord) -> list[SelectedEpoch]:
    return list(selected_epochs(runs(of, *records)))


def runs(of: LoadedSpec, *records: RunRecord) -> PaperRuns:
    return PaperRuns(of.id, of, tuple(RecordedRun(path, record) for path, record in placed(*records)))


def test_of_equal_epochs_the_first_counts():
    assert epochs_of(run(spec())) == EpochChoice(0.52, 0.45, 0.52)
    assert epochs_of(run(spec())).gain == pytest.approx(0.07)  # type: ignore[union-attr]


def test_a_split_that_was_not_evaluated_after_every_epoch_leaves_nothing_to_compare():
    assert epochs_of(run(spec(), only="validation")) is None
    assert found(spec(), run(spec()), run(spec(), seed=1, only="test")) == []


@pytest.mark.parametrize(
    ("of", "protocol", "compared"),
    [
        (spec(), AS_PUBLISHED, True),
        (spec({"step": "random_crop", "size": 44}), AS_PUBLISHED, True),
        (spec(), OFFICIAL, True),
        (spec(), CLEAN, False),
        (spec(into={**PARTS, "test": ["PublicTest"], "validation": ["PrivateTest"]}), AS_PUBLISHED, False),
        (spec({"step": "drop_repeats", "split": "test"}), AS_PUBLISHED, False),
        (spec({"step": "copy_split", "from_split": "train", "into": "more"}), AS_PUBLISHED, False),
    ],
    ids=["its parts", "crops", "official", "clean", "exchanged", "without repeats", "copied"],
)
def test_only_the_two_official_test_parts_are_compared(of, protocol, compared):
    assert bool(found(of, run(of, protocol=protocol))) is compared


def test_seeds_are_a_mean_and_a_deviation_and_a_variant_is_named():
    of = spec()
    (one,) = found(of, run(of), run(of, seed=1, gain=0.02))
    # PrivateTest at the last and at its best epoch: 52 and 54 %; the gains are 7 and 9 points.
    cells = "53.0 ± 1.4 % (n = 2) | 45.0 ± 0.0 % (n = 2) | 53.0 ± 1.4 % (n = 2) | +8.0 ± 1.4 points"
    assert f"| {of.id} | as-published | {cells} |" in block_markdown(selection_blocks([one]))
    single = SelectedEpoch("one", OFFICIAL, True, (EpochChoice(0.52, 0.45, 0.52),), "wide")
    words = "| one, wide | official (earlier settings) | 52.0 % | 45.0 % | 52.0 % | +7.0 points |"
    assert words in block_markdown(selection_blocks([single]))


def test_the_page_of_a_paper_shows_them_if_there_are_any():
    of = spec()

    def page(*records: RunRecord) -> str:
        return markdown(sheet(runs(of, *records), findings=(), audits=(), judgements={}))

    assert f"## {EPOCHS_TITLE}" in page(run(of)) and "+7.0 points" in page(run(of))
    assert EPOCHS_TITLE not in page(run(of, only="validation"))

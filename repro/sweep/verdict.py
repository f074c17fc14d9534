"""What the best of k settings shows: that it beats the paper's own setting, and whether it gives the paper's number.

The best of k equal settings lies above a typical run of one of them, so it is compared with the best of k runs of the
paper's own setting: `repro.statistics.comparison`, after Dodge et al. 2019, Show your work, EMNLP-IJCNLP.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from fer_jax.vocabulary.counted import counted
from repro.judge.designs import drawn_splits, other_design
from repro.judge.groups import PaperRuns
from repro.judge.judgements import is_private_test, target_of
from repro.judge.usual_spread import UsualSpread
from repro.judge.verdicts import missing, sentence, word_of
from repro.runs.records import RunRecord
from repro.specs.protocols import AS_PUBLISHED
from repro.specs.spec import Claim
from repro.statistics import MIN_RUNS, Design, Samples, Target, decide
from repro.sweep.records import SweepVerdict
from repro.sweep.search import SettingSearch, selection_leak
from repro.text import units


def against_own_setting(
    search: SettingSearch, best: float, tries: int, own: Sequence[RunRecord], usual: UsualSpread
) -> SweepVerdict:
    """Is the best of `tries` settings better than the paper's own, on the samples that chose?

    best: its accuracy. own: runs of the paper's own setting under the same protocol, data and device, one per seed. The
    null hypothesis is that all settings are equal to it. A mean over seeds spreads less than a single run, which makes
    the test err on the side of the paper's setting.
    """
    metrics = [record.metrics[search.select] for record in own if search.select in record.metrics]
    values = [one.accuracy for one in metrics]
    if len(values) < MIN_RUNS:
        more = counted(MIN_RUNS - len(values), "more run")
        reason = f"needs {more} of the paper's own setting under this protocol"
        return SweepVerdict(against="own setting", word="open", reason=reason, tries=tries, n=len(values))
    target = Target(best, tries=tries)
    made = decide(
        values, target, _design(search, search.select, min(one.n for one in metrics)), prior=usual.without(own)
    )
    mean, high = units.percentage(statistics.fmean(values), None), units.percentage(made.high or 0.0, None)
    reason = (
        f"{counted(len(values), 'run')} of the paper's own setting have the mean {mean}; the best "
        f"of {counted(tries, 'such run')} "
        f"is expected at most at {high}, and the best setting has {units.percentage(best, None)} "
        f"(p = {made.p_differs:.2g})"
    )
    above = best > statistics.fmean(values)
    word = "better" if made.differs and above else "worse" if made.differs else "not shown to be better"
    return SweepVerdict(against="own setting", word=word, reason=reason, tries=tries, n=len(values), p=made.p_differs)


def against_claim(
    search: SettingSearch, claim: Claim, tries: int, runs: Sequence[RunRecord], paper: PaperRuns
) -> SweepVerdict:
    """Does the best setting give the paper's number on the reported split?

    runs: of the best setting, one per seed. No verdict if the samples of the claim chose the setting. A claim that is
    itself the best of an unknown number of settings counts as the best of as many as this sweep tried.
    """
    claimed = claim.tries or tries if claim.selected_from else 1

    def answer(word: str, reason: str, p: float | None = None) -> SweepVerdict:
        return SweepVerdict(against="claim", word=word, reason=reason, tries=claimed, n=len(runs), p=p)

    if search.epochs is not None or search.limit_train is not None:
        return answer("none", "the runs were shortened by --epochs or --limit-train")
    if leak := selection_leak(search):
        return answer("none", f"{leak}; the best of {counted(tries, 'setting')} would be compared with it")
    metrics = [record.metrics[search.reported] for record in runs]
    target = replace(target_of(claim, paper), tries=claimed)
    rows = min(one.n for one in metrics)
    if search.protocol == AS_PUBLISHED and claim.split == search.reported:
        design = _design(search, search.reported, rows)
    elif search.protocol != AS_PUBLISHED and is_private_test(claim, paper):
        design = Design(Samples.FIXED_OWN, rows, rows)
    else:
        design = other_design(claim, (), rows, runs[0].data.rows)
    made = decide([one.accuracy for one in metrics], target, design, prior=paper.usual.without(runs))
    said = sentence(claim, made)
    word = word_of(made)
    return answer(f"open: {missing(claim, made)}" if word == "open" else word, said, made.p_differs)


def _design(search: SettingSearch, split: str, rows: int) -> Design:
    drawn = drawn_splits(search.spec.data.steps)
    return Design(Samples.REDRAWN if split in drawn else Samples.FIXED_OWN, rows, rows)

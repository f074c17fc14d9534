"""Every variant, protocol and device, and the list of runs: for a paper's page, and for runs without a spec."""

from __future__ import annotations

from collections.abc import Sequence

from repro.judge.groups import PaperRuns
from repro.report.run_table import run_table
from repro.report.tables import main_table, suspect_table, synthetic_table
from repro.text.document import Block, Paragraph, Section, say

VARIANTS_TITLE, SUSPECTS_TITLE = "Every variant, protocol and device", "Protocol errors put in"
SYNTHETIC_TITLE, RUNS_TITLE = "Synthetic runs: not comparable", "Runs"
VARIANTS_LEGEND = """\
Reproduced: mean ± sample standard deviation over n seeds. Difference: reproduced minus reported. Wall time: mean of
whole runs, with data preparation, compilation, evaluation and checkpoints. Images/s: training images per second of
training. A row never mixes devices, datasets, settings or versions of the training code."""
SUSPECTS_LEGEND = """\
Ablations from `repro explain`: each run adds one protocol error to the clean run, to see whether it yields the reported
accuracy. Conclusions are under Attribution."""
SYNTHETIC_WARNING = "Trained on synthetic faces, not on FER-2013: these runs show that the suite works, nothing else."
RUNS_LEGEND = """\
Load: the machine's load average before the start and before the end of the run, / its cores. If the load exceeds the
number of cores, other processes slowed the run down, and its times are upper bounds."""


def run_sections(papers: Sequence[PaperRuns]) -> list[Block]:
    """papers: usually one, whose page this is."""
    blocks: list[Block] = [Section(VARIANTS_TITLE, (main_table(papers), Paragraph(say(VARIANTS_LEGEND))))]
    if suspects := suspect_table(papers):
        blocks.append(Section(SUSPECTS_TITLE, (Paragraph(say(SUSPECTS_LEGEND)), suspects)))
    if synthetic := synthetic_table(papers):
        blocks.append(Section(SYNTHETIC_TITLE, (Paragraph(SYNTHETIC_WARNING), synthetic)))
    listed = run_table(papers)
    runs = (Paragraph(say(RUNS_LEGEND)), listed) if listed else (Paragraph("None yet."),)
    return [*blocks, Section(RUNS_TITLE, runs)]

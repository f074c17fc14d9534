"""The section on the readings that a paper allows, and the line about a better one in the page's first lines."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from fer_jax.vocabulary.counted import counted
from repro.judge.groups import PaperRuns
from repro.judge.readings import DECIDES, SettingReading, best_supported, better_reading
from repro.judge.verdicts import missing, word_of
from repro.report.protocol_table import VERDICTS
from repro.report.tables import NOTHING, describe
from repro.specs.spec import Claim
from repro.text import units
from repro.text.document import Block, Cell, Column, Inline, Paragraph, Section, chip, code, say, table

TITLE = "Readings of the paper"
LEGEND = """\
The headline under each reading that was run: the default and the variants. Support: log10 of the likelihood of the
paper's other accuracies under a reading, less that of the best reading; 0 is the best, -2 is a hundred times less
likely. Only numbers that every compared reading measured count, and none that the paper gives twice with different
values. Numbers of one run move together, so the true evidence is weaker than the ratio."""
COLUMNS = (
    Column("Reading"),
    Column("What"),
    Column("Measured", "right"),
    Column("Verdict on the headline"),
    Column("Support by the other numbers", "right"),
)


def readings_section(paper: PaperRuns, found: Sequence[SettingReading]) -> list[Block]:
    """One section about what `readings` gives; empty if only one reading was run."""
    main = paper.loaded.spec.headline if paper.loaded else None
    if len(found) < 2 or main is None or paper.loaded is None:
        return []
    variants = paper.loaded.spec.variants
    rows: list[list[Cell | Inline]] = []
    for one in found:
        about = variants[one.variant].about if one.variant in variants else "the default settings"
        word = word_of(one.decision)
        rest = f": {missing(main, one.decision)}" if word == "open" else ""
        rest += f" ({counted(one.dead, 'dead run')})" if one.dead else ""
        support = Cell(
            NOTHING if one.support is None else f"{one.support:.1f} ({counted(one.others, 'number')})", one.support
        )
        measured = Cell(units.percentage_of(one.values), statistics.fmean(one.values))
        verdict = (chip(word, VERDICTS.get(word, "open")), rest)
        rows.append([code(one.variant), about, measured, verdict, support])
    reported = Paragraph(f"{describe(main)}, reported {units.reported(main)}.")
    return [Section(TITLE, (reported, table(COLUMNS, rows), Paragraph((say(LEGEND), _best(found, main)))))]


def better_line(found: Sequence[SettingReading], main: Claim, about: Mapping[str, str]) -> Inline | None:
    """For the page's first lines, right behind the verdict; None if no reading is better. about: of each variant."""
    better = better_reading(found, main)
    if better is None:
        return None
    reading, times = better
    measured = f" ({about[reading.variant]}), {units.percentage_of(reading.values)}."
    likely = f" The other numbers are {_times(times)} as likely under it."
    return ("Another reading is better supported: ", code(reading.variant), measured, likely)


def _times(times: float) -> str:
    return f"up to {times:,.0f} times" if times < 1e6 else "more than a million times"


def _best(found: Sequence[SettingReading], main: Claim) -> Inline:
    """Whether the default is the reading that the other numbers support best."""
    best, times = best_supported(found, main)
    if best is None:
        return " No other number was measured under all of these readings."
    if best.variant == main.variant:
        return " The other numbers support the default best."
    if times < DECIDES:
        rest = f", under which they are {times:.1f} times as likely."
        return (" The other numbers hardly separate the default from ", code(best.variant), rest)
    return (" The other numbers support ", code(best.variant), f" best, {_times(times)} the default.")

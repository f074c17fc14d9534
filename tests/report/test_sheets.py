"""repro.report.sheets: one page per paper, every figure in it chosen here."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from leakage_audits import audit, overlap
from report_records import audited, cells, claim, headline, make_record, make_spec, placed
from tiny_paper import load_tiny

from fer_jax.vocabulary.later_fields import counted_fields
from repro.forensics.finding import Finding
from repro.judge.groups import PaperRuns, RecordedRun
from repro.judge.verdicts import Judgement, missing, sentence, word_of
from repro.report.sheets import sheet, source_counts
from repro.runs.records import RunRecord
from repro.specs.decode import LoadedSpec
from repro.specs.leakage_sheet import LeakageAnswer, LeakageSheet
from repro.specs.protocols import CLEAN
from repro.specs.spec import Claim, Provenance
from repro.statistics import Target, decide
from repro.text.document import Paragraph, strong
from repro.text.markdown import markdown

CLAIMS = (
    headline(),
    claim("hours", unit="h", device="cpu"),
    claim("other", quantity="other", unit="faces", not_measured="It is in no run."),
)


def finding(outcome: str, **fields: object) -> Finding:
    settings = {"check": "steps x batch size", "claims": ("main",), "arithmetic": "898 x 32", "meaning": "It fits."}
    return msgspec.convert({**settings, "outcome": outcome, **fields}, Finding)


def paper(loaded: LoadedSpec, *records: RunRecord) -> PaperRuns:
    return PaperRuns(loaded.id, loaded, tuple(RecordedRun(path, record) for path, record in placed(*records)))


def judged(values: tuple[float, ...], **fields: object) -> dict[str, Judgement]:
    return {"main": judgement(headline(**fields), values)}


def judgement(of: Claim, values: tuple[float, ...]) -> Judgement:
    decision = decide(values, Target(of.value, of.resolution, of.tolerance))
    open_for = "" if decision.decided else missing(of, decision)
    return Judgement(word_of(decision), decision, sentence(of, decision), missing=open_for)


def render(of: PaperRuns, **fields: object) -> str:
    return markdown(sheet(of, **({"findings": (), "audits": (), "judgements": {}} | fields)))  # type: ignore[arg-type]


def section(markdown: str, heading: str) -> str:
    """From a heading to the next of its rank."""
    _, _, rest = markdown.partition(f"\n## {heading}\n")
    assert rest, f"no section {heading!r}"
    return rest.partition("\n## ")[0]


def test_page_of_a_paper_that_was_never_run_has_every_section():
    text = render(paper(make_spec(claims=CLAIMS)))
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings == [
        "In short",
        "As published, official and clean",
        "Verdicts",
        "Train/test overlap",
        "Attribution",
        "Contradictions in the printed numbers",
        "Model info sheet: leakage",
        "Claims",
        "Settings and their sources",
        "What was assumed",
        "Times",
        "Every variant, protocol and device",
        "Runs",
    ]
    assert text.startswith("<!-- Generated")
    assert "not measured yet" in section(text, "In short")
    assert "`repro audit someone2020`" in section(text, "Train/test overlap")
    assert "`repro explain someone2020`" in section(text, "Attribution")


def test_page_is_the_same_for_the_same_arguments():
    of = paper(make_spec(claims=CLAIMS), *(make_record(make_spec(claims=CLAIMS), seed=s) for s in range(3)))
    assert render(of) == render(of)


def test_paper_without_a_spec_has_no_page():
    with pytest.raises(ValueError, match="no spec"):
        render(PaperRuns("gone", None, ()))


def test_verdict_stands_with_its_figures_and_in_short():
    text = render(paper(make_spec(claims=CLAIMS)), judgements=judged((0.50, 0.51, 0.52)))
    assert "**no** (lower)." in section(text, "In short") and "**open**: not run." in section(text, "In short")
    [row] = cells(section(text, "Verdicts"), holding="`main`")
    assert row[2:4] == ["61 %", "**lower**"]
    assert "51.0 %" in row[4] and "is not one of these (p = 0.014)" in row[4]
    assert "chance alone" not in section(text, "Verdicts"), "one figure is no series of tests"


def test_times_and_what_no_run_measures_stay_without_a_verdict():
    verdicts = section(render(paper(make_spec(claims=CLAIMS)), judgements=judged((0.6, 0.6, 0.6))), "Verdicts")
    assert not cells(verdicts, holding="`hours`")
    assert "`hours`" in verdicts and "under Times" in verdicts and "It is in no run." in verdicts


def test_protocols_stand_side_by_side():
    loaded = make_spec(claims=CLAIMS)
    published = [make_record(loaded, seed=s, accuracy=a) for s, a in enumerate((0.60, 0.62))]
    of = paper(loaded, *published)
    assert "61.0 ± 1.4 % (n = 2)" in section(render(of), "As published, official and clean")
    assert "not run" in section(render(of), "As published, official and clean")


def test_shared_rows_are_told_per_protocol():
    leaky = audit(overlap("same row", 122, "repeat_class1"), overlap("exact duplicate", 50))
    clean = msgspec.structs.replace(leaky, protocol=CLEAN, overlaps=())
    text = render(paper(make_spec(claims=CLAIMS)), audits=[audited(leaky, clean)])
    assert "172 of 1,000 test samples (17.2 %)" in section(text, "In short")
    assert "Kinds of leakage found: L1.2, L1.4, L3.2; not known: L2, L3.1, L3.3." in section(text, "In short")
    rows = section(text, "Train/test overlap")
    [same] = cells(rows, holding="same row")
    assert same == [
        "as-published",
        "`test`",
        "1,000",
        "122 (12.2 %)",
        "same row",
        "`repeat_class1`",
        "`split_fraction1`",
    ]
    assert len(cells(rows, holding="clean")) == 2  # both splits, with nothing shared
    assert all(row[3] == "0" for row in cells(rows, holding="clean"))


def test_leakage_that_the_spec_tells_is_named_as_such():
    told = LeakageSheet(l3_1=LeakageAnswer(answer="no", reason="Pictures | have no dates."))
    [row] = cells(render(paper(make_spec(claims=CLAIMS)), leakage=told), holding="L3.1")
    assert row[2] == "**no**" and row[4] == "the spec"
    assert "\0 have no dates" in row[3]  # the border in the text is escaped


def test_findings_that_do_not_fit_stand_open_and_the_others_folded():
    findings = (finding("impossible", arithmetic="1 + 1 = 3"), finding("consistent"), finding("consistent"))
    text = render(paper(make_spec(claims=CLAIMS)), findings=findings)
    short = section(text, "In short")
    assert "Contradictions among the paper's own numbers: 1;" in short
    assert "1 impossible, 0 not by the stated convention, 0 cannot tell, 2 consistent" in short
    numbers = section(text, "Contradictions in the printed numbers")
    assert numbers.index("1 + 1 = 3") < numbers.index("<details>")
    assert "Consistent (2)" in numbers and "Cannot tell (" not in numbers


def test_no_contradiction_is_said():
    text = render(paper(make_spec(claims=CLAIMS)), findings=(finding("consistent"),))
    assert "No contradiction was found." in section(text, "Contradictions in the printed numbers")


def test_attribution_is_taken_as_it_is():
    blocks = [Paragraph(("The cause: ", strong("evaluated on training rows"), "."))]
    text = render(paper(make_spec(claims=CLAIMS)), attribution=blocks)
    assert section(text, "Attribution").strip() == "The cause: **evaluated on training rows**."


def test_settings_are_counted_by_where_they_come_from(tmp_path: Path):
    loaded = load_tiny(
        tmp_path,
        (
            'filters = 2\nkernel = 3\nprovenance = [{ kind = "assumed", reason = "invented" }]',
            'filters = 2\nkernel = 3\nprovenance = [{ kind = "stated", of = ["filters", "kernel"], quote = "two", '
            'place = "Sec. 1" }, { kind = "assumed", reason = "Keras has them so" }]',
        ),
    )
    text = render(paper(loaded))
    [conv] = cells(section(text, "Settings and their sources"), holding="`conv1`")
    keys = 8  # layer, filters, kernel, stride, padding, bias and the two initialisers
    assert conv[2:] == ["2", "", "", str(keys - 2)]
    [optimizer] = cells(section(text, "Settings and their sources"), holding="`optimizer: sgd`")
    assert optimizer[2:] == ["", "", "", str(len(counted_fields(loaded.resolve("default").training.optimizer)) + 1)]
    assumed = section(text, "What was assumed")
    [row] = cells(assumed, holding="Keras has them so")
    assert row == ["`conv1`", "all the rest", "Keras has them so"]
    [invented] = cells(assumed, holding="invented")  # one row for all tables that say the same
    assert "`dense1`" in invented[0] and "`training`" in invented[0]
    assert "ReLU" in text  # the contradiction


def test_every_setting_of_a_table_is_counted_once():
    loaded = make_spec()
    entries = (
        Provenance(kind="assumed", reason="rest"),
        Provenance(kind="upstream", of=("batch_size", "epochs"), reason="code"),
    )
    counts = source_counts(loaded.resolve("default").training, entries)
    assert counts["upstream"] == 2
    assert counts.total() == len(counted_fields(loaded.resolve("default").training)) - 3  # loss, optimizer, schedule
    assert not source_counts(loaded.resolve("default").training, ())


def test_paper_that_assumes_nothing_says_so():
    assert section(render(paper(make_spec(claims=CLAIMS))), "What was assumed").strip() == "Nothing."


def test_tables_are_closed_and_folds_are_balanced(tmp_path: Path):
    text = render(
        paper(load_tiny(tmp_path)),
        findings=(finding("cannot tell", arithmetic="a | b"),),
        audits=[audited(audit(overlap("near duplicate", 3)))],
        judgements={"accuracy": judgement(claim("accuracy", tolerance=0.03), (0.6, 0.61, 0.62))},
    )
    assert text.count("<details>") == text.count("</details>") > 0
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 6
    for block in tables:
        widths = {len(row.replace("\\|", "").split("|")) for row in block.splitlines()}
        assert len(widths) == 1, block

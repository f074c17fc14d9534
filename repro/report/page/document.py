"""One self-contained HTML file: the documents of the report, the sources of every setting, the figures and the details
of every run. It loads nothing and runs only its own script. Benchmarks have a separate page beside it."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import jinja2
import msgspec
from markupsafe import Markup

from repro.bench.table import BENCH_NAME, bench_document
from repro.report.data_section import TITLE as DATA_TITLE
from repro.report.figure_section import FIGURES_TITLE
from repro.report.folder import REPORT_NAME, documents, sheet_name
from repro.report.front import MODELS_TITLE, PAPERS_TITLE, STRANGERS_TITLE, by_gap, finding, front_table
from repro.report.inputs import ReportInput, read_input
from repro.report.page.data_address import PICTURE_TYPES, data_address
from repro.report.page.html import Html, slug
from repro.report.page.plot import strips
from repro.report.page.runs import RunDetails, run_details, run_id
from repro.report.page.settings import settings_of, variants_of
from repro.report.protocol_table import LEGEND
from repro.report.run_sections import RUNS_TITLE
from repro.report.sheets import PROTOCOLS_TITLE, SETTINGS_TITLE, SHORT_TITLE
from repro.report.tables import describe
from repro.runs.record_files import write_atomically
from repro.runs.records import RECORD_NAME
from repro.specs.decode import LoadedSpec
from repro.specs.spec import Claim
from repro.text import units
from repro.text.document import Block, Details, Document, Section, say

BENCH_ID = "bench"


@dataclass(frozen=True)
class Quote:
    """The paper's words from which a claim was read. id: of the element."""

    id: str
    claim: Claim
    about: str
    reported: str


@dataclass(frozen=True)
class PaperPart:
    """A section of a paper's page. open: whether it is shown at once."""

    id: str
    section: Section
    open: bool


@dataclass(frozen=True)
class PaperPage:
    """The page of a paper within the page. html: renders it, with claims as buttons that show their quotes."""

    spec: LoadedSpec
    title: str
    lead: tuple[Block, ...]
    parts: tuple[PaperPart, ...]
    quotes: tuple[Quote, ...]
    html: Html


@dataclass(frozen=True)
class Folder:
    """The results folder that a page is made from.

    base: the folder's address relative to the page, with a trailing slash or empty. bench: the address of the page of
    benchmarks, empty if there is none. known: the files that have a place on the page.
    """

    results: Path
    base: str
    bench: str
    known: frozenset[str]

    def link(self, target: str) -> str:
        """The address of a document's link: a place on the page, or a file in the results folder."""
        path = PurePosixPath(target)
        if "://" in target or target.startswith("#"):
            return target
        if target == BENCH_NAME or target.startswith("bench/"):
            return self.bench or self.base + quote(target)
        if path.name == RECORD_NAME and path.parts[0] == "runs":
            return f"#{run_id(path)}"
        if target in self.known:
            return f"#{path.stem}"  # the page of a paper
        return self.base + quote(target)

    def image(self, target: str) -> str:
        """The image itself as a data address; empty unless it is an image within the results folder."""
        path = (self.results / target).resolve()
        inside = path.is_relative_to(self.results.resolve())
        if not target or not inside or path.suffix not in PICTURE_TYPES or not path.is_file():
            return ""
        return data_address(path)

    def files_of(self, run: RunDetails) -> dict[str, str]:
        """Addresses of a run's files, by name."""
        return {name: f"{self.base}{quote(run.folder)}/{name}" for name in run.files}


def render_page(results: Path, specs: Sequence[LoadedSpec], *, base: str = "") -> str:
    """The page of a results folder; equal records, specs and figures give equal pages.

    base: the address of the results folder relative to the page, for links to records and lists of pairs; with a
    trailing slash, or empty if the page is in that folder.

    Raises RecordError for a record that cannot be read.
    """
    return _main_page(read_input(results, specs), base, bench="")


def write_page(path: Path, results: Path, specs: Sequence[LoadedSpec]) -> list[Path]:
    """Write the page to any file, with links to the results folder, and beside it a page of the benchmarks, if there
    are any. Return the files written, the page first.

    Raises RecordError for a record that cannot be read.
    """
    given = read_input(results, specs)
    base = Path(os.path.relpath(results, path.parent)).as_posix()
    base = "" if base == "." else f"{quote(base)}/"
    beside = path.with_name(f"{path.stem}-bench{path.suffix or '.html'}")
    page = _main_page(given, base, quote(beside.name) if given.bench else "")
    written = [write_atomically(path, page.encode())]
    if given.bench:
        text = _single(bench_document(given.bench), given.results, base, BENCH_ID, quote(path.name))
        written.append(write_atomically(beside, text.encode()))
    return written


def _main_page(given: ReportInput, base: str, bench: str) -> str:
    pages = documents(given)
    known = frozenset(sheet_name(spec.id) for spec in given.specs)
    folder = Folder(given.results, base, bench, known)
    html = Html(folder.link, folder.image)
    overview = pages[REPORT_NAME]
    named = {block.title: block for block in overview.blocks if isinstance(block, Section)}
    runs = [run_details(given.results, run.path, run.record) for run in given.runs]
    audits = given.all_audits
    return _render(
        "page.html.j2",
        folder,
        html=html,
        found=finding(given.without_models, audits),
        strips=strips(by_gap([paper for paper in given.without_models if paper.loaded], audits)),
        table=front_table(given.without_models, audits),
        models=front_table(given.models, audits) if given.models else None,
        legend=say(LEGEND),
        shared=[named[title] for title in (FIGURES_TITLE, DATA_TITLE) if title in named],
        strangers=named.get(STRANGERS_TITLE),
        papers=[_paper_page(spec, pages[sheet_name(spec.id)], html) for spec in given.specs],
        bench=bench,
        runs=_by_paper(runs),
        PAPERS_TITLE=PAPERS_TITLE,
        MODELS_TITLE=MODELS_TITLE,
    )


def write_single(path: Path, document: Document, folder: Path) -> Path:
    """Write one document as a page of the same look. folder: that its figures and links are relative to."""
    base = Path(os.path.relpath(folder, path.parent)).as_posix()
    text = _single(document, folder, "" if base == "." else f"{quote(base)}/", slug(document.title))
    return write_atomically(path, text.encode())


def _single(document: Document, results: Path, base: str, id: str, back: str = "") -> str:
    """id: the prefix of its sections. back: the address of the page that leads here."""
    folder = Folder(results, base, "", frozenset())
    # Its links lead to the records, not to this page.
    html = Html(lambda target: target if "://" in target else base + quote(target), folder.image)
    return _render("single.html.j2", folder, html=html, document=document, back=back, id=id)


def _paper_page(spec: LoadedSpec, page: Document, html: Html) -> PaperPage:
    quotes = tuple(_quotes(spec))
    sections = [block for block in page.blocks if isinstance(block, Section)]
    shown = (SHORT_TITLE, PROTOCOLS_TITLE, FIGURES_TITLE)
    parts = [PaperPart(f"{spec.id}-{slug(one.title)}", _on_page(one), one.title in shown) for one in sections]
    parts.sort(key=lambda part: not part.open)
    lead = tuple(block for block in page.blocks if not isinstance(block, Section))
    own = replace(html, claims={one.claim.id: one.id for one in quotes})
    return PaperPage(spec, spec.spec.paper.title, lead, tuple(parts), quotes, own)


def _on_page(section: Section) -> Section:
    """The settings without the table and the variants, which the page shows in its own way."""
    if section.title != SETTINGS_TITLE:
        return section
    folded = [block for block in section.blocks if isinstance(block, Details)]
    return Section(section.title, tuple(block for block in folded if not block.summary.startswith("Variants (")))


def _quotes(spec: LoadedSpec) -> Iterator[Quote]:
    for claim in spec.spec.single_claims:
        yield Quote(f"{spec.id}-claim-{claim.id}", claim, describe(claim), units.reported(claim))
    for curve in spec.spec.curves:
        first, last = curve.points[0], msgspec.structs.replace(curve.points[-1], id=curve.id, quote=curve.quote)
        about = f"{curve.quantity}, {curve.split}, {len(curve.values)} points"
        ends = f"{units.reported(first)} to {units.reported(last)}"
        yield Quote(f"{spec.id}-claim-{curve.id}", last, about, ends)
    for matrix in spec.spec.tables:
        if matrix.cells:
            size = len(matrix.classes)
            about = f"confusion matrix, {matrix.split}"
            yield Quote(f"{spec.id}-claim-{matrix.id}", matrix.as_claim, about, f"{size} x {size}")


def _by_paper(runs: Sequence[RunDetails]) -> Mapping[str, list[RunDetails]]:
    found: dict[str, list[RunDetails]] = {}
    for run in runs:
        found.setdefault(run.paper, []).append(run)
    return found


# --- the file ---------------------------------------------------------------------------------------------------------


def _render(template: str, folder: Folder, **values: object) -> str:
    style, script = (_read(name) for name in ("page.css", "page.js"))
    page = _environment(folder).get_template(template)
    return page.render(policy=_policy(style, script), style=Markup(style), script=Markup(script), **values)


def _read(name: str) -> str:
    return (files("repro.report.page") / "templates" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Content-Security-Policy: this style, this script, images inside the file, and nothing else."""
    hashes = " ".join(
        f"{key} 'sha256-{_sha256(text)}';" for key, text in (("style-src", style), ("script-src", script))
    )
    return f"default-src 'none'; img-src data:; {hashes} base-uri 'none'; form-action 'none'"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment(folder: Folder) -> jinja2.Environment:
    """The templates; they escape everything that is not Markup."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("repro.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "settings_of": settings_of,
        "variants_of": variants_of,
        "files_of": folder.files_of,
        "SETTINGS_TITLE": SETTINGS_TITLE,
        "RUNS_TITLE": RUNS_TITLE,
    }
    return environment

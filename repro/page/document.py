"""One self-contained HTML file: what RESULTS.md, the pages of the papers and BENCH.md say, with the sources of every
setting, the figures and the details of every run. It loads nothing and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import jinja2
import msgspec
from markupsafe import Markup

from repro.bench.table import BENCH_NAME
from repro.decode import LoadedSpec
from repro.page.markup import Context, Part, inline, parts_of, to_html
from repro.page.runs import RunDetails, run_details, run_id
from repro.page.settings import settings_of, variants_of
from repro.records import RECORD_NAME, find_records, write_atomically
from repro.report import units
from repro.report.figure_section import FIGURES_TITLE
from repro.report.folder import REPORT_NAME, render_folder, sheet_name
from repro.report.grouped_claims import CURVES_TITLE, MATRICES_TITLE
from repro.report.markdown import escape
from repro.report.sheets import PROTOCOLS_TITLE, SETTINGS_TITLE, SHORT_TITLE, VERDICTS_TITLE
from repro.report.tables import describe
from repro.spec import Claim

CLAIMS_TITLE, RUNS_TITLE = "Claims", "Runs"  # of RESULTS.md
RESULTS_ID, BENCH_ID = "results", "bench"
# Where links to whole folders and to BENCH.md lead: what stands in them is on the page.
PLACES = {"runs/": f"#{RESULTS_ID}-runs", "bench/": f"#{BENCH_ID}", BENCH_NAME: f"#{BENCH_ID}"}

PICTURE_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Quote:
    """What a document says where a claim was read. id: of the element."""

    id: str
    claim: Claim
    about: Markup
    reported: str


@dataclass(frozen=True)
class PaperPage:
    """The section of a paper. sheet: its page in Markdown. claims: its table of them, empty where it has none. context:
    of both."""

    spec: LoadedSpec
    sheet: Part
    claims: str
    quotes: tuple[Quote, ...]
    context: Context


@dataclass(frozen=True)
class Folder:
    """The results folder that a page is made from. base: what leads from the page to it, with a slash at the end or
    empty."""

    results: Path
    base: str

    def link(self, target: str) -> str:
        """Where a link of the generated Markdown leads: to a place on the page, or to a file in the results folder."""
        path = PurePosixPath(target)
        if ":" in target or target.startswith("#"):
            return target
        if target in PLACES:
            return PLACES[target]
        if path.name == RECORD_NAME:
            return f"#{run_id(path)}"
        if len(path.parts) == 1 and path.suffix == ".md":
            return f"#{path.stem}"  # the page of a paper
        return self.base + target

    def image(self, target: str) -> str:
        """The picture itself, as an address."""
        path = self.results / target
        return f"data:{PICTURE_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"

    def files_of(self, run: RunDetails) -> dict[str, str]:
        """Addresses of a run's files, by name."""
        return {name: f"{self.base}{quote(run.folder)}/{name}" for name in run.files}


def render_page(results: Path, specs: Sequence[LoadedSpec], *, base: str = "") -> str:
    """The page of a results folder; the same for the same records, specs and figures.

    base: the address of the results folder as seen from the page, for links to records and lists of pairs; with a slash
    at the end, or empty where the page stands in that folder.

    Raises RecordError for a record that cannot be read.
    """
    folder = Folder(results, base)
    context = Context(folder.link, folder.image)
    generated = render_folder(results, specs)
    overview = parts_of(generated[REPORT_NAME], RESULTS_ID)
    bench = generated.get(BENCH_NAME)
    runs = [
        run_details(results, PurePosixPath(path.relative_to(results).as_posix()), record)
        for path, record in find_records(results)
    ]
    style, script = (_read(name) for name in ("page.css", "page.js"))
    return (
        _environment(folder)
        .get_template("page.html.j2")
        .render(
            policy=_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            overview=overview,
            parts=[part for part in overview.parts if part.title not in (CLAIMS_TITLE, RUNS_TITLE)],
            claims_legend=overview.part(CLAIMS_TITLE).text,
            runs_part=overview.part(RUNS_TITLE),
            papers=[_paper_page(spec, generated, overview.part(CLAIMS_TITLE), context) for spec in specs],
            bench=parts_of(bench, BENCH_ID) if bench else None,
            context=context,
            runs=_by_paper(runs),
        )
    )


def write_page(path: Path, results: Path, specs: Sequence[LoadedSpec]) -> Path:
    """Write the page to a file anywhere, with links from there to the results folder.

    Raises RecordError for a record that cannot be read.
    """
    base = Path(os.path.relpath(results, path.parent)).as_posix()
    page = render_page(results, specs, base="" if base == "." else f"{quote(base)}/")
    return write_atomically(path, page.encode())


def _paper_page(spec: LoadedSpec, generated: Mapping[str, str], claims: Part, context: Context) -> PaperPage:
    quotes = tuple(_quotes(spec))
    parts = claims.part(spec.id).parts
    table = next((part.text for part in parts if part.title == CLAIMS_TITLE), "")
    grouped = (part for part in parts if part.title in (CURVES_TITLE, MATRICES_TITLE))
    table = "\n\n".join([table, *(f"**{part.title}**\n\n{part.text}" for part in grouped)])
    own = Context(context.link, context.image, {one.claim.id: one.id for one in quotes})
    return PaperPage(spec, parts_of(generated[sheet_name(spec)], spec.id), table, quotes, own)


def _quotes(spec: LoadedSpec) -> Iterator[Quote]:
    for claim in spec.spec.single_claims:
        yield Quote(f"{spec.id}-claim-{claim.id}", claim, inline(describe(claim)), units.reported(claim))
    for curve in spec.spec.curves:
        first, last = curve.points[0], msgspec.structs.replace(curve.points[-1], id=curve.id, quote=curve.quote)
        about = inline(escape(f"{curve.quantity}, {curve.split}, {len(curve.values)} points"))
        ends = f"{units.reported(first)} to {units.reported(last)}"
        yield Quote(f"{spec.id}-claim-{curve.id}", last, about, ends)
    for matrix in spec.spec.tables:
        if matrix.cells:
            size = len(matrix.classes)
            about = inline(escape(f"confusion matrix, {matrix.split}"))
            yield Quote(f"{spec.id}-claim-{matrix.id}", matrix.as_claim, about, f"{size} x {size}")


def _by_paper(runs: Sequence[RunDetails]) -> dict[str, list[RunDetails]]:
    found: dict[str, list[RunDetails]] = {}
    for run in runs:
        found.setdefault(run.paper, []).append(run)
    return found


# --- the file ---------------------------------------------------------------------------------------------------------


def _read(name: str) -> str:
    return (files("repro.page") / "templates" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Content-Security-Policy: this style, this script, pictures inside the file, and nothing else from anywhere."""
    hashes = " ".join(
        f"{key} 'sha256-{_sha256(text)}';" for key, text in (("style-src", style), ("script-src", script))
    )
    return f"default-src 'none'; img-src data:; {hashes} base-uri 'none'; form-action 'none'"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment(folder: Folder) -> jinja2.Environment:
    """The templates, with everything escaped that is not Markup."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("repro.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "html": to_html,
        "settings_of": settings_of,
        "variants_of": variants_of,
        "files_of": folder.files_of,
        "OPEN_TITLES": (SHORT_TITLE, PROTOCOLS_TITLE, FIGURES_TITLE),
        "SETTINGS_TITLE": SETTINGS_TITLE,
        "VERDICTS_TITLE": VERDICTS_TITLE,
    }
    return environment

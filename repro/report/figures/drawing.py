"""Draw a figure's data as SVG and PNG: page, title and legend. `draw_*.py` draw the panels; the page has the caption.
Avoids pyplot, so that no state outlives a figure. Equal data and libraries give equal bytes."""

from __future__ import annotations

import hashlib
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib.style
import msgspec
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from repro.report.figures.draw_curves import curves_height, draw_curves
from repro.report.figures.draw_dots import dots_height, draw_dots
from repro.report.figures.draw_faces import draw_faces, faces_height
from repro.report.figures.draw_matrix import MATRIX_HEIGHT_IN, draw_matrix, matrix_colours
from repro.report.figures.figure_data import ConfusionMatrix, Curves, Dots, FaceSheet, FigureData, Panel
from repro.report.figures.styles import BLACK, STYLES

WIDTH_IN, NARROW_IN = 9.0, 4.6
TITLE_IN, LEGEND_IN, EDGE_IN = 0.3, 0.26, 0.1
TITLE_LETTER_IN, TITLE_LINE_IN = 0.108, 0.2
LEGEND_COLUMNS, HANDLE_IN, LETTER_IN = 4, 0.62, 0.068
GRAYS, TINTS = 16, 6  # in a PNG: grays, and tints of every other colour with white; one is the bands' 20 %
PNG_DPI = 98  # 882 pixels wide, as a README on GitHub shows it
# The colours on a dark page: grounds and lines dark, letters light, the colours of the series lighter.
DARK = {
    "#ffffff": "#11151a",
    "#000000": "#e6e9ed",
    "#333333": "#c9d1d9",
    "#555555": "#9aa4af",
    "#cccccc": "#3d4650",
    "#dddddd": "#323a43",
    "#eeeeee": "#1b2128",
    "#0072b2": "#56b4e9",
    "#d55e00": "#ff8a3d",
    "#009e73": "#2fd0a0",
    "#e69f00": "#f5b82e",
    "#cc79a7": "#e59ac4",
}
FONT = "DejaVu Sans"  # comes with matplotlib
RC = {
    "font.family": FONT,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "text.parse_math": False,  # a dollar sign in a paper's words is a dollar sign
    "svg.hashsalt": "fer-repro",
    # Text stays text: it can be searched and read aloud, and takes a third of the space. DejaVu is wider than the fonts
    # that a browser substitutes for it, so no text runs into its neighbour.
    "svg.fonttype": "none",
}


def draw(
    data: FigureData, mark: str, images: np.ndarray | None = None, forms: Sequence[str] = ("svg", "png")
) -> dict[str, bytes]:
    """The figure in each form: `svg`, `narrow.svg` (for a phone) and `png`.

    mark: the identifier, stored in every form. images: uint8 (N, H, W) in the order of the dataset, for faces.
    """
    with _own_style():
        wide = _laid_out(_titled_once(data), images, WIDTH_IN)
        found: dict[str, bytes] = {}
        for form in forms:
            match form:
                case "svg":
                    found[form] = _svg(wide, data, mark)
                case "narrow.svg":
                    found[form] = _svg(_laid_out(_one_column(data), images, NARROW_IN), data, mark)
                case _:
                    found[form] = _png(wide, data, mark)
        return found


def _laid_out(data: FigureData, images: np.ndarray | None, width: float) -> Figure:
    figure = _page(data, images, width)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # layout is done: the forms come out alike, and none repeats it
    return figure


def _titled_once(data: FigureData) -> FigureData:
    """Without titles of curves that the panel above has, too. In one column each panel needs its own."""
    heads = [getattr(panel, "title", "") for panel in data.panels[0]]
    below = tuple(
        tuple(
            msgspec.structs.replace(panel, title="")
            if isinstance(panel, Curves) and panel.title in heads[at : at + 1]
            else panel
            for at, panel in enumerate(row)
        )
        for row in data.panels[1:]
    )
    return msgspec.structs.replace(data, panels=(data.panels[0], *below))


def _one_column(data: FigureData) -> FigureData:
    """The panels one below another. The words at the right of rows are left out, because the page has them."""
    panels = [panel for row in data.panels for panel in row]
    plain = [_without_notes(panel) if isinstance(panel, Dots) else panel for panel in panels]
    return msgspec.structs.replace(data, panels=tuple((panel,) for panel in plain))


def _without_notes(panel: Dots) -> Dots:
    return msgspec.structs.replace(panel, rows=tuple(msgspec.structs.replace(row, note="") for row in panel.rows))


def _svg(figure: Figure, data: FigureData, mark: str) -> bytes:
    svg = io.BytesIO()
    metadata = {
        "Title": data.title,
        "Description": data.alternative,
        "Identifier": mark,
        "Creator": "repro report",
        "Date": None,
    }
    figure.savefig(svg, format="svg", metadata=metadata)
    return _compact(svg.getvalue().decode()).encode()


def _compact(svg: str) -> str:
    """The same drawing in less than half the bytes: coordinates to a tenth of a point, no needless white space, names
    or groups, and the font and the styles named once. Adds substitutes for a missing font."""
    svg = svg.replace(f"font-family: '{FONT}'; ", "").replace(f"; font-family: '{FONT}'", "")
    styles = {style: _class_name(style) for style in sorted(set(re.findall(r' style="([^"]+)"', svg)))}
    rules = "".join(f"\n.{name}{{{style}}}" for style, name in styles.items()) + _dark(styles)
    svg = re.sub(r' style="([^"]+)"', lambda found: f' class="{styles[found.group(1)]}"', svg)
    svg = svg.replace("</style>", f"\ntext{{font-family: '{FONT}', Verdana, sans-serif}}{rules}</style>", 1)
    svg = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", svg)
    svg = re.sub(r' (?:d|x|y|transform)="[^"]+"', lambda found: _rounded(found.group()), svg)
    svg = re.sub(r"\n +<", "\n<", svg)
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)
    svg = re.sub(r' d="([^"]+)"', lambda found: f' d="{_short_path(found.group(1))}"', svg)
    svg = re.sub(r'(<text[^>]*) transform="translate\(([-\d.]+) ([-\d.]+)\)"', r'\1 x="\2" y="\3"', svg)
    for _ in range(2):
        svg = re.sub(r"<g>\n((?:<text[^\n]*</text>\n|<[^\n]*/>\n)+)</g>\n", r"\1", svg)
    return svg.replace("<svg ", '<svg role="img" ', 1)


def _dark(styles: Mapping[str, str]) -> str:
    """Style rules for dark pages. styles: class names by style."""
    rules = [f"text{{fill: {DARK['#000000']}}}"]
    for style, name in styles.items():
        changed = re.sub(r"#[0-9a-f]{6}", lambda found: DARK.get(found.group(), found.group()), style)
        if "stroke: #000000" in style and "fill:" not in style:
            changed += f"; fill: {DARK['#000000']}"  # SVG fills with black by default
        if changed != style:
            rules.append(f".{name}{{{changed}}}")
    return "\n@media (prefers-color-scheme: dark){" + "".join(rules) + "}"


def _class_name(style: str) -> str:
    """The same in every figure, so that two figures on one page do not change each other."""
    return f"s{hashlib.sha256(style.encode()).hexdigest()[:5]}"


def _short_path(path: str) -> str:
    """The same path: a line to the next point is written as the way there, along an axis as one number. Coordinates are
    whole tenths, so no errors add up."""
    if re.search(r"\de", path):
        return path  # 1e-05
    at: list[float] = []
    short = []
    for command, inside in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in inside.split()]
        if command == "L" and len(numbers) == len(at) == 2:
            right, down = (round(to - start, 1) for to, start in zip(numbers, at, strict=True))
            way = f"h{_tenths(right)}" if not down else f"v{_tenths(down)}" if not right else ""
            short.append(way or f"l{_tenths(right)}{'' if down < 0 else ' '}{_tenths(down)}")
        else:
            short.append(command + inside.strip())
        at = numbers[-2:]
    return "".join(short)


def _tenths(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0").replace("0.", ".", 1 if abs(number) < 1 else 0)


def _rounded(coordinates: str) -> str:
    text = re.sub(r"-?\d+\.\d{2,}", lambda found: f"{float(found.group()):.1f}".removesuffix(".0"), coordinates)
    return re.sub(r"\s*\n(?=\w)", "", text).replace("\n", "")


@contextmanager
def _own_style() -> Iterator[None]:
    """Matplotlib's own defaults and RC, regardless of the user's matplotlibrc."""
    with matplotlib.style.context(["default", RC], after_reset=True):  # pyright: ignore[reportArgumentType]
        yield


def _png(figure: Figure, data: FigureData, mark: str) -> bytes:
    figure.set_dpi(PNG_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    described = PngInfo()
    for key, text in (("Title", data.title), ("Description", data.alternative), ("Identifier", mark)):
        described.add_itxt(key, text)
    shows_faces = any(isinstance(panel, FaceSheet) for row in data.panels for panel in row)
    target = io.BytesIO()
    (pixels.convert("L") if shows_faces else _few_colours(pixels)).save(target, "PNG", optimize=True, pnginfo=described)
    return target.getvalue()


def _few_colours(pixels: Image.Image) -> Image.Image:
    """Each pixel in the nearest colour of the palette, which halves the size. A palette that Pillow derives from the
    pixels would merge series that cover few pixels."""
    palette = _palette()
    found, place = np.unique(np.asarray(pixels).reshape(-1, 3), axis=0, return_inverse=True)
    distance = ((found[:, None].astype(np.int32) - palette) ** 2).sum(2)
    image = Image.fromarray(distance.argmin(1).astype(np.uint8)[place].reshape(pixels.height, pixels.width), "P")
    image.putpalette(palette.astype(np.uint8).tobytes())
    return image


def _palette() -> np.ndarray:
    """Grays, the colours of the series and the shades of the matrices, each with its tints up to white:
    int (at most 256, 3)."""
    series = {style.colour for style in STYLES.values()} - {BLACK}
    tints = [_tints(BLACK, GRAYS), *(_tints(colour, TINTS) for colour in (*sorted(series), *matrix_colours()))]
    return np.unique(np.concatenate(tints), axis=0)


def _tints(colour: str, count: int) -> np.ndarray:
    share = np.linspace(0, 1, count)[:, None]
    return np.rint(255 * (share * np.array(to_rgb(colour)) + 1 - share)).astype(np.int32)


def _page(data: FigureData, images: np.ndarray | None, width: float) -> Figure:
    heights = [max(_height(panel) for panel in row) for row in data.panels]
    columns = _legend_columns(data.legend, width)
    legend_rows = -(-len(data.legend) // columns)
    title = textwrap.fill(data.title, int(width / TITLE_LETTER_IN))
    title_in = TITLE_IN + TITLE_LINE_IN * title.count("\n")
    above = EDGE_IN + title_in + LEGEND_IN * legend_rows
    height = above + sum(heights) + EDGE_IN
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0.005, EDGE_IN / height, 0.99, 1 - (above + EDGE_IN) / height), w_pad=0.06, h_pad=0.06)  # pyright: ignore[reportCallIssue]
    left = 0.1 / width
    figure.text(left, 1 - EDGE_IN / height, title, ha="left", va="top", fontsize=12, fontweight="bold")
    if data.legend:
        figure.legend(
            handles=[_handle(series, label) for series, label in data.legend.items()],
            loc="upper left",
            bbox_to_anchor=(left, 1 - (EDGE_IN + title_in) / height),
            ncols=columns,
            frameon=False,
            borderaxespad=0,
        )
    _fill(figure, data, heights, images)
    return figure


def _legend_columns(legend: dict[str, str], width: float) -> int:
    longest = HANDLE_IN + LETTER_IN * max(map(len, legend.values()), default=0)
    return max(1, min(len(legend), LEGEND_COLUMNS, int(width / longest)))


def _fill(figure: Figure, data: FigureData, heights: list[float], images: np.ndarray | None) -> None:
    columns = max(len(row) for row in data.panels)
    grid = figure.add_gridspec(len(data.panels), columns, height_ratios=heights)
    for r, row in enumerate(data.panels):
        first = None
        for c, panel in enumerate(row):
            # Curves of one row show the same quantity: a shared axis lets the eye compare them.
            shared = first if isinstance(panel, Curves) and isinstance(row[0], Curves) and _same_axis(row) else None
            axes = figure.add_subplot(grid[r, c], sharey=shared)
            first = first or axes
            match panel:
                case Dots():
                    draw_dots(axes, panel)
                case Curves():
                    draw_curves(axes, panel, named=shared is None)
                case ConfusionMatrix():
                    draw_matrix(axes, panel)
                case FaceSheet():
                    assert images is not None
                    draw_faces(axes, panel, images)


def _same_axis(row: tuple[Panel, ...]) -> bool:
    return len({panel.y_axis for panel in row if isinstance(panel, Curves)}) == 1


def _height(panel: Panel) -> float:
    match panel:
        case Dots():
            return dots_height(panel)
        case Curves():
            return curves_height(panel)
        case ConfusionMatrix():
            return MATRIX_HEIGHT_IN
        case FaceSheet():
            return faces_height(panel)


def _handle(series: str, label: str) -> Line2D:
    style = STYLES[series]
    return Line2D(
        [],
        [],
        label=label,
        color=style.colour,
        marker=style.marker or "None",
        linestyle=style.line or "None",
        markerfacecolor=style.colour if style.filled else "white",
        markersize=6,
    )

"""How objects of the interface look in a notebook: a table as HTML, a plot as SVG."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_jax.machine.atomic_write import write_atomically
from fer_jax.vocabulary.errors import UserError
from repro.report.figures.figure_data import FigureData
from repro.report.page.html import Html
from repro.text.document import Block
from repro.text.terminal import terminal_blocks


class Shown(ABC):
    """Base of objects that are shown as a few blocks of text: as text in a terminal, as HTML in a notebook."""

    @abstractmethod
    def blocks(self) -> Sequence[Block]: ...

    def __repr__(self) -> str:
        return terminal_blocks(self.blocks())

    def _repr_html_(self) -> str:
        return str(Html().blocks(self.blocks(), level=4, id=""))


@dataclass(frozen=True, repr=False)
class Plot:
    """A plot. A notebook draws it; `save` writes it as SVG or PNG. Needs matplotlib (extra `report`)."""

    data: FigureData

    def __repr__(self) -> str:
        return f"Plot: {self.data.title}\n{self.data.alternative}"

    def _repr_svg_(self) -> str:
        return self._drawn("svg").decode()

    def save(self, path: str | Path) -> Path:
        """Write the plot; the ending of the path, `.svg` or `.png`, is its form. Raises UserError for another one."""
        path = Path(path)
        form = path.suffix.removeprefix(".")
        if form not in ("svg", "png"):
            raise UserError(f"{path}: a plot is written as .svg or .png")
        return write_atomically(path, self._drawn(form))

    def _drawn(self, form: str) -> bytes:
        from repro.report.figures.drawing import draw  # here, because it needs matplotlib

        return draw(self.data, "", forms=[form])[form]

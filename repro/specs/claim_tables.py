"""Several numbers of a paper that belong together: curves and confusion matrices, ``[[curves]]`` and ``[[tables]]``.

A curve gets one verdict, and a confusion matrix is written as the paper prints it. Both are also available as single
claims (`Curve.points`, `Table.margins`, `Table.cell_claims`) for arithmetic that looks at one number at a time.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.specs.claims import Claim, check_tolerance, check_value
from repro.specs.spec_struct import Name, NonEmpty, SpecStruct

Resolution = Annotated[float, msgspec.Meta(gt=0)]
Counts = tuple[Annotated[float, msgspec.Meta(ge=0)], ...]


class Curve(SpecStruct, frozen=True, kw_only=True):
    """A number that the paper reports at several epochs or steps of one run. It gets one verdict.

    quantity, unit, resolution, split, variant, tolerance, note, flag: as in a claim, the same for every point.
    epochs or steps: when each of `values` was measured; rising, and as many as there are values.
    quotes: the paper's words for each point, if they are printed separately; else `quote` covers all points.
    selected_from, tries: as in a claim.

    Raises ValueError for lists of different length, an order that does not rise, and values out of range.
    """

    id: Name
    quantity: Literal["accuracy", "loss"]
    unit: NonEmpty
    resolution: Resolution
    split: NonEmpty
    variant: str = "default"
    epochs: tuple[Annotated[int, msgspec.Meta(ge=1)], ...] = ()
    steps: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    values: Annotated[tuple[float, ...], msgspec.Meta(min_length=2)]
    tolerance: float | None = None
    quote: NonEmpty
    quotes: tuple[str, ...] = ()
    place: NonEmpty
    selected_from: str = ""
    tries: Annotated[int, msgspec.Meta(ge=1)] | None = None
    not_measured: str = ""
    note: str = ""
    flag: str = ""
    flag_reason: str = ""

    def __post_init__(self) -> None:
        if bool(self.epochs) == bool(self.steps):
            raise ValueError("a curve needs either `epochs` or `steps`: when each value was measured")
        key, when = ("epochs", self.epochs) if self.epochs else ("steps", self.steps)
        if len(when) != len(self.values):
            raise ValueError(
                f"`{key}` has {counted(len(when), 'entry')} and `values` has {len(self.values)}; give one for each"
            )
        falls = next((i for i in range(1, len(when)) if when[i] <= when[i - 1]), None)
        if falls is not None:
            raise ValueError(f"`{key}` must rise: {when[falls]} follows {when[falls - 1]}")
        if self.quotes and len(self.quotes) != len(self.values):
            raise ValueError(
                f"`quotes` has {counted(len(self.quotes), 'entry')} and `values` has "
                f"{len(self.values)}; give one for each, "
                "or none"
            )
        for index, value in enumerate(self.values):
            check_value(self.quantity, value, self.unit, f"`values[{index}]` of quantity `{self.quantity}`")
        check_tolerance(self.tolerance, self.resolution)
        if self.tries is not None and not self.selected_from:
            raise ValueError("`tries` needs `selected_from`: what the curve is the best of")
        if bool(self.flag) != bool(self.flag_reason):
            raise ValueError("`flag` and `flag_reason` go together")

    @property
    def moments(self) -> tuple[int, ...]:
        """The epochs, or the steps if the curve is by steps."""
        return self.epochs or self.steps

    @property
    def points(self) -> tuple[Claim, ...]:
        """Each point as a claim with the id ``<id>-<epoch or step>``."""
        key = "epoch" if self.epochs else "step"
        quotes = self.quotes or (self.quote,) * len(self.values)
        shared: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                *("quantity", "unit", "resolution", "split", "variant", "tolerance", "place", "selected_from", "tries"),
                *("not_measured", "note", "flag", "flag_reason"),
            )
        }
        return tuple(
            Claim(id=f"{self.id}-{moment}", value=value, quote=quote, **{key: moment}, **shared)
            for moment, value, quote in zip(self.moments, self.values, quotes, strict=True)
        )


class ClaimTable(SpecStruct, frozen=True, kw_only=True):
    """A confusion matrix, as far as the paper prints it. One row per actual class, one column per predicted class.

    classes: the order of rows and columns.
    cells: the matrix. Its unit is `unit`: "rows" for counts, "fraction" or "percent" for shares, which are `of` all
        samples ("all"), of the samples of their row ("row"), or of their column ("column").
    actual, predicted, true_positives: counts per class in the order of `classes`: samples of the class, samples
        predicted as it, and the diagonal. A paper may print these without the cells.
    resolution: worth of the last printed digit of the cells in `unit`; of the counts if there are no cells.
    split, variant: the run that measures it, at its reported end. tolerance: of each cell, in `unit`.
    quotes: further lines of the paper, verbatim, besides `quote`. If there is one quote per given list, the quotes
        belong to `cells`, `actual`, `predicted` and `true_positives` in this order.

    Raises ValueError for rows of different length and for cells that are neither counts nor shares.
    """

    id: Name
    split: NonEmpty
    variant: str = "default"
    classes: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    unit: Literal["rows", "fraction", "percent"]
    of: Literal["", "all", "row", "column"] = ""
    resolution: Resolution
    cells: tuple[tuple[float, ...], ...] = ()
    actual: Counts = ()
    predicted: Counts = ()
    true_positives: Counts = ()
    tolerance: float | None = None
    quote: NonEmpty
    quotes: tuple[str, ...] = ()
    place: NonEmpty
    not_measured: str = ""
    note: str = ""
    flag: str = ""
    flag_reason: str = ""

    def __post_init__(self) -> None:
        size = len(self.classes)
        if len(set(self.classes)) < size:
            raise ValueError(f"`classes` names one class twice: {', '.join(self.classes)}")
        if not (self.cells or self.actual or self.predicted or self.true_positives):
            raise ValueError("a table needs `cells`, or one of `actual`, `predicted` and `true_positives`")
        if self.cells and len(self.cells) != size:
            raise ValueError(f"`cells` has {counted(len(self.cells), 'row')} and `classes` has {size}")
        for index, row in enumerate(self.cells):
            if len(row) != size:
                raise ValueError(
                    f"`cells[{index}]` ({self.classes[index]}) has {counted(len(row), 'value')} and "
                    f"`classes` has {size}"
                )
        for key in ("actual", "predicted", "true_positives"):
            counts = getattr(self, key)
            if counts and len(counts) != size:
                raise ValueError(f"`{key}` has {counted(len(counts), 'value')} and `classes` has {size}")
            for index, count in enumerate(counts):
                if not float(count).is_integer():
                    raise ValueError(f"`{key}[{index}]` ({self.classes[index]}) is a count of samples, not {count:g}")
        self._check_cells()
        check_tolerance(self.tolerance, 0.0 if self.unit == "rows" and self.resolution <= 1 else self.resolution)
        if bool(self.flag) != bool(self.flag_reason):
            raise ValueError("`flag` and `flag_reason` go together")

    def _check_cells(self) -> None:
        if (self.unit == "rows") != (self.of == ""):
            raise ValueError(
                '`of` says what shares are of ("all", "row" or "column"): it goes with `unit` "fraction" and "percent"'
            )
        whole = {"rows": float("inf"), "fraction": 1.0, "percent": 100.0}[self.unit]
        for i, row in enumerate(self.cells):
            for j, value in enumerate(row):
                if not 0 <= value <= whole or (self.unit == "rows" and not float(value).is_integer()):
                    kind = "a count of samples" if self.unit == "rows" else f"a share from 0 to {whole:g} ({self.unit})"
                    raise ValueError(
                        f"`cells[{i}][{j}]` ({self.classes[i]} as {self.classes[j]}) is {kind}, not {value:g}"
                    )
        if not self.cells or self.unit == "rows":
            return
        # Every share may be off by half a digit. A larger error is a typo in the spec or an odd paper, which
        # `repro forensics` reports. If sums are far from the whole, the shares are of something else.
        for name, total in self._wholes().items():
            if abs(total - whole) > max(0.05 * whole, len(self.classes) ** 2 * self.resolution):
                raise ValueError(
                    f'shares `of` "{self.of}" add up to {whole:g}, but {name} adds up to {total:.6g}: check `of`'
                )

    def _wholes(self) -> dict[str, float]:
        """Sums by name that must each add up to the whole."""
        rows = [sum(row) for row in self.cells]
        if self.of == "all":
            return {"the matrix": sum(rows)}
        sums = rows if self.of == "row" else [sum(column) for column in zip(*self.cells, strict=True)]
        return {f"{self.of} {name}": total for name, total in zip(self.classes, sums, strict=True) if total > 0}

    def _quote_of(self, key: str) -> str:
        """The words behind one of the lists."""
        given = [name for name in ("cells", "actual", "predicted", "true_positives") if getattr(self, name)]
        quotes = (self.quote, *self.quotes)
        return quotes[given.index(key)] if len(quotes) == len(given) else self.quote

    @property
    def margins(self) -> tuple[Claim, ...]:
        """The counts per class as claims: ``<id>-actual-<class>``, ``-predicted-`` and ``-true-positives-``."""
        total = sum(self.actual) or sum(self.predicted)
        everyone, nobody = (total,) * len(self.classes), (0,) * len(self.classes)
        lists = (
            ("actual", "rows", nobody),
            ("predicted", "predicted_rows", everyone),
            ("true_positives", "true_positives", self.actual or nobody),
        )
        return tuple(
            self._claim(
                f"{key.replace('_', '-')}-{name}",
                quantity,
                count,
                quote=self._quote_of(key),
                emotion=name,
                of_rows=int(out_of) or None,
            )
            for key, quantity, out_ofs in lists
            for name, count, out_of in zip(self.classes, getattr(self, key), out_ofs, strict=False)
        )

    @property
    def as_claim(self) -> Claim:
        """The whole table under its own id, for code that names claims: its words and its place, no number."""
        return Claim(
            id=self.id,
            quantity="other",
            value=0.0,
            unit=self.unit,
            split=self.split,
            variant=self.variant,
            quote=self.quote,
            place=self.place,
            not_measured=self.not_measured or "A whole table.",
            note=self.note,
            flag=self.flag,
            flag_reason=self.flag_reason,
        )

    @property
    def cell_claims(self) -> tuple[Claim, ...]:
        """The cells of a matrix of counts as claims ``<id>-<actual>-as-<predicted>``; none for shares."""
        if self.unit != "rows":
            return ()
        return tuple(
            self._claim(
                f"{actual}-as-{predicted}",
                "predicted_rows",
                value,
                quote=self.quote,
                actual=actual,
                emotion=predicted,
                of_rows=int(sum(row)) or None,
            )
            for actual, row in zip(self.classes, self.cells, strict=False)
            for predicted, value in zip(self.classes, row, strict=True)
        )

    def _claim(self, suffix: str, quantity: str, value: float, **more: Any) -> Claim:
        counts = self.unit == "rows"
        shared: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("split", "variant", "place", "not_measured", "note", "flag", "flag_reason")
        }
        return Claim(
            id=f"{self.id}-{suffix}",
            quantity=quantity,  # type: ignore[arg-type]  # one of the three above
            value=float(value),
            unit="rows",
            resolution=self.resolution if counts else 1.0,
            tolerance=self.tolerance if counts else None,
            **more,
            **shared,
        )

"""Estimated marginal means: averages over a reference grid, as rows over the columns of a design.

The columns say what a unit of each of them changes; a marginal mean says what the model expects at
the levels of a factor, whatever its coding. Every row of the grid is coded as the design was, rows
of one level are averaged with equal weights, and the average is a contrast like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.contrasts.cursor import Cursor
from voxlm.contrasts.linear import Block, Linear
from voxlm.contrasts.meanstext import EXAMPLE, Asked, read_call
from voxlm.contrasts.names import Span, unknown
from voxlm.design.columns import Design
from voxlm.design.reference import Axis, Reference, grid, reference_of
from voxlm.errors import ContrastError, DesignError, did_you_mean

Floats = NDArray[np.float64]

CALLS = ("emm", "level")
LONGEST = 20_000  # rows of a grid
# An average of a column that is this small beside its values is rounding.
ROUNDING = 1e-13


@dataclass(frozen=True, slots=True)
class Means:
    """A request for estimated marginal means; made by :func:`emm`, and a contrast as it is.

    Parameters
    ----------
    factors : tuple of str
        The factors whose levels are told apart.
    at : tuple of (str, tuple)
        Values of other variables, instead of their mean or all of their levels.
    paired : bool
        Whether the differences between the means are asked for.
    chosen : str
        The one mean or difference that is asked for; all of them, jointly, where empty.
    """

    factors: tuple[str, ...]
    at: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    paired: bool = False
    chosen: str = ""

    def pairs(self) -> Means:
        """Return the differences between all pairs of means, first less second."""
        return replace(self, paired=True, chosen="")

    def __getitem__(self, label: str) -> Means:
        """Return one of them, such as ``emm("group")["patient"]``."""
        return replace(self, chosen=label)

    def each(self, design: Design) -> dict[str, Means]:
        """Return every mean or difference by its name.

        Parameters
        ----------
        design : Design
            Its factors have the levels.

        Returns
        -------
        dict of str to Means
            Ready to be asked, one after the other.
        """
        text = str(self)
        reader = _Reader(text, replace(_asked(self), chosen=("", (0, 0))), design.meaning)
        labels, _ = reader.rows(design.columns)
        return {label: self[label] for label in labels}

    def __str__(self) -> str:
        inside = ", ".join(_quoted(name) for name in self.factors)
        if self.at:
            pairs = (f"{_quoted(name)}: {_listed(values)}" for name, values in self.at)
            inside += f", at={{{', '.join(pairs)}}}"
        chosen = f"[{_quoted(self.chosen)}]" if self.chosen else ""
        return f"emm({inside}){'.pairs()' if self.paired else ''}{chosen}"


def emm(*factors: str, at: Mapping[str, Any] | None = None) -> Means:
    """Ask for estimated marginal means, as R's emmeans does.

    Numbers stand at their mean, other factors are averaged over with equal weights, whatever the
    number of rows at each level; a number that has two values only counts as a factor. The result
    is accepted wherever a contrast is, and its text can be written in a contrast.

    Parameters
    ----------
    *factors : str
        One factor, or several for the means of their crossed levels.
    at : mapping of str to value or list of values, optional
        Values of the other variables; of several, the mean is taken. For a factor named before,
        the levels wanted.

    Returns
    -------
    Means
        ``.pairs()`` asks for the differences; ``["patient"]`` or ``.pairs()["a - b"]`` for one row
        (a t); ``.each(design)`` gives all of them by name. Several rows are tested jointly (F).

    Raises
    ------
    ContrastError
        If a name is not text, or a value neither text nor a number.

    Examples
    --------
    >>> print(emm("group", at={"age": 60}).pairs()["control - patient"])
    emm("group", at={"age": 60}).pairs()["control - patient"]
    """
    if not factors or not all(isinstance(name, str) for name in factors):
        raise ContrastError("emm() takes names of factors", hint=f"write for instance {EXAMPLE}")
    fixed = []
    for name, given in (at or {}).items():
        values = tuple(given) if isinstance(given, Sequence | np.ndarray) else (given,)
        values = (given,) if isinstance(given, str) else values
        plain = tuple(v.item() if isinstance(v, np.generic) else v for v in values)
        if not plain or not all(isinstance(v, str | int | float) for v in plain):
            raise ContrastError(f"at={{{name!r}: {given!r}}}: give a value or a list of values")
        fixed.append((str(name), plain))
    return Means(factors, tuple(fixed))


def read_means(cursor: Cursor, call: str, meaning: Any) -> Block:
    """Read ``emm(...)`` or ``level(...)`` at a cursor into rows over the columns.

    Parameters
    ----------
    cursor : Cursor
        Stands at the call; is left behind it.
    call : {"emm", "level"}
        Which one.
    meaning : object
        The meaning of the design, see :func:`voxlm.design.reference.reference_of`.

    Raises
    ------
    ContrastError
        For unknown factors and levels, each with its place and the nearest names, and for designs
        that cannot code new rows.
    """
    start = cursor.at
    asked = read_call(cursor, call)
    cursor.skip()
    reader = _Reader(cursor.text, asked, meaning, (start, start + len(call)))
    labels, rows = reader.rows(cursor.names.columns)
    made = tuple(Linear({k: Fraction(w) for k, w in enumerate(row.tolist()) if w}) for row in rows)
    single = len(made) == 1
    return Block(made, ("",) if single else labels, joint=not single)


def _asked(means: Means) -> Asked:
    """Give a request no particular place."""
    nowhere = (0, len(str(means)))
    at = tuple((n, nowhere, tuple((v, nowhere) for v in values)) for n, values in means.at)
    factors = tuple((name, nowhere) for name in means.factors)
    return Asked(factors, at, means.paired, (means.chosen, nowhere))


@dataclass(frozen=True, slots=True)
class _Reader:
    """From a request to rows."""

    text: str
    asked: Asked
    meaning: Any
    span: Span = (0, 0)

    def rows(self, columns: Any) -> tuple[tuple[str, ...], Floats]:
        """Return the names ``(k,)`` and the rows ``(k, P)`` that are asked for."""
        try:
            reference = reference_of(self.meaning, columns)
        except DesignError as error:
            hint = "write the contrast over the columns"
            raise ContrastError(str(error), self.text, self.span, hint) from error
        labels, means = self.means(reference)
        if self.asked.paired:
            pairs = list(combinations(range(len(labels)), 2))
            if not pairs:
                raise ContrastError("a pair needs two means", self.text, self.span)
            means = np.stack([means[a] - means[b] for a, b in pairs])
            labels = tuple(f"{labels[a]} - {labels[b]}" for a, b in pairs)
        word, span = self.asked.chosen
        if word and word not in labels:
            raise unknown(word, labels, self.text, span, "mean")
        keep = [k for k, label in enumerate(labels) if word in ("", label)]
        return tuple(labels[k] for k in keep), means[keep]

    def means(self, reference: Reference) -> tuple[tuple[str, ...], Floats]:
        """Return the names and the rows of the marginal means."""
        values = self.values(reference)
        focal = [self.axis(name, span, reference) for name, span in self.asked.factors]
        table = grid(reference, values)
        coded = reference.rows(table)
        largest = np.abs(coded).max(axis=0, initial=0.0)
        labels, rows = [], []
        for cell in product(*(values[axis.name] for axis in focal)):
            inside = np.ones(len(table), dtype=bool)
            for axis, value in zip(focal, cell, strict=True):
                inside &= (table[axis.name] == value).to_numpy()
            label = ":".join(axis.word(v) for axis, v in zip(focal, cell, strict=True))
            row = coded[inside].mean(axis=0)
            row[np.abs(row) <= ROUNDING * largest] = 0.0
            if not row.any():
                raise ContrastError(
                    f"{label} is in no column of the design, so it has no mean",
                    self.text,
                    self.span,
                    f"name the levels that are: at={{{_quoted(focal[0].name)}: [...]}}",
                )
            labels.append(label)
            rows.append(row)
        return tuple(labels), np.stack(rows)

    def values(self, reference: Reference) -> dict[str, tuple[Any, ...]]:
        """Return where each variable of the grid stands."""
        found = {axis.name: axis.values for axis in reference.axes}
        for name, span, values in self.asked.at:
            axis = self.axis(name, span, reference)
            found[name] = tuple(self.value(axis, value, where) for value, where in values)
        for axis in reference.axes:
            if not found[axis.name]:
                raise ContrastError(
                    f"{axis.name} scales responses, and this mean does not say what it is",
                    self.text,
                    self.span,
                    f"give its value: at={{{_quoted(axis.name)}: 0}}",
                )
        size = int(np.prod([float(len(values)) for values in found.values()]))
        if size > LONGEST:
            raise ContrastError(
                f"this grid has {size:,} rows; at most {LONGEST:,} are averaged",
                self.text,
                self.span,
                "fix some of the factors with at={...}",
            )
        return found

    def axis(self, name: str, span: Span, reference: Reference) -> Axis:
        """Return the variable of a name."""
        axis = reference.axis(name)
        if axis is None:
            known = [axis.name for axis in reference.axes]
            raise ContrastError(
                f"the fixed terms of the formula have no variable {name!r}",
                self.text,
                span,
                did_you_mean(name, known),
            )
        return axis

    def value(self, axis: Axis, value: Any, span: Span) -> Any:
        """Return a value as the table has it."""
        if axis.levels:
            word = axis.word(value) if not isinstance(value, str) else value
            if word not in axis.levels:
                raise ContrastError(
                    f"{word!r} is no level of {axis.name}",
                    self.text,
                    span,
                    did_you_mean(word, axis.levels),
                )
            return axis.values[axis.levels.index(word)]
        if isinstance(value, str) or not np.isfinite(value):
            raise ContrastError(
                f"{axis.name} is a number, got {value!r}", self.text, span, f"write {EXAMPLE}"
            )
        return float(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _listed(values: tuple[Any, ...]) -> str:
    words = [_quoted(v) if isinstance(v, str) else f"{float(v):.17g}" for v in values]
    return words[0] if len(words) == 1 else f"[{', '.join(words)}]"

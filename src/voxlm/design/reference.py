"""The reference grid of a design: the rows that estimated marginal means are averages of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.design.columns import Column
from voxlm.design.table import GroupCoding
from voxlm.errors import DesignError
from voxlm.formula.coding import code, fill
from voxlm.formula.factors import Factor, is_trials
from voxlm.formula.schema import label
from voxlm.formula.syntax import Name
from voxlm.formula.terms import Resolved

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Axis:
    """One variable of a reference grid.

    Parameters
    ----------
    name : str
        The column of the table.
    values : tuple
        Where the grid stands by itself: all levels of a factor, the mean of a number. As in R's
        emmeans a number with two values stands at both. Empty where a value has to be given.
    levels : tuple of str
        The levels of a factor; empty for a number.
    """

    name: str
    values: tuple[Any, ...]
    levels: tuple[str, ...] = ()

    def word(self, value: Any) -> str:
        """Return how a value is read."""
        return str(label(value)) if self.levels else f"{value:.6g}"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a design would be at rows nobody measured.

    Parameters
    ----------
    axes : tuple of Axis
        The variables of its fixed terms, in the order of the formula.
    rows : callable
        Codes a table of these variables, ``(N,)`` rows, as the design was coded: ``(N, P)``.
    """

    axes: tuple[Axis, ...]
    rows: Callable[[pd.DataFrame], Floats]

    def axis(self, name: str) -> Axis | None:
        """Return the variable of that name."""
        return next((axis for axis in self.axes if axis.name == name), None)


def reference_of(meaning: Any, columns: Sequence[Column]) -> Reference:
    """Return the reference grid of a design.

    Parameters
    ----------
    meaning : GroupCoding or Resolved
        ``design.meaning``. In a model of a run the grid is over the factors of its events, and its
        rows are canonical responses against rest: confounds, drift, constant and the derivatives
        of the response count as 0.
    columns : sequence of Column
        The P columns of the design.

    Raises
    ------
    DesignError
        For a design that does not know its formula, or whose columns no new row can be coded in:
        one column an event, or responses with no canonical shape.

    Examples
    --------
    >>> from voxlm.design.table import build_table
    >>> from voxlm.formula import Schema, parse, resolve_group
    >>> maps = pd.DataFrame({"group": ["a", "b", "b"], "age": [30.0, 40.0, 50.0]})
    >>> design = build_table(resolve_group(parse("~ group + age"), Schema.table(maps)), maps)
    >>> [(axis.name, axis.values) for axis in reference_of(design.meaning, design.columns).axes]
    [('group', ('a', 'b')), ('age', (40.0,))]
    """
    if isinstance(meaning, GroupCoding):
        terms = [factor for term in meaning.meaning.terms for factor in term]
        return Reference(tuple(group_axes(terms, meaning)), meaning.rows)
    if isinstance(meaning, Resolved):
        return event_reference(meaning, columns)
    raise DesignError("this design was not made by a formula, so it knows no factors")


def group_axes(factors: Sequence[Factor], coding: GroupCoding) -> Iterator[Axis]:
    """Yield the variables of a group formula, each once."""
    coded = {f.names[0][1] for f in factors if f.kind == "categorical"}
    for name in variables(factors):
        variable = coding.meaning.schema.find(name)[0]
        if variable.kind == "categorical":
            yield Axis(name, variable.levels, variable.levels)
        elif name in coded:
            yield Axis(name, variable.values, tuple(str(label(v)) for v in variable.values))
        else:
            both = variable.values if len(variable.values) == 2 else ()
            yield Axis(name, both or (coding.means[name],))


def variables(factors: Sequence[Factor]) -> list[str]:
    """List the table columns that factors read, each once."""
    return list(dict.fromkeys(column for factor in factors for _, column in factor.names))


def event_reference(meaning: Resolved, columns: Sequence[Column]) -> Reference:
    """Return the reference grid of the events of a run."""
    factors = [factor for term in meaning.events for factor in term.factors]
    if not factors:
        raise DesignError("this design has no events, so it knows no factors")
    check_events_codable(meaning, factors)
    coded = code([term.factors for term in meaning.events], text=meaning.formula.text)
    place = {column.name: k for k, column in enumerate(columns) if not column.basis}
    lacking = [column.name for column in coded if column.name not in place]
    if lacking:
        raise DesignError(f"{lacking[0]} has no canonical response to take a mean of")

    def rows(frame: pd.DataFrame) -> Floats:
        out = np.zeros((len(frame), len(columns)))
        values = fill(coded, frame, meaning.formula.text).matrix
        out[:, [place[column.name] for column in coded]] = values
        return out

    axes = []
    for name in variables(factors):
        variable = next(v for v in meaning.schema.find(name) if v.source == "events")
        axes.append(Axis(name, variable.levels, variable.levels))
    return Reference(tuple(axes), rows)


def check_events_codable(meaning: Resolved, factors: Sequence[Factor]) -> None:
    """Refuse event terms that a new row has no value in."""
    for factor in factors:
        if is_trials(factor):
            raise DesignError(f"{factor.text} gives each event a column of its own")
        bare = isinstance(factor.node, Name) or factor.kind == "categorical"
        if not bare:
            raise DesignError(
                f"{factor.text} was computed from the events of the run, and has no value at "
                "other rows"
            )
    for term in meaning.events:
        if term.tag is not None and term.tag.subset is not None:
            raise DesignError(f"{term.text} has a response in some events only")


def grid(reference: Reference, values: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Cross values of every variable, the first running slowest.

    Parameters
    ----------
    reference : Reference
        The variables.
    values : mapping of str to sequence
        Values of each of them.

    Examples
    --------
    >>> axes = (Axis("sex", ("F", "M"), ("F", "M")), Axis("age", (40.0,)))
    >>> made = grid(Reference(axes, np.asarray), {"sex": ("F", "M"), "age": (60.0,)})
    >>> made.to_numpy().tolist()
    [['F', 60.0], ['M', 60.0]]
    """
    names = [axis.name for axis in reference.axes]
    index = pd.MultiIndex.from_product([list(values[name]) for name in names], names=names)
    return index.to_frame(index=False)

"""What tables promise: the kind of each column, its levels, how much of it is missing.

A formula is given its meaning against these promises, never against values, so one meaning serves
every run and subject whose tables keep them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.errors import DataError

Kind = Literal["numeric", "categorical"]
Source = Literal["events", "confounds", "participants"]

CONDITION = "trial_type"
#: Event columns that name things, whatever they are written with.
LABELS = frozenset({CONDITION, "run", "trial"})
MAX_LEVELS = 200
MISSING = frozenset({"n/a", "N/A", "NA", "nan", "NaN", ""})


@dataclass(frozen=True, slots=True)
class Variable:
    """One column of a table.

    Parameters
    ----------
    name : str
        As in the table's head.
    source : {"events", "confounds", "participants"}
        The table.
    kind : {"numeric", "categorical"}
        What it holds.
    levels : tuple of str
        The levels of a categorical column, in the order columns are made in.
    counts : tuple of int
        How many rows have each level.
    rows, missing : int
        Rows of the table, and how many of them have no value here.
    values : tuple of float
        The different numbers of a column that has few enough to be levels.
    written : tuple of str
        The same as labels, where they are text that reads as numbers.
    """

    name: str
    source: Source
    kind: Kind
    levels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    rows: int = 0
    missing: int = 0
    values: tuple[float, ...] = ()
    written: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """The promises of the tables a formula may name.

    Examples
    --------
    >>> events = pd.DataFrame({"onset": [0.0, 9.0], "duration": [1.0, 1.0],
    ...                        "trial_type": ["house", "face"]})
    >>> Schema.of(events).find("trial_type")[0].levels
    ('face', 'house')
    """

    variables: tuple[Variable, ...]
    sidecar: Any = None

    @classmethod
    def of(
        cls,
        events: pd.DataFrame | None = None,
        confounds: pd.DataFrame | None = None,
        sidecar: dict[str, Any] | None = None,
    ) -> Schema:
        """Read the promises of an events table and a confounds table.

        Parameters
        ----------
        events, confounds : DataFrame or None
            One row an event; one row a scan.
        sidecar : dict, optional
            fMRIPrep's JSON beside the confounds; ``confounds.attrs["sidecar"]`` serves as well.
        """
        found = [*describe(events, "events"), *describe(confounds, "confounds")]
        if sidecar is None and confounds is not None:
            sidecar = confounds.attrs.get("sidecar")
        return cls(tuple(found), sidecar)

    @classmethod
    def table(cls, frame: pd.DataFrame) -> Schema:
        """Read the promises of a table with one row a map."""
        return cls(tuple(describe(frame, "participants")))

    def find(self, name: str) -> list[Variable]:
        """Return every column of that name, one a table at most."""
        return [variable for variable in self.variables if variable.name == name]

    def of_source(self, source: str) -> list[Variable]:
        """Return the columns of one table, in its order."""
        return [variable for variable in self.variables if variable.source == source]

    @property
    def condition(self) -> Variable | None:
        """The column whose levels are names: ``trial_type`` of the events."""
        for variable in self.variables:
            if variable.source == "events" and variable.name == CONDITION:
                return variable
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """All that a formula may call by name: columns, and levels of the condition."""
        levels = self.condition.levels if self.condition else ()
        return (*levels, *dict.fromkeys(variable.name for variable in self.variables))


def describe(frame: pd.DataFrame | None, source: Source) -> Iterator[Variable]:
    """Describe the columns of one table."""
    if frame is None:
        return
    rows = len(frame)
    frame = bare(frame)
    # A confounds table has hundreds of columns: what can be asked of all at once is.
    missing_of = frame.isna().to_numpy().sum(axis=0) if rows else np.zeros(frame.shape[1], int)
    for k, (name, dtype) in enumerate(frame.dtypes.items()):
        if source == "confounds" and dtype.kind in "fiu":
            yield Variable(str(name), source, "numeric", (), (), rows, int(missing_of[k]))
            continue
        column = frame.iloc[:, k]
        forced = source == "events" and name in LABELS
        values = None if forced else numbers(column)
        if values is not None:
            missing = int(np.isnan(values).sum())
            few = () if source == "confounds" else few_values(values)
            text = dtype.kind not in "fiub" and any(isinstance(x, str) for x in column)
            written = tuple(order(column)) if text and few else ()
            yield Variable(str(name), source, "numeric", (), (), rows, missing, few, written)
            continue
        words = labels(column)
        counts = dict.fromkeys(order(column), 0)
        for word in words:
            if word is not None:
                counts[word] += 1
        missing = sum(word is None for word in words)
        kept = {level: count for level, count in counts.items() if count}
        yield Variable(
            str(name), source, "categorical", tuple(kept), tuple(kept.values()), rows, missing
        )


def bare(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose column names are text, each there once, without attached metadata.

    pandas copies metadata with every column taken.

    Raises
    ------
    DataError
        If a name is there more than once.
    """
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"the column {', '.join(twice)} is there more than once in a table")
    if not frame.attrs and names == list(frame.columns):
        return frame
    plain = frame.copy(deep=False)
    plain.attrs = {}
    plain.columns = pd.Index(names)
    return plain


def few_values(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the different numbers of a column, none if they are too many to be levels."""
    different = np.unique(values[np.isfinite(values)])
    return tuple(different.tolist()) if different.size <= MAX_LEVELS else ()


def numbers(column: pd.Series[Any]) -> NDArray[np.float64] | None:
    """Return a column as numbers, NaN where missing; None if it does not hold numbers.

    Examples
    --------
    >>> numbers(pd.Series(["1", "n/a"]))
    array([ 1., nan])
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return None
    if column.dtype.kind in "fiub":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    words = labels(column)
    if any("_" in word for word in words if word is not None):
        return None  # Python reads 1_2 as 12
    try:
        return np.array([np.nan if word is None else float(word) for word in words])
    except ValueError:
        return None


def labels(column: pd.Series[Any]) -> list[str | None]:
    """Return a column as labels, None where missing.

    Examples
    --------
    >>> labels(pd.Series([1.0, 2.0, np.nan]))
    ['1', '2', None]
    """
    return [label(value) for value in column.tolist()]


def label(value: Hashable) -> str | None:
    """Write one value as a label; whole numbers have no decimals."""
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return None if text in MISSING else text


def order(column: pd.Series[Any]) -> list[str]:
    """Return the levels of a column in the order columns are made in.

    A pandas categorical keeps its own order; numbers sort by value, words by their letters,
    capitals first.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = list(column.cat.categories)
    else:
        values = column.dropna().tolist()
        if all(isinstance(value, Hashable) for value in values):
            values = list(dict.fromkeys(values))
        numeric = all(isinstance(v, int | float | np.number) for v in values)
        values = sorted(values, key=None if numeric else str)
    found = (label(value) for value in values)
    return list(dict.fromkeys(word for word in found if word is not None))

"""What every column of a design means.

The record is made when the column is made and travels with it; contrasts, reports and exports read
it. Nothing ever recovers a meaning from a column's name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.design import diagnose
from voxlm.design.clock import Clock
from voxlm.errors import DesignError

Role = Literal["task", "confound", "drift", "constant", "group"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a design.

    Parameters
    ----------
    name : str
        The name people read and write in contrasts.
    term : str
        The term of the formula that made it, as written there.
    role : {"task", "confound", "drift", "constant", "group"}
        What it is for.
    condition : str
        The condition it belongs to (a level of ``trial_type``, or a crossing such as
        ``face:attend``); empty where there is none.
    basis : str
        The basis function of the response: empty for the canonical one, else ``derivative``,
        ``dispersion``, ``delay_3``, …
    amplitude : str
        The event column that scales it (``rt``, ``center(rt)``); empty for plain indicators.
    run : str
        The run it belongs to in a model of several runs; empty in a model of one.
    aliases : tuple of str
        Other names a contrast may use for it, such as ``face`` for ``trial_type[face]``.
    """

    name: str
    term: str
    role: Role
    condition: str = ""
    basis: str = ""
    amplitude: str = ""
    run: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RandomBlock:
    """The columns of one random term, and the group that each row belongs to.

    Parameters
    ----------
    matrix : ndarray, shape (N, q)
        What each coefficient multiplies; all ones for an intercept.
    names : tuple of str
        What the coefficients are called, length q; within one block they are correlated.
    codes : ndarray of int, shape (N,)
        The number of each row's group.
    levels : tuple of str
        What the groups are called, by number.
    group : str
        The grouping columns, joined by colons.
    text : str
        The term, as lme4 would print it.
    """

    matrix: NDArray[np.float64]
    names: tuple[str, ...]
    codes: NDArray[np.intp]
    levels: tuple[str, ...]
    group: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A design matrix that knows what its columns mean.

    Parameters
    ----------
    matrix : ndarray, shape (T, P)
        The columns, float64, read-only.
    columns : tuple of Column
        Their meanings, in order.
    clock : Clock or None
        The scan clock; None for group designs.
    formula : str
        The formula as understood, with what it implies written out.
    notes : tuple of str
        Sentences about what was assumed or left out (trials left in the baseline, first-row
        ``n/a`` set to 0, …).
    meaning : object
        The resolved formula, for ``explain``.
    random : tuple of RandomBlock
        The random terms of a group formula.
    varying : tuple of Column
        Columns whose values differ from voxel to voxel. They have no place in the matrix;
        coefficients and contrasts have them last.
    offset : ndarray, shape (N,), optional
        What a group formula subtracts from the maps.

    Examples
    --------
    >>> d = Design(np.ones((3, 1)), (Column("constant", "1", "constant"),), Clock(3, 2.0))
    >>> d.names
    ('constant',)
    >>> d.frame.shape
    (3, 1)
    """

    matrix: NDArray[np.float64]
    columns: tuple[Column, ...]
    clock: Clock | None = None
    formula: str = ""
    notes: tuple[str, ...] = ()
    meaning: Any = field(default=None, repr=False)
    random: tuple[RandomBlock, ...] = ()
    varying: tuple[Column, ...] = ()
    offset: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64, order="C")
        if matrix.ndim != 2 or matrix.shape[1] != len(self.columns):
            raise DesignError(f"matrix {matrix.shape} does not fit {len(self.columns)} columns")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def coefficients(self) -> tuple[Column, ...]:
        """The columns that a fit has coefficients of: those of the matrix, then varying ones."""
        return self.columns + self.varying

    @property
    def frame(self) -> pd.DataFrame:
        """The matrix as a table indexed by scan time in seconds."""
        index = None if self.clock is None else pd.Index(self.clock.times, name="frame_times")
        return pd.DataFrame(self.matrix, index=index, columns=list(self.names))

    def report(self) -> pd.DataFrame:
        """Return variance inflation, correlation with the drift, and what confounds remove.

        Examples
        --------
        >>> X = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
        >>> columns = Column("face", "face", "task"), Column("constant", "1", "constant")
        >>> table = Design(X, columns).report()
        >>> table["column"].tolist(), table.attrs["rank"]
        (['face'], 2)
        """
        return diagnose.report(self.matrix, self.names, [column.role for column in self.columns])

    def efficiency(self, contrast: ArrayLike) -> NDArray[np.float64]:
        """Return how precisely each row of a contrast, ``(Q, P)``, would be estimated."""
        return diagnose.efficiency(self.matrix, contrast)


AnyDesign = TypeVar("AnyDesign", bound=Design)

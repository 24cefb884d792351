"""Terms to columns: which columns a list of terms has, and their values in a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.errors import FormulaError
from voxlm.formula.engine import structure
from voxlm.formula.factors import Factor, Part, encode, parts, reduce
from voxlm.formula.transforms import Memory

Floats = NDArray[np.float64]
Factors = tuple[Factor, ...]

MAX_COLUMNS = 20_000
#: Values of a design (columns times rows): 32 MB, of which a few copies are held at a time.
MAX_VALUES = 4_000_000


@dataclass(frozen=True, slots=True)
class Coded:
    """One column of the algebra: a product of columns of factors.

    Parameters
    ----------
    term : int
        The term it belongs to.
    parts : tuple of Part
        What is multiplied; empty for a constant.
    """

    term: int
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """How people read it."""
        return ":".join(part.label for part in self.parts) or "Intercept"

    @property
    def condition(self) -> str:
        """The levels it is the indicator of, joined by colons."""
        return ":".join(part.level for part in self.parts if part.level)

    @property
    def amplitude(self) -> str:
        """The numeric columns that scale it, joined by colons."""
        numeric = (p for p in self.parts if p.factor.kind == "numeric" and not p.level)
        return ":".join(part.label for part in numeric)

    @property
    def alias(self) -> str:
        """The name with bare levels, ``face:rt``; empty where a part is a difference of levels."""
        if any(part.reduced for part in self.parts):
            return ""
        return ":".join(part.level or part.label for part in self.parts)


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Columns of the algebra as numbers.

    Parameters
    ----------
    matrix : ndarray, shape (N, K)
        Values; a missing one that is multiplied by zero counts as zero.
    missing : ndarray of bool, shape (N, K)
        Where a missing value decides the product.
    """

    matrix: Floats
    missing: NDArray[np.bool_] = field(repr=False)


def code(terms: Sequence[Factors], intercept: bool = False, text: str = "") -> tuple[Coded, ...]:
    """List the columns of terms, in the order of the terms.

    Which factor keeps all its levels is settled from the lowest order up, as in R: a main effect
    keeps them though it is written after its interaction.

    Parameters
    ----------
    terms : sequence of tuple of Factor
        The terms.
    intercept : bool
        Whether a constant comes first; its column is not listed.
    text : str
        The formula, for carets.

    Raises
    ------
    FormulaError
        For more columns than anybody wants.
    """
    ranking = sorted(range(len(terms)), key=lambda i: len(terms[i]))
    keys = tuple(tuple(f.key for f in terms[i]) for i in ranking)
    known = {factor.key: factor for term in terms for factor in term}
    categorical = frozenset(k for k, factor in known.items() if factor.kind == "categorical")
    if categorical:
        scoped = structure(keys, categorical, intercept)
    else:
        # Without levels there is nothing to lose.
        scoped = tuple((tuple((key, False) for key in term),) for term in keys)
    out: dict[int, list[Coded]] = {i: [] for i in ranking}
    for i, products in zip(ranking, scoped, strict=True):
        for product in products:
            lists = [parts(known[key], reduced) for key, reduced in product]
            limit(sum(map(len, out.values())) + math.prod(map(len, lists)), 1, terms[i], text)
            # The first factor runs fastest, as in R.
            for chosen in itertools.product(*reversed(lists)):
                out[i].append(Coded(i, tuple(reversed(chosen))))
    return tuple(column for i in range(len(terms)) for column in out[i])


def limit(columns: int, rows: int, term: Factors, text: str) -> None:
    """Refuse designs of absurd width before their columns are made.

    Parameters
    ----------
    columns, rows : int
        How many there would be.
    term : tuple of Factor
        The term that brings them to so many.
    text : str
        The formula, for the caret.
    """
    most = min(MAX_COLUMNS, MAX_VALUES // max(1, rows))
    if columns <= most:
        return
    shown = ":".join(factor.text for factor in term)
    of = f" of {rows:,} rows" if rows > 1 else ""
    raise FormulaError(
        f"{shown} brings the formula to {columns:,} columns{of}; at most {most:,} are made",
        text,
        (min(f.span[0] for f in term), max(f.span[1] for f in term)) if text else (0, 0),
        "use a factor with fewer levels, or fewer functions a response",
    )


def fill(
    columns: Sequence[Coded], frame: pd.DataFrame, text: str, memory: Memory | None = None
) -> Values:
    """Compute columns of the algebra in a table.

    Parameters
    ----------
    columns : sequence of Coded
        The columns, K of them.
    frame : DataFrame
        N rows.
    text : str
        The formula, for carets.
    memory : dict, optional
        What functions learned; written when empty, else used.

    Returns
    -------
    Values
        A missing factor matters only where the product of the others is not zero.
    """
    if columns:
        widest = max(columns, key=lambda column: len(column.parts))
        limit(len(columns), len(frame), tuple(part.factor for part in widest.parts), text)
    memory = {} if memory is None else memory
    factors = {part.factor.key: part.factor for column in columns for part in column.parts}
    full = {key: encode(factor, frame, text, memory) for key, factor in factors.items()}
    as_zero = {key: np.where(np.isnan(x), 0.0, x) for key, x in full.items()}
    matrix = multiply(columns, as_zero, factors, len(frame))
    if not any(np.isnan(x).any() for x in full.values()):
        return Values(matrix, np.zeros(matrix.shape, dtype=bool))
    as_one = {key: np.where(np.isnan(x), 1.0, x) for key, x in full.items()}
    other = multiply(columns, as_one, factors, len(frame))
    return Values(matrix, matrix != other)


def multiply(
    columns: Sequence[Coded], full: dict[str, Floats], factors: dict[str, Factor], rows: int
) -> Floats:
    """Multiply the parts of each column, shape ``(N, K)``."""
    reduced = {
        key: reduce(factor, full[key])
        for key, factor in factors.items()
        if any(part.reduced and part.factor.key == key for c in columns for part in c.parts)
    }
    out = np.ones((rows, len(columns)))
    for k, column in enumerate(columns):
        for part in column.parts:
            table = reduced if part.reduced else full
            out[:, k] *= table[part.factor.key][:, part.index]
    return out

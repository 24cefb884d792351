"""Rank, and which columns are to blame when it is not full.

One tolerance serves every question about rank: columns are brought to unit length first, so that a
confound in radians and a drift of length one are judged alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Rounding of an exact dependency between convolved columns is a few eps times sqrt(T); ten times
# the usual max(T, P) * eps leaves room for that and stays far below any collinearity of real data.
SLACK = 10.0
# A coefficient below this part of the largest is rounding, not involvement.
INVOLVED = 1e-6


class Dependency(NamedTuple):
    """A column that others add up to: ``X[:, column] = X[:, others] @ weights``."""

    column: int
    others: tuple[int, ...]
    weights: tuple[float, ...]


def unit_columns(X: Floats) -> Floats:
    """Scale columns to length one; zero columns stay zero.

    Examples
    --------
    >>> unit_columns(np.array([[3.0, 0.0], [4.0, 0.0]]))
    array([[0.6, 0. ],
           [0.8, 0. ]])
    """
    # The largest entry is taken out first: squares of very large values overflow.
    peak = np.max(np.abs(X), axis=0, initial=0.0)
    scaled = X / np.where(peak > 0, peak, 1.0)
    length = np.linalg.norm(scaled, axis=0)
    return np.asarray(scaled / np.where(length > 0, length, 1.0))


def tolerance(shape: tuple[int, ...]) -> float:
    """Return the singular value, relative to the largest, below which a direction is empty."""
    return float(SLACK * max(shape) * np.finfo(np.float64).eps)


def rank(X: Floats) -> int:
    """Return the number of independent columns.

    Parameters
    ----------
    X : ndarray, shape (T, P)
        Finite values.

    Examples
    --------
    >>> rank(np.array([[1.0, 1e-9, 1.0], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]))
    2
    """
    return _spectrum(X)[0]


def null_space(X: Floats) -> Floats:
    """Return an orthonormal basis of the weights that give zero, shape ``(P, P - rank)``.

    The basis refers to columns of unit length; multiply nothing, compare directions only.

    Examples
    --------
    >>> np.round(np.abs(null_space(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))), 3)
    array([[0.707],
           [0.707]])
    """
    found, right = _spectrum(X)
    return np.asarray(right[found:].T)


def _spectrum(X: Floats) -> tuple[int, Floats]:
    """Return the rank and all right singular vectors, rows, from the small triangular factor."""
    if X.size == 0:
        return 0, np.eye(X.shape[1])
    triangular = np.linalg.qr(unit_columns(X), mode="r")
    _, values, right = np.linalg.svd(triangular, full_matrices=True)
    found = int(np.sum(values > tolerance(X.shape) * values[0])) if values[0] > 0 else 0
    return found, right


def null_columns(X: Floats) -> tuple[int, ...]:
    """Return the columns that take part in any exact dependency, in order.

    Examples
    --------
    >>> null_columns(np.array([[1.0, 0.0, 2.0], [1.0, 1.0, 2.0], [1.0, 0.0, 2.0]]))
    (0, 2)
    """
    weights = np.max(np.abs(null_space(X)), axis=1, initial=0.0)
    return tuple(int(k) for k in np.flatnonzero(weights > INVOLVED))


def dependencies(X: Floats, most: int = 8) -> tuple[Dependency, ...]:
    """Return, from left to right, each column that those before it already add up to.

    Parameters
    ----------
    X : ndarray, shape (T, P)
        Finite values. A zero column depends on nothing: its ``others`` are empty.
    most : int
        How many are looked for.

    Examples
    --------
    >>> dependencies(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]))
    (Dependency(column=2, others=(0, 1), weights=(1.0, 1.0)),)
    """
    unit = unit_columns(X)
    limit = np.sqrt(X.shape[0]) * tolerance(X.shape)
    kept: list[int] = []
    found: list[Dependency] = []
    basis = np.empty_like(unit)
    for k in range(X.shape[1]):
        left, before = unit[:, k], basis[:, : len(kept)]
        for _ in range(2):  # once loses digits to rounding
            left = left - before @ (before.T @ left)
        length = np.linalg.norm(left)
        if length > limit:
            basis[:, len(kept)] = left / length
            kept.append(k)
            continue
        if len(found) == most:
            break
        weights = np.linalg.lstsq(unit[:, kept], unit[:, k], rcond=None)[0]
        used = np.abs(weights) > INVOLVED * np.max(np.abs(weights), initial=0.0)
        others = [kept[i] for i in np.flatnonzero(used)]
        exact = np.linalg.lstsq(X[:, others], X[:, k], rcond=None)[0]
        shown = tuple(float(np.round(w, 9)) for w in exact)
        found.append(Dependency(k, tuple(others), shown))
    return tuple(found)

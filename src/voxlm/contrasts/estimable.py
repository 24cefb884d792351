"""Whether a design can answer a contrast at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxlm.contrasts.hypothesis import equation
from voxlm.errors import ContrastError
from voxlm.kernels.rank import null_space

Array = NDArray[np.float64]

# Part of a row's length outside the row space of X that still counts as rounding.
OUTSIDE = 1e-8
# Part of the largest weight above which a column is said to be involved.
INVOLVED = 1e-6


def check_estimable(C: Array, X: Array, names: Sequence[str]) -> None:
    """Refuse rows that other parameters with the same fit would answer differently.

    A row c is estimable where it lies in the row space of X, ``||c - c X+ X|| < 1e-8 ||c||``; both
    are measured in columns of unit length, so that the answer does not depend on units.

    Parameters
    ----------
    C : ndarray, shape (Q, P) or (Q, P + K)
        Rows of weights; those after the P columns of X are of columns that differ by voxel, and
        are judged where they are fitted.
    X : ndarray, shape (T, P)
        The design.
    names : sequence of str
        The P column names.

    Raises
    ------
    ContrastError
        Naming the row and the columns that the design cannot tell apart.

    Examples
    --------
    >>> X = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 1.0], [3.0, 3.0, 0.0]])
    >>> check_estimable(np.array([[1.0, 1.0, 0.0]]), X, ["a", "b", "c"])
    >>> check_estimable(np.array([[1.0, 0.0, 0.0]]), X, ["a", "b", "c"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    voxlm.errors.ContrastError: row 1 of the contrast, a = 0, cannot be estimated: the design ...
    """
    empty = null_space(X)
    if empty.shape[1] == 0:
        return
    scaled = C[:, : X.shape[1]] / column_lengths(X)
    outside, size = scaled @ empty, np.linalg.norm(scaled, axis=1)
    share = np.linalg.norm(outside, axis=1) / np.where(size > 0, size, 1.0)
    for q in np.flatnonzero(share >= OUTSIDE).tolist():
        direction = np.abs(empty @ outside[q])
        involved = [
            names[i] for i in np.flatnonzero(direction > INVOLVED * direction.max()).tolist()
        ]
        raise ContrastError(
            f"row {q + 1} of the contrast, {equation(C[q], 0.0, names)}, cannot be estimated: "
            f"the design does not determine {', '.join(involved)} one by one",
            hint="ask for a combination that it does determine, or remove a column of these",
        )


def column_lengths(X: Array) -> Array:
    """Return the length of each column, shape ``(P,)``; 1 for a column of zeros.

    Examples
    --------
    >>> column_lengths(np.array([[3.0, 0.0], [4.0, 0.0]]))
    array([5., 1.])
    """
    # The largest entry is taken out first: squares of very large values overflow.
    peak = np.max(np.abs(X), axis=0, initial=0.0)
    peak = np.where(peak > 0, peak, 1.0)
    length = peak * np.linalg.norm(X / peak, axis=0)
    return np.where(length > 0, length, 1.0)

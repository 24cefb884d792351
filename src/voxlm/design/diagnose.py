"""What a design can tell, before any image is opened: inflation, overlap, efficiency.

Everything here depends on the matrix alone. Axes: T scans, P columns, Q contrast rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DesignError
from voxlm.kernels.rank import rank, unit_columns

Floats = NDArray[np.float64]
# A residual below this part of its column is rounding: the column is a sum of the others.
NOTHING_LEFT = 1e-12


def residual_share(x: Floats, others: Floats) -> float:
    """Return the part of the variance of ``x`` that other columns leave, from 0 to 1.

    The mean is taken away first where the other columns hold a constant, as in R² with an
    intercept.

    Parameters
    ----------
    x : ndarray, shape (T,)
        A column.
    others : ndarray, shape (T, P)
        The columns it is explained by.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0, 4.0])
    >>> round(residual_share(x, np.column_stack([np.ones(4), [0.0, 1.0, 0.0, 1.0]])), 6)
    0.8
    """
    if has_constant(others):
        x = x - x.mean()
    total = float(x @ x)
    if total == 0:
        return np.nan
    basis = unit_columns(others)
    left = x - basis @ np.linalg.lstsq(basis, x, rcond=None)[0] if basis.size else x
    share = float(left @ left) / total
    return 0.0 if share < NOTHING_LEFT else share


def has_constant(columns: Floats) -> bool:
    """Tell whether columns can add up to one in every row."""
    if not columns.size:
        return False
    ones = np.ones(len(columns))
    basis = unit_columns(columns)
    left = ones - basis @ np.linalg.lstsq(basis, ones, rcond=None)[0]
    return bool(left @ left < NOTHING_LEFT * len(ones))


def vif(matrix: Floats) -> Floats:
    """Return the variance inflation factor of each column, shape ``(P,)``.

    By how much the variance of an estimate is larger than if its column were orthogonal to the
    others: ``1 / (1 - R²)`` (Belsley, Kuh & Welsch, 1980). Infinite where others add up to it.

    Parameters
    ----------
    matrix : ndarray, shape (T, P)
        The design.

    Examples
    --------
    >>> vif(np.array([[1.0, 1.0], [1.0, -1.0]]))
    array([1., 1.])
    """
    rest = (np.delete(matrix, k, axis=1) for k in range(matrix.shape[1]))
    shares = [residual_share(x, others) for x, others in zip(matrix.T, rest, strict=True)]
    with np.errstate(divide="ignore"):
        return 1.0 / np.array(shares)


def condition_number(matrix: Floats) -> float:
    """Return the ratio of the largest to the smallest singular value, of columns of length one.

    Examples
    --------
    >>> condition_number(np.eye(3)), condition_number(np.ones((3, 2))) > 1e15
    (1.0, True)
    """
    values = np.linalg.svd(unit_columns(matrix), compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else np.inf


def efficiency(matrix: Floats, contrast: ArrayLike) -> Floats:
    """Return how precisely each row of a contrast would be estimated, shape ``(Q,)``.

    The inverse of its variance for white noise of variance one, ``1 / c (X'X)⁻¹ c'``
    (Dale, Human Brain Mapping 8:109, 1999).

    Parameters
    ----------
    matrix : ndarray, shape (T, P)
        The design.
    contrast : array_like, shape (P,) or (Q, P)
        Weights.

    Raises
    ------
    DesignError
        If a row is not of P weights.

    Examples
    --------
    >>> efficiency(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), [[1, 0], [0, 1], [1, -1]])
    array([2.        , 1.        , 0.66666667])
    """
    C = np.atleast_2d(np.asarray(contrast, dtype=np.float64))
    if C.shape[1] != matrix.shape[1]:
        raise DesignError(
            f"a contrast of {C.shape[1]} weights does not fit {matrix.shape[1]} columns"
        )
    inverse = np.linalg.pinv(matrix)
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / np.einsum("qp,pt,rt,qr->q", C, inverse, inverse, C))


def overlap(matrix: Floats, of: Sequence[int], by: Sequence[int]) -> Floats:
    """Return the share of each column's variance that other columns explain, from 0 to 1.

    Parameters
    ----------
    matrix : ndarray, shape (T, P)
        The design.
    of : sequence of int
        The columns asked about.
    by : sequence of int
        The columns that explain; a constant is always among them.

    Examples
    --------
    >>> X = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> overlap(X, [0], [1])
    array([1.])
    """
    ones = np.ones((len(matrix), 1))
    others = np.hstack([matrix[:, list(by)], ones])
    return np.array([1.0 - residual_share(matrix[:, k], others) for k in of])


def report(matrix: Floats, names: Sequence[str], roles: Sequence[str]) -> pd.DataFrame:
    """Return the diagnostics of each column that is not drift or constant.

    Parameters
    ----------
    matrix : ndarray, shape (T, P)
        The design.
    names, roles : sequence of str
        What each column is called and what it is for.

    Returns
    -------
    DataFrame
        ``column``, ``role``, ``vif``; ``r_drift``, the multiple correlation with the drift; and
        ``removed``, the percentage of a condition's variance that the confounds remove. ``attrs``
        holds ``rank``, ``columns``, ``scans`` and ``condition_number``.
    """
    places = {role: [k for k, r in enumerate(roles) if r == role] for role in set(roles)}
    shown = [k for k, role in enumerate(roles) if role not in ("drift", "constant")]
    frame = pd.DataFrame(
        {
            "column": [names[k] for k in shown],
            "role": [roles[k] for k in shown],
            "vif": vif(matrix)[shown],
            "r_drift": np.sqrt(overlap(matrix, shown, places.get("drift", []))),
        }
    )
    removed = np.full(len(matrix.T), np.nan)
    task = places.get("task", [])
    removed[task] = 100.0 * overlap(matrix, task, places.get("confound", []))
    frame["removed"] = removed[shown]
    frame.attrs = {
        "rank": rank(matrix),
        "columns": matrix.shape[1],
        "scans": matrix.shape[0],
        "condition_number": condition_number(matrix),
    }
    return frame

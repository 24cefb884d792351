"""One least squares fit from those of its parts.

Axes: n rows of a part, P columns of the whole, V voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """What a part says about the coefficients of the whole.

    Parameters
    ----------
    X, R : ndarray, shapes (n, p), (p, p)
        The part's own columns, and R of their QR decomposition.
    level : ndarray, shape (p, V)
        Its least squares coefficients.
    spread : ndarray, shape (V,)
        Sum of squares of its data about their mean.
    turn : ndarray, shape (p, P)
        ``X turn`` are the columns of the whole in the part's rows.
    """

    X: Floats
    R: Floats
    level: Floats
    spread: Floats
    turn: Floats


def pooled_coefficients(Rinv: Floats, shares: Sequence[Share]) -> tuple[Floats, list[Floats]]:
    """Return the coefficients of the stacked rows, and by how far each part's own fit leaves them.

    Parameters
    ----------
    Rinv : ndarray, shape (P, P)
        Inverse of R of the whole's columns.
    shares : sequence of Share
        The parts.

    Returns
    -------
    b : ndarray, shape (P, V)
    away : list of ndarray, shape (p, V)
        ``level - turn b`` of each part. A second step from the first solution keeps the digits of
        a signal on a large baseline.

    Examples
    --------
    >>> one, R = np.ones((2, 1)), np.array([[-np.sqrt(2.0)]])
    >>> parts = [Share(one, R, np.array([[y]]), np.zeros(1), np.eye(1)) for y in (1.0, 4.0)]
    >>> b, away = pooled_coefficients(np.array([[0.5]]), parts)
    >>> b.round(12), [x.round(12).item() for x in away]
    (array([[2.5]]), [-1.5, 1.5])
    """
    b = np.zeros((Rinv.shape[0], shares[0].level.shape[1]))
    for _ in range(3):
        normal = sum(s.turn.T @ (s.R.T @ (s.R @ (s.level - s.turn @ b))) for s in shares)
        b = b + Rinv @ (Rinv.T @ normal)
    return b, [s.level - s.turn @ b for s in shares]


def pooled_spread(shares: Sequence[Share]) -> Floats:
    """Add the spread between the parts' means to that within them, shape ``(V,)``."""
    n = np.array([s.X.shape[0] for s in shares], dtype=np.float64)
    means = np.stack([s.X.mean(axis=0) @ s.level for s in shares])
    away = means - (n @ means) / n.sum()
    total: Floats = np.sum([s.spread for s in shares], axis=0)
    return total + n @ away**2

"""Data without what columns fit: rounding is taken for nothing, so that it is never a noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDING = 8.0 * np.finfo(np.float64).eps


def project_out(Q: Floats, data: Floats) -> tuple[Floats, Floats]:
    """Take off what orthonormal columns fit.

    Parameters
    ----------
    Q : ndarray, shape (n, P)
        Orthonormal columns.
    data : ndarray, shape (n, V)

    Returns
    -------
    level : ndarray, shape (P, V)
        ``Q'y``.
    left : ndarray, shape (n, V)
        ``y - Q Q'y``; 0 where it is no more than rounding.

    Examples
    --------
    >>> data = np.array([[0.1, 0.0], [0.1, 0.0], [0.1, 0.0], [0.1, 4.0]])
    >>> project_out(np.full((4, 1), 0.5), data)
    (array([[0.2, 2. ]]), array([[ 0., -1.],
           [ 0., -1.],
           [ 0., -1.],
           [ 0.,  3.]]))
    """
    level = Q.T @ data
    left = data - Q @ level
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.einsum("pv,pv->v", level, level)
        left[:, np.einsum("nv,nv->v", left, left) <= ROUNDING**2 * size] = 0.0
    return level, left

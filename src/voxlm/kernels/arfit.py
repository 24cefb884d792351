"""What a fit at every voxel comes to, whichever way it is made.

Axes: P columns, p order, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ArFit:
    """Coefficients and noise of every voxel, in units of the shifted data.

    Parameters
    ----------
    params : ndarray, shape (P, V)
        Coefficients of the columns of X.
    rho : ndarray, shape (p, V)
        AR coefficients.
    ssr : ndarray, shape (V,)
        Whitened residual sum of squares.
    iterations : ndarray of int, shape (V,)
        Fits made, the final one counted as statsmodels counts it.
    converged : ndarray of bool, shape (V,)
        Whether the coefficients settled before ``maxiter``.
    """

    params: Floats
    rho: Floats
    ssr: Floats
    iterations: NDArray[np.int64]
    converged: NDArray[np.bool_]


def room(rows: int, order: int, n_voxels: int) -> ArFit:
    """Allocate a fit of some coefficients."""
    return ArFit(
        np.empty((rows, n_voxels)),
        np.empty((order, n_voxels)),
        np.empty(n_voxels),
        np.empty(n_voxels, dtype=np.int64),
        np.empty(n_voxels, dtype=np.bool_),
    )

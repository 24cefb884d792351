"""AR(p) least squares with columns that differ from voxel to voxel.

All they take is lagged products, with the basis, with each other and with the data, so the design
is factored as before; see :mod:`voxlm.kernels.cochrane`.

Axes: P shared columns, K own columns, p order, V voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.arfit import ArFit, room
from voxlm.kernels.autoregress import iterate
from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.sums import Sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class VaryingFit:
    """Coefficients and noise of every voxel, in units of the shifted data.

    Parameters
    ----------
    fit : ArFit
        Its ``params``, shape ``(P + K, V)``, have those of the own columns last.
    along : ndarray, shape (K, P, V)
        Coefficients of the columns of X in each own column, whitened.
    curvature : ndarray, shape (K, K, V)
        What is left of the products of the whitened own columns.
    """

    fit: ArFit
    along: Floats
    curvature: Floats


def fit_varying(
    basis: LaggedBasis,
    data: Sums,
    columns: Sequence[Sums],
    both: Floats,
    offset: Floats,
    maxiter: int,
    rtol: float,
) -> VaryingFit:
    """Fit AR(p) least squares with columns of its own at every voxel.

    Parameters
    ----------
    basis : LaggedBasis
        Design-only products.
    data : Sums
        Statistics of the data.
    columns : sequence of Sums
        Statistics of the K own columns.
    both : ndarray, shape (K·(K + 1)/2, p + 1, V)
        ``Σ y_t z_t``, then ``Σ y_t z_{t-k} + z_t y_{t-k}``, of the residuals of each pair: the data
        with every own column, then each own column with those after it.
    offset : ndarray, shape (V,)
        A constant to put back into the data before coefficients are compared; see
        :func:`voxlm.kernels.autoregress.fit_autoregressive`.
    maxiter : int
        Fits at most.
    rtol : float
        A voxel stops when no coefficient moved by this fraction of itself.

    Returns
    -------
    VaryingFit

    Notes
    -----
    Equal to ``statsmodels`` ``GLSAR(y, [X, z], rho=p).iterative_fit(maxiter, rtol)``.
    """
    P, K, V = basis.n_columns, len(columns), data.auto.shape[1]
    out = VaryingFit(room(P + K, basis.order, V), np.empty((K, P, V)), np.empty((K, K, V)))
    shifts = [c.shift if basis.constant else np.zeros(V) for c in columns]
    own = (
        np.stack([column.projection for column in columns]),
        np.stack(shifts),
        np.stack([column.cross for column in columns]),
        np.stack([column.total for column in columns]),
        np.stack([column.auto for column in columns]),
        np.stack([column.near for column in columns]),
    )
    more = (out.along, out.curvature)
    iterate(basis, data, offset, own, both, (maxiter, rtol, 0), out.fit, more)
    return out

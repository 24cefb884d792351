"""Exact AR(p) least squares at every voxel, with no rho bins and no pass over the data.

The recipe is feasible GLS by Cochrane and Orcutt's iteration: start at ρ = 0, estimate ρ from the
residuals by Yule-Walker with adjusted autocovariances, refit, and stop a voxel when its
coefficients settle. Each voxel stops by itself.

Why it is fast: a voxel needs only its lagged products, so one step is the forming and Cholesky
factoring of a P × P matrix, done for many voxels side by side (:mod:`voxlm.kernels.lanes`); blocks
of voxels go to all cores.

Axes: P columns, p order, U scans near an edge, W lanes (voxels worked side by side), V voxels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.arfit import ArFit, room
from voxlm.kernels.cochrane import solve_voxels
from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.sums import Sums
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 2048


def fit_autoregressive(
    basis: LaggedBasis, sums: Sums, offset: Floats, maxiter: int, rtol: float, bins: int = 0
) -> ArFit:
    """Fit AR(p) least squares at every voxel.

    Parameters
    ----------
    basis : LaggedBasis
        Design-only products, of order p >= 1.
    sums : Sums
        Statistics of the data.
    offset : ndarray, shape (V,)
        A constant to put back before coefficients are compared and returned: the data fitted are
        the data of ``sums`` plus ``offset``. Needs a design that spans the constant where not 0.
    maxiter : int
        Fits at most.
    rtol : float
        A voxel stops when no coefficient moved by this fraction of itself.
    bins : int
        Cut an AR(1) coefficient off (towards 0) to a multiple of ``1 / bins``; 0 keeps it exact.

    Returns
    -------
    ArFit

    Notes
    -----
    Equal to ``statsmodels.regression.linear_model.GLSAR(y, X, rho=p).iterative_fit(maxiter,
    rtol)``, its stopping rule included.
    """
    P, V, p = basis.n_columns, sums.auto.shape[1], basis.order
    out = room(P, p, V)
    none = np.empty((0, P, 0))
    nothing = (none, np.empty((0, 0)), none, none, none, none)
    cuts = bins if p == 1 else 0
    iterate(basis, sums, offset, nothing, np.empty((0, p + 1, 0)), (maxiter, rtol, cuts), out)
    return out


def iterate(
    basis: LaggedBasis,
    sums: Sums,
    offset: Floats,
    own: tuple[Floats, ...],
    both: Floats,
    limits: tuple[int, float, int],
    out: ArFit,
    more: tuple[Floats, Floats] | None = None,
) -> None:
    """Fit blocks of voxels on all cores.

    Parameters
    ----------
    basis, sums, offset
        As for :func:`fit_autoregressive`.
    own : tuple of ndarray
        ``projection, offset, cross, total, auto, near`` of the K own columns, the first axis K.
    both : ndarray, shape (K·(K + 1)/2, p + 1, V)
        Lagged products of each pair of the data and the own columns.
    limits : (int, float, int)
        ``maxiter, rtol, bins``.
    out : ArFit
        Written to.
    more : tuple of ndarray, optional
        Written to: coefficients of the columns of X in each own column, ``(K, P, V)``, and what is
        left of the products of the own columns, ``(K, K, V)``.
    """
    design = (
        basis.gram,
        basis.eigen,
        basis.lag_gram,
        basis.ones,
        basis.pairs,
        basis.edges,
        np.ascontiguousarray(basis.Q[basis.near]),
        basis.first,
        np.ascontiguousarray(basis.Rinv),
    )
    shift = np.asarray(offset, dtype=np.float64)
    data = (sums.projection, shift, sums.cross, sums.total, sums.auto, sums.near)
    empty = np.empty((0, basis.n_columns, 0))
    results = (out.params, out.rho, out.ssr, *(more or (empty, empty)))
    exact = (limits[0], float(limits[1]), limits[2])

    # Whole arrays and a range rather than slices: slices are another type, compiled once more.
    def work(start: int, stop: int) -> None:
        solve_voxels(
            design,
            data,
            own,
            both,
            (start, stop),
            exact,
            results,
            out.iterations,
            out.converged,
        )

    over_blocks(sums.auto.shape[1], BLOCK, work)

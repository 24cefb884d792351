"""Least squares at every voxel: ordinary, and feasible GLS with AR(p) noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voxlm import kernels
from voxlm.errors import DesignError
from voxlm.kernels.arfit import ArFit
from voxlm.kernels.lagged import Ints, LaggedBasis, cut_segments, lagged_basis
from voxlm.kernels.sums import TILE
from voxlm.kernels.threads import over_blocks
from voxlm.models.estimate import Estimate
from voxlm.models.reduce import FITTED, Reduced, Scaling, reduce_scans
from voxlm.models.source import Scans

Floats = NDArray[np.float64]


def fit_linear(
    scans: Scans,
    X: Floats,
    *,
    order: int = 0,
    maxiter: int = 3,
    rtol: float = 1e-4,
    kept: NDArray[np.bool_] | None = None,
    segments: Ints | None = None,
    scaling: Scaling = None,
) -> Estimate:
    """Fit one design at every voxel of one run.

    Parameters
    ----------
    scans : Scans
        The run's data.
    X : ndarray, shape (T, P)
        The design at every scan; full column rank at the retained ones.
    order : int
        Order of the AR noise model; 0 for ordinary least squares.
    maxiter, rtol : int, float
        Limits of the iteration (``order`` >= 1).
    kept : ndarray of bool, shape (T,), optional
        The retained scans. No lag product crosses a removed scan.
    segments : ndarray of int, shape (S, 2), optional
        Start and stop of each series among the retained scans, where there are several; by
        default the series is cut at removed scans alone.
    scaling : {"percent", "grand_mean"} or None
        Units of the fit.

    Returns
    -------
    Estimate

    Raises
    ------
    DesignError
        Too few scans for the columns and the order.

    Notes
    -----
    Order 0 equals ``statsmodels`` OLS; order p equals ``GLSAR(y, X, rho=p).iterative_fit(maxiter,
    rtol)``, at every voxel and with its per-voxel stopping.
    """
    rows = X if kept is None else X[kept]
    if segments is None and kept is not None and not kept.all():
        segments = cut_segments(kept)
    basis = make_basis(rows, order, segments)
    reduced = reduce_scans(scans, basis, kept, scaling)
    fit = ordinary(basis, reduced) if order == 0 else _whitened(basis, reduced, maxiter, rtol)
    return estimate_of(rows, basis, reduced, fit)


def make_basis(rows: Floats, order: int, segments: Ints | None) -> LaggedBasis:
    """Compute the design-only products of a fit, where it leaves degrees of freedom.

    Parameters
    ----------
    rows : ndarray, shape (n, P)
        The design at the retained scans.
    order : int
        Order of the AR noise model.
    segments : ndarray of int, shape (S, 2), or None
        Start and stop of each series.

    Raises
    ------
    DesignError
        Too few scans for the columns and the order, or columns that depend on each other.
    """
    cuts = np.array([[0, len(rows)]]) if segments is None else segments
    left = int(np.maximum(cuts[:, 1] - cuts[:, 0] - order, 0).sum())
    if left <= rows.shape[1]:
        raise DesignError(
            f"{left} scans are left after AR({order}) whitening for {rows.shape[1]} columns: no "
            f"degrees of freedom remain; use fewer columns, a lower order or more scans"
        )
    try:
        return lagged_basis(rows, order, segments)
    except np.linalg.LinAlgError as error:
        lost = (
            f"loses rank when AR({order}) whitening leaves out the first {order} scan(s) of each "
            f"run of consecutive scans; drop columns that are non-zero only there"
        )
        raise DesignError(
            f"the design {lost if order else 'is rank-deficient; drop redundant columns'}"
        ) from error


def ordinary(basis: LaggedBasis, reduced: Reduced) -> ArFit:
    """Solve ordinary least squares."""
    projection = reduced.sums.projection
    V = projection.shape[1]
    params = np.empty(projection.shape)

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        beta = projection[:, here] + np.outer(basis.ones[0], reduced.offset[here])
        params[:, here] = basis.Rinv @ beta

    over_blocks(V, TILE, work)
    return ArFit(
        params=params,
        rho=np.empty((0, V)),
        ssr=np.maximum(reduced.sums.auto[0], 0.0),
        iterations=np.ones(V, dtype=np.int64),
        converged=np.ones(V, dtype=np.bool_),
    )


def _whitened(basis: LaggedBasis, reduced: Reduced, maxiter: int, rtol: float) -> ArFit:
    return kernels.autoregress.fit_autoregressive(
        basis, reduced.sums, reduced.offset, maxiter, rtol
    )


def estimate_of(rows: Floats, basis: LaggedBasis, reduced: Reduced, fit: ArFit) -> Estimate:
    """Bring a fit to the units asked for; its arrays are written to."""
    df_resid = float(basis.n_whitened - basis.n_columns)
    left_out = reduced.status != FITTED
    fit.rho[:, left_out] = np.nan
    fit.params[:] *= reduced.factor  # in place: these are the largest arrays there are
    return Estimate(
        X=rows,
        basis=basis,
        params=fit.params,
        rho=fit.rho,
        scale=fit.ssr * reduced.factor**2 / df_resid if df_resid else np.full_like(fit.ssr, np.nan),
        df_resid=df_resid,
        iterations=fit.iterations,
        converged=fit.converged & ~left_out,
        factor=reduced.factor,
        level=reduced.level,
        status=reduced.status,
    )

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

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.arone import factor_either, solve_one, workspace
from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.lanes import (
    FAST,
    LANES,
    add_weighted,
    backward,
    cut_off,
    forward,
    load,
    store,
    times,
    toeplitz_solve,
    whitening,
)
from voxlm.kernels.sums import Sums
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 2048


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
    out = ArFit(
        np.empty((P, V)),
        np.empty((p, V)),
        np.empty(V),
        np.empty(V, dtype=np.int64),
        np.empty(V, dtype=np.bool_),
    )
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

    # Whole arrays and a range rather than slices: slices are another type, compiled once more.
    def work(start: int, stop: int) -> None:
        _solve_block(
            *design,
            sums.projection,
            np.asarray(offset, dtype=np.float64),
            sums.cross,
            sums.total,
            sums.auto,
            sums.near,
            start,
            stop,
            maxiter,
            float(rtol),
            bins if p == 1 else 0,
            out.params,
            out.rho,
            out.ssr,
            out.iterations,
            out.converged,
        )

    over_blocks(V, BLOCK, work)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_block(  # type: ignore[no-untyped-def]
    gram,
    eigen,
    lag_gram,
    ones,
    pairs,
    edges,
    edge_rows,
    first,
    Rinv,
    projection,
    offset,
    cross,
    total,
    auto,
    near,
    first_voxel,
    stop,
    maxiter,
    rtol,
    bins,
    params,
    rho_out,
    ssr_out,
    iterations,
    converged,
):
    """Iterate LANES voxels at a time."""
    p, P = auto.shape[0] - 1, gram.shape[2]
    start = np.empty((P, LANES))
    H = np.empty((cross.shape[0], LANES))
    s = np.empty((p + 1, LANES))
    g = np.empty((p + 1, LANES))
    e = np.empty((near.shape[0], LANES))
    rho = np.empty((p, LANES))
    step = np.empty((P, LANES))
    b = np.empty((P, LANES))
    last = np.empty((P, LANES))
    A, inverse, spread, small = workspace(P, edges.shape[0])
    whitened = np.empty((P, LANES))
    a = np.empty((p + 1, LANES))
    ssr = np.empty(LANES)
    active = np.empty(LANES, dtype=np.bool_)
    for at in range(first_voxel, stop, LANES):
        n = min(LANES, stop - at)
        load(projection, at, n, start)
        for i in range(P):
            for w in range(n):
                start[i, w] += ones[0, i] * offset[at + w]
        load(cross, at, n, H)
        load(total, at, n, s)
        load(auto, at, n, g)
        load(near, at, n, e)
        rho[:] = 0.0
        active[:] = True
        iterations[at : at + n] = maxiter
        converged[at : at + n] = False
        times(first, e, step)
        if maxiter > 1:
            _coefficients(Rinv, start, step, last)
            _yule_walker(lag_gram, eigen, ones, pairs, H, s, g, step, active, rho, b)
            cut_off(rho, bins, active)
        iteration = 0
        while True:
            iteration += 1
            whitening(rho, a)
            _right_hand_side(edges, edge_rows, H, g, e, a, whitened, ssr)
            closed = factor_either(gram, eigen, edges, edge_rows, a, A, inverse, spread, small)
            _step(closed, A, inverse, spread, small, whitened, step, ssr)
            _coefficients(Rinv, start, step, b)
            if iteration >= maxiter - 1:
                break
            if _settle(b, last, rtol, active, n, iteration, at, iterations, converged):
                break
            _yule_walker(lag_gram, eigen, ones, pairs, H, s, g, step, active, rho, b)
            cut_off(rho, bins, active)
        store(b, at, n, params)
        store(rho, at, n, rho_out)
        for w in range(n):
            ssr_out[at + w] = ssr[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _coefficients(Rinv, start, step, b):  # type: ignore[no-untyped-def]
    """Write ``R⁻¹ (start + step)``: from the orthonormal basis to the columns of X."""
    P = Rinv.shape[0]
    for i in range(P):
        for w in range(LANES):
            b[i, w] = 0.0
        add_weighted(b[i], Rinv[i], start, 0, P)
        add_weighted(b[i], Rinv[i], step, 0, P)


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(b, last, rtol, active, n, iteration, at, iterations, converged):  # type: ignore[no-untyped-def]
    """Stop the lanes whose coefficients moved by less than rtol; tell whether all have."""
    P = b.shape[0]
    any_active = False
    for w in range(n):
        if not active[w]:
            continue
        settled = True
        for i in range(P):
            # as a negation, so that NaN counts as moving
            if not abs(last[i, w] - b[i, w]) < rtol * abs(last[i, w]):
                settled = False
                break
        if settled:
            active[w] = False
            converged[at + w] = True
            iterations[at + w] = iteration + 1
        else:
            any_active = True
            for i in range(P):
                last[i, w] = b[i, w]
    return not any_active


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _yule_walker(lag_gram, eigen, ones, pairs, H, s, g, step, active, rho, scratch):  # type: ignore[no-untyped-def]
    """Estimate ρ from the residuals of ``start + step``, in the lanes that are still active."""
    p, P = rho.shape[0], step.shape[0]
    gamma = np.empty((p + 1, LANES))
    mean = np.empty(LANES)
    for k in range(p + 1):
        sum_k, cov = s[k].copy(), g[k].copy()
        for i in range(P):
            o, d = ones[k, i], step[i]
            for w in range(LANES):
                sum_k[w] -= o * d[w]
        if k == 0:
            for i in range(P):
                d = step[i]
                for w in range(LANES):
                    cov[w] += d[w] * d[w]
            for w in range(LANES):
                mean[w] = sum_k[w] / pairs[0]
                gamma[0, w] = cov[w] / pairs[0] - mean[w] * mean[w]
            continue
        if eigen.size:
            for i in range(P):
                for w in range(LANES):
                    scratch[i, w] = eigen[i] * step[i, w]
        else:
            times(lag_gram[k], step, scratch)
        for i in range(P):
            d, half, h = step[i], scratch[i], H[(k - 1) * P + i]
            for w in range(LANES):
                cov[w] += d[w] * (0.5 * half[w] - h[w])
        for w in range(LANES):
            gamma[k, w] = (cov[w] - mean[w] * sum_k[w]) / pairs[k] + mean[w] * mean[w]
    if p == 1:
        for w in range(LANES):
            if active[w]:
                rho[0, w] = gamma[1, w] / gamma[0, w]
    else:
        for w in range(LANES):
            if active[w]:
                toeplitz_solve(gamma, w, rho)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _right_hand_side(edges, edge_rows, H, g, e, a, z, ssr):  # type: ignore[no-untyped-def]
    """Write the whitened Q'r and r'r of the OLS residuals r."""
    p, P = a.shape[0] - 1, z.shape[0]
    for w in range(LANES):
        ssr[w] = 0.0
    for i in range(P):
        zi = z[i]
        for w in range(LANES):
            zi[w] = 0.0
    weight = np.empty(LANES)
    for k in range(p + 1):
        for w in range(LANES):
            weight[w] = 0.0
        for j in range(p + 1 - k):
            for w in range(LANES):
                weight[w] += a[j, w] * a[j + k, w]
        twice = 1.0 if k == 0 else 2.0
        for w in range(LANES):
            ssr[w] += twice * weight[w] * g[k, w]
        if k == 0:
            continue  # residuals are orthogonal to Q
        for i in range(P):
            zi, h = z[i], H[(k - 1) * P + i]
            for w in range(LANES):
                zi[w] += weight[w] * h[w]
    _remove_edges(edges, edge_rows, a, e, z, ssr)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _step(closed, A, inverse, spread, small, z, step, ssr):  # type: ignore[no-untyped-def]
    """Solve for the step from OLS to the whitened fit, and take what it explains off ssr."""
    for i in range(step.shape[0]):
        for w in range(LANES):
            step[i, w] = z[i, w]
    if closed:
        solve_one(inverse, spread, small, step, np.empty((spread.shape[0], LANES)))
    else:
        forward(A, step)
        backward(A, step)
    for i in range(step.shape[0]):
        si, zi = step[i], z[i]
        for w in range(LANES):
            ssr[w] -= si[w] * zi[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _remove_edges(edges, edge_rows, a, e, z, ssr):  # type: ignore[no-untyped-def]
    """Take away the rows that zero padding added at the ends of each segment."""
    P = z.shape[0]
    residual = np.empty(LANES)
    for row in range(edges.shape[0]):
        for w in range(LANES):
            residual[w] = 0.0
        for j in range(edges.shape[1]):
            scan = edges[row, j]
            if scan >= 0:
                for w in range(LANES):
                    residual[w] += a[j, w] * e[scan, w]
        for w in range(LANES):
            ssr[w] -= residual[w] * residual[w]
        for j in range(edges.shape[1]):
            scan = edges[row, j]
            if scan < 0:
                continue
            for i in range(P):
                q, zi = edge_rows[scan, i], z[i]
                for w in range(LANES):
                    zi[w] -= q * a[j, w] * residual[w]

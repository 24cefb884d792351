"""AR(p) least squares with one more column that differs from voxel to voxel.

By Frisch and Waugh: at any ρ the whitened column is cleaned of the whitened design, and its
coefficient is that of the cleaned column alone. All that takes is lagged products, of the column
with the basis, with itself and with the data, so the design is still factored as before and a voxel
costs two solves instead of one.

Axes: P shared columns, p order, U scans near an edge, W lanes (voxels side by side), V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.arone import factor_either, workspace
from voxlm.kernels.autoregress import (
    _coefficients,
    _right_hand_side,
    _settle,
    _step,
    _yule_walker,
)
from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.lanes import FAST, LANES, load, store, whitening
from voxlm.kernels.sums import Sums
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 2048


@dataclass(frozen=True, slots=True, eq=False)
class VaryingFit:
    """Coefficients and noise of every voxel, in units of the shifted data.

    Parameters
    ----------
    params : ndarray, shape (P + 1, V)
        Coefficients of the columns of X, and of the voxel's own column last.
    rho : ndarray, shape (p, V)
        AR coefficients.
    ssr : ndarray, shape (V,)
        Whitened residual sum of squares.
    along : ndarray, shape (P, V)
        Coefficients of the columns of X in the voxel's own column, whitened.
    curvature : ndarray, shape (V,)
        What is left of the whitened column's sum of squares.
    iterations : ndarray of int, shape (V,)
        Fits made, the final one counted as statsmodels counts it.
    converged : ndarray of bool, shape (V,)
        Whether the coefficients settled before ``maxiter``.
    """

    params: Floats
    rho: Floats
    ssr: Floats
    along: Floats
    curvature: Floats
    iterations: NDArray[np.int64]
    converged: NDArray[np.bool_]


def fit_varying(
    basis: LaggedBasis,
    data: Sums,
    column: Sums,
    both: Floats,
    offset: Floats,
    maxiter: int,
    rtol: float,
) -> VaryingFit:
    """Fit AR(p) least squares with a column of its own at every voxel.

    Parameters
    ----------
    basis : LaggedBasis
        Design-only products, of order p >= 1.
    data, column : Sums
        Statistics of the data, and of the voxels' own columns.
    both : ndarray, shape (p + 1, V)
        ``Σ y_t z_t``, then ``Σ y_t z_{t-k} + z_t y_{t-k}``, of the residuals of both.
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
    P, V, p = basis.n_columns, data.auto.shape[1], basis.order
    out = VaryingFit(
        np.empty((P + 1, V)),
        np.empty((p, V)),
        np.empty(V),
        np.empty((P, V)),
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
        np.ascontiguousarray(basis.Rinv),
    )
    shift = column.shift if basis.constant else np.zeros(V)
    ours = (data.projection, np.asarray(offset, dtype=np.float64), data.cross, data.total)
    theirs = (column.projection, shift, column.cross, column.total, column.auto, column.near)

    def work(start: int, stop: int) -> None:
        _solve_block(
            design,
            (*ours, data.auto, data.near),
            theirs,
            both,
            start,
            stop,
            maxiter,
            float(rtol),
            (out.params, out.rho, out.ssr, out.along, out.curvature),
            out.iterations,
            out.converged,
        )

    over_blocks(V, BLOCK, work)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _workspace(P, p, U):  # type: ignore[no-untyped-def]
    """Allocate one side's start, H, s, g, e, whitened products and step."""
    return (
        np.empty((P, LANES)),
        np.empty((p * P, LANES)),
        np.empty((p + 1, LANES)),
        np.empty((p + 1, LANES)),
        np.empty((U, LANES)),
        np.empty((P, LANES)),
        np.empty((P, LANES)),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _load(sums, ones, at, n, lanes):  # type: ignore[no-untyped-def]
    """Copy the statistics of n voxels into the lanes, the constant put back."""
    projection, offset, cross, total, auto, near = sums
    start, H, s, g, e, _, _ = lanes
    load(projection, at, n, start)
    for i in range(start.shape[0]):
        for w in range(n):
            start[i, w] += ones[0, i] * offset[at + w]
    load(cross, at, n, H)
    load(total, at, n, s)
    load(auto, at, n, g)
    load(near, at, n, e)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _shared(edges, both, e, f, a, product):  # type: ignore[no-untyped-def]
    """Write the whitened product of both sides' residuals, less the rows of zero padding."""
    p = a.shape[0] - 1
    for w in range(LANES):
        product[w] = 0.0
    for k in range(p + 1):
        for j in range(p + 1 - k):
            for w in range(LANES):
                product[w] += a[j, w] * a[j + k, w] * both[k, w]
    one, other = np.empty(LANES), np.empty(LANES)
    for row in range(edges.shape[0]):
        one[:] = 0.0
        other[:] = 0.0
        for j in range(edges.shape[1]):
            scan = edges[row, j]
            if scan >= 0:
                for w in range(LANES):
                    one[w] += a[j, w] * e[scan, w]
                    other[w] += a[j, w] * f[scan, w]
        for w in range(LANES):
            product[w] -= one[w] * other[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _less(y, z, weight, out):  # type: ignore[no-untyped-def]
    """Write ``y - weight z``, row by row."""
    for i in range(y.shape[0]):
        for w in range(LANES):
            out[i, w] = y[i, w] - weight[w] * z[i, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _autos(g, both, h, weight, out):  # type: ignore[no-untyped-def]
    """Write the lagged products of ``y - weight z`` from those of both."""
    for k in range(g.shape[0]):
        twice = 2.0 if k == 0 else 1.0
        for w in range(LANES):
            out[k, w] = g[k, w] - weight[w] * (twice * both[k, w] - weight[w] * h[k, w])


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_block(  # type: ignore[no-untyped-def]
    design, data, column, both, first, stop, maxiter, rtol, results, iterations, converged
):
    """Iterate LANES voxels at a time."""
    gram, eigen, lag_gram, ones, pairs, edges, edge_rows, Rinv = design
    params, rho_out, ssr_out, along, curvature = results
    p, P, U = both.shape[0] - 1, gram.shape[2], edge_rows.shape[0]
    ours, theirs, less = _workspace(P, p, U), _workspace(P, p, U), _workspace(P, p, U)
    shared = np.empty((p + 1, LANES))
    factors = workspace(P, edges.shape[0])
    A, inverse, spread, small = factors
    rho, a = np.empty((p, LANES)), np.empty((p + 1, LANES))
    b, last = np.empty((P + 1, LANES)), np.empty((P + 1, LANES))
    ssr, left = np.empty(LANES), np.empty(LANES)
    product, weight = np.empty(LANES), np.empty(LANES)
    active = np.empty(LANES, dtype=np.bool_)
    for at in range(first, stop, LANES):
        n = min(LANES, stop - at)
        _load(data, ones, at, n, ours)
        _load(column, ones, at, n, theirs)
        load(both, at, n, shared)
        rho[:] = 0.0
        active[:] = True
        iterations[at : at + n] = maxiter
        converged[at : at + n] = False
        # Before the first ρ there is a fit at ρ = 0, which leaves out the same scans.
        iteration = -1 if maxiter > 1 else 0
        while True:
            iteration += 1
            whitening(rho, a)
            _right_hand_side(edges, edge_rows, ours[1], ours[3], ours[4], a, ours[5], ssr)
            _right_hand_side(edges, edge_rows, theirs[1], theirs[3], theirs[4], a, theirs[5], left)
            _shared(edges, shared, ours[4], theirs[4], a, product)
            closed = factor_either(gram, eigen, edges, edge_rows, a, A, inverse, spread, small)
            _step(closed, A, inverse, spread, small, ours[5], ours[6], ssr)
            _step(closed, A, inverse, spread, small, theirs[5], theirs[6], left)
            for i in range(P):
                for w in range(LANES):
                    product[w] -= theirs[6][i, w] * ours[5][i, w]
            for w in range(LANES):
                weight[w] = product[w] / left[w]
                ssr[w] -= weight[w] * product[w]
                b[P, w] = weight[w]
            _less(ours[0], theirs[0], weight, less[0])
            _less(ours[6], theirs[6], weight, less[6])
            _coefficients(Rinv, less[0], less[6], b[:P])
            if iteration == 0 and maxiter > 1:
                last[:] = b
            elif iteration >= maxiter - 1 or _settle(
                b, last, rtol, active, n, iteration, at, iterations, converged
            ):
                break
            _less(ours[1], theirs[1], weight, less[1])
            _less(ours[2], theirs[2], weight, less[2])
            _autos(ours[3], shared, theirs[3], weight, less[3])
            _yule_walker(
                lag_gram,
                eigen,
                ones,
                pairs,
                less[1],
                less[2],
                less[3],
                less[6],
                active,
                rho,
                less[5],
            )
        store(b, at, n, params)
        store(rho, at, n, rho_out)
        _coefficients(Rinv, theirs[0], theirs[6], less[0])
        store(less[0], at, n, along)
        for w in range(n):
            ssr_out[at + w] = ssr[w]
            curvature[at + w] = left[w]

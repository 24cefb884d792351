r"""Random effects over maps whose own variances are known: ``Var(y_i) = v_i + τ²``.

A short grid finds the valley of the deviance's global minimum, Newton's method inside a bracket its
bottom; τ² = 0 is exact.

Axes: n maps, P columns, V voxels, W lanes.

References
----------
DerSimonian & Laird (1986), Control Clin Trials 7:177. Paule & Mandel (1982), J Res NBS 87:377.
Knapp & Hartung (2003), Stat Med 22:2693.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.lanes import FAST, LANES
from voxlm.kernels.noise import project_out
from voxlm.kernels.threads import over_blocks
from voxlm.kernels.weightedlanes import gram, less_trace, log_determinants, residual, slopes, solve

Floats = NDArray[np.float64]

BLOCK = 512
FE, DL, PM, ML, REML = range(5)
METHODS = {"fe": FE, "dl": DL, "pm": PM, "ml": ML, "reml": REML}
# The grid of τ², times the variance of the residuals of least squares.
GRID = np.array([0.0, 1e-3, 1e-2, 0.1, 0.4, 1.2, 5.0])
STEPS = 100
SETTLED = 1e-6  # relative Newton step; what it leaves is of its square
HALVED = 1e-12  # relative half of the bracket, where Newton's step leaves it


@dataclass(frozen=True, slots=True, eq=False)
class KnownVariance:
    """The fit at every voxel.

    Parameters
    ----------
    tau2 : ndarray, shape (V,)
        Variance between maps; a row a group, ``(G, V)``, where groups have their own.
    params : ndarray, shape (P, V)
        Coefficients.
    unscaled : ndarray, shape (P, P, V)
        ``A⁻¹``, their covariance.
    heterogeneity : ndarray, shape (V,)
        ``Σ w r²`` at τ²: over n - P it is Knapp and Hartung's factor.
    cochran : ndarray, shape (V,)
        ``Σ w r²`` at τ² = 0, Cochran's Q.
    log_dets : ndarray, shape (2, V)
        ``Σ log(v + τ²)`` and ``log|A|``.
    converged : ndarray of bool, shape (V,)
        Whether τ² settled.
    """

    tau2: Floats
    params: Floats
    unscaled: Floats
    heterogeneity: Floats
    cochran: Floats
    log_dets: Floats
    converged: NDArray[np.bool_]


def fit_known_variance(
    X: Floats, data: NDArray[Any], variance: NDArray[Any], method: int
) -> KnownVariance:
    """Fit random effects with known variances at every voxel.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns of full rank.
    data, variance : ndarray, shape (n, V)
        Effects and their variances, positive.
    method : int
        ``FE``, ``DL``, ``PM``, ``ML`` or ``REML``.

    Returns
    -------
    KnownVariance

    Examples
    --------
    >>> y, v = np.array([[1.0], [3.0], [8.0]]), np.ones((3, 1))
    >>> fit = fit_known_variance(np.ones((3, 1)), y, v, REML)
    >>> fit.tau2.round(9), fit.params
    (array([12.]), array([[4.]]))
    """
    P, V = X.shape[1], data.shape[1]
    out = KnownVariance(
        np.empty(V),
        np.empty((P, V)),
        np.empty((P, P, V)),
        np.empty(V),
        np.empty(V),
        np.empty((2, V)),
        np.empty(V, dtype=np.bool_),
    )
    Q, R = np.linalg.qr(X)
    rows, back = np.ascontiguousarray(Q), np.linalg.solve(R, np.eye(P))

    # Blocks have arrays of their own: parts of larger ones are another type, compiled once more.
    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        params, unscaled = np.empty((P, stop - start)), np.empty((P, P, stop - start))
        level, left = project_out(Q, np.asarray(data[:, here], dtype=np.float64))
        _fit_block(
            rows,
            left,
            np.ascontiguousarray(variance[:, here], dtype=np.float64),
            method,
            GRID,
            out.tau2[here],
            params,
            unscaled,
            out.heterogeneity[here],
            out.cochran[here],
            (out.log_dets[0, here], out.log_dets[1, here]),
            out.converged[here],
        )
        out.params[:, here] = back @ (params + level)
        out.unscaled[:, :, here] = np.einsum("ip,pqv,jq->ijv", back, unscaled, back, optimize=True)

    over_blocks(V, BLOCK, work)
    out.log_dets[1] += 2.0 * np.log(np.abs(np.diag(R))).sum()
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_block(  # type: ignore[no-untyped-def]
    X,
    data,
    variance,
    method,
    grid,
    tau2,
    params,
    unscaled,
    heterogeneity,
    cochran,
    log_dets,
    ok,
):
    """Fit LANES voxels at a time; data are residuals of the orthonormal columns of X."""
    n, P = X.shape
    y, v, weight = np.empty((n, LANES)), np.empty((n, LANES)), np.empty((n, LANES))
    A, inverse, unit = _cube(P), _cube(P), _cube(P)
    beta = np.empty((P, LANES))
    t, q, ld, la = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    low, high = np.empty(LANES), np.empty(LANES)
    done = np.empty(LANES, dtype=np.bool_)
    for at in range(0, tau2.size, LANES):
        m = min(LANES, tau2.size - at)
        for i in range(n):
            for w in range(LANES):
                y[i, w] = data[i, at + min(w, m - 1)]
                v[i, w] = variance[i, at + min(w, m - 1)]
        t[:] = 0.0
        solve(X, y, v, t, weight, A, unit, inverse, beta, q)
        cochran[at : at + m] = q[:m]
        done[:] = True
        if method == DL:
            _moments(X, weight, inverse, q, t)
        elif method == PM:
            _paule_mandel(X, y, v, t, weight, A, unit, inverse, beta, q, done)
        elif method != FE:
            _bracket(X, y, v, method, grid, t, low, high, weight, A, unit, inverse, beta, q, done)
            _newton(X, y, v, method, t, low, high, weight, A, unit, inverse, beta, q, done)
        solve(X, y, v, t, weight, A, unit, inverse, beta, q)
        log_determinants(v, t, A, ld, la)
        tau2[at : at + m] = t[:m]
        params[:, at : at + m] = beta[:, :m]
        unscaled[:, :, at : at + m] = inverse[:, :, :m]
        heterogeneity[at : at + m] = q[:m]
        log_dets[0][at : at + m] = ld[:m]
        log_dets[1][at : at + m] = la[:m]
        ok[at : at + m] = done[:m]


@njit(cache=True, nogil=True)
def _cube(P):  # type: ignore[no-untyped-def]
    return np.empty((P, P, LANES))


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _moments(X, weight, inverse, q, t):  # type: ignore[no-untyped-def]
    """Write DerSimonian and Laird's τ² from the fit at τ² = 0."""
    n, P = X.shape
    trace = np.zeros(LANES)
    square = weight * weight
    second = np.empty((P, P, LANES))
    gram(X, square, second)
    for s in range(n):
        for w in range(LANES):
            trace[w] += weight[s, w]
    less_trace(inverse, second, 1.0, trace)
    for w in range(LANES):
        excess = (q[w] - (n - P)) / trace[w]
        t[w] = 0.0 if excess < 0.0 else excess


@njit(cache=True, nogil=True, error_model="numpy")
def _paule_mandel(X, y, v, t, weight, A, unit, inverse, beta, q, done):  # type: ignore[no-untyped-def]
    """Raise τ² from 0 until ``Σ w r² = n - P``: Newton on a convex function, from its left."""
    n, P = X.shape
    r = np.empty(LANES)
    fall = np.empty(LANES)
    for w in range(LANES):
        done[w] = not q[w] > n - P
    for _ in range(STEPS):
        fall[:] = 0.0
        for s in range(n):
            residual(X, y, beta, s, r)
            for w in range(LANES):
                fall[w] += (weight[s, w] * r[w]) ** 2
        working = False
        for w in range(LANES):
            if not done[w]:
                step = (q[w] - (n - P)) / fall[w]
                t[w] += step
                done[w] = not step > SETTLED * t[w]
                working |= not done[w]
        solve(X, y, v, t, weight, A, unit, inverse, beta, q)
        if not working:
            return


@njit(cache=True, nogil=True, error_model="numpy")
def _bracket(  # type: ignore[no-untyped-def]
    X, y, v, method, grid, t, low, high, weight, A, unit, inverse, beta, q, done
):
    """Find the lowest point of the grid; τ² is exactly 0 where the slope there is not negative."""
    n, P = X.shape
    spread = np.zeros(LANES)
    for s in range(n):
        for w in range(LANES):
            spread[w] += y[s, w] * y[s, w] / (n - P)
    best, where = np.full(LANES, np.inf), np.zeros(LANES, dtype=np.int64)
    ld, la = np.empty(LANES), np.empty(LANES)
    slope, bend = np.empty(LANES), np.empty(LANES)
    for g in range(grid.size - 1, -1, -1):
        for w in range(LANES):
            t[w] = grid[g] * spread[w]
        solve(X, y, v, t, weight, A, unit, inverse, beta, q)
        log_determinants(v, t, A, ld, la)
        for w in range(LANES):
            value = q[w] + ld[w] + (la[w] if method == REML else 0.0)
            if value < best[w]:
                best[w] = value
                where[w] = g
    slopes(X, y, method == REML, weight, inverse, beta, slope, bend)
    for w in range(LANES):
        g = where[w]
        low[w] = grid[max(g - 1, 0)] * spread[w]
        high[w] = grid[g + 1] * spread[w] if g + 1 < grid.size else 1e3 * grid[g] * spread[w]
        t[w] = grid[g] * spread[w]
        done[w] = g == 0 and not slope[w] < 0.0
        if g == 0 and not done[w]:
            t[w] = 0.5 * high[w]


@njit(cache=True, nogil=True, error_model="numpy")
def _newton(X, y, v, method, t, low, high, weight, A, unit, inverse, beta, q, done):  # type: ignore[no-untyped-def]
    """Descend in τ² within the bracket."""
    slope, bend = np.empty(LANES), np.empty(LANES)
    for _ in range(STEPS):
        working = False
        for w in range(LANES):
            working |= not done[w]
        if not working:
            return
        solve(X, y, v, t, weight, A, unit, inverse, beta, q)
        slopes(X, y, method == REML, weight, inverse, beta, slope, bend)
        for w in range(LANES):
            if done[w]:
                continue
            if slope[w] > 0.0:
                high[w] = t[w]
            else:
                low[w] = t[w]
            new = t[w] - slope[w] / bend[w]
            enough = SETTLED
            if not (bend[w] > 0.0 and new > low[w] and new < high[w]):
                new, enough = 0.5 * (low[w] + high[w]), HALVED
            done[w] = abs(new - t[w]) <= enough * max(new, 1e-6 * high[w])
            t[w] = new

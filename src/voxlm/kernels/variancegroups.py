r"""A variance between maps for each of G groups, beside known variances: ``Var(y_i) = v_i + τ²_g``.

Minus two log (restricted) likelihood has the slopes ``Σ_{i∈g} (P_ii - w_i² r_i²)`` and bends
``2 y'P E_g P E_h P y - tr(E_g P E_h P)`` in τ², E_g the maps of group g; both are sums over maps of
P × P matrices. A grid, group after group, finds the valley; projected Newton steps with halving
its bottom; τ² = 0 is exact.

Axes: n maps, P columns, V voxels, G groups.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.dense import cholesky, substitute
from voxlm.kernels.noise import project_out
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 256
GRID = np.array([0.0, 1e-2, 0.1, 0.4, 1.2, 5.0])
SWEEPS = 3
STEPS, HALVINGS = 200, 40
SINGULAR = 1e-10  # pivot over its diagonal entry, below which a direction is level
SETTLED = 1e-8  # relative step of τ²; what Newton's leaves is of its square


def fit_variance_groups(
    X: Floats, data: NDArray[Any], variance: NDArray[Any], groups: NDArray[np.int64], reml: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    """Estimate a variance between maps for each group at every voxel.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns of full rank.
    data, variance : ndarray, shape (n, V)
        Effects and their variances, positive.
    groups : ndarray of int, shape (n,)
        0 … G - 1, all in use, each with degrees of freedom of its own.
    reml : bool
        Restricted likelihood, or likelihood.

    Returns
    -------
    tau2 : ndarray, shape (G, V)
    converged : ndarray of bool, shape (V,)

    Examples
    --------
    >>> y = np.array([[1.0], [3.0], [8.0], [2.0], [2.0], [2.0]])
    >>> groups = np.repeat([0, 1], 3)
    >>> X = np.eye(2)[groups]
    >>> fit_variance_groups(X, y, np.ones((6, 1)), groups, True)[0].round(6).ravel()
    array([12.,  0.])
    """
    G, V = int(groups.max()) + 1, data.shape[1]
    tau2, converged = np.empty((G, V)), np.zeros(V, dtype=np.bool_)
    rows = np.ascontiguousarray(np.linalg.qr(X)[0])
    left = np.bincount(groups, weights=1.0 - np.einsum("np,np->n", rows, rows))

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        _, noise = project_out(rows, np.asarray(data[:, here], dtype=np.float64))
        y = np.ascontiguousarray(noise.T)
        v = np.ascontiguousarray(variance[:, here].T, dtype=np.float64)
        found = np.empty((G, stop - start))
        _fit_block(rows, groups, left, y, v, reml, GRID, found, converged[here])
        tau2[:, here] = found

    over_blocks(V, BLOCK, work)
    return tau2, converged


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_block(X, groups, left, Y, variances, reml, grid, tau2, converged):  # type: ignore[no-untyped-def]
    """Fit one voxel after the other; data are residuals of the orthonormal columns of X."""
    n, G = X.shape[0], tau2.shape[0]
    weight, r = np.empty(n), np.empty(n)
    tau, spread = np.empty(G), np.empty(G)
    for voxel in range(Y.shape[0]):
        y, v = Y[voxel], variances[voxel]
        usable = _spreads(groups, left, y, spread)
        if usable:
            _search(X, groups, y, v, reml, grid, spread, tau, weight, r)
            converged[voxel] = _descend(X, groups, y, v, reml, spread, tau, weight, r)
        for g in range(G):
            tau2[g, voxel] = tau[g] if usable else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _spreads(groups, left, y, spread):  # type: ignore[no-untyped-def]
    """Write each group's variance about least squares; tell whether all are positive."""
    for g in range(spread.size):
        spread[g] = 0.0
    for i in range(y.size):
        spread[groups[i]] += y[i] * y[i] / left[groups[i]]
    usable = True
    for g in range(spread.size):
        usable &= spread[g] > 0.0 and spread[g] < np.inf
    return usable


@njit(cache=True, nogil=True, error_model="numpy")
def _deviance(X, groups, y, v, tau, reml, weight, r):  # type: ignore[no-untyped-def]
    """Fit at τ²; return the deviance up to a constant, and ``A⁻¹``."""
    n, P = X.shape
    A, b = np.zeros((P, P)), np.zeros(P)
    value = 0.0
    for i in range(n):
        total = v[i] + tau[groups[i]]
        weight[i] = 1.0 / total
        value += np.log(total)
        for j in range(P):
            b[j] += X[i, j] * weight[i] * y[i]
            for k in range(j + 1):
                A[j, k] += X[i, j] * weight[i] * X[i, k]
    inverse = np.empty((P, P))
    log_det = _invert(A, inverse)
    for i in range(n):
        r[i] = y[i]
        for j in range(P):
            for k in range(P):
                r[i] -= X[i, j] * inverse[j, k] * b[k]
        value += weight[i] * r[i] * r[i]
    return value + reml * log_det, inverse


@njit(cache=True, nogil=True, error_model="numpy")
def _invert(A, inverse):  # type: ignore[no-untyped-def]
    """Write the inverse of a matrix given by its lower triangle; return its log determinant."""
    if not cholesky(A, 0.0):
        inverse[:] = np.nan
        return np.nan
    log_det = 0.0
    for q in range(A.shape[0]):
        log_det += 2.0 * np.log(A[q, q])
        inverse[:, q] = 0.0
        inverse[q, q] = 1.0
        substitute(A, inverse[:, q])
    return log_det


@njit(cache=True, nogil=True, error_model="numpy")
def _search(X, groups, y, v, reml, grid, spread, tau, weight, r):  # type: ignore[no-untyped-def]
    """Find the lowest point of a grid: all groups alike, then one group after the other."""
    best, chosen = np.inf, 0.0
    for c in grid:
        for g in range(tau.size):
            tau[g] = c * spread[g]
        value = _deviance(X, groups, y, v, tau, reml, weight, r)[0]
        if value < best:
            best, chosen = value, c
    for g in range(tau.size):
        tau[g] = chosen * spread[g]
    for _ in range(SWEEPS):
        moved = False
        for g in range(tau.size):
            kept = tau[g]
            for c in grid:
                tau[g] = c * spread[g]
                value = _deviance(X, groups, y, v, tau, reml, weight, r)[0]
                if value < best:
                    best, kept, moved = value, tau[g], True
            tau[g] = kept
        if not moved:
            return


@njit(cache=True, nogil=True, error_model="numpy")
def _descend(X, groups, y, v, reml, spread, tau, weight, r):  # type: ignore[no-untyped-def]
    """Step down to the minimum with no τ² below 0; tell whether it was reached."""
    G = tau.size
    slope, bend, sure = np.empty(G), np.empty((G, G)), np.empty((G, G))
    new, step, fixed = np.empty(G), np.empty(G), np.empty(G, dtype=np.bool_)
    value, inverse = _deviance(X, groups, y, v, tau, reml, weight, r)
    for _ in range(STEPS):
        _slopes(X, groups, weight, r, inverse, reml, slope, bend, sure)
        for g in range(G):
            fixed[g] = tau[g] == 0.0 and slope[g] >= 0.0
        if not _solve_free(bend, slope, fixed, step) and not _solve_free(sure, slope, fixed, step):
            for g in range(G):
                step[g] /= sure[g, g]
        scale, settled = 1.0, False
        for _ in range(HALVINGS):
            settled = True
            for g in range(G):
                new[g] = max(tau[g] + scale * step[g], 0.0)
                settled &= abs(new[g] - tau[g]) <= SETTLED * max(new[g], 1e-6 * spread[g])
            found, other = _deviance(X, groups, y, v, new, reml, weight, r)
            if found <= value or settled:
                break
            scale *= 0.5
        value, inverse = found, other
        for g in range(G):
            tau[g] = new[g]
        if settled:
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _slopes(X, groups, weight, r, inverse, reml, slope, bend, sure):  # type: ignore[no-untyped-def]
    """Write the slopes, the bends, and the bends' expectations, which are never negative."""
    n, P = X.shape
    G = slope.size
    second, third, along = np.zeros((G, P, P)), np.zeros((G, P, P)), np.zeros((G, P))
    for g in range(G):
        slope[g] = 0.0
        for h in range(G):
            bend[g, h] = sure[g, h] = 0.0
    for i in range(n):
        g, u = groups[i], weight[i]
        pull = u * u * r[i]
        slope[g] += u - pull * r[i]
        bend[g, g] += 2.0 * pull * u * r[i] - u * u
        sure[g, g] += u * u
        for j in range(P):
            along[g, j] += X[i, j] * pull
            for k in range(P):
                c = X[i, j] * X[i, k] * u * u
                second[g, j, k] += c
                third[g, j, k] += c * u
    for g in range(G):
        for j in range(P):
            for k in range(P):
                slope[g] -= reml * inverse[j, k] * second[g, j, k]
                twice = reml * 2.0 * inverse[j, k] * third[g, j, k]
                bend[g, g] += twice
                sure[g, g] -= twice
                for h in range(G):
                    bend[g, h] -= 2.0 * along[g, j] * inverse[j, k] * along[h, k]
    if reml:
        _subtract_products(second, inverse, bend, sure)


@njit(cache=True, nogil=True, error_model="numpy")
def _subtract_products(second, inverse, bend, sure):  # type: ignore[no-untyped-def]
    """Take ``tr(A⁻¹ S_g A⁻¹ S_h)`` off the bends and add it to their expectations."""
    G, P = second.shape[:2]
    half = np.zeros((G, P, P))
    for g in range(G):
        for i in range(P):
            for j in range(P):
                for k in range(P):
                    half[g, i, j] += inverse[i, k] * second[g, k, j]
    for g in range(G):
        for h in range(G):
            both = 0.0
            for i in range(P):
                for j in range(P):
                    both += half[g, i, j] * half[h, j, i]
            bend[g, h] -= both
            sure[g, h] += both


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_free(H, slope, fixed, step):  # type: ignore[no-untyped-def]
    """Write ``-H⁻¹ slope`` over the free groups; tell whether H is positive definite there."""
    G = slope.size
    L = np.eye(G)
    for i in range(G):
        for j in range(i + 1):
            if not (fixed[i] or fixed[j]):
                L[i, j] = H[i, j]
        step[i] = 0.0 if fixed[i] else -slope[i]
    if not cholesky(L, SINGULAR):
        return False
    substitute(L, step)
    return True

r"""Weighted least squares with known variances and one τ² a voxel, many voxels side by side.

With ``W = diag(1 / (v + τ²))``, ``A = X'WX``, r the residuals and ``P = W - W X A⁻¹ X'W``, minus
two log restricted likelihood has the slope ``tr P - Σ w² r²`` in τ² and the bend
``2 y'PPPy - tr PP``, all of them sums over maps.

Axes: n maps, P columns, W lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.lanefactor import cholesky, invert
from voxlm.kernels.lanes import FAST, LANES, add_weighted


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def gram(X, weight, A):  # type: ignore[no-untyped-def]
    """Write the lower triangle of ``X'WX``."""
    n, P = X.shape
    product = np.empty(n)
    for i in range(P):
        for j in range(i + 1):
            for s in range(n):
                product[s] = X[s, i] * X[s, j]
            for w in range(LANES):
                A[i, j, w] = 0.0
            add_weighted(A[i, j], product, weight, 0, n)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def solve(X, y, v, t, weight, A, unit, inverse, beta, q):  # type: ignore[no-untyped-def]
    """Fit by weighted least squares at τ²; A holds its factor afterwards."""
    n, P = X.shape
    pull = np.empty((n, LANES))
    for s in range(n):
        for w in range(LANES):
            weight[s, w] = 1.0 / (v[s, w] + t[w])
            pull[s, w] = weight[s, w] * y[s, w]
    gram(X, weight, A)
    cholesky(A)
    invert(A, unit, inverse)
    right = unit[0]
    for j in range(P):
        for w in range(LANES):
            right[j, w] = 0.0
        add_weighted(right[j], X[:, j], pull, 0, n)
    for i in range(P):
        for w in range(LANES):
            beta[i, w] = 0.0
        for j in range(P):
            for w in range(LANES):
                beta[i, w] += inverse[i, j, w] * right[j, w]
    for w in range(LANES):
        q[w] = 0.0
    r = np.empty(LANES)
    for s in range(n):
        residual(X, y, beta, s, r)
        for w in range(LANES):
            q[w] += weight[s, w] * r[w] * r[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def residual(X, y, beta, s, r):  # type: ignore[no-untyped-def]
    """Write the residuals of one map."""
    for w in range(LANES):
        r[w] = y[s, w]
    for j in range(X.shape[1]):
        for w in range(LANES):
            r[w] -= X[s, j] * beta[j, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def log_determinants(v, t, A, ld, la):  # type: ignore[no-untyped-def]
    """Write ``Σ log(v + τ²)`` and ``log|A|`` from the factor."""
    for w in range(LANES):
        ld[w] = 0.0
        la[w] = 0.0
    n = v.shape[0]
    s = 0
    while s + 4 <= n:  # one logarithm for four maps
        for w in range(LANES):
            ld[w] += np.log(
                ((v[s, w] + t[w]) * (v[s + 1, w] + t[w]))
                * ((v[s + 2, w] + t[w]) * (v[s + 3, w] + t[w]))
            )
        s += 4
    while s < n:
        for w in range(LANES):
            ld[w] += np.log(v[s, w] + t[w])
        s += 1
    for j in range(A.shape[0]):
        for w in range(LANES):
            la[w] -= 2.0 * np.log(A[j, j, w])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def less_trace(inverse, second, factor, trace):  # type: ignore[no-untyped-def]
    """Subtract ``factor · tr(A⁻¹ M)``, M given by its lower triangle."""
    for i in range(inverse.shape[0]):
        for j in range(i + 1):
            c = factor if i == j else 2.0 * factor
            for w in range(LANES):
                trace[w] -= c * inverse[i, j, w] * second[i, j, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def slopes(X, y, reml, weight, inverse, beta, slope, bend):  # type: ignore[no-untyped-def]
    """Write the slope and the bend of the deviance in τ²."""
    n, P = X.shape
    second, third = np.empty((P, P, LANES)), np.empty((P, P, LANES))
    square, pull = np.empty((n, LANES)), np.empty((n, LANES))
    r, along = np.empty(LANES), np.zeros((P, LANES))
    for w in range(LANES):
        slope[w] = 0.0
        bend[w] = 0.0
    for s in range(n):
        residual(X, y, beta, s, r)
        for w in range(LANES):
            u = weight[s, w]
            square[s, w] = u * u
            pull[s, w] = u * u * r[w]
            slope[w] += u - pull[s, w] * r[w]
            bend[w] += 2.0 * pull[s, w] * u * r[w] - u * u
    for j in range(P):
        add_weighted(along[j], X[:, j], pull, 0, n)
    for i in range(P):
        for j in range(P):
            for w in range(LANES):
                bend[w] -= 2.0 * along[i, w] * inverse[i, j, w] * along[j, w]
    if not reml:
        return
    gram(X, square, second)
    for s in range(n):
        for w in range(LANES):
            square[s, w] *= weight[s, w]
    gram(X, square, third)
    less_trace(inverse, second, 1.0, slope)
    less_trace(inverse, third, -2.0, bend)
    half = np.zeros((P, P, LANES))
    for i in range(P):
        for j in range(P):
            for k in range(P):
                a, b = max(k, j), min(k, j)
                for w in range(LANES):
                    half[i, j, w] += inverse[i, k, w] * second[a, b, w]
    for i in range(P):
        for j in range(P):
            for w in range(LANES):
                bend[w] -= half[i, j, w] * half[j, i, w]

"""Small dense algebra on 64 voxels side by side.

The voxel is the innermost, contiguous axis, so every inner loop is the same arithmetic on 64
neighbours, which the compiler turns into vector instructions; 64 lanes of a 24 × 24 matrix (295 kB)
stay in one core's second-level cache. Fewer lanes spend the time on loop starts: 8 lanes reach a
third of the speed.

Axes: P columns, p order, W lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.pieces import TALL, WIDE

LANES = 64
# NaN and infinity must survive: they mark voxels that cannot be fitted.
FAST = {"contract", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy")
def load(source, at, n, lanes):  # type: ignore[no-untyped-def]
    """Copy n voxels into the lanes; spare lanes repeat the first, so they stay finite with it."""
    for i in range(source.shape[0]):
        for w in range(n):
            lanes[i, w] = source[i, at + w]
        for w in range(n, LANES):
            lanes[i, w] = source[i, at]


@njit(cache=True, nogil=True, error_model="numpy")
def store(lanes, at, n, target):  # type: ignore[no-untyped-def]
    """Copy the lanes back to n voxels."""
    for i in range(lanes.shape[0]):
        for w in range(n):
            target[i, at + w] = lanes[i, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def add_weighted(total, weights, x, first, stop):  # type: ignore[no-untyped-def]
    """Add ``Σ_j weights_j x_j`` for j from first to stop, the weights shared by all lanes."""
    j = first
    while j + 4 <= stop:
        m0, m1, m2, m3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        for w in range(LANES):
            total[w] += (m0 * x[j, w] + m1 * x[j + 1, w]) + (m2 * x[j + 2, w] + m3 * x[j + 3, w])
        j += 4
    while j < stop:
        m0 = weights[j]
        for w in range(LANES):
            total[w] += m0 * x[j, w]
        j += 1


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def times(M, x, out):  # type: ignore[no-untyped-def]
    """Write M x, M shared by all lanes."""
    for i in range(M.shape[0]):
        for w in range(LANES):
            out[i, w] = 0.0
        add_weighted(out[i], M[i], x, 0, M.shape[1])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def add_products(M, x, out, rows, start, stop):  # type: ignore[no-untyped-def]
    """Add M x, M shared by all lanes: ``rows`` rows, in fives, columns start to stop, in fours.

    Twenty products for nine rows read: three times as fast as BLAS on shapes as small as these.
    """
    for i in range(0, rows, TALL):
        t = out[i : i + TALL]
        for j in range(start, stop, WIDE):
            s = x[j : j + WIDE]
            a0, a1, a2, a3 = M[i, j], M[i, j + 1], M[i, j + 2], M[i, j + 3]
            b0, b1, b2, b3 = M[i + 1, j], M[i + 1, j + 1], M[i + 1, j + 2], M[i + 1, j + 3]
            c0, c1, c2, c3 = M[i + 2, j], M[i + 2, j + 1], M[i + 2, j + 2], M[i + 2, j + 3]
            d0, d1, d2, d3 = M[i + 3, j], M[i + 3, j + 1], M[i + 3, j + 2], M[i + 3, j + 3]
            e0, e1, e2, e3 = M[i + 4, j], M[i + 4, j + 1], M[i + 4, j + 2], M[i + 4, j + 3]
            for w in range(LANES):
                x0, x1, x2, x3 = s[0, w], s[1, w], s[2, w], s[3, w]
                t[0, w] += (a0 * x0 + a1 * x1) + (a2 * x2 + a3 * x3)
                t[1, w] += (b0 * x0 + b1 * x1) + (b2 * x2 + b3 * x3)
                t[2, w] += (c0 * x0 + c1 * x1) + (c2 * x2 + c3 * x3)
                t[3, w] += (d0 * x0 + d1 * x1) + (d2 * x2 + d3 * x3)
                t[4, w] += (e0 * x0 + e1 * x1) + (e2 * x2 + e3 * x3)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def whitening(rho, a):  # type: ignore[no-untyped-def]
    """Write the whitening filter ``1, -ρ_1, …, -ρ_p``."""
    for w in range(LANES):
        a[0, w] = 1.0
    for j in range(rho.shape[0]):
        for w in range(LANES):
            a[j + 1, w] = -rho[j, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def factor(gram, a, A):  # type: ignore[no-untyped-def]
    """Write the Cholesky factor of the whitened X'X; its diagonal holds the reciprocals."""
    p, P = a.shape[0] - 1, gram.shape[2]
    weight = np.empty(LANES)
    for i in range(P):
        for j in range(i + 1):
            entry = A[i, j]
            for w in range(LANES):
                entry[w] = gram[0, 0, i, j]
    for k in range(p + 1):
        for m in range(max(k, 1), p + 1):
            for w in range(LANES):
                weight[w] = a[k, w] * a[m, w]
            for i in range(P):
                for j in range(i + 1):
                    c, entry = gram[k, m, i, j], A[i, j]
                    for w in range(LANES):
                        entry[w] += c * weight[w]
    for j in range(P):
        for i in range(j, P):
            subtract_dot(A[i, j], A[i], A[j], j)
        diagonal = A[j, j]
        for w in range(LANES):
            diagonal[w] = 1.0 / np.sqrt(diagonal[w])
        for i in range(j + 1, P):
            entry = A[i, j]
            for w in range(LANES):
                entry[w] *= diagonal[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def subtract_dot(total, x, y, n):  # type: ignore[no-untyped-def]
    """Subtract ``Σ_k x_k y_k``; four terms a sweep, so that the sum is loaded and stored less."""
    k = 0
    while k + 4 <= n:
        for w in range(LANES):
            total[w] -= (x[k, w] * y[k, w] + x[k + 1, w] * y[k + 1, w]) + (
                x[k + 2, w] * y[k + 2, w] + x[k + 3, w] * y[k + 3, w]
            )
        k += 4
    while k < n:
        for w in range(LANES):
            total[w] -= x[k, w] * y[k, w]
        k += 1


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def forward(A, z):  # type: ignore[no-untyped-def]
    """Overwrite z with ``L⁻¹ z``."""
    for i in range(z.shape[0]):
        subtract_dot(z[i], A[i], z, i)
        zi, d = z[i], A[i, i]
        for w in range(LANES):
            zi[w] *= d[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def backward(A, z):  # type: ignore[no-untyped-def]
    """Overwrite z with ``L⁻ᵀ z``."""
    for i in range(z.shape[0] - 1, -1, -1):
        zi, d = z[i], A[i, i]
        for w in range(LANES):
            zi[w] *= d[w]
        for j in range(i):
            zj, c = z[j], A[i, j]
            for w in range(LANES):
                zj[w] -= c[w] * zi[w]


@njit(cache=True, nogil=True, error_model="numpy")
def toeplitz_solve(gamma, w, rho):  # type: ignore[no-untyped-def]
    """Solve the Yule-Walker equations of one lane by elimination with row exchanges."""
    p = rho.shape[0]
    M = np.empty((p, p + 1))
    for i in range(p):
        for j in range(p):
            M[i, j] = gamma[abs(i - j), w]
        M[i, p] = gamma[i + 1, w]
    for j in range(p):
        pivot = j
        for i in range(j + 1, p):
            if abs(M[i, j]) > abs(M[pivot, j]):
                pivot = i
        for c in range(p + 1):
            M[j, c], M[pivot, c] = M[pivot, c], M[j, c]
        for i in range(j + 1, p):
            ratio = M[i, j] / M[j, j]
            for c in range(j, p + 1):
                M[i, c] -= ratio * M[j, c]
    for i in range(p - 1, -1, -1):
        value = M[i, p]
        for j in range(i + 1, p):
            value -= M[i, j] * rho[j, w]
        rho[i, w] = value / M[i, i]


@njit(cache=True, nogil=True, error_model="numpy")
def cut_off(rho, bins, active):  # type: ignore[no-untyped-def]
    """Truncate new ρ towards 0 to multiples of ``1 / bins``; 0 bins leave it as it is."""
    if bins:
        for j in range(rho.shape[0]):
            for w in range(LANES):
                if active[w]:
                    rho[j, w] = np.trunc(rho[j, w] * bins) / bins

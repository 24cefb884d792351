"""AR(1) without factoring a matrix.

The sum over a zero-padded series of whitened rows is ``(1 + ρ²) I - ρ T`` with T the lag-one
cross-product of the orthonormal basis. In the eigenbasis of T that is diagonal, and the whitened
X'X is it less one rank-one term for each end of each run of scans (Woodbury's identity): O(P) work
a voxel instead of O(P³).

Axes: P columns, E edge rows, W lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.lanes import FAST, LANES, factor

CANCELLED = 10.0  # reciprocal pivot: beyond it more than two digits would be lost


@njit(cache=True, nogil=True)
def workspace(P, E):  # type: ignore[no-untyped-def]
    """Allocate for either way: the full matrix, and D⁻¹, D⁻¹U and the small matrix."""
    return (
        np.empty((P, P, LANES)),
        np.empty((P, LANES)),
        np.empty((E, P, LANES)),
        np.empty((E, E, LANES)),
    )


@njit(cache=True, nogil=True)
def factor_either(gram, eigen, edges, edge_rows, a, A, inverse, spread, small):  # type: ignore[no-untyped-def]
    """Factor the whitened X'X in closed form where that is exact; tell whether it was."""
    if eigen.size and factor_one(eigen, edges, edge_rows, a, inverse, spread, small):
        return True
    factor(gram, a, A)
    return False


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def factor_one(eigen, edges, edge_rows, a, inverse, spread, small):  # type: ignore[no-untyped-def]
    """Write the inverse diagonal, the spread edge rows, and the factor of the small matrix.

    ``inverse`` (P, W) is D⁻¹; ``spread`` (E, P, W) is D⁻¹u_e for each edge row u_e; ``small``
    (E, E, W) is the Cholesky factor of ``I - U'D⁻¹U``, reciprocals on its diagonal. Returns
    whether the digits suffice in all lanes: near a unit root the rank-one terms all but cancel
    the diagonal, and the general factor keeps more.
    """
    P, E = eigen.size, edges.shape[0]
    for i in range(P):
        for w in range(LANES):
            inverse[i, w] = 1.0 / (1.0 + a[1, w] * a[1, w] + eigen[i] * a[1, w])
    for row in range(E):
        lag, scan = _entry(edges, row)
        for i in range(P):
            q = edge_rows[scan, i]
            for w in range(LANES):
                spread[row, i, w] = q * a[lag, w] * inverse[i, w]
    for row in range(E):
        lag, scan = _entry(edges, row)
        for col in range(row + 1):
            entry = small[row, col]
            for w in range(LANES):
                entry[w] = 0.0
            for i in range(P):
                q, along = edge_rows[scan, i], spread[col, i]
                for w in range(LANES):
                    entry[w] -= q * along[w]
            for w in range(LANES):
                entry[w] *= a[lag, w]
            if row == col:
                for w in range(LANES):
                    entry[w] += 1.0
    _cholesky(small)
    worst = 0.0
    for row in range(E):
        for w in range(LANES):
            worst = max(worst, small[row, row, w])
    return worst < CANCELLED


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def solve_one(inverse, spread, small, z, scratch):  # type: ignore[no-untyped-def]
    """Overwrite z with the solution of the whitened normal equations."""
    P, E = inverse.shape[0], spread.shape[0]
    for row in range(E):
        total = scratch[row]
        for w in range(LANES):
            total[w] = 0.0
        for i in range(P):
            along, zi = spread[row, i], z[i]
            for w in range(LANES):
                total[w] += along[w] * zi[w]
    _solve_small(small, scratch)
    for i in range(P):
        zi, d = z[i], inverse[i]
        for w in range(LANES):
            zi[w] *= d[w]
    for row in range(E):
        total = scratch[row]
        for i in range(P):
            along, zi = spread[row, i], z[i]
            for w in range(LANES):
                zi[w] += along[w] * total[w]


@njit(cache=True, nogil=True)
def _entry(edges, row):  # type: ignore[no-untyped-def]
    """Return lag and scan of an AR(1) edge row, which is a single scan."""
    lag = 0 if edges[row, 0] >= 0 else 1
    return lag, edges[row, lag]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _cholesky(A):  # type: ignore[no-untyped-def]
    for j in range(A.shape[0]):
        for i in range(j, A.shape[0]):
            for k in range(j):
                for w in range(LANES):
                    A[i, j, w] -= A[i, k, w] * A[j, k, w]
        for w in range(LANES):
            A[j, j, w] = 1.0 / np.sqrt(A[j, j, w])
        for i in range(j + 1, A.shape[0]):
            for w in range(LANES):
                A[i, j, w] *= A[j, j, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _solve_small(A, z):  # type: ignore[no-untyped-def]
    E = A.shape[0]
    for i in range(E):
        for k in range(i):
            for w in range(LANES):
                z[i, w] -= A[i, k, w] * z[k, w]
        for w in range(LANES):
            z[i, w] *= A[i, i, w]
    for i in range(E - 1, -1, -1):
        for k in range(i + 1, E):
            for w in range(LANES):
                z[i, w] -= A[k, i, w] * z[k, w]
        for w in range(LANES):
            z[i, w] *= A[i, i, w]

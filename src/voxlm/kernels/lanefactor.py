"""Cholesky's factor and inverse of small matrices that differ from lane to lane.

Axes: P columns, W lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.lanes import FAST, LANES, forward, subtract_dot


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def cholesky(A):  # type: ignore[no-untyped-def]
    """Overwrite the lower triangles ``(P, P, W)`` by their factors, reciprocals on the diagonal."""
    P = A.shape[0]
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
def invert(L, unit, out):  # type: ignore[no-untyped-def]
    """Write the inverse of the factored matrix; ``unit`` ``(P, P, W)`` is scratch."""
    P = L.shape[0]
    for q in range(P):
        for i in range(P):
            for w in range(LANES):
                unit[q, i, w] = 1.0 if i == q else 0.0
        forward(L, unit[q])
    for q in range(P):
        for r in range(q + 1):
            for w in range(LANES):
                out[q, r, w] = 0.0
            for i in range(q, P):
                for w in range(LANES):
                    out[q, r, w] += unit[q, i, w] * unit[r, i, w]
            for w in range(LANES):
                out[r, q, w] = out[q, r, w]

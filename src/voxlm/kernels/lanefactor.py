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


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def envelope_cholesky(A, first, start):  # type: ignore[no-untyped-def]
    """Overwrite the lower triangles' envelopes by their factors, reciprocals on the diagonal.

    The columns before ``start`` are factored already.
    """
    S = first.size
    for j in range(start, S):
        for i in range(j, S):
            if first[i] <= j:
                total, x, y = A[i, j], A[i], A[j]
                k = max(first[i], first[j])
                while k + 2 <= j:
                    for w in range(LANES):
                        total[w] -= x[k, w] * y[k, w] + x[k + 1, w] * y[k + 1, w]
                    k += 2
                if k < j:
                    for w in range(LANES):
                        total[w] -= x[k, w] * y[k, w]
        diagonal = A[j, j]
        for w in range(LANES):
            diagonal[w] = 1.0 / np.sqrt(diagonal[w])
        for i in range(j + 1, S):
            if first[i] <= j:
                entry = A[i, j]
                for w in range(LANES):
                    entry[w] *= diagonal[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def envelope_forward(A, first, z, start):  # type: ignore[no-untyped-def]
    """Overwrite z with ``L⁻¹ z``, from row ``start``: those before it are done."""
    for i in range(start, first.size):
        zi, d = z[i], A[i, i]
        for k in range(first[i], i):
            for w in range(LANES):
                zi[w] -= A[i, k, w] * z[k, w]
        for w in range(LANES):
            zi[w] *= d[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def envelope_backward(A, first, z):  # type: ignore[no-untyped-def]
    """Overwrite z with ``L⁻ᵀ z``."""
    for i in range(first.size - 1, -1, -1):
        zi, d = z[i], A[i, i]
        for w in range(LANES):
            zi[w] *= d[w]
        for j in range(first[i], i):
            zj, c = z[j], A[i, j]
            for w in range(LANES):
                zj[w] -= c[w] * zi[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def inverse_forms(L, T, rows, out):  # type: ignore[no-untyped-def]
    """Write the products of whitened rows over the columns from T on, or of each with itself."""
    Q, P = rows.shape
    joint, z = out.shape[0] == Q * Q, np.empty((Q, P, LANES))
    for a in range(Q):
        for i in range(P):
            zi = z[a, i]
            for w in range(LANES):
                zi[w] = rows[a, i]
            for k in range(i):
                for w in range(LANES):
                    zi[w] -= L[T + i, T + k, w] * z[a, k, w]
            for w in range(LANES):
                zi[w] *= L[T + i, T + i, w]
        for b in range(0 if joint else a, a + 1):
            total = out[a * Q + b if joint else a]
            for w in range(LANES):
                total[w] = 0.0
            for i in range(P):
                for w in range(LANES):
                    total[w] += z[a, i, w] * z[b, i, w]
            if joint:
                for w in range(LANES):
                    out[b * Q + a, w] = total[w]

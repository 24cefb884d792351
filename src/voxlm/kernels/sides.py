"""Several series a voxel: its data, and the columns of its own that are to be taken off them.

Axes: P shared columns, p order, U scans near an edge, W lanes (voxels worked side by side).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.lanes import FAST, LANES


@njit(cache=True, nogil=True, error_model="numpy")
def allocate(sides, P, p, U):  # type: ignore[no-untyped-def]
    """Allocate each side's start, H, s, g, e, whitened products and step."""
    return (
        np.empty((sides, P, LANES)),
        np.empty((sides, p * P, LANES)),
        np.empty((sides, p + 1, LANES)),
        np.empty((sides, p + 1, LANES)),
        np.empty((sides, U, LANES)),
        np.empty((sides, P, LANES)),
        np.empty((sides, P, LANES)),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def mixture(sides, K):  # type: ignore[no-untyped-def]
    """Return room for the data less its own columns; without any, that is the data's side."""
    start, H, s, g, _, z, step = sides
    if K:
        start, H, s, g, _, z, step = allocate(1, start.shape[1], s.shape[1] - 1, 0)
    return start[0], H[0], s[0], g[0], step[0], z[0]


@njit(cache=True, nogil=True, error_model="numpy")
def mix_sides(sides, shared, left, weight, mixed):  # type: ignore[no-untyped-def]
    """Weigh the own columns and take them off the data, in all that is known of them."""
    K = weight.shape[0] - 1
    if K == 0:
        return
    eliminate(left, weight)
    mix(sides[0], weight, mixed[0])
    mix(sides[1], weight, mixed[1])
    mix(sides[2], weight, mixed[2])
    mix(sides[6], weight, mixed[4])
    mix_autos(sides[3], shared, weight, mixed[3])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def eliminate(left, weight):  # type: ignore[no-untyped-def]
    """Solve for the own coefficients, ``weight[1:]``; the residual sum of squares is left[0, 0].

    ``weight[0]`` is -1, so that a mixture is a sum over all sides.
    """
    M, n = left.copy(), left.shape[0]
    for k in range(1, n):
        for i in range(n):
            if 0 < i <= k:
                continue
            for j in range(n):
                if j == 0 or j > k:
                    for w in range(LANES):
                        M[i, j, w] -= M[i, k, w] / M[k, k, w] * M[k, j, w]
    weight[0] = -1.0
    for k in range(n - 1, 0, -1):
        total = M[k, 0].copy()
        for j in range(k + 1, n):
            for w in range(LANES):
                total[w] -= M[k, j, w] * weight[j, w]
        for w in range(LANES):
            weight[k, w] = total[w] / M[k, k, w]
    left[0, 0] = M[0, 0]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def mix(parts, weight, out):  # type: ignore[no-untyped-def]
    """Write the data's part less the weighted parts of its own columns."""
    for r in range(out.shape[0]):
        for w in range(LANES):
            out[r, w] = parts[0, r, w]
        for k in range(1, parts.shape[0]):
            for w in range(LANES):
                out[r, w] -= weight[k, w] * parts[k, r, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def mix_autos(autos, shared, weight, out):  # type: ignore[no-untyped-def]
    """Write the lagged products of the mixture from those of all sides."""
    n = autos.shape[0]
    for r in range(out.shape[0]):
        twice = 2.0 if r == 0 else 1.0
        out[r] = 0.0
        pair = 0
        for i in range(n):
            for w in range(LANES):
                out[r, w] += weight[i, w] * weight[i, w] * autos[i, r, w]
            for j in range(i + 1, n):
                for w in range(LANES):
                    out[r, w] += twice * weight[i, w] * weight[j, w] * shared[pair, r, w]
                pair += 1


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def whitened_product(edges, both, e, f, a, product):  # type: ignore[no-untyped-def]
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
def less_explained(step, z, left):  # type: ignore[no-untyped-def]
    """Take what a step explains off a product of what is left."""
    for i in range(step.shape[0]):
        si, zi = step[i], z[i]
        for w in range(LANES):
            left[w] -= si[w] * zi[w]

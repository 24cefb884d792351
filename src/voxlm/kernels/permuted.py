"""From products of permuted designs with data to statistics, their maxima and their counts.

One matrix product gives, for K permutations at V voxels, the coordinates of the permuted residuals
in the design: Q tested ones (A), then nuisance ones (B). Residuals have length 1, so the share of
variance explained is ``A'A / (1 - B'B)``, whatever the permutation.

Axes: K permutations, R rows a permutation, V voxels, G variance groups.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.enhance import STEPS as STEPS
from voxlm.kernels.enhance import enhance, largest_clusters
from voxlm.kernels.maxtree import grow

FAST = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def shares(products, Q, out):  # type: ignore[no-untyped-def]
    """Write the share of variance explained; for Q = 1 with the sign of the effect.

    ``products`` is ``(K, R, V)``, ``out`` is ``(K, V)``.
    """
    K, R, V = products.shape
    one = products.dtype.type(1.0)
    for k in range(K):
        row = out[k]
        if Q == 1:
            first = products[k, 0]
            for v in range(V):
                row[v] = abs(first[v]) * first[v]
        else:
            row[:] = 0.0
            for q in range(Q):
                now = products[k, q]
                for v in range(V):
                    row[v] += now[v] * now[v]
        if R > Q:
            left = np.empty(V, products.dtype)
            left[:] = one
            for r in range(Q, R):
                now = products[k, r]
                for v in range(V):
                    left[v] -= now[v] * now[v]
            for v in range(V):
                row[v] /= left[v]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def to_statistics(share, Q, df):  # type: ignore[no-untyped-def]
    """Turn shares into t (Q = 1) or F, in place, shape ``(K, V)``."""
    K, V = share.shape
    one = share.dtype.type(1.0)
    factor = share.dtype.type(df if Q == 1 else df / Q)
    for k in range(K):
        row = share[k]
        for v in range(V):
            # Rounding may carry a perfect fit past 1.
            size = min(abs(row[v]), one)
            ratio = factor * size / (one - size)
            row[v] = np.copysign(np.sqrt(ratio), row[v]) if Q == 1 else ratio


@njit(cache=True, nogil=True)
def welch(products, squares, gram, trace, Q, out):  # type: ignore[no-untyped-def]
    """Write Aspin-Welch v (Q = 1) or the G of Winkler et al. (2014) for groups of unequal variance.

    Parameters
    ----------
    products : (K, G, R, V)
        Coordinates of the permuted residuals, group by group.
    squares : (K, G, V)
        Sums of squares of the permuted residuals in each group.
    gram : (G, R, R)
        Products of the design's orthonormal columns within each group.
    trace : (G,)
        Residual degrees of freedom of each group: the trace of its part of ``I - QQ'``.
    Q : int
        Tested rows, the first ones.
    out : (K, V)
    """
    K, G, R, V = products.shape
    a, weight = np.empty(R), np.empty(G)
    A = np.empty((R, R))
    b = np.empty(R)
    for k in range(K):
        for v in range(V):
            a[:] = 0.0
            for g in range(G):
                for r in range(R):
                    a[r] += products[k, g, r, v]
            for g in range(G):
                left = np.float64(squares[k, g, v])
                for r in range(R):
                    inner = 0.0
                    for s in range(R):
                        inner += gram[g, r, s] * a[s]
                    left += a[r] * (inner - 2.0 * products[k, g, r, v])
                weight[g] = trace[g] / left if left > 0.0 else np.inf
            out[k, v] = _weighted(a, b, weight, gram, trace, A, Q)


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted(a, b, weight, gram, trace, A, Q):  # type: ignore[no-untyped-def]
    """Test the first Q coordinates with each group weighted by its own variance."""
    G, R = gram.shape[0], gram.shape[1]
    # Nuisance first: what is left of the factor is then that of the tested part alone.
    for i in range(R):
        for j in range(i + 1):
            p, q = R - 1 - i, R - 1 - j
            total = 0.0
            for g in range(G):
                total += weight[g] * gram[g, p, q]
            for m in range(j):
                total -= A[i, m] * A[j, m]
            A[i, j] = np.sqrt(total) if i == j else total / A[j, j]
    # (L_tt' a_t)'(L_tt' a_t), with tested coordinates in the factor's order.
    size, last = 0.0, 0.0
    for j in range(R - Q, R):
        last = 0.0
        for i in range(j, R):
            last += A[i, j] * a[R - 1 - i]
        size += last * last
    if Q == 1:
        return last
    total, spread = 0.0, 0.0
    for g in range(G):
        diagonal = 0.0
        for r in range(R):
            diagonal += gram[g, r, r]
        # Observations of the group: its residual and its design part of the identity's trace.
        b[0] = weight[g] * (trace[g] + diagonal)
        total += b[0]
    for g in range(G):
        diagonal = 0.0
        for r in range(R):
            diagonal += gram[g, r, r]
        share = weight[g] * (trace[g] + diagonal) / total
        spread += (1.0 - share) ** 2 / trace[g]
    return size / (Q * (1.0 + 2.0 * (Q - 1) / (Q * (Q + 2.0)) * spread))


@njit(cache=True, nogil=True)
def count_down(share, observed, two_sided, slack, running, below, alone):  # type: ignore[no-untyped-def]
    """Count, voxel by voxel, permutations that reach the observed share.

    Voxels come in order of the observed share, the least first. ``below`` counts where the largest
    so far does (step-down), ``alone`` where the voxel itself does; ``running`` ``(K,)`` carries the
    largest from one stretch of voxels to the next.
    """
    K, V = share.shape
    for k in range(K):
        largest = running[k]
        for v in range(V):
            now = abs(share[k, v]) if two_sided else share[k, v]
            limit = observed[v] - slack
            largest = max(largest, now)
            if largest >= limit:
                below[v] += 1
            if now >= limit:
                alone[v] += 1
        running[k] = largest


@njit(cache=True, nogil=True)
def tree_maxima(  # type: ignore[no-untyped-def]
    maps, bits, starts, neighbours, weights, two_sided, power, thresholds, room, out
):
    """Write the largest enhancement, extents and masses of each map, by sign.

    Parameters
    ----------
    maps : (K, V)
        Statistics.
    bits : (K, V)
        The same, as unsigned integers.
    starts, neighbours, weights
        The graph and the weights of voxels, as for :func:`voxlm.kernels.maxtree.grow`.
    two_sided : bool
    power : (3,)
        E, H and steps (0: exact); E < 0 for no enhancement.
    thresholds : (J,)
        Cluster-forming.
    room : Room
    out : (K, 1 + 2 J, 2)
        Enhancement; extent and mass at the first threshold, at the second, …; positive, negative.
    """
    J = thresholds.size
    floor = 0.0 if power[0] >= 0.0 else thresholds.min()
    clusters = np.empty((J, 2, 2))
    for k in range(maps.shape[0]):
        n, n_positive = grow(maps[k], bits[k], starts, neighbours, weights, floor, two_sided, room)
        if power[0] >= 0.0:
            highest, lowest = enhance(n, n_positive, power[0], power[1], int(power[2]), room)
            out[k, 0, 0], out[k, 0, 1] = highest, lowest
        if J:
            largest_clusters(n, n_positive, thresholds, clusters, room)
            out[k, 1:] = clusters.reshape(2 * J, 2)

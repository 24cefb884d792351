r"""The deviance of several random terms on 64 voxels side by side, each at its own θ.

With ``S_i = I + Λ' Z_i'Z_i Λ = L_i L_i'``, ``E_i = L_i⁻¹ Λ' Z_i'W`` and ``e_i = L_i⁻¹ Λ' Z_i'r``,
the block diagonal part gives ``W'H_g⁻¹W = W'W - Σ E_i'E_i`` and so on; scaling the columns of the
other factors by their θ and adding the identity to their part makes the matrix F whose factor gives
both log determinants, the step from least squares to GLS, and the covariance.

Axes: m groups, q coefficients, S = T + P columns of W, D parameters, W lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.lanefactor import cholesky
from voxlm.kernels.lanes import FAST, LANES, forward


@njit(cache=True, nogil=True)
def scratch(q, S):  # type: ignore[no-untyped-def]
    """Allocate what one evaluation works in."""
    cube = np.empty((q, q, LANES))
    return (
        cube,
        np.empty((q, q, LANES)),
        np.empty((q, S + 1, LANES)),
        np.empty((S, S, LANES)),
        (np.empty((S, LANES))),
    )


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def evaluate(design, inner, outer, rss, theta, space, q_out, random, fixed):  # type: ignore[no-untyped-def]
    """Write Q, log|H| and log|X'H⁻¹X| less log|X'X|; leaves F's factor and ``L⁻¹ f`` in scratch."""
    gram, meets, columns, n_columns, whole, places, other_theta = design
    small, root, E, F, f = space
    m, q = gram.shape[0], gram.shape[1]
    S, T = whole.shape[0], other_theta.size
    for w in range(LANES):
        q_out[w] = rss[w]
        random[w] = 0.0
        fixed[w] = 0.0
    for i in range(S):
        for w in range(LANES):
            f[i, w] = outer[i, w] if i < T else 0.0
        for j in range(i + 1):
            c = whole[i, j]
            for w in range(LANES):
                F[i, j, w] = c
    _lambda(places, theta, root)
    for g in range(m):
        _group_factor(gram[g], root, small, random)
        n = n_columns[g]
        _half(root, small, meets[g], columns[g], n, inner, g * q, E)
        for a in range(q):
            e = E[a, n]
            for w in range(LANES):
                q_out[w] -= e[w] * e[w]
            for i in range(n):
                ci, Ei = columns[g, i], E[a, i]
                for w in range(LANES):
                    f[ci, w] -= Ei[w] * e[w]
                for j in range(i + 1):
                    Ej, entry = E[a, j], F[ci, columns[g, j]]
                    for w in range(LANES):
                        entry[w] -= Ei[w] * Ej[w]
    _scale_others(other_theta, theta, F, f)
    cholesky(F)
    forward(F, f)
    for i in range(S):
        into = random if i < T else fixed
        for w in range(LANES):
            q_out[w] -= f[i, w] * f[i, w]
            into[w] -= 2.0 * np.log(F[i, i, w])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _lambda(places, theta, root):  # type: ignore[no-untyped-def]
    for a in range(places.shape[0]):
        for b in range(places.shape[0]):
            for w in range(LANES):
                root[a, b, w] = theta[places[a, b], w] if places[a, b] >= 0 else 0.0


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _group_factor(A, root, small, random):  # type: ignore[no-untyped-def]
    """Factor ``I + Λ' A Λ`` and add its log determinant."""
    q = A.shape[0]
    for a in range(q):
        for b in range(a + 1):
            for w in range(LANES):
                small[a, b, w] = 1.0 if a == b else 0.0
            for c in range(a, q):
                for d in range(b, q):
                    for w in range(LANES):
                        small[a, b, w] += root[c, a, w] * A[c, d] * root[d, b, w]
    cholesky(small)
    for a in range(q):
        for w in range(LANES):
            random[w] -= 2.0 * np.log(small[a, a, w])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _half(root, small, B, columns, n, inner, first, E):  # type: ignore[no-untyped-def]
    """Write ``L⁻¹ Λ' [B, c]`` for the columns that the group meets."""
    q = B.shape[0]
    for i in range(n + 1):
        for a in range(q):
            into = E[a, i]
            for w in range(LANES):
                into[w] = 0.0
            for c in range(a, q):
                if i < n:
                    b = B[c, columns[i]]
                    for w in range(LANES):
                        into[w] += root[c, a, w] * b
                else:
                    for w in range(LANES):
                        into[w] += root[c, a, w] * inner[first + c, w]
            for b2 in range(a):
                for w in range(LANES):
                    into[w] -= small[a, b2, w] * E[b2, i, w]
            for w in range(LANES):
                into[w] *= small[a, a, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _scale_others(other_theta, theta, F, f):  # type: ignore[no-untyped-def]
    """Scale the other factors' rows and columns by their θ; add the identity to their part."""
    T, S = other_theta.size, f.shape[0]
    for t in range(T):
        scale = theta[other_theta[t]]
        for w in range(LANES):
            f[t, w] *= scale[w]
        for j in range(t + 1):
            for w in range(LANES):
                F[t, j, w] *= scale[w]
        for i in range(t, S):
            for w in range(LANES):
                F[i, t, w] *= scale[w]
        for w in range(LANES):
            F[t, t, w] += 1.0

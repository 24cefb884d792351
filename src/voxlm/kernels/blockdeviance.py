r"""The deviance of several random terms on 64 voxels side by side, each at its own θ.

A group of kind k has ``M_k = Λ (I + Λ' Z_i'Z_i Λ)⁻¹ Λ'``, and ``W'H_g⁻¹W = W'W - Σ meets M meets'``
is linear in these: one product of a matrix that the design alone knows with the M of all kinds.
Multiplying the columns of the other terms by their Λ and adding the identity to their part makes
the matrix F whose factor gives both log determinants, the step from least squares to GLS, and the
covariance.

Axes: m groups, K kinds, q coefficients, S = T + P columns of W, E entries of F, D parameters, W
lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.lanefactor import cholesky
from voxlm.kernels.lanes import FAST, LANES

TOGETHER = 8  # determinants multiplied before a logarithm is taken


@njit(cache=True, nogil=True)
def scratch(design):  # type: ignore[no-untyped-def]
    """Allocate what one evaluation works in: Λ, a group's factor, M, M c, entries, F, f."""
    kinds, S = design[0], design[8].size
    K, q = kinds.shape[0], kinds.shape[1]
    return (
        np.zeros((q, q, LANES)),
        np.zeros((q, q, LANES)),
        np.zeros((K * (q * (q + 1) // 2), LANES)),
        np.zeros((design[3].shape[1], LANES)),
        np.zeros((design[6].size, LANES)),
        np.zeros((S, S, LANES)),
        np.zeros((S, LANES)),
    )


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def evaluate(design, inner, outer, rss, theta, space, q_out, random, fixed):  # type: ignore[no-untyped-def]
    """Write Q, log|H| and log|X'H⁻¹X| less log|X'X|; leaves F's factor and ``L⁻¹ f`` in scratch."""
    kinds, kind_of, members, meets, rows, columns, base, pull, first, places, links = design
    root, small, stack, y, entries, F, f = space
    S, T = first.size, links.shape[0]
    for w in range(LANES):
        random[w] = 0.0
        fixed[w] = 0.0
        q_out[w] = rss[w]
    if kinds.shape[1] == 1:
        _one(kinds, members, theta[places[0, 0]], stack, random)
    elif kinds.shape[1] == 2:
        _two(kinds, members, places, theta, stack, random)
    else:
        _many(kinds, members, places, theta, root, small, stack, random)
    _weigh(kind_of, kinds.shape[1], stack, inner, y, q_out)
    np.dot(meets, y, f)
    np.dot(pull, stack, entries)
    for i in range(S):
        for w in range(LANES):
            f[i, w] = (outer[i, w] if i < T else 0.0) - f[i, w]
        for j in range(first[i], i):
            for w in range(LANES):
                F[i, j, w] = 0.0
    for e in range(rows.size):
        into, c = F[rows[e], columns[e]], base[e]
        for w in range(LANES):
            into[w] = c - entries[e, w]
    _mix(links, theta, first, F, f)
    envelope_cholesky(F, first)
    envelope_forward(F, first, f)
    for i in range(S):
        for w in range(LANES):
            q_out[w] -= f[i, w] * f[i, w]
    _log_diagonal(F, 0, T, random)
    _log_diagonal(F, T, S, fixed)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _take_logs(det, held, times, into):  # type: ignore[no-untyped-def]
    """Multiply a determinant in, and take the logarithm now and then."""
    if times != 1.0:
        for w in range(LANES):
            into[w] += times * np.log(det[w])
        return
    for w in range(LANES):
        held[w] *= det[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _flush(held, into):  # type: ignore[no-untyped-def]
    for w in range(LANES):
        into[w] += np.log(held[w])
        held[w] = 1.0


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _one(kinds, members, theta, stack, random):  # type: ignore[no-untyped-def]
    """Write M and add log determinants, one coefficient a group."""
    det, held = np.empty(LANES), np.ones(LANES)
    for k in range(kinds.shape[0]):
        a = kinds[k, 0, 0]
        for w in range(LANES):
            d = theta[w] * theta[w]
            det[w] = 1.0 + d * a
            stack[k, w] = d / det[w]
        _take_logs(det, held, members[k], random)
        if k % TOGETHER == TOGETHER - 1:
            _flush(held, random)
    _flush(held, random)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _two(kinds, members, places, theta, stack, random):  # type: ignore[no-untyped-def]
    """Write M and add log determinants, two coefficients a group: no matrix is factored."""
    det, held = np.empty(LANES), np.ones(LANES)
    d0, d1, d2, dd = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for w in range(LANES):
        l0, l2 = theta[places[0, 0], w], theta[places[1, 1], w]
        l1 = theta[places[1, 0], w] if places[1, 0] >= 0 else 0.0
        d0[w] = l0 * l0
        d1[w] = l0 * l1
        d2[w] = l1 * l1 + l2 * l2
        dd[w] = (l0 * l2) * (l0 * l2)
    for k in range(kinds.shape[0]):
        a0, a1, a2 = kinds[k, 0, 0], kinds[k, 1, 0], kinds[k, 1, 1]
        aa = a0 * a2 - a1 * a1
        s0, s1, s2 = stack[3 * k], stack[3 * k + 1], stack[3 * k + 2]
        for w in range(LANES):
            det[w] = 1.0 + (d0[w] * a0 + 2.0 * d1[w] * a1 + d2[w] * a2) + dd[w] * aa
            inverse = 1.0 / det[w]
            s0[w] = (d0[w] + dd[w] * a2) * inverse
            s1[w] = (d1[w] - dd[w] * a1) * inverse
            s2[w] = (d2[w] + dd[w] * a0) * inverse
        _take_logs(det, held, members[k], random)
        if k % TOGETHER == TOGETHER - 1:
            _flush(held, random)
    _flush(held, random)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _many(kinds, members, places, theta, root, small, stack, random):  # type: ignore[no-untyped-def]
    """Write M and add log determinants by factoring ``I + Λ' A Λ`` of every kind."""
    q = kinds.shape[1]
    half = q * (q + 1) // 2
    E = np.empty((q, q, LANES))
    for a in range(q):
        for b in range(q):
            for w in range(LANES):
                root[a, b, w] = theta[places[a, b], w] if places[a, b] >= 0 else 0.0
    for k in range(kinds.shape[0]):
        A = kinds[k]
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
                random[w] -= 2.0 * members[k] * np.log(small[a, a, w])
        _solve_root(root, small, E)
        at = k * half
        for a in range(q):
            for b in range(a + 1):
                for w in range(LANES):
                    stack[at, w] = 0.0
                for c in range(q):
                    for w in range(LANES):
                        stack[at, w] += E[c, a, w] * E[c, b, w]
                at += 1


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _solve_root(root, small, E):  # type: ignore[no-untyped-def]
    """Write ``L⁻¹ Λ'``."""
    q = root.shape[0]
    for i in range(q):
        for a in range(q):
            for w in range(LANES):
                E[a, i, w] = root[i, a, w]
            for b in range(a):
                for w in range(LANES):
                    E[a, i, w] -= small[a, b, w] * E[b, i, w]
            for w in range(LANES):
                E[a, i, w] *= small[a, a, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _weigh(kind_of, q, stack, inner, y, q_out):  # type: ignore[no-untyped-def]
    """Write ``y = M c`` and take ``c'M c`` off Q."""
    half = q * (q + 1) // 2
    for i in range(kind_of.size):
        at, first = kind_of[i] * half, i * q
        if q == 2:
            y0, y1, c0, c1 = y[first], y[first + 1], inner[first], inner[first + 1]
            s0, s1, s2 = stack[at], stack[at + 1], stack[at + 2]
            for w in range(LANES):
                y0[w] = s0[w] * c0[w] + s1[w] * c1[w]
                y1[w] = s1[w] * c0[w] + s2[w] * c1[w]
                q_out[w] -= y0[w] * c0[w] + y1[w] * c1[w]
            continue
        for a in range(q):
            ya, ca = y[first + a], inner[first + a]
            for w in range(LANES):
                ya[w] = 0.0
            for b in range(q):
                high, low = max(a, b), min(a, b)
                s, cb = stack[at + high * (high + 1) // 2 + low], inner[first + b]
                for w in range(LANES):
                    ya[w] += s[w] * cb[w]
            for w in range(LANES):
                q_out[w] -= ya[w] * ca[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _mix(links, theta, first, F, f):  # type: ignore[no-untyped-def]
    """Multiply the other terms' rows and columns by their Λ; add the identity to their part."""
    T, S, width = links.shape[0], first.size, links.shape[1]
    if width > 1:
        for t in range(T):
            for j in range(first[t], t):
                for w in range(LANES):
                    F[j, t, w] = F[t, j, w]
    for t in range(T):
        own = theta[links[t, 0]]
        for i in range(t, S):
            if first[i] > t:
                continue
            entry = F[i, t]
            for w in range(LANES):
                entry[w] *= own[w]
            for o in range(1, width):
                if links[t, o] >= 0:
                    more, add = theta[links[t, o]], F[i, t + o]
                    for w in range(LANES):
                        entry[w] += more[w] * add[w]
    for t in range(T):
        own = theta[links[t, 0]]
        for w in range(LANES):
            f[t, w] *= own[w]
        for j in range(first[t], t + 1):
            for w in range(LANES):
                F[t, j, w] *= own[w]
        for o in range(1, width):
            if links[t, o] >= 0:
                more = theta[links[t, o]]
                for w in range(LANES):
                    f[t, w] += more[w] * f[t + o, w]
                for j in range(first[t], t + 1):
                    for w in range(LANES):
                        F[t, j, w] += more[w] * F[t + o, j, w]
        for w in range(LANES):
            F[t, t, w] += 1.0


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def envelope_cholesky(A, first):  # type: ignore[no-untyped-def]
    """Overwrite the lower triangles' envelopes by their factors, reciprocals on the diagonal."""
    S = first.size
    for j in range(S):
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
def envelope_forward(A, first, z):  # type: ignore[no-untyped-def]
    """Overwrite z with ``L⁻¹ z``."""
    for i in range(first.size):
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
            for w in range(LANES):
                z[j, w] -= A[i, j, w] * zi[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _log_diagonal(F, start, stop, into):  # type: ignore[no-untyped-def]
    """Add the log determinant of the factored rows from ``start`` to ``stop``."""
    held = np.ones(LANES)
    for i in range(start, stop):
        for w in range(LANES):
            held[w] *= F[i, i, w]
        if (i - start) % TOGETHER == TOGETHER - 1 or i == stop - 1:
            for w in range(LANES):
                into[w] -= 2.0 * np.log(held[w])
                held[w] = 1.0

"""What one kind of group after another adds to a deviance, on lanes of voxels side by side.

A group of kind k has ``M_k = Λ (I + Λ' A_k Λ)⁻¹ Λ'`` with ``A_k = Z_i'Z_i``; -M is what is kept.
One and two coefficients a group have closed forms; more are factored.

Axes: m groups, K kinds, q coefficients, S = T + P columns, W lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.lanefactor import cholesky
from voxlm.kernels.lanes import FAST, LANES


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def spread_roots(places, theta, line):  # type: ignore[no-untyped-def]
    """Write what all groups share of Λ, one or two coefficients a group."""
    if places.shape[0] == 1:
        l0 = theta[places[0, 0]]
        for w in range(LANES):
            line[2, w] = l0[w] * l0[w]
    elif places.shape[0] == 2:
        both = places[1, 0] >= 0
        l0, l1, l2 = theta[places[0, 0]], theta[places[1, 0] if both else 0], theta[places[1, 1]]
        for w in range(LANES):
            across = l1[w] if both else 0.0
            line[2, w] = l0[w] * l0[w]
            line[3, w] = l0[w] * across
            line[4, w] = across * across + l2[w] * l2[w]
            line[5, w] = (l0[w] * l2[w]) * (l0[w] * l2[w])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def contract(stack, sums, count, S, f, q_out):  # type: ignore[no-untyped-def]
    """Add ``-Σ_i meets M c`` and ``-c'M c``, from what is added up by kind."""
    at = 0
    for h in range(count):
        weight = stack[h]
        for w in range(LANES):
            q_out[w] += weight[w] * sums[at, w]
        for s in range(S):
            into, x = f[s], sums[at + 1 + s]
            for w in range(LANES):
                into[w] += weight[w] * x[w]
        at += S + 1


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _take_logs(line, times, last, into):  # type: ignore[no-untyped-def]
    """Multiply a determinant in, and take the logarithm now and then."""
    if times != 1.0:
        for w in range(LANES):
            into[w] += times * np.log(line[0, w])
    else:
        for w in range(LANES):
            line[1, w] *= line[0, w]
    if last:
        for w in range(LANES):
            into[w] += np.log(line[1, w])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def one_coefficient(kinds, members, line, stack, random, start, stop):  # type: ignore[no-untyped-def]
    """Write -M and add log determinants, one coefficient a group."""
    for w in range(LANES):
        line[1, w] = 1.0
    for k in range(start, stop):
        a, M = kinds[k, 0, 0], stack[k]
        for w in range(LANES):
            det = 1.0 + line[2, w] * a
            line[0, w] = det
            M[w] = -line[2, w] / det
        _take_logs(line, members[k], k == stop - 1, random)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def two_coefficients(kinds, members, line, stack, random, start, stop):  # type: ignore[no-untyped-def]
    """Write -M and add log determinants, two coefficients a group: no matrix is factored.

    Rows of one slice share a pointer: with more of them the compiler gives up vectors.
    """
    for w in range(LANES):
        line[1, w] = 1.0
    for k in range(start, stop):
        a0, a1, a2 = kinds[k, 0, 0], kinds[k, 1, 0], kinds[k, 1, 1]
        aa, M = a0 * a2 - a1 * a1, stack[3 * k : 3 * k + 3]
        for w in range(LANES):
            d0, d1, d2, dd = line[2, w], line[3, w], line[4, w], line[5, w]
            det = 1.0 + (d0 * a0 + 2.0 * d1 * a1 + d2 * a2) + dd * aa
            line[0, w] = det
            inverse = -1.0 / det
            M[0, w] = (d0 + dd * a2) * inverse
            M[1, w] = (d1 - dd * a1) * inverse
            M[2, w] = (d2 + dd * a0) * inverse
        _take_logs(line, members[k], k == stop - 1, random)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def many_coefficients(kinds, members, places, theta, space, stack, random, start, stop):  # type: ignore[no-untyped-def]
    """Write -M and add log determinants by factoring ``I + Λ' A Λ`` of every kind."""
    q = kinds.shape[1]
    half = q * (q + 1) // 2
    root, small, E = space[0], space[1], space[2]
    for a in range(q):
        for b in range(q):
            for w in range(LANES):
                root[a, b, w] = theta[places[a, b], w] if places[a, b] >= 0 else 0.0
    for k in range(start, stop):
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
                        stack[at, w] -= E[c, a, w] * E[c, b, w]
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
def weigh(kind_of, q, stack, inner, y, q_out):  # type: ignore[no-untyped-def]
    """Write ``y = -M c`` of every group, and add ``c'y``."""
    half = q * (q + 1) // 2
    for i in range(kind_of.size):
        at, first = kind_of[i] * half, i * q
        z, c = y[first : first + q], inner[first : first + q]
        if q == 2:
            s = stack[at : at + 3]
            for w in range(LANES):
                c0, c1 = c[0, w], c[1, w]
                z0 = s[0, w] * c0 + s[1, w] * c1
                z1 = s[1, w] * c0 + s[2, w] * c1
                z[0, w] = z0
                z[1, w] = z1
                q_out[w] += z0 * c0 + z1 * c1
            continue
        for a in range(q):
            za, ca = z[a], c[a]
            for w in range(LANES):
                za[w] = 0.0
            for b in range(q):
                high, low = max(a, b), min(a, b)
                s, cb = stack[at + high * (high + 1) // 2 + low], c[b]
                for w in range(LANES):
                    za[w] += s[w] * cb[w]
            for w in range(LANES):
                q_out[w] += za[w] * ca[w]

r"""The deviance of several random terms on lanes of 64 voxels side by side, each at its own θ.

A group of kind k has ``M_k = Λ (I + Λ' Z_i'Z_i Λ)⁻¹ Λ'``, and ``W'H_g⁻¹W = W'W - Σ meets M meets'``
is linear in these: one product of a matrix that the design alone knows with the M of all kinds.
Multiplying the columns of the other terms by their Λ and adding the identity to their part makes
the matrix F whose factor gives both log determinants, the step from least squares to GLS, and the
covariance. Where groups are of few kinds, what they say of the data is added up by kind before any
θ is tried.

Only this is compiled: steps and searches over θ are plain numpy on whole blocks of lanes, so that a
first fit waits for one function.

Axes: B blocks of lanes, m groups, K kinds, q coefficients, S = T + P columns of W, E entries of F,
D parameters, W lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.lanefactor import cholesky, envelope_cholesky, envelope_forward
from voxlm.kernels.lanes import FAST, LANES
from voxlm.kernels.randomblocks import RandomBlocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOGETHER = 8  # determinants multiplied before a logarithm is taken


@dataclass(frozen=True, slots=True, eq=False)
class LaneSums:
    """Statistics of some voxels, laid out for evaluations.

    Parameters
    ----------
    design : tuple of ndarray
        What the compiled functions read of the design.
    inner, outer, rss : ndarray, shapes (B, m·q or K·q(q+1)/2·(1 + S), W), (B, T, W), (B, W)
        The statistics; the last lanes repeat the first voxel.
    space : tuple of ndarray
        What an evaluation works in.
    N : float
        Rows, less columns for REML.
    reml : bool
        Restricted likelihood, or likelihood.
    """

    design: tuple[Any, ...]
    inner: Floats
    outer: Floats
    rss: Floats
    space: tuple[Floats, ...]
    N: float
    reml: bool

    def parts(self, theta: Floats, chosen: Ints | None = None) -> Floats:
        """Return Q, log|H| and log|X'H⁻¹X| less log|X'X| at θ ``(D, B, W)``, ``(3, B, W)``.

        Blocks that are not chosen are not written.
        """
        B = self.rss.shape[0]
        out = np.ones((B, 3, LANES))
        some = np.arange(B) if chosen is None else chosen
        lanes = np.ascontiguousarray(theta.transpose(1, 0, 2))
        evaluate(self.design, self.inner, self.outer, self.rss, lanes, some, self.space, out)
        return out.transpose(1, 0, 2)

    def deviance(self, theta: Floats, chosen: Ints | None = None) -> Floats:
        """Return the deviance at θ ``(D, B, W)``, up to a constant, shape ``(B, W)``."""
        return self.total(self.parts(theta, chosen))

    def total(self, parts: Floats) -> Floats:
        """Return the deviance that three parts make."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.N * np.log(parts[0]) + parts[1] + self.reml * parts[2])


def lane_sums(
    blocks: RandomBlocks,
    data: tuple[Floats, Floats, Floats],
    N: float,
    reml: bool,
    kept: bool = False,
) -> LaneSums:
    """Lay out inner, outer and rss, voxels last; ``kept`` keeps F's factor of every block."""
    inner, outer, rss = (to_lanes(part) for part in data)
    B, S, q = rss.shape[0], blocks.first.size, blocks.places.shape[0]
    deep = B if kept else 1
    space = (
        np.zeros((3, q, q, LANES)),
        np.zeros((6, LANES)),
        np.zeros((blocks.members.size * (q * (q + 1) // 2), LANES)),
        np.zeros((blocks.meets.shape[1], LANES)),
        np.zeros((blocks.rows.size, LANES)),
        np.zeros((deep, S, S, LANES)),
        np.zeros((deep, S, LANES)),
    )
    return LaneSums(blocks.design, inner, outer, rss[:, 0], space, N, reml)


def to_lanes(values: Floats) -> Floats:
    """Return ``(rows, V)`` as ``(B, rows, W)``; spare lanes repeat the first voxel."""
    rows, V = values.shape
    B = -(-V // LANES)
    out = np.empty((rows, B * LANES))
    out[:, :V], out[:, V:] = values, values[:, :1]
    return np.ascontiguousarray(out.reshape(rows, B, LANES).transpose(1, 0, 2))


def from_lanes(lanes: Floats, V: int) -> Floats:
    """Return ``(rows, B, W)`` as ``(rows, V)``."""
    return lanes.reshape(lanes.shape[0], -1)[:, :V]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def evaluate(design, inner, outer, rss, theta, chosen, space, out):  # type: ignore[no-untyped-def]
    """Write Q, log|H| and log|X'H⁻¹X| less log|X'X|; leaves F's factor and ``L⁻¹ f`` in space."""
    kinds, kind_of, members, meets, rows, columns, base, pull, first, places, links = design
    root, line, stack, y, entries, factors, steps = space
    S, T, q = first.size, links.shape[0], kinds.shape[1]
    for n in range(chosen.size):
        b = chosen[n]
        F, f, at = factors[b % factors.shape[0]], steps[b % factors.shape[0]], theta[b]
        q_out, random, fixed = out[b, 0], out[b, 1], out[b, 2]
        for w in range(LANES):
            random[w] = 0.0
            fixed[w] = 0.0
            q_out[w] = rss[b, w]
        if q == 1:
            _one(kinds, members, at[places[0, 0]], line, stack, random)
        elif q == 2:
            _two(kinds, members, places, at, line, stack, random)
        else:
            _many(kinds, members, places, at, root, stack, random)
        if kind_of.size:
            _weigh(kind_of, q, stack, inner[b], y, q_out)
            np.dot(meets, y, f)
        else:
            _contract(stack, inner[b], f, q_out)
        np.dot(pull, stack, entries)
        for i in range(S):
            for w in range(LANES):
                f[i, w] = (outer[b, i, w] if i < T else 0.0) - f[i, w]
        _assemble(rows, columns, base, first, entries, F)
        _mix(links, at, first, F, f)
        envelope_cholesky(F, first)
        envelope_forward(F, first, f)
        for i in range(S):
            for w in range(LANES):
                q_out[w] -= f[i, w] * f[i, w]
        _log_diagonal(F, T, line, random, fixed)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _assemble(rows, columns, base, first, entries, F):  # type: ignore[no-untyped-def]
    """Write the lower triangle of ``W'H_g⁻¹W``."""
    for i in range(first.size):
        for j in range(first[i], i):
            for w in range(LANES):
                F[i, j, w] = 0.0
    for e in range(rows.size):
        into, c = F[rows[e], columns[e]], base[e]
        for w in range(LANES):
            into[w] = c - entries[e, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _contract(stack, sums, f, q_out):  # type: ignore[no-untyped-def]
    """Write ``Σ_i meets M c`` and take ``c'M c`` off Q, from what is added up by kind."""
    S, at = f.shape[0], 0
    for s in range(S):
        for w in range(LANES):
            f[s, w] = 0.0
    for h in range(stack.shape[0]):
        weight = stack[h]
        for w in range(LANES):
            q_out[w] -= weight[w] * sums[at, w]
        for s in range(S):
            for w in range(LANES):
                f[s, w] += weight[w] * sums[at + 1 + s, w]
        at += S + 1


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _take_logs(det, held, times, last, into):  # type: ignore[no-untyped-def]
    """Multiply a determinant in, and take the logarithm now and then."""
    if times != 1.0:
        for w in range(LANES):
            into[w] += times * np.log(det[w])
    else:
        for w in range(LANES):
            held[w] *= det[w]
    if last:
        for w in range(LANES):
            into[w] += np.log(held[w])
            held[w] = 1.0


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _one(kinds, members, theta, line, stack, random):  # type: ignore[no-untyped-def]
    """Write M and add log determinants, one coefficient a group."""
    det, held, K = line[0], line[1], kinds.shape[0]
    for w in range(LANES):
        held[w] = 1.0
    for k in range(K):
        a = kinds[k, 0, 0]
        for w in range(LANES):
            d = theta[w] * theta[w]
            det[w] = 1.0 + d * a
            stack[k, w] = d / det[w]
        _take_logs(det, held, members[k], k % TOGETHER == TOGETHER - 1 or k == K - 1, random)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _two(kinds, members, places, theta, line, stack, random):  # type: ignore[no-untyped-def]
    """Write M and add log determinants, two coefficients a group: no matrix is factored.

    Rows of one slice share a pointer: with more of them the compiler gives up vectors.
    """
    det, held, K = line[0], line[1], kinds.shape[0]
    both = places[1, 0] >= 0
    first, second, slope = theta[places[0, 0]], theta[places[1, 0]], theta[places[1, 1]]
    for w in range(LANES):
        held[w] = 1.0
    for k in range(K):
        a0, a1, a2 = kinds[k, 0, 0], kinds[k, 1, 0], kinds[k, 1, 1]
        aa, M = a0 * a2 - a1 * a1, stack[3 * k : 3 * k + 3]
        for w in range(LANES):
            l0, l1, l2 = first[w], second[w] if both else 0.0, slope[w]
            d0, d1, d2 = l0 * l0, l0 * l1, l1 * l1 + l2 * l2
            dd = d0 * l2 * l2
            det[w] = 1.0 + (d0 * a0 + 2.0 * d1 * a1 + d2 * a2) + dd * aa
            inverse = 1.0 / det[w]
            M[0, w] = (d0 + dd * a2) * inverse
            M[1, w] = (d1 - dd * a1) * inverse
            M[2, w] = (d2 + dd * a0) * inverse
        _take_logs(det, held, members[k], k % TOGETHER == TOGETHER - 1 or k == K - 1, random)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _many(kinds, members, places, theta, space, stack, random):  # type: ignore[no-untyped-def]
    """Write M and add log determinants by factoring ``I + Λ' A Λ`` of every kind."""
    q = kinds.shape[1]
    half = q * (q + 1) // 2
    root, small, E = space[0], space[1], space[2]
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
            z, c, s = y[first : first + 2], inner[first : first + 2], stack[at : at + 3]
            for w in range(LANES):
                c0, c1 = c[0, w], c[1, w]
                z0 = s[0, w] * c0 + s[1, w] * c1
                z1 = s[1, w] * c0 + s[2, w] * c1
                z[0, w] = z0
                z[1, w] = z1
                q_out[w] -= z0 * c0 + z1 * c1
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
def _log_diagonal(F, T, line, random, fixed):  # type: ignore[no-untyped-def]
    """Add the log determinant of the first T factored rows, and that of the others."""
    held, S = line[1], F.shape[0]
    for w in range(LANES):
        held[w] = 1.0
    for i in range(S):
        into = random if i < T else fixed
        for w in range(LANES):
            held[w] *= F[i, i, w]
        if i % TOGETHER == TOGETHER - 1 or i == T - 1 or i == S - 1:
            for w in range(LANES):
                into[w] -= 2.0 * np.log(held[w])
                held[w] = 1.0

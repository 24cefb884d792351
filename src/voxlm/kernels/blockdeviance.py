r"""The deviance of several random terms on lanes of 64 voxels side by side, each at its own θ.

A group of kind k has ``M_k = Λ (I + Λ' Z_i'Z_i Λ)⁻¹ Λ'``, and ``W'H_g⁻¹W = W'W - Σ meets M meets'``
is linear in these: one product of a matrix that the design alone knows with the M of all kinds.
Multiplying the columns of the other terms by their Λ and adding the identity to their part makes
the matrix F whose factor gives both log determinants, the step from least squares to GLS, and the
covariance. Where groups are of few kinds, what they say of the data is added up by kind before any
θ is tried.

Where the time goes, and why there is little of it: one compiled call evaluates a block of lanes at
all the points that a step or a test asks for, so numpy's own cost is paid once a step, and threads
run without the interpreter's lock; products with what the design knows are made in pieces of five
by four that stay in registers, straight from the M of eight kinds at a time while these are in the
first-level cache; columns that meet no other before them (nested factors) are scaled and factored
in one pass. Steps and searches over θ are plain numpy on whole blocks, so that a first fit waits
for few functions.

Axes: B blocks of lanes, m groups, K kinds, q coefficients, S = T + P columns of W, E entries of F,
D parameters, W lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.blockgroups import (
    contract,
    many_coefficients,
    one_coefficient,
    spread_roots,
    two_coefficients,
    weigh,
)
from voxlm.kernels.lanefactor import (
    envelope_backward,
    envelope_cholesky,
    envelope_forward,
    inverse_forms,
)
from voxlm.kernels.lanes import FAST, LANES, add_products
from voxlm.kernels.pieces import WIDE
from voxlm.kernels.randomblocks import RandomBlocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOGETHER = 8  # a multiple of four; determinants multiplied before a logarithm is taken


# No rows, and no room for solutions and forms.
NEITHER = (np.empty((0, 0)), np.empty((0, 0, LANES)), np.empty((0, 0, LANES)))


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
        """Return Q, log|H| and log|X'H⁻¹X| less log|X'X| at θ ``(D, …, B, W)``, ``(3, …, B, W)``.

        Blocks that are not chosen are not written.
        """
        B, lanes = self.rss.shape[0], point_lanes(theta)
        out = np.ones((B, lanes.shape[1], 3, LANES))
        some = np.arange(B) if chosen is None else chosen
        evaluate(
            self.design, self.inner, self.outer, self.rss, lanes, some, self.space, out, *NEITHER
        )
        return out.transpose(2, 1, 0, 3).reshape(3, *theta.shape[1:])

    def deviance(self, theta: Floats, chosen: Ints | None = None) -> Floats:
        """Return the deviance at θ ``(D, …, B, W)``, up to a constant, shape ``(…, B, W)``."""
        return self.total(self.parts(theta, chosen))

    def total(self, parts: Floats) -> Floats:
        """Return the deviance that three parts make."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.N * np.log(parts[0]) + parts[1] + self.reml * parts[2])


def lane_sums(
    blocks: RandomBlocks, data: tuple[Floats, Floats, Floats], N: float, reml: bool
) -> LaneSums:
    """Lay out inner, outer and rss, voxels last."""
    inner, outer, rss = (to_lanes(part) for part in data)
    return LaneSums(blocks.design, inner, outer, rss[:, 0], work_space(blocks), N, reml)


def work_space(blocks: RandomBlocks) -> tuple[Floats, ...]:
    """Return what one evaluation works in: the last three are -M, F's factor and ``L⁻¹ f``."""
    S, q = blocks.first.size, blocks.places.shape[0]
    meets, pull = blocks.design[3], blocks.design[7]
    return (
        np.zeros((3, q, q, LANES)),
        np.zeros((6, LANES)),
        np.zeros((meets.shape[1], LANES)),
        np.zeros((pull.shape[0], LANES)),
        np.zeros((pull.shape[1], LANES)),
        np.zeros((S, S, LANES)),
        np.zeros((meets.shape[0], LANES)),
    )


def to_lanes(values: Floats) -> Floats:
    """Return ``(rows, V)`` as ``(B, rows, W)``; spare lanes repeat the first voxel."""
    rows, V = values.shape
    B = -(-V // LANES)
    if V % LANES:
        spare = np.broadcast_to(values[:, :1], (rows, B * LANES - V))
        values = np.concatenate([values, spare], axis=1)
    return np.ascontiguousarray(values.reshape(rows, B, LANES).transpose(1, 0, 2))


def from_lanes(lanes: Floats, V: int) -> Floats:
    """Return ``(rows, B, W)`` as ``(rows, V)``."""
    return lanes.reshape(lanes.shape[0], -1)[:, :V]


def point_lanes(theta: Floats) -> Floats:
    """Return θ ``(D, …, B, W)`` as evaluations read it, ``(B, G, D, W)``."""
    points = theta.reshape(theta.shape[0], -1, *theta.shape[-2:])
    return np.ascontiguousarray(points.transpose(2, 1, 0, 3))


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def evaluate(design, inner, outer, rss, theta, chosen, space, out, rows, steps, forms):  # type: ignore[no-untyped-def]
    """Write Q, log|H| and log|X'H⁻¹X| less log|X'X| of the chosen blocks at all their points.

    With room for them in ``steps``, also the solution at the last point, and the forms of ``rows``.
    What the last evaluation made is left in space.
    """
    first, T, F, f = design[8], design[10].shape[0], space[5], space[6]
    for n in range(chosen.size):
        b = chosen[n]
        for g in range(theta.shape[1]):
            _evaluate_block(design, inner[b], outer[b], rss[b], theta[b, g], space, out[b, g])
        if steps.shape[0]:
            inverse_forms(F, T, rows, forms[b])
            envelope_backward(F, first, f)
            for i in range(steps.shape[1]):
                for w in range(LANES):
                    steps[b, i, w] = f[i, w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _evaluate_block(design, inner, outer, rss, theta, space, out):  # type: ignore[no-untyped-def]
    """Evaluate one block at one point; leaves -M, F's factor and ``L⁻¹ f`` in space."""
    kinds, kind_of, members, meets, rows, columns, base, pull, first, places, links, gaps, lone = (
        design
    )
    root, line, y, entries, stack, F, f = space
    S, T, q, K = first.size, links.shape[0], kinds.shape[1], kinds.shape[0]
    half = q * (q + 1) // 2
    q_out, random, fixed = out[0], out[1], out[2]
    few = stack.shape[0] == WIDE
    _start(rss, outer, base, few, out, f, entries)
    spread_roots(places, theta, line)
    for k in range(0, K, TOGETHER):
        stop = min(k + TOGETHER, K)
        if q == 1:
            one_coefficient(kinds, members, line, stack, random, k, stop)
        elif q == 2:
            two_coefficients(kinds, members, line, stack, random, k, stop)
        else:
            many_coefficients(kinds, members, places, theta, root, stack, random, k, stop)
        if not few:
            add_products(pull, stack, entries, rows.size, k * half, stop * half)
    if kind_of.size:
        weigh(kind_of, q, stack, inner, y, q_out)
        add_products(meets, y, f, S, 0, meets.shape[1])
    else:
        contract(stack, inner, half * K, S, f, q_out)
    if few:
        _assemble_few(rows, columns, base, pull, stack, gaps, F)
    else:
        _assemble(rows, columns, entries, gaps, F)
    _lead(links, theta, first, lone, F, f)
    _mix(links, theta, first, lone, F, f)
    envelope_cholesky(F, first, lone)
    envelope_forward(F, first, f, lone)
    for i in range(S):
        for w in range(LANES):
            q_out[w] -= f[i, w] * f[i, w]
    _log_diagonal(F, T, line, random, fixed)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _start(rss, outer, base, few, out, f, entries):  # type: ignore[no-untyped-def]
    """Write r'r, ``W'r``, and ``W'W``'s entries unless they come later: at a θ of zero."""
    for w in range(LANES):
        out[0, w] = rss[w]
        out[1, w] = 0.0
        out[2, w] = 0.0
    for e in range(0 if few else base.size):
        into, c = entries[e], base[e]
        for w in range(LANES):
            into[w] = c
    T = outer.shape[0]
    for i in range(f.shape[0]):
        for w in range(LANES):
            f[i, w] = outer[i, w] if i < T else 0.0


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _assemble(rows, columns, entries, gaps, F):  # type: ignore[no-untyped-def]
    """Write the lower triangle of ``W'H_g⁻¹W``."""
    for e in range(gaps.shape[1]):
        into = F[gaps[0, e], gaps[1, e]]
        for w in range(LANES):
            into[w] = 0.0
    for e in range(rows.size):
        into, entry = F[rows[e], columns[e]], entries[e]
        for w in range(LANES):
            into[w] = entry[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _assemble_few(rows, columns, base, pull, stack, gaps, F):  # type: ignore[no-untyped-def]
    """Write the lower triangle of ``W'H_g⁻¹W`` at once where four weights make it."""
    for e in range(gaps.shape[1]):
        into = F[gaps[0, e], gaps[1, e]]
        for w in range(LANES):
            into[w] = 0.0
    for e in range(rows.size):
        into, c = F[rows[e], columns[e]], base[e]
        a0, a1, a2, a3 = pull[e, 0], pull[e, 1], pull[e, 2], pull[e, 3]
        for w in range(LANES):
            into[w] = (c + a0 * stack[0, w] + a1 * stack[1, w]) + (
                a2 * stack[2, w] + a3 * stack[3, w]
            )


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _lead(links, theta, first, lone, F, f):  # type: ignore[no-untyped-def]
    """Multiply by Λ and factor the first columns, where these do not meet one another."""
    for t in range(lone):
        own, d = theta[links[t, 0]], F[t, t]
        for w in range(LANES):
            d[w] = 1.0 / np.sqrt(1.0 + own[w] * own[w] * d[w])
        for i in range(t + 1, first.size):
            if first[i] <= t:
                entry = F[i, t]
                for w in range(LANES):
                    entry[w] *= own[w] * d[w]
        for w in range(LANES):
            f[t, w] *= own[w] * d[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _mix(links, theta, first, lone, F, f):  # type: ignore[no-untyped-def]
    """Multiply the other terms' rows and columns by their Λ; add the identity to their part."""
    T, S, width = links.shape[0], first.size, links.shape[1]
    if width > 1:
        for t in range(lone, T):
            for j in range(first[t], t):
                for w in range(LANES):
                    F[j, t, w] = F[t, j, w]
    for t in range(lone, T):
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
    for t in range(lone, T):
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

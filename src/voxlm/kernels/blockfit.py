"""θ of several random terms at every voxel, by Newton's method on the deviance.

θ are the entries of Λ, as in lme4: the deviance is even in those on the diagonal, so a variance of
zero is a smooth minimum, not a wall. A grid of starts finds the valley; derivatives are central
differences of the evaluations themselves; steps are damped until the Hessian is positive and are
halved until the deviance falls. A θ that can be zero without the deviance rising is zero.

Axes: D parameters, V voxels, W lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import evaluate, scratch
from voxlm.kernels.lanes import LANES, backward, forward, load
from voxlm.kernels.randomblocks import BlockSums, RandomBlocks
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 1024
STARTS = (0.15, 0.7, 2.0)
STEPS = 60
DIFFERENCE = 3e-4
SETTLED = 1e-6  # step of θ at which a voxel is done
FLAT = 1e-12  # or what the step can gain
LATE = 20  # steps after which a gain of rounding's size is enough
LARGEST = 1.0  # step at most
HALVINGS = 5
TINY, LEVEL = 1e-3, 1e-9  # a θ this small is tried at zero; a rise this small is rounding


@dataclass(frozen=True, slots=True, eq=False)
class BlockFit:
    """The minimum at every voxel.

    Parameters
    ----------
    theta : ndarray, shape (D, V)
        Relative standard deviations, of the scaled random columns.
    quadratic : ndarray, shape (V,)
        Q: the whitened residual sum of squares.
    random_det, fixed_det : ndarray, shape (V,)
        ``log|H|``, and ``log|X'H⁻¹X| - log|X'X|``.
    solution : ndarray, shape (T + P, V)
        Modes of the other factors over their θ, and the step from least squares to GLS in the
        orthonormal basis.
    converged : ndarray of bool, shape (V,)
        Whether the last step was negligible.
    """

    theta: Floats
    quadratic: Floats
    random_det: Floats
    fixed_det: Floats
    solution: Floats
    converged: NDArray[np.bool_]


def _design(blocks: RandomBlocks) -> tuple[Any, ...]:
    return (
        blocks.gram,
        blocks.meets,
        blocks.columns,
        blocks.n_columns,
        blocks.whole,
        blocks.places,
        blocks.other_theta,
    )


def fit_blocks(blocks: RandomBlocks, sums: BlockSums, reml: bool) -> BlockFit:
    """Minimise the deviance of every voxel.

    Parameters
    ----------
    blocks : RandomBlocks
        Design-only products.
    sums : BlockSums
        Statistics of the data.
    reml : bool
        Restricted likelihood, or likelihood.

    Returns
    -------
    BlockFit
    """
    V, D, P = sums.rss.size, blocks.n_theta, blocks.X.shape[1]
    N = float(blocks.X.shape[0] - reml * P)
    diagonal = np.isin(np.arange(D), blocks.diagonal)
    levels = [STARTS if d else (0.0,) for d in diagonal]
    starts = np.array(list(product(*levels)))
    out = BlockFit(
        np.empty((D, V)),
        np.empty(V),
        np.empty(V),
        np.empty(V),
        np.empty((blocks.whole.shape[0], V)),
        np.empty(V, dtype=np.bool_),
    )

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        data = (sums.inner[:, here], sums.outer[:, here], sums.rss[here].reshape(1, -1))
        theta, q, done = out.theta[:, here], out.quadratic[here], out.converged[here]
        _fit(_design(blocks), *data, N, reml, starts, theta, q, done)
        dets = (out.random_det[here], out.fixed_det[here])
        solution = out.solution[:, here]
        _finish(_design(blocks), *data, N, reml, diagonal, theta, q, *dets, solution, done)

    over_blocks(V, BLOCK, work)
    return out


def block_forms(
    blocks: RandomBlocks, sums: BlockSums, C: Floats, theta: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return ``C (X'H⁻¹X)⁻¹ C'``, Q and both log determinants at given θ.

    Parameters
    ----------
    blocks, sums
        The design and the data.
    C : ndarray, shape (Q, P)
        Rows over the columns of X.
    theta : ndarray, shape (D, V)
        Where.

    Returns
    -------
    form : ndarray, shape (Q, Q, V)
    quadratic, random_det, fixed_det : ndarray, shape (V,)
    """
    V, Q = sums.rss.size, C.shape[0]
    rows = np.ascontiguousarray(C @ blocks.Rinv)
    form, parts = np.empty((Q, Q, V)), np.empty((3, V))

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        _forms(
            _design(blocks),
            sums.inner[:, here],
            sums.outer[:, here],
            sums.rss[here].reshape(1, -1),
            theta[:, here],
            rows,
            form[:, :, here],
            parts[:, here],
        )

    over_blocks(V, BLOCK, work)
    return form, parts[0], parts[1], parts[2]


@njit(cache=True, nogil=True, error_model="numpy")
def _deviance(design, inner, outer, rss, theta, space, N, reml, q, random, fixed, value):  # type: ignore[no-untyped-def]
    evaluate(design, inner, outer, rss, theta, space, q, random, fixed)
    for w in range(LANES):
        value[w] = N * np.log(q[w]) + random[w] + (fixed[w] if reml else 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _fit(  # type: ignore[no-untyped-def]
    design, inner, outer, rss, N, reml, starts, theta_out, q_out, converged
):
    """Minimise over a block of voxels: those that still move share lanes, step after step."""
    V, D, S, T = rss.shape[1], starts.shape[1], design[4].shape[0], design[6].size
    space = scratch(design[0].shape[1], S)
    c, o, r = np.empty((inner.shape[0], LANES)), np.empty((T, LANES)), np.empty((1, LANES))
    theta, trial = np.empty((D, LANES)), np.empty((D, LANES))
    value, other, radius = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    q, random, fixed = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    done = np.empty(LANES, dtype=np.bool_)
    reach = np.full(V, LARGEST)
    for step in range(STEPS + 1):
        active = np.arange(V) if step == 0 else np.flatnonzero(~converged & np.isfinite(q_out))
        for at in range(0, active.size, LANES):
            some = active[at : at + LANES]
            _pick(inner, some, c)
            _pick(outer, some, o)
            _pick(rss, some, r)
            if step == 0:
                value[:] = np.inf
                for s in range(starts.shape[0]):
                    for k in range(D):
                        trial[k] = starts[s, k]
                    _deviance(design, c, o, r[0], trial, space, N, reml, q, random, fixed, other)
                    _keep_better(theta, trial, value, other, s == 0, 0.0)
                done[:] = False
                radius[:] = LARGEST
            else:
                _pick(theta_out, some, theta)
                for w in range(LANES):
                    v = some[w] if w < some.size else some[0]
                    value[w], radius[w] = q_out[v], reach[v]
                late = step > LATE
                _newton(design, c, o, r[0], space, N, reml, late, theta, value, radius, done)
            for w in range(some.size):
                theta_out[:, some[w]] = theta[:, w]
                q_out[some[w]] = value[w]
                reach[some[w]] = radius[w]
                converged[some[w]] = done[w]


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(  # type: ignore[no-untyped-def]
    design, inner, outer, rss, N, reml, diagonal,
    theta_out, q_out, random_out, fixed_out, solution, converged,
):  # fmt: skip
    """Set to zero what can be, and write the last evaluation; ``q_out`` comes as the deviance."""
    V, D, S, T = rss.shape[1], diagonal.size, design[4].shape[0], design[6].size
    space = scratch(design[0].shape[1], S)
    c, o, r = np.empty((inner.shape[0], LANES)), np.empty((T, LANES)), np.empty((1, LANES))
    theta, trial = np.empty((D, LANES)), np.empty((D, LANES))
    before, other, value = np.empty((1, LANES)), np.empty(LANES), np.empty(LANES)
    q, random, fixed = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for at in range(0, V, LANES):
        n = min(LANES, V - at)
        load(inner, at, n, c)
        load(outer, at, n, o)
        load(rss, at, n, r)
        load(theta_out, at, n, theta)
        load(q_out.reshape(1, -1), at, n, before)
        value[:] = before[0]
        for k in range(D):
            if diagonal[k]:
                trial[:] = theta
                for w in range(LANES):
                    if abs(theta[k, w]) < TINY:
                        trial[k, w] = 0.0
                _deviance(design, c, o, r[0], trial, space, N, reml, q, random, fixed, other)
                _keep_better(theta, trial, value, other, False, LEVEL)
        _deviance(design, c, o, r[0], theta, space, N, reml, q, random, fixed, value)
        backward(space[3], space[4])
        for w in range(n):
            good = np.isfinite(value[w])
            for k in range(D):
                theta_out[k, at + w] = theta[k, w] if good else np.nan
            q_out[at + w] = q[w] if good else np.nan
            random_out[at + w] = random[w]
            fixed_out[at + w] = fixed[w]
            for i in range(S):
                solution[i, at + w] = space[4][i, w] if good else np.nan
            converged[at + w] &= good


@njit(cache=True, nogil=True)
def _pick(source, voxels, lanes):  # type: ignore[no-untyped-def]
    """Copy some voxels into the lanes; spare lanes repeat the first."""
    for i in range(source.shape[0]):
        for w in range(LANES):
            lanes[i, w] = source[i, voxels[w] if w < voxels.size else voxels[0]]


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_better(theta, trial, value, other, first, slack):  # type: ignore[no-untyped-def]
    for w in range(LANES):
        if first or other[w] <= value[w] + slack:
            value[w] = min(other[w], value[w]) if slack else other[w]
            for k in range(theta.shape[0]):
                theta[k, w] = trial[k, w]


@njit(cache=True, nogil=True, error_model="numpy")
def _differences(design, c, o, r, space, N, reml, theta, value, g, H):  # type: ignore[no-untyped-def]
    """Write gradient and Hessian by central differences."""
    D = theta.shape[0]
    h = DIFFERENCE
    trial = theta.copy()
    q, random, fixed = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    up, down = np.empty((D, LANES)), np.empty((D, LANES))
    both = np.empty((2, LANES))
    for k in range(D):
        trial[k] = theta[k] + h
        _deviance(design, c, o, r, trial, space, N, reml, q, random, fixed, up[k])
        trial[k] = theta[k] - h
        _deviance(design, c, o, r, trial, space, N, reml, q, random, fixed, down[k])
        trial[k] = theta[k]
        for w in range(LANES):
            g[k, w] = (up[k, w] - down[k, w]) / (2.0 * h)
            H[k, k, w] = (up[k, w] + down[k, w] - 2.0 * value[w]) / (h * h)
    for k in range(D):
        for j in range(k):
            for sign in range(2):
                s = h if sign == 0 else -h
                trial[k] = theta[k] + s
                trial[j] = theta[j] + s
                _deviance(design, c, o, r, trial, space, N, reml, q, random, fixed, both[sign])
                trial[k] = theta[k]
                trial[j] = theta[j]
            for w in range(LANES):
                near = up[k, w] + down[k, w] + up[j, w] + down[j, w] - 2.0 * value[w]
                H[k, j, w] = (both[0, w] + both[1, w] - near) / (2.0 * h * h)
                H[j, k, w] = H[k, j, w]


@njit(cache=True, nogil=True, error_model="numpy")
def _newton(design, c, o, r, space, N, reml, late, theta, value, radius, done):  # type: ignore[no-untyped-def]
    """Take one damped Newton step; tell the lanes for which it was the last."""
    D = theta.shape[0]
    g, H, move = np.empty((D, LANES)), np.empty((D, D, LANES)), np.empty((D, LANES))
    trial, other = np.empty((D, LANES)), np.empty(LANES)
    q, random, fixed = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    free, fall = np.empty(LANES), np.empty(LANES)
    pending = np.ones(LANES, dtype=np.bool_)
    _differences(design, c, o, r, space, N, reml, theta, value, g, H)
    for w in range(LANES):
        done[w] = False
        free[w], fall[w] = _direction(g[:, w], H[:, :, w], radius[w], move[:, w])
    for _ in range(HALVINGS):
        for k in range(D):
            for w in range(LANES):
                trial[k, w] = theta[k, w] + move[k, w] if pending[w] else theta[k, w]
        _deviance(design, c, o, r, trial, space, N, reml, q, random, fixed, other)
        for w in range(LANES):
            if not pending[w]:
                continue
            # next to the minimum the deviance no longer tells: the derivatives do
            near = free[w] < SETTLED or fall[w] < (LEVEL if late else FLAT)
            if other[w] <= value[w] + (LEVEL if near else 0.0):
                for k in range(D):
                    theta[k, w] = trial[k, w]
                value[w] = other[w]
                radius[w] = min(LARGEST, 2.0 * radius[w])
                done[w] = near
                pending[w] = False
            else:
                for k in range(D):
                    move[k, w] *= 0.3
                radius[w] = 0.3 * min(radius[w], free[w])
        if not pending.any():
            break


@njit(cache=True, nogil=True, error_model="numpy")
def _direction(g, H, radius, move):  # type: ignore[no-untyped-def]
    """Write Newton's step, eigenvalues made positive and cut to the radius.

    Returns the length it would have uncut, and what it would gain.
    """
    values, turn = np.linalg.eigh(H.copy())
    floor = 1e-6 * max(np.abs(values).max(), 1e-6)
    along = turn.T @ g.copy()
    for k in range(g.size):
        along[k] /= max(abs(values[k]), floor)
    step = turn @ along
    size = np.abs(step).max()
    for k in range(g.size):
        move[k] = -step[k] * min(1.0, radius / size if size > 0.0 else 1.0)
    gain = 0.0
    for k in range(g.size):
        gain += 0.5 * abs(step[k] * g[k])
    return size, gain


@njit(cache=True, nogil=True, error_model="numpy")
def _forms(design, inner, outer, rss, theta, rows, form, parts):  # type: ignore[no-untyped-def]
    """Write forms, Q and log determinants of LANES voxels at a time."""
    S, T, Q = design[4].shape[0], design[6].size, rows.shape[0]
    P, D = S - T, theta.shape[0]
    space = scratch(design[0].shape[1], S)
    c, o, r = np.empty((inner.shape[0], LANES)), np.empty((T, LANES)), np.empty((1, LANES))
    th, out = np.empty((D, LANES)), np.empty((3, LANES))
    z = np.empty((Q, P, LANES))
    for at in range(0, rss.shape[1], LANES):
        n = min(LANES, rss.shape[1] - at)
        load(inner, at, n, c)
        load(outer, at, n, o)
        load(rss, at, n, r)
        load(theta, at, n, th)
        evaluate(design, c, o, r[0], th, space, out[0], out[1], out[2])
        parts[:, at : at + n] = out[:, :n]
        L = space[3][T:, T:]
        for a in range(Q):
            for i in range(P):
                z[a, i] = rows[a, i]
            forward(L, z[a])
            for b in range(a + 1):
                for w in range(n):
                    total = 0.0
                    for i in range(P):
                        total += z[a, i, w] * z[b, i, w]
                    form[a, b, at + w] = total
                    form[b, a, at + w] = total

"""θ of several random terms at every voxel, by Newton's method on the deviance.

θ are the entries of Λ, as in lme4: the deviance is even in those on the diagonal, so a variance of
zero is a smooth minimum, not a wall. A grid that all voxels share finds the valley; derivatives are
central differences of the evaluations themselves; steps go along the eigenvectors of the Hessian
with curvatures made positive, and are cut until the deviance falls. A θ that can be zero without
the deviance rising is zero. What certifies a voxel is measured at the end: the most that any
further step could gain, and the least curvature; voxels that fail start again from other places.

Axes: D parameters, V voxels, W lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import evaluate, scratch
from voxlm.kernels.blockgrid import Anchors, anchors, lowest
from voxlm.kernels.blocksteps import descend, differences, direction, sphere_theta, to_sphere
from voxlm.kernels.lanes import LANES
from voxlm.kernels.randomblocks import BlockSums, RandomBlocks
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK = 1024
STEPS = (14, 14, 28, 28)  # in one kind of coordinates, before the other is tried
LARGEST = 1.0  # step at most
TINY, LEVEL = 3e-3, 1e-9  # a θ this small is tried at zero; a rise this small is rounding
GAIN = 1e-8  # of the deviance, that a certified voxel may still have to gain
BENT = -1e-4  # relative curvature below which a stationary point is no minimum
RESTARTS = 6  # times that a voxel without a certificate starts again


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
        Spherical modes of the other terms, and the step from least squares to GLS in the
        orthonormal basis.
    gain : ndarray, shape (V,)
        How far Newton's step could still lower the deviance: the certificate of the first order.
    curvature : ndarray, shape (V,)
        The least eigenvalue of the Hessian in θ, over the largest: the certificate of the second
        order. At a θ of zero the curvature is the slope of the deviance in the variance, so that
        it is not negative is what Karush, Kuhn and Tucker ask at the boundary.
    restarts : ndarray of int, shape (V,)
        How often the voxel started again.
    """

    theta: Floats
    quadratic: Floats
    random_det: Floats
    fixed_det: Floats
    solution: Floats
    gain: Floats
    curvature: Floats
    restarts: Ints

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether both certificates hold, shape ``(V,)``."""
        return (self.gain <= GAIN) & (self.curvature >= BENT)


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
    V, D = sums.rss.size, blocks.n_theta
    N = float(blocks.X.shape[0] - reml * blocks.X.shape[1])
    known = anchors(blocks, N, reml)
    out = _allocate(blocks, V)
    fresh = np.empty((D, 0))

    def work(start: int, stop: int) -> None:
        _solve(blocks, sums, np.arange(start, stop), N, reml, known, fresh, out)

    over_blocks(V, BLOCK, work)
    for again in range(RESTARTS):
        lost = np.flatnonzero(~out.converged & np.isfinite(out.quadratic))
        if lost.size == 0:
            break
        out.restarts[lost] += 1
        _restart(blocks, sums, lost, N, reml, known, out, again)
    return out


def _allocate(blocks: RandomBlocks, V: int) -> BlockFit:
    return BlockFit(
        theta=np.empty((blocks.n_theta, V)),
        quadratic=np.empty(V),
        random_det=np.empty(V),
        fixed_det=np.empty(V),
        solution=np.empty((blocks.first.size, V)),
        gain=np.empty(V),
        curvature=np.empty(V),
        restarts=np.zeros(V, dtype=np.int64),
    )


def _restart(
    blocks: RandomBlocks,
    sums: BlockSums,
    lost: Ints,
    N: float,
    reml: bool,
    known: Anchors,
    out: BlockFit,
    again: int,
) -> None:
    """Start voxels again, where they are and then farther away; keep what is lower."""
    rng = np.random.Generator(np.random.Philox(key=again))
    size = 0.2 * again  # first a saddle is left along its own directions
    here = out.theta[:, lost] + size * rng.standard_normal((blocks.n_theta, lost.size))
    other = _allocate(blocks, lost.size)
    some = BlockSums(
        sums.start[:, lost],
        sums.inner[:, lost],
        sums.outer[:, lost],
        sums.rss[lost],
        sums.spread[lost],
        sums.shift[lost],
    )

    def work(start: int, stop: int) -> None:
        at = np.arange(start, stop)
        _solve(blocks, some, at, N, reml, known, np.ascontiguousarray(here[:, at]), other)

    over_blocks(lost.size, BLOCK, work)
    before, after = (
        N * np.log(q) + r + reml * f
        for q, r, f in (
            (out.quadratic[lost], out.random_det[lost], out.fixed_det[lost]),
            (other.quadratic, other.random_det, other.fixed_det),
        )
    )
    lower = after < before - LEVEL
    better = lower | ((after <= before + LEVEL) & other.converged)
    chosen = lost[better]
    for name in ("theta", "quadratic", "random_det", "fixed_det", "solution", "gain", "curvature"):
        getattr(out, name)[..., chosen] = getattr(other, name)[..., better]


def _solve(
    blocks: RandomBlocks,
    sums: BlockSums,
    at: Ints,
    N: float,
    reml: bool,
    known: Anchors,
    start: Floats,
    out: BlockFit,
) -> None:
    """Minimise over a block of voxels, and write what was found."""
    here = slice(int(at[0]), int(at[-1]) + 1)
    inner, outer = (np.ascontiguousarray(a[:, here]) for a in (sums.inner, sums.outer))
    rss = np.ascontiguousarray(sums.rss[here]).reshape(1, -1)
    data = (inner, outer, rss)
    none = blocks.sphere[:0]
    theta, value = np.empty((blocks.n_theta, at.size)), np.empty(at.size)
    if start.size:
        theta[:] = start
    else:
        places = _begin(blocks.kind_of, blocks.meets, *known_arrays(known), *data)
        theta[:] = known.theta.T[:, places]
    diagonal = np.isin(np.arange(blocks.n_theta), blocks.diagonal)
    settled = np.zeros(at.size, dtype=np.bool_)
    kinds = [blocks.sphere, none]
    for sphere, steps in zip(2 * (kinds[::-1] if start.size else kinds), STEPS, strict=True):
        theta = to_sphere(sphere, theta)
        _minimise(blocks.design, sphere, *data, N, reml, steps, theta, value, settled)
        theta = sphere_theta(sphere, theta)
        if settled.all():
            break
    parts, solution = np.empty((5, at.size)), np.empty((blocks.first.size, at.size))
    _finish(blocks.design, none, *data, N, reml, diagonal, theta, value, parts, solution)
    out.theta[:, here], out.solution[:, here] = theta, solution
    names = ("quadratic", "random_det", "fixed_det", "gain", "curvature")
    for name, values in zip(names, parts, strict=True):
        getattr(out, name)[here] = values


def known_arrays(known: Anchors) -> tuple[Floats, Floats, Floats]:
    """Return what the compiled search of the grid reads."""
    return known.middle, known.half, known.factor


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(kind_of, meets, middle, half, factor, inner, outer, rss):  # type: ignore[no-untyped-def]
    """Return the best point of the grid for every voxel."""
    V, S, T = rss.shape[1], half.shape[1], outer.shape[0]
    places = np.zeros(V, dtype=np.int64)
    c, o, r = np.empty((inner.shape[0], LANES)), np.empty((T, LANES)), np.empty((1, LANES))
    y, f, w = np.empty((meets.shape[1], LANES)), np.empty((S, LANES)), np.empty((S, LANES))
    best, where = np.empty(LANES), np.zeros(LANES, dtype=np.int64)
    for at in range(0, V, LANES):
        some = np.arange(at, min(at + LANES, V))
        pick(inner, some, c)
        pick(outer, some, o)
        pick(rss, some, r)
        lowest(kind_of, meets, middle, half, factor, c, o, r[0], y, f, w, best, where)
        for k in range(some.size):
            places[at + k] = where[k]
    return places


@njit(cache=True, nogil=True, error_model="numpy")
def _minimise(design, sphere, inner, outer, rss, N, reml, steps, theta_out, value_out, settled):  # type: ignore[no-untyped-def]
    """Take Newton's steps: voxels that still move share lanes, step after step."""
    V, D, T = rss.shape[1], theta_out.shape[0], outer.shape[0]
    space = scratch(design)
    c, o, r = np.empty((inner.shape[0], LANES)), np.empty((T, LANES)), np.empty((1, LANES))
    theta, value, radius = np.empty((D, LANES)), np.empty(LANES), np.empty(LANES)
    done = np.zeros(LANES, dtype=np.bool_)
    reach = np.full(V, LARGEST)
    for step in range(steps):
        active = np.flatnonzero(~settled)
        if active.size == 0:
            break
        for at in range(0, active.size, LANES):
            some = active[at : at + LANES]
            pick(inner, some, c)
            pick(outer, some, o)
            pick(rss, some, r)
            pick(theta_out, some, theta)
            for w in range(LANES):
                radius[w] = reach[some[w] if w < some.size else some[0]]
            descend(design, sphere, c, o, r[0], space, N, reml, step, theta, value, radius, done)
            for w in range(some.size):
                theta_out[:, some[w]] = theta[:, w]
                value_out[some[w]] = value[w]
                reach[some[w]] = radius[w]
                settled[some[w]] = done[w] or not np.isfinite(value[w])


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(  # type: ignore[no-untyped-def]
    design, sphere, inner, outer, rss, N, reml, diagonal, theta_out, value_out, parts, solution
):
    """Set to zero what can be; write the last evaluation and the certificates."""
    V, D, T = rss.shape[1], theta_out.shape[0], outer.shape[0]
    space = scratch(design)
    c, o, r = np.empty((inner.shape[0], LANES)), np.empty((T, LANES)), np.empty((1, LANES))
    theta, trial = np.empty((D, LANES)), np.empty((D, LANES))
    other, value = np.empty(LANES), np.empty(LANES)
    q, random, fixed = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    g, H, move = np.empty((D, LANES)), np.empty((D, D, LANES)), np.empty(D)
    for at in range(0, V, LANES):
        some = np.arange(at, min(at + LANES, V))
        pick(inner, some, c)
        pick(outer, some, o)
        pick(rss, some, r)
        pick(theta_out, some, theta)
        for w in range(LANES):
            value[w] = value_out[some[w] if w < some.size else some[0]]
        for k in range(D):
            if diagonal[k] and np.abs(theta[k]).min() < TINY:
                trial[:] = theta
                for w in range(LANES):
                    if abs(theta[k, w]) < TINY:
                        trial[k, w] = 0.0
                evaluate(design, c, o, r[0], trial, space, q, random, fixed)
                for w in range(LANES):
                    other[w] = N * np.log(q[w]) + random[w] + (fixed[w] if reml else 0.0)
                    if other[w] <= value[w] + LEVEL:
                        value[w] = min(value[w], other[w])
                        theta[k, w] = trial[k, w]
        evaluate(design, c, o, r[0], theta, space, q, random, fixed)
        for w in range(LANES):
            value[w] = N * np.log(q[w]) + random[w] + (fixed[w] if reml else 0.0)
        _write(design, space, theta, q, random, fixed, value, some, theta_out, parts, solution)
        differences(design, sphere, c, o, r[0], space, N, reml, theta, value, g, H)
        for w in range(some.size):
            parts[3, some[w]], parts[4, some[w]] = np.nan, np.nan
            if np.isfinite(value[w]):
                _, gain, bend = direction(g[:, w], H[:, :, w], 1.0, move)
                parts[3, some[w]], parts[4, some[w]] = gain, bend


@njit(cache=True, nogil=True, error_model="numpy")
def _write(design, space, theta, q, random, fixed, value, some, theta_out, parts, solution):  # type: ignore[no-untyped-def]
    """Write an evaluation to its voxels; NaN where the deviance is not finite."""
    F, f, first = space[5], space[6], design[8]
    for i in range(first.size - 1, -1, -1):
        for w in range(LANES):
            f[i, w] *= F[i, i, w]
        for j in range(first[i], i):
            for w in range(LANES):
                f[j, w] -= F[i, j, w] * f[i, w]
    for w in range(some.size):
        good = np.isfinite(value[w])
        for k in range(theta.shape[0]):
            theta_out[k, some[w]] = theta[k, w] if good else np.nan
        parts[0, some[w]] = q[w] if good else np.nan
        parts[1, some[w]] = random[w]
        parts[2, some[w]] = fixed[w]
        for i in range(first.size):
            solution[i, some[w]] = f[i, w] if good else np.nan


@njit(cache=True, nogil=True)
def pick(source, voxels, lanes):  # type: ignore[no-untyped-def]
    """Copy some voxels into the lanes; spare lanes repeat the first."""
    for i in range(source.shape[0]):
        for w in range(LANES):
            lanes[i, w] = source[i, voxels[w] if w < voxels.size else voxels[0]]

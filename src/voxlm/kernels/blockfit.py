"""θ of several random terms at every voxel, by Newton's method on the deviance.

θ are the entries of Λ, as in lme4: the deviance is even in those on the diagonal, so a variance of
zero is a smooth minimum, not a wall. A grid that all voxels share finds the valley; derivatives are
central differences of the evaluations themselves; steps go along the eigenvectors of the Hessian
with curvatures made positive, and are cut until the deviance falls. A θ that can be zero without
the deviance rising is zero. What certifies a voxel is measured at the end: the most that any
further step could gain, and the least curvature; the derivatives that say so also give one last
step, so the search may end early. Voxels that fail start again from other places.

Axes: D parameters, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import LaneSums, from_lanes, lane_sums, to_lanes
from voxlm.kernels.blockforms import block_width, inspect
from voxlm.kernels.blockgrid import Anchors, anchors, lowest
from voxlm.kernels.blocksteps import (
    LARGEST,
    LEVEL,
    descend,
    deviance,
    differences,
    directions,
    sphere_theta,
    to_sphere,
)
from voxlm.kernels.lanes import LANES
from voxlm.kernels.randomblocks import BlockSums, RandomBlocks
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

STEPS = (14, 14, 28, 28)  # in one kind of coordinates, before the other is tried
FEWER = 0.75  # of the blocks of lanes: then they are laid out again
TINY = 3e-3  # a θ this small is tried at zero
NOTHING = 3e-9  # what the deviance may rise by there
LITTLE = 1e-2  # a step this small is taken with the certificate
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

    over_blocks(V, block_width(blocks), work)
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

    over_blocks(lost.size, block_width(blocks), work)
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
    inner, outer, rss = (a[..., here] for a in (sums.inner, sums.outer, sums.rss))
    data = (blocks.by_kind(inner), outer, rss[None])
    lanes = lane_sums(blocks, data, N, reml)
    theta = start.copy() if start.size else known.theta.T[:, lowest(blocks, known, lanes, data)]
    settled = np.zeros(at.size, dtype=np.bool_)
    kinds = [blocks.sphere, blocks.sphere[:0]]
    for sphere, steps in zip(2 * (kinds[::-1] if start.size else kinds), STEPS, strict=True):
        x = to_sphere(sphere, theta)
        _minimise(blocks, data, lanes, sphere, steps, x, settled)
        theta = sphere_theta(sphere, x)
        if settled.all():
            break
    _finish(blocks, lanes, theta, here, out)


def _minimise(
    blocks: RandomBlocks,
    data: tuple[Floats, Floats, Floats],
    lanes: LaneSums,
    sphere: Ints,
    steps: int,
    x: Floats,
    settled: Flags,
) -> None:
    """Take Newton's steps; voxels that still move share lanes again when others have left many."""
    among, value, reach = np.arange(settled.size), np.empty(0), np.empty(0)
    for step in range(steps):
        left = np.flatnonzero(~settled)
        if left.size == 0:
            break
        if step == 0 or -(-left.size // LANES) <= FEWER * value.shape[0]:
            if left.size < among.size:
                inner, outer, rss = data
                some = (inner[:, left], outer[:, left], rss[:, left])
                lanes = lane_sums(blocks, some, lanes.N, lanes.reml)
            kept = np.searchsorted(among, left)
            among = left
            place = to_lanes(x[:, among]).transpose(1, 0, 2)
            if step == 0:
                value = deviance(lanes, sphere, place)
                reach = np.full(value.shape, LARGEST)
            else:
                value, reach = (to_lanes(a.ravel()[None, kept])[:, 0] for a in (value, reach))
        moving = np.zeros(value.size, dtype=np.bool_)
        moving[: among.size] = ~settled[among]
        place, value, reach, done = descend(
            lanes, sphere, place, value, reach, moving.reshape(value.shape)
        )
        x[:, among] = from_lanes(place, among.size)
        settled[among] |= done.ravel()[: among.size]


def _finish(blocks: RandomBlocks, lanes: LaneSums, theta: Floats, at: slice, out: BlockFit) -> None:
    """Set to zero what can be, write the certificates, and take the step they are made of."""
    V, none = theta.shape[1], blocks.sphere[:0]
    place = to_lanes(theta).transpose(1, 0, 2)
    value = lanes.deviance(place)
    for k in blocks.diagonal:
        little = np.abs(place[k]) < TINY
        some = np.flatnonzero(little.any(axis=1))
        if some.size == 0:
            continue
        trial = place.copy()
        trial[k][little] = 0.0
        other = lanes.deviance(trial, some)
        taken = little & (other <= value + NOTHING)
        value = np.where(taken, np.minimum(value, other), value)
        place[k][taken] = 0.0
    g, H = differences(lanes, none, place, value, exact=True)
    steps = directions(g, H, np.ones(value.shape), exact=True)
    moved = place + _polish(blocks, place, g, H)
    found, solution, _ = inspect(lanes, moved, blocks.X[:0], 0)
    higher = ~(lanes.total(found) <= value + LEVEL) & np.isfinite(value)
    if higher.any():
        moved = np.where(higher, place, moved)
        found, solution, _ = inspect(lanes, moved, blocks.X[:0], 0)
    finite = np.isfinite(lanes.total(found)).ravel()[:V]
    out.theta[:, at] = np.where(finite, from_lanes(moved, V), np.nan)
    out.solution[:, at] = np.where(finite, from_lanes(solution, V), np.nan)
    quadratic, out.random_det[at], out.fixed_det[at] = from_lanes(found, V)
    out.quadratic[at] = np.where(finite, quadratic, np.nan)
    for name, certificate in (("gain", steps.gain), ("curvature", steps.bent)):
        getattr(out, name)[at] = np.where(finite, certificate.ravel()[:V], np.nan)


def _polish(blocks: RandomBlocks, place: Floats, g: Floats, H: Floats) -> Floats:
    """Return the last step, a small one, of what is not zero."""
    g, H = g.copy(), H.copy()
    for k in blocks.diagonal:
        zero = place[k] == 0.0
        g[k][zero] = 0.0
        H[k][:, zero] = 0.0
        H[:, k][:, zero] = 0.0
        H[k, k][zero] = 1.0
    steps = directions(g, H, np.ones(place.shape[1:]))
    with np.errstate(invalid="ignore"):
        return np.where((steps.free < LITTLE) & (steps.bent > BENT), steps.move, 0.0)

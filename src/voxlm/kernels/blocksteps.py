"""Derivatives of the deviance, and the steps of Newton's method, on blocks of lanes.

Steps are taken in the lengths and angles of the rows of Λ: a length is the relative standard
deviation of a coefficient. Where another one's variance is next to zero the deviance hardly feels
the angle, a straight valley; in θ itself that valley is a circle, and Newton's method crawls.

Axes: D parameters, B blocks of lanes, W lanes; (V,) stands for (B, W) where both will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import LaneSums
from voxlm.kernels.small import factor, forward

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

DIFFERENCE = 3e-4
SETTLED = 3e-4  # step at which a voxel is done but for one more, taken with its certificate
FLAT = 1e-9  # or what the step can gain
LEVEL = 1e-9  # a rise of the deviance that rounding alone can make
LARGEST = 1.0  # step at most
HALVINGS = 5
BENT = -1e-5  # relative curvature of a saddle
AWAY = 0.1  # step at least along a direction that is bent downwards, off a saddle
ROUND = 1e-4  # pivots over the diagonal, above which a Hessian is far from singular


def to_sphere(sphere: Ints, theta: Floats) -> Floats:
    """Return lengths and angles, shape ``(D, V)``, that make θ."""
    x = theta.copy()
    for row in sphere:
        used = row[row >= 0]
        left = theta[used[0]]
        for k in used[:0:-1]:
            x[k] = np.arctan2(theta[k], left)
            left = np.hypot(theta[k], left)
        x[used[0]] = left
    return x


def sphere_theta(sphere: Ints, x: Floats) -> Floats:
    """Return θ, shape ``(D, V)``, from lengths and angles."""
    theta = x.copy()
    for row in sphere:
        used = row[row >= 0]
        for k in used[1:]:
            theta[k] = theta[used[0]] * np.sin(x[k])
            theta[used[0]] = theta[used[0]] * np.cos(x[k])
    return theta


def deviance(lanes: LaneSums, sphere: Ints, x: Floats, chosen: Ints | None = None) -> Floats:
    """Return the deviance at lengths and angles, up to a constant, shape ``(B, W)``."""
    return lanes.deviance(sphere_theta(sphere, x), chosen)


def differences(
    lanes: LaneSums, sphere: Ints, x: Floats, value: Floats, exact: bool = False
) -> tuple[Floats, Floats]:
    """Return gradient ``(D, B, W)`` and Hessian ``(D, D, B, W)``.

    All by central differences, but for what is off the Hessian's diagonal: a step needs it to three
    digits, which one side gives; a certificate asks for it ``exact``. One call evaluates all.
    """
    D, h = x.shape[0], DIFFERENCE
    pairs = list(combinations(range(D), 2))
    moved = np.zeros((D, 2 * D + (1 + exact) * len(pairs)))
    moved[range(D), range(D)], moved[range(D), range(D, 2 * D)] = h, -h
    for n, pair in enumerate(pairs):
        for side in range(1 + exact):
            moved[pair, 2 * D + (1 + exact) * n + side] = -h if side else h
    found = deviance(lanes, sphere, x[:, None] + moved[:, :, None, None])
    up, down, both = found[:D], found[D : 2 * D], found[2 * D :]
    g, H = np.empty(x.shape), np.empty((D, *x.shape))
    with np.errstate(invalid="ignore"):
        g[:] = (up - down) / (2.0 * h)
        H[range(D), range(D)] = (up + down - 2.0 * value) / (h * h)
        for n, (j, k) in enumerate(pairs):
            total = both[(1 + exact) * n] - up[j] - up[k] + value
            if exact:
                total += both[2 * n + 1] - down[j] - down[k] + value
            H[j, k] = H[k, j] = total / ((1 + exact) * h * h)
    return g, H


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Newton's steps.

    Parameters
    ----------
    move : ndarray, shape (D, V)
        The step, cut to the radius; 0 where the Hessian is not finite.
    free : ndarray, shape (V,)
        The length it would have uncut.
    gain : ndarray, shape (V,)
        What it would gain uncut.
    bent : ndarray, shape (V,)
        The least eigenvalue of the Hessian over the largest, or over 1 where that is larger; where
        it was not asked for and the Hessian is far from singular, 1.
    """

    move: Floats
    free: Floats
    gain: Floats
    bent: Floats


def directions(g: Floats, H: Floats, radius: Floats, exact: bool = False) -> Steps:
    """Return Newton's steps, negative curvatures made positive; ``exact`` asks for ``bent``."""
    shape = radius.shape
    g, H = g.reshape(g.shape[0], -1), H.reshape(*H.shape[:2], -1)
    D, V = g.shape
    step, gain, bent = np.full((D, V), np.nan), np.full(V, np.nan), np.full(V, np.nan)
    finite = np.isfinite(g).all(axis=0) & np.isfinite(H).all(axis=(0, 1))
    bowl = np.zeros(V, dtype=np.bool_)
    if not exact:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            L = factor(H)
            diagonal = np.einsum("kkv->kv", H)
            bowl = (np.einsum("kkv->kv", L) ** 2 > ROUND * diagonal).all(axis=0)
            bowl &= (diagonal > ROUND * diagonal.max(axis=0)).all(axis=0) & finite
            half = forward(L[..., bowl], g[:, bowl])
        step[:, bowl], bent[bowl] = _backward(L[..., bowl], half), 1.0
        gain[bowl] = 0.5 * np.einsum("kv,kv->v", half, half)
    rest = np.flatnonzero(finite & ~bowl)
    if rest.size:
        step[:, rest], gain[rest], bent[rest] = _along_eigenvectors(g[:, rest], H[..., rest])
    size = np.abs(step).max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        cut = np.minimum(1.0, radius.ravel() / size)
    move = np.where(np.isfinite(step) & (size > 0.0), -step * cut, 0.0)
    return Steps(
        move.reshape(D, *shape), size.reshape(shape), gain.reshape(shape), bent.reshape(shape)
    )


def _backward(L: Floats, z: Floats) -> Floats:
    """Solve ``L'x = z`` at every voxel."""
    x = z.copy()
    for i in range(x.shape[0] - 1, -1, -1):
        x[i] = (x[i] - np.einsum("kv,kv->v", L[i + 1 :, i], x[i + 1 :])) / L[i, i]
    return x


def _along_eigenvectors(g: Floats, H: Floats) -> tuple[Floats, Floats, Floats]:
    """Return steps against which every curvature is positive, their gain, the relative bend."""
    values, turn = np.linalg.eigh(H.transpose(2, 0, 1))
    most = np.abs(values).max(axis=1)
    curved = np.maximum(np.abs(values), 1e-6 * np.maximum(most, 1e-6)[:, None])
    along = np.einsum("vij,iv->vj", turn, g)
    gain = 0.5 * (along**2 / curved).sum(axis=1)
    along = along / curved
    saddle = (values < -1e-6 * np.maximum(1.0, most)[:, None]) & (np.abs(along) < AWAY)
    along = np.where(saddle, np.where(along < 0.0, -AWAY, AWAY), along)
    step = np.einsum("vij,vj->iv", turn, along)
    return step, gain, values[:, 0] / np.maximum(1.0, most)


def descend(
    lanes: LaneSums,
    sphere: Ints,
    x: Floats,
    value: Floats,
    radius: Floats,
    moving: Flags,
) -> tuple[Floats, Floats, Floats, Flags]:
    """Take one step of Newton's method from x, where the deviance is ``value``.

    Returns where it leads, the deviance there, the next radius, and for which of the moving lanes
    it was the last. Other lanes stay.
    """
    steps = directions(*differences(lanes, sphere, x, value), radius)
    # next to the minimum the deviance no longer tells: the derivatives do; a saddle is flat, no end
    little = (steps.gain < FLAT) & ~(steps.bent < BENT)
    near = (steps.free < SETTLED) | little
    done = moving & ~np.isfinite(value)
    pending, move = moving & ~done, steps.move
    for _ in range(HALVINGS):
        if not pending.any():
            break
        trial = np.where(pending, x + move, x)
        other = deviance(lanes, sphere, trial, np.flatnonzero(pending.any(axis=1)))
        took = pending & (other <= value + np.where(near, LEVEL, 0.0))
        x, value = np.where(took, trial, x), np.where(took, other, value)
        shorter = np.where(pending, 0.3 * np.fmin(radius, steps.free), radius)
        radius = np.where(took, np.minimum(LARGEST, 2.0 * radius), shorter)
        done |= took & near
        pending = pending & ~took
        move = 0.3 * move
    return x, value, radius, done

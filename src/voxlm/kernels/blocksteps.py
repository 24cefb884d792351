"""Derivatives of the deviance, and the steps of Newton's method, on blocks of lanes.

Steps are taken in the lengths and angles of the rows of Λ: a length is the relative standard
deviation of a coefficient. Where another one's variance is next to zero the deviance hardly feels
the angle, a straight valley; in θ itself that valley is a circle, and Newton's method crawls.

Axes: D parameters, B blocks of lanes, W lanes; (V,) stands for (B, W) where both will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import LaneSums
from voxlm.kernels.small import factor, forward

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

DIFFERENCE = 3e-4
SETTLED = 1e-6  # step of θ at which a voxel is done
FLAT = 1e-12  # or what the step can gain
EXACT = 2  # steps after which the Hessian is one that can end the search
LATE = 8  # steps after which a gain of rounding's size is enough
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

    All by central differences, but for what is off the Hessian's diagonal: a first step needs it
    to three digits, which one side gives; the last and a certificate ask for it ``exact``.
    """
    D, h = x.shape[0], DIFFERENCE
    g, H = np.empty(x.shape), np.empty((D, *x.shape))
    sides = np.empty((2, *x.shape))
    with np.errstate(invalid="ignore"):
        for k in range(D):
            for side, sign in enumerate((h, -h)):
                sides[side, k] = deviance(lanes, sphere, _moved(x, [k], sign))
            g[k] = (sides[0, k] - sides[1, k]) / (2.0 * h)
            H[k, k] = (sides[0, k] + sides[1, k] - 2.0 * value) / (h * h)
            for j in range(k):
                total = np.zeros(value.shape)
                for side, sign in enumerate((h, -h) if exact else (h,)):
                    both = deviance(lanes, sphere, _moved(x, [j, k], sign))
                    total += both - sides[side, k] - sides[side, j] + value
                H[k, j] = H[j, k] = total / ((1 + exact) * h * h)
    return g, H


def _moved(x: Floats, some: list[int], by: float) -> Floats:
    """Return x with some parameters moved."""
    moved = x.copy()
    moved[some] += by
    return moved


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
    lanes: LaneSums, sphere: Ints, x: Floats, value: Floats, radius: Floats, step: int
) -> tuple[Floats, Floats, Floats, Flags]:
    """Take one step of Newton's method, the ``step``-th, from x, where the deviance is ``value``.

    Returns where it leads, the deviance there, the next radius, and for which lanes it was the
    last.
    """
    exact, late = step >= EXACT, step > LATE
    steps = directions(*differences(lanes, sphere, x, value, exact), radius)
    # next to the minimum the deviance no longer tells: the derivatives do; a saddle is flat, no end
    little = (steps.gain < (LEVEL if late else FLAT)) & ~(steps.bent < BENT)
    near = ((steps.free < SETTLED) | little) & exact
    done = ~np.isfinite(value)
    pending, move = ~done, steps.move
    for _ in range(HALVINGS):
        trial = np.where(pending, x + move, x)
        other = deviance(lanes, sphere, trial, np.flatnonzero(pending.any(axis=1)))
        took = pending & (other <= value + np.where(near, LEVEL, 0.0))
        x, value = np.where(took, trial, x), np.where(took, other, value)
        shorter = np.where(pending, 0.3 * np.fmin(radius, steps.free), radius)
        radius = np.where(took, np.minimum(LARGEST, 2.0 * radius), shorter)
        done |= took & near
        pending = pending & ~took
        if not pending.any():
            break
        move = 0.3 * move
    return x, value, radius, done

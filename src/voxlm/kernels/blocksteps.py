"""Derivatives of the deviance, and the steps of Newton's method, on 64 voxels side by side.

Steps are taken in the lengths and angles of the rows of Λ: a length is the relative standard
deviation of a coefficient. Where another one's variance is next to zero the deviance hardly feels
the angle, a straight valley; in θ itself that valley is a circle, and Newton's method crawls.

Axes: D parameters, W lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import evaluate
from voxlm.kernels.lanes import LANES

DIFFERENCE = 3e-4
SETTLED = 1e-6  # step of θ at which a voxel is done
FLAT = 1e-12  # or what the step can gain
LATE = 8  # steps after which a gain of rounding's size is enough
LEVEL = 1e-9  # a rise of the deviance that rounding alone can make
LARGEST = 1.0  # step at most
HALVINGS = 5
BENT = -1e-5  # relative curvature of a saddle
AWAY = 0.1  # step at least along a direction that is bent downwards, off a saddle


@njit(cache=True, nogil=True, error_model="numpy")
def from_sphere(sphere, x, theta):  # type: ignore[no-untyped-def]
    """Write θ from lengths and angles of the rows of Λ."""
    for k in range(x.shape[0]):
        for w in range(LANES):
            theta[k, w] = x[k, w]
    for i in range(sphere.shape[0]):
        length = theta[sphere[i, 0]]
        for j in range(1, sphere.shape[1]):
            if sphere[i, j] >= 0:
                along = theta[sphere[i, j]]
                for w in range(LANES):
                    angle = along[w]
                    along[w] = length[w] * np.sin(angle)
                    length[w] *= np.cos(angle)


def to_sphere(sphere: NDArray[np.int64], theta: NDArray[np.float64]) -> NDArray[np.float64]:
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


def sphere_theta(sphere: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return θ, shape ``(D, V)``, from lengths and angles."""
    theta = x.copy()
    for row in sphere:
        used = row[row >= 0]
        for k in used[1:]:
            theta[k] = theta[used[0]] * np.sin(x[k])
            theta[used[0]] = theta[used[0]] * np.cos(x[k])
    return theta


@njit(cache=True, nogil=True, error_model="numpy")
def deviance(design, sphere, inner, outer, rss, x, space, N, reml, parts, value):  # type: ignore[no-untyped-def]
    """Write the deviance, up to a constant; ``parts`` (3 + D, W) is scratch."""
    theta = parts[3:]
    from_sphere(sphere, x, theta)
    evaluate(design, inner, outer, rss, theta, space, parts[0], parts[1], parts[2])
    for w in range(LANES):
        value[w] = N * np.log(parts[0, w]) + parts[1, w] + (parts[2, w] if reml else 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def differences(design, sphere, c, o, r, space, N, reml, theta, value, g, H):  # type: ignore[no-untyped-def]
    """Write gradient and Hessian by central differences."""
    D, h = theta.shape[0], DIFFERENCE
    trial = theta.copy()
    parts, both = np.empty((3 + D, LANES)), np.empty((2, LANES))
    up, down = np.empty((D, LANES)), np.empty((D, LANES))
    for k in range(D):
        trial[k] = theta[k] + h
        deviance(design, sphere, c, o, r, trial, space, N, reml, parts, up[k])
        trial[k] = theta[k] - h
        deviance(design, sphere, c, o, r, trial, space, N, reml, parts, down[k])
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
                deviance(design, sphere, c, o, r, trial, space, N, reml, parts, both[sign])
                trial[k] = theta[k]
                trial[j] = theta[j]
            for w in range(LANES):
                near = up[k, w] + down[k, w] + up[j, w] + down[j, w] - 2.0 * value[w]
                H[k, j, w] = (both[0, w] + both[1, w] - near) / (2.0 * h * h)
                H[j, k, w] = H[k, j, w]


@njit(cache=True, nogil=True, error_model="numpy")
def descend(design, sphere, c, o, r, space, N, reml, step, theta, value, radius, done):  # type: ignore[no-untyped-def]
    """Take one step of Newton's method; tell the lanes for which it was the last."""
    D = theta.shape[0]
    g, H, move = np.empty((D, LANES)), np.empty((D, D, LANES)), np.empty((D, LANES))
    trial, other, parts = np.empty((D, LANES)), np.empty(LANES), np.empty((3 + D, LANES))
    free, fall = np.empty(LANES), np.empty(LANES)
    pending = np.ones(LANES, dtype=np.bool_)
    deviance(design, sphere, c, o, r, theta, space, N, reml, parts, value)
    differences(design, sphere, c, o, r, space, N, reml, theta, value, g, H)
    for w in range(LANES):
        done[w] = not np.isfinite(value[w])
        pending[w] = not done[w]
        if pending[w]:
            free[w], fall[w], bent = direction(g[:, w], H[:, :, w], radius[w], move[:, w])
            if bent < BENT:
                fall[w] = 1.0  # a saddle is flat but no end
    for _ in range(HALVINGS):
        for k in range(D):
            for w in range(LANES):
                trial[k, w] = theta[k, w] + move[k, w] if pending[w] else theta[k, w]
        deviance(design, sphere, c, o, r, trial, space, N, reml, parts, other)
        for w in range(LANES):
            if not pending[w]:
                continue
            # next to the minimum the deviance no longer tells: the derivatives do
            near = free[w] < SETTLED or fall[w] < (LEVEL if step > LATE else FLAT)
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
def direction(g, H, radius, move):  # type: ignore[no-untyped-def]
    """Write Newton's step, eigenvalues made positive and cut to the radius.

    Returns the length it would have uncut, what it would gain, and the least eigenvalue over the
    largest, or over 1 where that is larger.
    """
    values, turn = np.linalg.eigh(H.copy())
    floor = 1e-6 * max(np.abs(values).max(), 1e-6)
    along = turn.T @ g.copy()
    gain = 0.0
    bent = -1e-6 * max(1.0, np.abs(values).max())
    for k in range(g.size):
        gain += 0.5 * along[k] ** 2 / max(abs(values[k]), floor)
        along[k] /= max(abs(values[k]), floor)
        if values[k] < bent and abs(along[k]) < AWAY:
            along[k] = -AWAY if along[k] < 0.0 else AWAY
    step = turn @ along
    size = np.abs(step).max()
    for k in range(g.size):
        move[k] = -step[k] * min(1.0, radius / size if size > 0.0 else 1.0)
    return size, gain, values.min() / max(1.0, np.abs(values).max())

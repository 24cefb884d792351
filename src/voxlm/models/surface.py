"""The likelihood of a mixed model as a function of θ, and its derivatives, at every voxel.

Derivatives are differences of exact evaluations, extrapolated: what is cut off is of the fourth
power of the step.

Axes: D parameters θ, P columns, Q contrast rows, V voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.small import inverse

Floats = NDArray[np.float64]

Tests = Literal["satterthwaite", "kenward-roger", "hessian"]

STEP = 4e-3
FLAT = 1e-7  # of the largest eigenvalue: below it the deviance does not feel a direction


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A model at one θ a voxel.

    Parameters
    ----------
    effect : ndarray, shape (Q, V)
        ``C b``, less what is the same at every θ.
    form : ndarray, shape (Q, Q, V), or (Q, V) for the variances alone
        ``C (X'H⁻¹X)⁻¹ C'``.
    quadratic : ndarray, shape (V,)
        Q, the whitened residual sum of squares.
    random_det, fixed_det : ndarray, shape (V,)
        ``log|H|``, and ``log|X'H⁻¹X| - log|X'X|``.
    """

    effect: Floats
    form: Floats
    quadratic: Floats
    random_det: Floats
    fixed_det: Floats


class Surface(Protocol):
    """What a mixed fit answers about any θ."""

    @property
    def inner_theta(self) -> Floats:
        """The optimum, shape ``(D, V)``, in the coordinates of :meth:`point`."""

    @property
    def reml(self) -> bool:
        """Restricted likelihood, or likelihood."""

    @property
    def weight(self) -> float:
        """N: rows, less columns for REML."""

    @property
    def scale(self) -> Floats:
        """Residual variance, shape ``(V,)``."""

    def point(self, theta: Floats, C: Floats, joint: bool = True) -> Point:
        """Evaluate at θ."""

    def points(self, thetas: Sequence[Floats], C: Floats, joint: bool = True) -> list[Point]:
        """Evaluate at several θ, which share what is made of the data."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """A model at its optimum, and beside it.

    Parameters
    ----------
    at : Point
        At the optimum.
    along : list of list of Point
        One and two steps up and down along every θ: h, -h, 2h, -2h.
    """

    at: Point
    along: list[list[Point]]


def around(surface: Surface, C: Floats, joint: bool = True) -> Neighbours:
    """Evaluate at the optimum, and at one and two steps up and down along every θ."""
    D = surface.inner_theta.shape[0]
    places = [surface.inner_theta]
    for k in range(D):
        for size in (STEP, -STEP, 2 * STEP, -2 * STEP):
            places.append(_moved(surface, [k], size))
    at, *along = surface.points(places, C, joint)
    return Neighbours(at, [along[4 * k : 4 * k + 4] for k in range(D)])


def _moved(surface: Surface, some: list[int], by: float) -> Floats:
    """Return the optimum with some θ moved."""
    theta = surface.inner_theta.copy()
    theta[some] += by
    return theta


def slope(four: list[Floats]) -> Floats:
    """Return the derivative from values at h, -h, 2h, -2h."""
    return (8.0 * (four[0] - four[1]) - (four[2] - four[3])) / (12.0 * STEP)


def bend(four: list[Floats], at: Floats) -> Floats:
    """Return the second derivative from values at h, -h, 2h, -2h and between."""
    return (16.0 * (four[0] + four[1]) - (four[2] + four[3]) - 30.0 * at) / (12.0 * STEP**2)


def hessian(surface: Surface, near: Neighbours) -> Floats:
    """Return the Hessian of the deviance in θ and σ² at the optimum, ``(D + 1, D + 1, V)``."""
    D, V = surface.inner_theta.shape
    s2 = surface.scale
    H = np.empty((D + 1, D + 1, V))
    for k, four in enumerate(near.along):
        H[k, k] = bend([_value(surface, p) for p in four], _value(surface, near.at))
        H[k, D] = H[D, k] = -slope([p.quadratic for p in four]) / s2**2
    pairs = list(combinations(range(D), 2))
    sizes = (STEP, -STEP, 2 * STEP, -2 * STEP)
    places = [_moved(surface, [k, j], size) for k, j in pairs for size in sizes]
    both = surface.points(places, np.zeros((1, 1)), False) if places else []
    for n, (k, j) in enumerate(pairs):
        H[k, j] = H[j, k] = _mixed(
            surface, both[4 * n : 4 * n + 4], near.at, near.along[k], near.along[j]
        )
    H[D, D] = surface.weight / s2**2
    return H


def uncertainty(surface: Surface, near: Neighbours) -> Floats:
    """Return the covariance of θ and σ²: twice the inverse of the deviance's Hessian.

    Where θ has a direction that the deviance does not feel, that direction is taken as known.
    """
    H = hessian(surface, near)
    good = np.isfinite(H).all(axis=(0, 1))
    safe = np.where(good, H, np.eye(H.shape[0])[:, :, None])
    size = np.sqrt(np.abs(np.einsum("ddv->dv", safe)))
    size = np.where(size > 0, size, 1.0)
    both = size[:, None] * size[None]
    return np.where(good, 2.0 * _inverse(safe / both) / both, np.nan)


def _inverse(A: Floats) -> Floats:
    """Invert matrices of unit diagonal; directions that are next to flat count as zero."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        found = inverse(A)
        # no eigenvalue is below one over the trace of the inverse
        flat = np.flatnonzero(~(np.einsum("ddv->v", found) < 0.1 / (FLAT * A.shape[0])))
    if flat.size:
        some = np.moveaxis(A[:, :, flat], 2, 0)
        found[:, :, flat] = np.moveaxis(np.linalg.pinv(some, rcond=FLAT, hermitian=True), 0, 2)
    return found


def _value(surface: Surface, p: Point) -> Floats:
    """Deviance at the fitted σ², up to a constant."""
    return p.quadratic / surface.scale + p.random_det + surface.reml * p.fixed_det


def _mixed(
    surface: Surface, both: list[Point], at: Point, one: list[Point], other: list[Point]
) -> Floats:
    """Return the mixed derivative in two θ, from steps along both, along one and the other."""
    found = []
    for times in (1, 2):
        two = slice(2 * (times - 1), 2 * times)
        total = 2.0 * _value(surface, at)
        for p in both[two]:
            total = total + _value(surface, p)
        for p in (*one[two], *other[two]):
            total = total - _value(surface, p)
        found.append(total / (2.0 * (times * STEP) ** 2))
    return (4.0 * found[0] - found[1]) / 3.0


def observed_share(surface: Surface, C: Floats) -> Floats:
    """Return what the joint observed information adds to the GLS covariance, ``(Q, Q, V)``.

    It is the uncertainty of θ carried over to ``C b``; statsmodels' MixedLM reports the sum. A θ
    of zero adds nothing.
    """
    near = around(surface, C, False)
    D = surface.inner_theta.shape[0]
    steep = np.stack([slope([p.effect for p in four]) for four in near.along])
    spread = uncertainty(surface, near)[:D, :D]
    return np.asarray(np.einsum("dqv,dev,erv->qrv", steep, spread, steep, optimize=True))

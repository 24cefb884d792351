"""The likelihood of a mixed model as a function of θ, and its derivatives, at every voxel.

Derivatives are differences of exact evaluations, extrapolated: what is cut off is of the fourth
power of the step.

Axes: D parameters θ, P columns, Q contrast rows, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Tests = Literal["satterthwaite", "kenward-roger", "hessian"]

STEP = 4e-3


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


def around(surface: Surface, C: Floats, joint: bool = True) -> list[list[Point]]:
    """Evaluate at one and two steps up and down along every θ: h, -h, 2h, -2h."""
    found = []
    for k in range(surface.inner_theta.shape[0]):
        four = []
        for size in (STEP, -STEP, 2 * STEP, -2 * STEP):
            theta = surface.inner_theta.copy()
            theta[k] += size
            four.append(surface.point(theta, C, joint))
        found.append(four)
    return found


def slope(four: list[Floats]) -> Floats:
    """Return the derivative from values at h, -h, 2h, -2h."""
    return (8.0 * (four[0] - four[1]) - (four[2] - four[3])) / (12.0 * STEP)


def bend(four: list[Floats], at: Floats) -> Floats:
    """Return the second derivative from values at h, -h, 2h, -2h and between."""
    return (16.0 * (four[0] + four[1]) - (four[2] + four[3]) - 30.0 * at) / (12.0 * STEP**2)


def hessian(surface: Surface, along: list[list[Point]]) -> Floats:
    """Return the Hessian of the deviance in θ and σ² at the optimum, ``(D + 1, D + 1, V)``."""
    D, V = surface.inner_theta.shape
    s2 = surface.scale
    none = np.zeros((1, 1))
    at = surface.point(surface.inner_theta, none, False)
    H = np.empty((D + 1, D + 1, V))
    for k, four in enumerate(along):
        H[k, k] = bend([_value(surface, p) for p in four], _value(surface, at))
        H[k, D] = H[D, k] = -slope([p.quadratic for p in four]) / s2**2
    for k, j in combinations(range(D), 2):
        H[k, j] = H[j, k] = _mixed(surface, k, j, along, at)
    H[D, D] = surface.weight / s2**2
    return H


def uncertainty(surface: Surface, along: list[list[Point]]) -> Floats:
    """Return the covariance of θ and σ²: twice the inverse of the deviance's Hessian.

    Where θ has a direction that the deviance does not feel, that direction is taken as known.
    """
    H = hessian(surface, along)
    good = np.isfinite(H).all(axis=(0, 1))
    safe = np.moveaxis(np.where(good, H, np.eye(H.shape[0])[:, :, None]), 2, 0)
    size = np.sqrt(np.abs(np.einsum("vdd->vd", safe)))
    size = np.where(size > 0, size, 1.0)
    scaled = safe / (size[:, :, None] * size[:, None, :])
    inverse = np.linalg.pinv(scaled, rcond=1e-7, hermitian=True)
    inverse = 2.0 * inverse / (size[:, :, None] * size[:, None, :])
    return np.where(good, np.moveaxis(inverse, 0, 2), np.nan)


def _value(surface: Surface, p: Point) -> Floats:
    """Deviance at the fitted σ², up to a constant."""
    return p.quadratic / surface.scale + p.random_det + surface.reml * p.fixed_det


def _mixed(surface: Surface, k: int, j: int, along: list[list[Point]], at: Point) -> Floats:
    """Return the mixed derivative in two θ."""
    none = np.zeros((1, 1))
    found = []
    for times in (1, 2):
        h = times * STEP
        total = 2.0 * _value(surface, at)
        for sign in (1, -1):
            theta = surface.inner_theta.copy()
            theta[[k, j]] += sign * h
            total = total + _value(surface, surface.point(theta, none, False))
        for four in (along[k], along[j]):
            for p in four[2 * (times - 1) : 2 * times]:
                total = total - _value(surface, p)
        found.append(total / (2.0 * h * h))
    return (4.0 * found[0] - found[1]) / 3.0


def observed_share(surface: Surface, C: Floats) -> Floats:
    """Return what the joint observed information adds to the GLS covariance, ``(Q, Q, V)``.

    It is the uncertainty of θ carried over to ``C b``; statsmodels' MixedLM reports the sum. A θ
    of zero adds nothing.
    """
    along = around(surface, C, False)
    D = surface.inner_theta.shape[0]
    steep = np.stack([slope([p.effect for p in four]) for four in along])
    spread = uncertainty(surface, along)[:D, :D]
    return np.asarray(np.einsum("dqv,dev,erv->qrv", steep, spread, steep, optimize=True))

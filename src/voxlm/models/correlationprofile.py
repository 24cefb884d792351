r"""Profile likelihood intervals of the correlations of random coefficients, at every voxel.

With the rows of Λ ordered so that the two coefficients come first, their correlation ``r`` is fixed
by writing the second row as ``s (r, √(1 - r²))``; what is left of θ is free. A bound is where the
deviance, all else at its best, has risen by a quantile of χ²₁. Where the data allow one of the
coefficients not to vary at all, its correlation may be anything, and the interval is -1 to 1.

Axes: D parameters θ, q coefficients of a term, V voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.models.intervals import climb, deviance_at
from voxlm.models.surface import Surface

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Rises = Callable[[Floats, Floats], tuple[Floats, Floats]]

ROUNDS = 40
CLOSE = 1e-8  # of an angle whose sine is the correlation, and of the rise's root


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two coefficients of a random term, and where its θ are.

    Parameters
    ----------
    theta : ndarray of int
        The θ of the term.
    rows, columns : ndarray of int
        Where each lies in Λ.
    width : int
        Coefficients of the term, q.
    order : tuple of int
        The coefficients, the two first.
    """

    theta: Ints
    rows: Ints
    columns: Ints
    width: int
    order: tuple[int, ...]

    def part(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return what is free of θ, shape ``(D, V)``, and the correlation, ``(V,)``.

        At the place of the term's second θ, which the correlation sets, there is nothing.
        """
        root = np.zeros((theta.shape[1], self.width, self.width))
        root[:, self.rows, self.columns] = theta[self.theta].T
        lower = _lower(root[:, list(self.order)])
        s = np.hypot(lower[:, 1, 0], lower[:, 1, 1])
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.where(s > 0, lower[:, 1, 0] / s, 0.0)
        lower[:, 1, 1], lower[:, 1, 0] = s, 0.0
        free = theta.copy()
        free[self.theta] = lower[:, self.rows, self.columns].T
        return free, np.clip(r, -1.0, 1.0)

    def whole(self, free: Floats, r: Floats) -> Floats:
        """Return θ, shape ``(D, V)``, of what is free of it and the correlation."""
        lower = np.zeros((free.shape[1], self.width, self.width))
        lower[:, self.rows, self.columns] = free[self.theta].T
        # A standard deviation that passed 0 would turn the correlation's sign.
        lower[:, 0, 0] = np.abs(lower[:, 0, 0])
        s = np.abs(lower[:, 1, 1])
        lower[:, 1, 0], lower[:, 1, 1] = s * r, s * np.sqrt(np.maximum(1.0 - r**2, 0.0))
        back = lower[:, np.argsort(self.order)]
        theta = free.copy()
        theta[self.theta] = _lower(back)[:, self.rows, self.columns].T
        return theta

    @property
    def scales(self) -> tuple[int, int]:
        """Which θ stand for the two standard deviations, once the correlation is taken out."""
        found = [int(self.theta[(self.rows == k) & (self.columns == k)][0]) for k in (0, 1)]
        return found[0], found[1]

    @property
    def link(self) -> int:
        """Which θ the correlation sets."""
        return int(self.theta[(self.rows == 1) & (self.columns == 0)][0])


def _lower(root: Floats) -> Floats:
    """Return the lower triangle, diagonal not negative, with the same ``Λ Λ'``."""
    q = root.shape[1]
    if not root[:, *np.triu_indices(q, 1)].any():
        lower = root.copy()
    else:
        lower = np.swapaxes(np.linalg.qr(np.swapaxes(root, 1, 2), mode="r"), 1, 2)
    diagonal = np.einsum("vaa->va", lower)
    return np.asarray(lower * np.where(diagonal < 0, -1.0, 1.0)[:, None, :])


def correlation_interval(surface: Surface, pair: Pair, rise: float) -> Floats:
    """Return the bounds of the correlation of two random coefficients.

    Parameters
    ----------
    surface : Surface
        A fit by ML.
    pair : Pair
    rise : float
        How far the deviance may rise: a quantile of χ²₁.

    Returns
    -------
    ndarray, shape (2, V)

    Notes
    -----
    As lme4's ``confint(method = "profile", oldNames = FALSE)`` of ``cor_``, which interpolates.
    """
    best = surface.inner_theta
    free, r = pair.part(best)
    least = deviance_at(surface, best)
    moves = np.ones(len(free), dtype=np.bool_)
    moves[pair.link] = False
    anything = np.zeros(r.size, dtype=np.bool_)
    for scale in pair.scales:
        without, some = free.copy(), moves.copy()
        without[scale], some[scale] = 0.0, False
        found = climb(lambda f: -deviance_at(surface, pair.whole(f, r)), without, some)[1]
        anything |= -found <= least + rise

    def rises(angle: Floats, start: Floats) -> tuple[Floats, Floats]:
        at = np.sin(angle)
        there, found = climb(lambda f: -deviance_at(surface, pair.whole(f, at)), start, moves)
        return np.sqrt(np.maximum(-found - least, 0.0)) - np.sqrt(rise), there

    bounds = [
        np.where(anything, side, np.sin(_crossing(rises, np.arcsin(r), free, side)))
        for side in (-1.0, 1.0)
    ]
    return np.where(np.isnan(surface.scale), np.nan, np.stack(bounds))


def _crossing(rises: Rises, middle: Floats, free: Floats, side: float) -> Floats:
    """Return the angle between the estimate's and ±π/2 where the rise is what is allowed.

    Regula falsi, the weight of an end that stays halved: the root of the rise is nearly straight.
    """
    inner, outer = middle.copy(), np.full_like(middle, side * np.pi / 2)
    low, _ = rises(inner, free)
    high, _ = rises(outer, free)
    at, near = outer.copy(), free
    active = np.isfinite(low) & (high > 0) & (low < 0)
    last = np.zeros(at.size)
    for _ in range(ROUNDS):
        if not active.any():
            break
        with np.errstate(invalid="ignore", divide="ignore"):
            at = np.where(active, (inner * high - outer * low) / (high - low), at)
        # From inside the region: beyond it a deviation may have gone to 0, where all is level.
        value, there = rises(at, near)
        below = value <= 0
        near = np.where(below, there, near)
        high = np.where(below, np.where(last < 0, 0.5 * high, high), value)
        low = np.where(below, value, np.where(last > 0, 0.5 * low, low))
        inner, outer = np.where(below, at, inner), np.where(below, outer, at)
        last = np.where(below, -1.0, 1.0)
        active &= (np.abs(value) > CLOSE) & (np.abs(outer - inner) > CLOSE)
    return at

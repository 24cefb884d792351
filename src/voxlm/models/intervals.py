r"""Profile likelihood intervals of fixed effects and of standard deviations, at every voxel.

A bound is the farthest that a quantity gets inside the region ``deviance ≤ least + χ²``. For a
given θ the farthest point is known in closed form: of ``c b`` it is
``c b(θ) ± √(c (X'H⁻¹X)⁻¹ c' (exp((d - log|H|) / n) - Q))``, of σ the root of a scalar equation. So
each bound is an unconstrained maximum over θ, found by Newton's method; a standard deviation whose
zero lies inside the region has the lower bound 0.

Axes: D parameters θ, V voxels.

References
----------
Venzon & Moolgavkar (1988), Appl Stat 37:87. Bates et al. (2015), J Stat Softw 67:1.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from voxlm.models.surface import Point, Surface

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Quantity = Callable[[Floats], Floats]

STEP = 1e-3
STEPS, HALVINGS = 60, 8
SETTLED = 1e-9  # relative gain at which a bound is done
LARGEST = 0.5  # step of θ at most
OFF = 0.15  # how far beside a θ of zero a second search begins


def effect_interval(surface: Surface, row: Floats, rise: float) -> Floats:
    """Return the bounds of one row of the fixed effects, less what is the same at every θ.

    Parameters
    ----------
    surface : Surface
        A fit by ML.
    row : ndarray, shape (P,)
        The row.
    rise : float
        How far the deviance may rise: a quantile of χ²₁.

    Returns
    -------
    ndarray, shape (2, V)
    """
    limit = deviance_at(surface, surface.inner_theta) + rise

    def farthest(sign: float) -> Quantity:
        def value(theta: Floats) -> Floats:
            p = surface.point(theta, row[None], False)
            with np.errstate(invalid="ignore", over="ignore"):
                room = np.exp((limit - p.random_det) / surface.weight) - p.quadratic
                reach = np.sqrt(p.form[0] * np.where(room >= 0, room, np.nan))
            return np.asarray(sign * p.effect[0] + reach)

        return value

    best = surface.inner_theta
    return np.stack([sign * _highest(farthest(sign), best) for sign in (-1.0, 1.0)])


def deviation_interval(surface: Surface, ratio: Quantity, zero: Bools, rise: float) -> Floats:
    """Return the bounds of a standard deviation ``σ ratio(θ)``.

    Parameters
    ----------
    surface : Surface
        A fit by ML.
    ratio : callable
        The standard deviation over σ at some θ, shape ``(V,)``; ones for σ itself.
    zero : ndarray of bool, shape (D,)
        Which θ make the ratio zero; none for σ itself.
    rise : float
        How far the deviance may rise: a quantile of χ²₁.

    Returns
    -------
    ndarray, shape (2, V)
    """
    best = surface.inner_theta
    limit = deviance_at(surface, best) + rise
    flat = ratio(best) < 1e-6

    def farthest(sign: float) -> Quantity:
        def value(theta: Floats) -> Floats:
            p = surface.point(theta, np.zeros((1, 1)), False)
            room = (limit - _value(surface, p)) / surface.weight
            with np.errstate(divide="ignore", invalid="ignore"):
                sigma = 0.5 * np.log(p.quadratic / surface.weight * _stretch(room, sign))
                return sign * (sigma + np.log(ratio(theta)))

        return value

    start = best.copy()
    start[np.ix_(zero, flat)] += 0.2 * OFF if zero.any() else 0.0
    upper = np.exp(_highest(farthest(1.0), start))
    lower = np.exp(-_highest(farthest(-1.0), start))
    if zero.any():
        without = best.copy()
        without[zero] = 0.0
        below = climb(lambda theta: -deviance_at(surface, theta), without, ~zero)[1]
        lower = np.where(-below <= limit, 0.0, lower)
    lost = np.isnan(surface.scale)
    return np.where(lost, np.nan, np.stack([lower, upper]))


def _highest(value: Quantity, start: Floats) -> Floats:
    """Climb from a start, and from beside its zeros: every function here is level at a zero."""
    found = climb(value, start)[1]
    beside = np.where(np.abs(start) < OFF, start + OFF, start)
    return np.fmax(found, climb(value, beside)[1])


def deviance_at(surface: Surface, theta: Floats) -> Floats:
    """Return the deviance at θ, ``(V,)``, σ at its best, up to a constant."""
    return _value(surface, surface.point(theta, np.zeros((1, 1)), False))


def _value(surface: Surface, p: Point) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return surface.weight * np.log(p.quadratic) + p.random_det


def _stretch(room: Floats, sign: float) -> Floats:
    """Return u, above 1 or below, with ``log u + 1/u - 1 = room``; NaN where room is negative."""
    room = np.where(room >= 0, room, np.nan)
    x = sign * np.sqrt(2.0 * room)  # log u, at first where room is small
    x = np.where((sign > 0) & (room > 1.0), room + 1.0, x)
    x = np.where((sign < 0) & (room > 1.0), -np.log1p(room), x)
    for _ in range(60):
        slope = 1.0 - np.exp(-x)
        step = (x + np.exp(-x) - 1.0 - room) / np.where(slope == 0, np.nan, slope)
        x = x - np.where(np.isnan(step), 0.0, step)
        if not (np.abs(step) > 1e-13 * (1.0 + np.abs(x))).any():
            break
    return np.exp(x)


def climb(value: Quantity, start: Floats, free: Bools | None = None) -> tuple[Floats, Floats]:
    """Maximise a smooth function of θ at every voxel by Newton's method.

    Parameters
    ----------
    value : callable
        From θ ``(D, V)`` to ``(V,)``; NaN outside its domain.
    start : ndarray, shape (D, V)
        Inside the domain.
    free : ndarray of bool, shape (D,), optional
        Which θ move.

    Returns
    -------
    theta : ndarray, shape (D, V)
    best : ndarray, shape (V,)

    Examples
    --------
    >>> theta, best = climb(lambda t: 3.0 - (t[0] - 2.0) ** 2, np.zeros((1, 2)))
    >>> theta.round(6), best
    (array([[2., 2.]]), array([3., 3.]))
    """
    theta = start.copy()
    places = np.arange(len(theta)) if free is None else np.flatnonzero(free)
    best = value(theta)
    if places.size == 0:
        return theta, best
    radius = np.full(best.size, LARGEST)
    active = np.isfinite(best)
    for _ in range(STEPS):
        if not active.any():
            break
        move = _direction(*_slopes(value, theta, places, best), radius)
        gained = np.zeros(best.size)
        pending = active.copy()
        for _ in range(HALVINGS):
            trial = theta.copy()
            trial[places] += np.where(pending, move, 0.0)
            new = value(trial)
            better = pending & (new > best)
            theta[:, better] = trial[:, better]
            gained[better] = new[better] - best[better]
            best = np.where(better, new, best)
            pending &= ~better
            if not pending.any():
                break
            move = np.where(pending, 0.25 * move, move)
            radius = np.where(pending, 0.25 * radius, radius)
        radius = np.where(pending, radius, np.minimum(2.0 * radius, LARGEST))
        active &= gained > SETTLED * (1.0 + np.abs(best)) * 1e-3
    return theta, best


def _slopes(
    value: Quantity, theta: Floats, places: NDArray[np.int64], best: Floats
) -> tuple[Floats, Floats]:
    """Return gradient ``(V, d)`` and Hessian ``(V, d, d)`` by differences."""
    d, V = places.size, best.size
    g, H = np.zeros((V, d)), np.zeros((V, d, d))

    def at(*moves: tuple[int, float]) -> Floats:
        moved = theta.copy()
        for k, size in moves:
            moved[places[k]] += size
        found = value(moved)
        return np.where(np.isfinite(found), found, best)

    ends = [(at((k, STEP)), at((k, -STEP))) for k in range(d)]
    for k, (up, down) in enumerate(ends):
        g[:, k] = (up - down) / (2.0 * STEP)
        H[:, k, k] = (up + down - 2.0 * best) / STEP**2
    for k, j in combinations(range(d), 2):
        both = at((k, STEP), (j, STEP)) + at((k, -STEP), (j, -STEP))
        near = sum(ends[k]) + sum(ends[j]) - 2.0 * best
        H[:, k, j] = H[:, j, k] = (both - near) / (2.0 * STEP**2)
    return np.nan_to_num(g), np.nan_to_num(H)


def _direction(g: Floats, H: Floats, radius: Floats) -> Floats:
    """Return Newton's step uphill, curvatures made negative, cut to the radius; ``(d, V)``."""
    values, turn = np.linalg.eigh(H)
    size = np.maximum(np.abs(values), 1e-6 * np.maximum(np.abs(values).max(axis=1), 1e-6)[:, None])
    step = np.einsum("vdk,vk->vd", turn, np.einsum("vdk,vd->vk", turn, g) / size)
    length = np.abs(step).max(axis=1)
    cut = np.minimum(1.0, radius / np.where(length > 0, length, 1.0))
    return (step * cut[:, None]).T

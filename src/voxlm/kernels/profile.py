r"""The variance ratio λ of every voxel: the global minimum of a one-dimensional deviance.

``deviance(λ) = N log Q(λ) + Σ_j c_j log(1 + λ e_j)`` with ``Q(λ) = rss0 + Σ_j T_j / (1 + λ d_j)``:
restricted likelihood has N = n - P and e = d, likelihood N = n and the group sizes for e. A grid
over nine decades, shared by all voxels, finds the valley of the global minimum; Newton's method in
log λ, kept inside that valley by a bracket, finds its bottom. λ = 0 is taken as exactly 0 where the
slope there is not negative.

Axes: V voxels, J terms of Q, M terms of the log determinant, W lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.lanes import FAST, LANES, load
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 2048
# Decades of λ times the mean group size, and grid points in them.
LOWEST, HIGHEST, POINTS = -5.0, 6.0, 34
# Decades past the grid in which a minimum is still looked for.
BEYOND = 6.0
STEPS = 80
SETTLED = 1e-12  # relative step of λ at which a voxel is done
NOISE = 1e-8  # step that rounding alone can cause where the deviance is flat
EARLY = 15


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """The minimum at every voxel.

    Parameters
    ----------
    ratio : ndarray, shape (V,)
        λ, the variance of the random intercept over that of the residual.
    quadratic : ndarray, shape (V,)
        Q at the minimum: the whitened residual sum of squares.
    log_det : ndarray, shape (V,)
        ``Σ_j c_j log(1 + λ e_j)`` there.
    converged : ndarray of bool, shape (V,)
        Whether the minimum was reached; False too where λ runs off to infinity.
    """

    ratio: Floats
    quadratic: Floats
    log_det: Floats
    converged: NDArray[np.bool_]


def profile_ratio(
    d: Floats, T: Floats, rss0: Floats, e: Floats, counts: Floats, weight: float, size: float
) -> Profile:
    """Minimise the deviance of every voxel.

    Parameters
    ----------
    d : ndarray, shape (J,)
        Eigenvalues in Q.
    T : ndarray, shape (J, V)
        Their energies.
    rss0 : ndarray, shape (V,)
        What of the residual sum of squares no λ can explain.
    e, counts : ndarray, shape (M,)
        Eigenvalues in the log determinant and their multiplicities.
    weight : float
        N.
    size : float
        Scale of d, such as the mean group size: centres the grid.

    Returns
    -------
    Profile

    Examples
    --------
    >>> one = np.ones(1)
    >>> fit = profile_ratio(2 * one, 30 * one[None], 10 * one, 2 * one, 5 * one, 20.0, 2.0)
    >>> fit.ratio.round(6), fit.converged
    (array([4.]), array([ True]))
    """
    V = rss0.size
    grid = np.concatenate([[0.0], np.logspace(LOWEST, HIGHEST, POINTS) / size])
    shrink = 1.0 / (1.0 + np.outer(grid, d))
    log_det = np.log1p(np.outer(grid, e)) @ counts
    out = Profile(np.empty(V), np.empty(V), np.empty(V), np.empty(V, dtype=np.bool_))

    def work(start: int, stop: int) -> None:
        _solve(
            d,
            np.ascontiguousarray(T[:, start:stop]),
            rss0[start:stop],
            e,
            counts,
            weight,
            grid,
            shrink,
            log_det,
            out.ratio[start:stop],
            out.quadratic[start:stop],
            out.log_det[start:stop],
            out.converged[start:stop],
        )

    over_blocks(V, BLOCK, work)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """Derivatives in λ at the minimum, each of shape ``(V,)``.

    Parameters
    ----------
    fall : ndarray
        Q'.
    bend : ndarray
        Q''.
    log_det_bend : ndarray
        The second derivative of the log determinant.
    """

    fall: Floats
    bend: Floats
    log_det_bend: Floats


def curvature(d: Floats, T: Floats, e: Floats, counts: Floats, ratio: Floats) -> Curvature:
    """Return the derivatives that the information about λ is made of.

    Parameters
    ----------
    d, T, e, counts
        As for :func:`profile_ratio`.
    ratio : ndarray, shape (V,)
        λ.

    Returns
    -------
    Curvature

    Examples
    --------
    >>> one = np.ones(1)
    >>> curvature(one, one[None], one, one, one).bend
    array([0.25])
    """
    out = Curvature(np.zeros(ratio.size), np.zeros(ratio.size), np.zeros(ratio.size))

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        parts = (out.fall[here], out.bend[here], out.log_det_bend[here])
        _derivatives(d, T[:, here], e, counts, ratio[here], *parts)

    over_blocks(ratio.size, BLOCK, work)
    return out


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _derivatives(d, T, e, counts, ratio, fall, bend, log_det_bend):  # type: ignore[no-untyped-def]
    """Add up the derivatives term by term."""
    for j in range(d.size):
        for v in range(ratio.size):
            share = d[j] / (1.0 + ratio[v] * d[j])
            part = T[j, v] / (1.0 + ratio[v] * d[j]) * share
            fall[v] -= part
            bend[v] += 2.0 * part * share
    for j in range(e.size):
        for v in range(ratio.size):
            share = e[j] / (1.0 + ratio[v] * e[j])
            log_det_bend[v] -= counts[j] * share * share


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(  # type: ignore[no-untyped-def]
    d, T, rss0, e, counts, weight, grid, shrink, log_det, ratio, quadratic, log_det_out, converged
):
    """Minimise LANES voxels at a time."""
    t = np.empty((T.shape[0], LANES))
    base = np.empty((1, LANES))
    x, low, high = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    at_zero, value = np.empty(LANES), np.empty(LANES)
    lam, q, ld = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    interior = np.empty(LANES, dtype=np.bool_)
    done = np.empty(LANES, dtype=np.bool_)
    for at in range(0, rss0.size, LANES):
        n = min(LANES, rss0.size - at)
        load(T, at, n, t)
        load(rss0.reshape(1, -1), at, n, base)
        known = (grid, shrink, log_det)
        _bracket(d, t, base[0], e, counts, weight, known, at_zero, interior, x, low, high)
        _newton(d, t, base[0], e, counts, weight, interior, x, low, high, done)
        for w in range(LANES):
            lam[w] = np.exp(x[w]) if interior[w] else 0.0
        _values(d, t, base[0], e, counts, weight, lam, q, ld, value)
        for w in range(n):
            if interior[w] and not value[w] < at_zero[w] and np.isfinite(at_zero[w]):
                lam[w] = 0.0  # the valley was rounding: the boundary is as low
                interior[w] = False
                done[w] = True
        _values(d, t, base[0], e, counts, weight, lam, q, ld, value)
        for w in range(n):
            lost = not np.isfinite(value[w])
            ratio[at + w] = np.nan if lost else lam[w]
            quadratic[at + w] = np.nan if lost else q[w]
            log_det_out[at + w] = np.nan if lost else ld[w]
            converged[at + w] = not lost and (done[w] or not interior[w])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _values(d, t, rss0, e, counts, weight, lam, q, ld, value):  # type: ignore[no-untyped-def]
    """Write Q, the log determinant and the deviance at λ."""
    for w in range(LANES):
        q[w] = rss0[w]
        ld[w] = 0.0
    for j in range(d.size):
        for w in range(LANES):
            q[w] += t[j, w] / (1.0 + lam[w] * d[j])
    for j in range(e.size):
        for w in range(LANES):
            ld[w] += counts[j] * np.log1p(lam[w] * e[j])
    for w in range(LANES):
        value[w] = weight * np.log(q[w]) + ld[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _bracket(  # type: ignore[no-untyped-def]
    d, t, rss0, e, counts, weight, known, at_zero, interior, x, low, high
):
    """Find the lowest point of the grid and its neighbours; tell exact zeros."""
    grid, shrink, log_det = known
    best = np.empty(LANES)
    where = np.zeros(LANES, dtype=np.int64)
    q = np.empty(LANES)
    G = grid.size
    for g in range(G):
        for w in range(LANES):
            q[w] = rss0[w]
        for j in range(d.size):
            s = shrink[g, j]
            for w in range(LANES):
                q[w] += s * t[j, w]
        for w in range(LANES):
            value = weight * np.log(q[w]) + log_det[g]
            if g == 0:
                at_zero[w] = value
            if g == 0 or value < best[w]:
                best[w] = value
                where[w] = g
    slope = 0.0
    for j in range(e.size):
        slope += counts[j] * e[j]
    for w in range(LANES):
        fall = 0.0
        total = rss0[w]
        for j in range(d.size):
            fall += t[j, w] * d[j]
            total += t[j, w]
        g = where[w]
        interior[w] = g > 0 or weight * fall > slope * total
        low[w] = np.log(grid[g - 1]) if g > 1 else np.log(grid[1]) - 30.0
        high[w] = np.log(grid[g + 1]) if g + 1 < G else np.log(grid[g]) + BEYOND * np.log(10.0)
        x[w] = np.log(grid[max(g, 1)]) if g > 0 else np.log(grid[1]) - 1.0


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _newton(d, t, rss0, e, counts, weight, interior, x, low, high, done):  # type: ignore[no-untyped-def]
    """Descend in log λ within the bracket."""
    lam, q, q1, q2 = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    l1, l2 = np.empty(LANES), np.empty(LANES)
    top = high.copy()
    for w in range(LANES):
        done[w] = not interior[w]
    for step in range(STEPS):
        working = False
        for w in range(LANES):
            working |= not done[w]
            lam[w] = np.exp(x[w])
        if not working:
            break
        _slopes(d, t, rss0, e, counts, lam, q, q1, q2, l1, l2)
        for w in range(LANES):
            if done[w]:
                continue
            relative = q1[w] / q[w]
            slope = lam[w] * (weight * relative + l1[w])
            bend = slope + lam[w] * lam[w] * (weight * (q2[w] / q[w] - relative * relative) + l2[w])
            if slope > 0:
                high[w] = x[w]
            else:
                low[w] = x[w]
            new = x[w] - slope / bend
            if not (bend > 0 and new > low[w] and new < high[w]):
                new = 0.5 * (low[w] + high[w])
            moved = abs(new - x[w])
            x[w] = new
            if moved < SETTLED or (step >= EARLY and moved < NOISE):
                done[w] = True
    for w in range(LANES):
        # a minimum at the far end of the search is none
        done[w] &= x[w] < top[w] - 1e-6


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _slopes(d, t, rss0, e, counts, lam, q, q1, q2, l1, l2):  # type: ignore[no-untyped-def]
    """Write Q and two derivatives in λ, and those of the log determinant."""
    for w in range(LANES):
        q[w] = rss0[w]
        q1[w] = 0.0
        q2[w] = 0.0
        l1[w] = 0.0
        l2[w] = 0.0
    for j in range(d.size):
        for w in range(LANES):
            inverse = 1.0 / (1.0 + lam[w] * d[j])
            part = t[j, w] * inverse
            pull = part * inverse * d[j]
            q[w] += part
            q1[w] -= pull
            q2[w] += 2.0 * pull * inverse * d[j]
    for j in range(e.size):
        for w in range(LANES):
            share = e[j] / (1.0 + lam[w] * e[j])
            l1[w] += counts[j] * share
            l2[w] -= counts[j] * share * share

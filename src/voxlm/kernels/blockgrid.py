"""Where to start: the deviance of every voxel on a grid of θ that all voxels share.

At a θ that is the same for all voxels every matrix belongs to the design, so one point costs little
more than the products with the data, and no logarithm: ``N log Q + c`` is least where
``Q exp(c / N)`` is.

Axes: G points, m groups, K kinds, q coefficients, S = T + P columns, D parameters, W lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.lanes import FAST, LANES
from voxlm.kernels.randomblocks import RandomBlocks

Floats = NDArray[np.float64]

# Relative standard deviations tried, by how many there are; correlations beside two of them.
LEVELS = {
    1: (0.0, 0.05, 0.12, 0.2, 0.3, 0.42, 0.56, 0.75, 1.0, 1.35, 1.8, 2.5, 4.0, 8.0, 20.0),
    2: (0.06, 0.15, 0.35, 0.7, 1.3, 3.0),
    3: (0.06, 0.25, 0.6, 1.2, 3.0),
    4: (0.1, 0.4, 1.2),
}
MORE = (0.15, 1.0)
CORRELATIONS = (-0.7, 0.0, 0.7)
MOST = 256


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """The design at the points of a grid.

    Parameters
    ----------
    theta : ndarray, shape (G, D)
        The points.
    middle : ndarray, shape (G, K, q, q)
        ``M`` of every kind of group.
    half : ndarray, shape (G, S, S)
        The inverse of F's factor times Λ' of the other terms.
    factor : ndarray, shape (G,)
        ``exp(c / N)``, c the log determinants.
    """

    theta: Floats
    middle: Floats
    half: Floats
    factor: Floats


def anchors(blocks: RandomBlocks, N: float, reml: bool) -> Anchors:
    """Prepare the grid for a design.

    Parameters
    ----------
    blocks : RandomBlocks
        Design-only products.
    N : float
        Rows, less columns for REML.
    reml : bool
        Restricted likelihood, or likelihood.

    Returns
    -------
    Anchors
    """
    theta = grid(blocks)
    found = [_anchor(blocks, point, reml) for point in theta]
    middle, half = np.stack([f[0] for f in found]), np.stack([f[1] for f in found])
    dets = np.array([f[2] for f in found])
    return Anchors(theta, middle, half, np.exp((dets - dets.mean()) / N))


def grid(blocks: RandomBlocks) -> Floats:
    """Return the points: standard deviations in combination, correlations where a term has two."""
    diagonal = blocks.diagonal
    levels = LEVELS.get(diagonal.size, MORE)
    if len(levels) ** diagonal.size > MOST:  # then every term at one of few sizes
        sizes = np.array(MORE)[:, None] * np.ones(diagonal.size)
        alone = [1.0 * (np.arange(diagonal.size) == k) + 0.1 for k in range(diagonal.size)]
        sets = np.vstack([sizes, *alone])
    else:
        sets = np.array(list(product(levels, repeat=diagonal.size)))
    out = np.zeros((len(sets), blocks.n_theta))
    out[:, diagonal] = sets
    pair = blocks.places.shape[0] == 2 and blocks.places[1, 0] >= 0
    if not pair:
        return out
    across, down = blocks.places[1, 0], blocks.places[1, 1]
    turned = []
    for rho in CORRELATIONS:
        one = out.copy()
        one[:, across] = rho * out[:, down]
        one[:, down] = np.sqrt(1.0 - rho**2) * out[:, down]
        turned.append(one)
    return np.concatenate(turned)


def _anchor(blocks: RandomBlocks, theta: Floats, reml: bool) -> tuple[Floats, Floats, float]:
    """Return M of every kind, the whitening of f, and the log determinants, at one point."""
    K, q = blocks.kinds.shape[:2]
    root = np.where(blocks.places >= 0, theta[np.maximum(blocks.places, 0)], 0.0)
    inner = np.eye(q) + root.T @ blocks.kinds @ root
    middle = root @ np.linalg.solve(inner, np.broadcast_to(root.T, (K, q, q)))
    det = float(blocks.members @ np.linalg.slogdet(inner)[1])
    a, b = np.tril_indices(q)
    S, T = blocks.first.size, blocks.links.shape[0]
    F = np.zeros((S, S))
    F[blocks.rows, blocks.columns] = blocks.base - blocks.pull @ middle[:, a, b].ravel()
    F = F + np.tril(F, -1).T
    mix = np.eye(S)
    for t in range(T):
        for o in np.flatnonzero(blocks.links[t] >= 0):
            mix[t + o, t] = theta[blocks.links[t, o]]
    F = mix.T @ F @ mix
    F[np.arange(T), np.arange(T)] += 1.0
    L = np.linalg.cholesky(F)
    logs = 2.0 * np.log(np.diag(L))
    det += float(logs.sum() if reml else logs[:T].sum())
    return middle, np.linalg.solve(L, mix.T), det


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def lowest(kind_of, meets, middle, half, factor, inner, outer, rss, y, f, w, best, where):  # type: ignore[no-untyped-def]
    """Write which point of the grid has the least deviance, lane by lane."""
    m, q = kind_of.size, middle.shape[2]
    S, T = half.shape[1], outer.shape[0]
    quadratic = np.empty(LANES)
    for g in range(factor.size):
        for v in range(LANES):
            quadratic[v] = rss[v]
        for i in range(m):
            M = middle[g, kind_of[i]]
            for a in range(q):
                ya, ca = y[i * q + a], inner[i * q + a]
                if q == 1:
                    c = M[0, 0]
                    for v in range(LANES):
                        ya[v] = c * ca[v]
                else:
                    c, d, other = M[a, 0], M[a, 1], inner[i * q]
                    more = inner[i * q + 1]
                    for v in range(LANES):
                        ya[v] = c * other[v] + d * more[v]
                    for b in range(2, q):
                        c, other = M[a, b], inner[i * q + b]
                        for v in range(LANES):
                            ya[v] += c * other[v]
                for v in range(LANES):
                    quadratic[v] -= ya[v] * ca[v]
        np.dot(meets, y, f)
        for s in range(S):
            for v in range(LANES):
                f[s, v] = (outer[s, v] if s < T else 0.0) - f[s, v]
        np.dot(half[g], f, w)
        for s in range(S):
            for v in range(LANES):
                quadratic[v] -= w[s, v] * w[s, v]
        for v in range(LANES):
            value = quadratic[v] * factor[g]
            if g == 0 or value < best[v]:
                best[v] = value
                where[v] = g

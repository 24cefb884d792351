"""Where to start: the deviance of every voxel on a grid of θ that all voxels share.

At a θ that is the same for all voxels every matrix belongs to the design, so one point costs little
more than the products with the data, and no logarithm: ``N log Q + c`` is least where
``Q exp(c / N)`` is.

Axes: G points, m groups, K kinds, q coefficients, S = T + P columns, D parameters, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

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


def lowest(
    blocks: RandomBlocks, known: Anchors, sums: Floats, outer: Floats, rss: Floats
) -> NDArray[np.int64]:
    """Return which point of the grid has the least deviance, shape ``(V,)``.

    Parameters
    ----------
    blocks : RandomBlocks
        Design-only products.
    known : Anchors
        The grid.
    sums, outer, rss : ndarray, shapes as in LaneSums but (rows, V), (T, V), (1, V)
        The data.
    """
    a, b = np.tril_indices(blocks.places.shape[0])
    weights = known.middle[:, :, a, b].reshape(known.factor.size, -1)  # (G, K q(q+1)/2)
    S, T, V = blocks.first.size, outer.shape[0], outer.shape[1]
    best, where = np.full(V, np.inf), np.zeros(V, dtype=np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        if blocks.compact:
            by_kind = sums.reshape(weights.shape[1], S + 1, V)
            energy, pulled = weights @ by_kind[:, 0], by_kind[:, 1:].reshape(weights.shape[1], -1)
        else:
            energy = weights @ _energies(blocks, sums)
        for g, half in enumerate(known.half):
            if blocks.compact:
                w = half @ (weights[g] @ pulled).reshape(S, V)
            else:
                w = (half @ _weighed(blocks, known.middle[g])) @ sums
            w -= half[:, :T] @ outer
            value = rss[0] - energy[g] - np.einsum("sv,sv->v", w, w)
            value *= known.factor[g]
            lower = value < best
            where[lower], best[lower] = g, value[lower]
    return where


def _energies(blocks: RandomBlocks, inner: Floats) -> Floats:
    """Return ``Σ c c'`` over the groups of each kind, entry by entry, ``(K·q(q+1)/2, V)``."""
    q, m, K = blocks.places.shape[0], blocks.kind_of.size, blocks.members.size
    c = inner.reshape(m, q, -1)
    a, b = np.tril_indices(q)
    order = np.argsort(blocks.kind_of, kind="stable")
    starts = np.searchsorted(blocks.kind_of[order], np.arange(K))
    out = np.empty((K, a.size, inner.shape[1]))
    for h in range(a.size):
        product = c[order, a[h]] * c[order, b[h]]
        out[:, h] = product if m == K else np.add.reduceat(product, starts, axis=0)
        if a[h] != b[h]:
            out[:, h] *= 2.0
    return out.reshape(K * a.size, -1)


def _weighed(blocks: RandomBlocks, middle: Floats) -> Floats:
    """Return ``W'Z_g M``, shape ``(S, m·q)``."""
    S, q = blocks.first.size, blocks.places.shape[0]
    meets = blocks.meets.reshape(S, -1, q)
    M = middle[blocks.kind_of]
    columns = [sum(meets[:, :, b] * M[:, b, a] for b in range(q)) for a in range(q)]
    return np.stack(columns, axis=2).reshape(S, -1)

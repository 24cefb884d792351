"""Where to start: the deviance of every voxel on a grid of θ that all voxels share.

At a θ that is the same for all voxels every matrix belongs to the design, so one point costs little
more than the products with the data, and no logarithm: ``N log Q + c`` is least where
``Q exp(c / N)`` is.

Axes: G points, m groups, K kinds, q coefficients, S = T + P columns, D parameters, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import NEITHER, LaneSums, evaluate, to_lanes, work_space
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
TOGETHER = 12  # points whose products with the data are made at once
MEMORY = 64_000_000  # bytes of what the grid makes of a design


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """The design at the points of a grid.

    Parameters
    ----------
    theta : ndarray, shape (G, D)
        The points.
    middle : ndarray, shape (G, K·q(q+1)/2)
        ``-M`` of every kind of group, lower triangles by rows.
    half : ndarray, shape (G, S, S)
        The inverse of F's factor times Λ' of the other terms.
    factor : ndarray, shape (G,)
        ``exp(c / N)``, c the log determinants.
    entries : ndarray of int, shape (3, any)
        For every entry of ``half`` that any point makes other than 0: its row, its column, and
        whether it is the row's last.
    whole : ndarray, shape (G·S, m·q), or None
        ``half meets -M``, unless groups are of few kinds or there is no room for it.
    """

    theta: Floats
    middle: Floats
    half: Floats
    factor: Floats
    entries: NDArray[np.int64]
    whole: Floats | None


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
    G, S, T = len(theta), blocks.first.size, blocks.links.shape[0]
    lanes = to_lanes(np.ascontiguousarray(theta.T))
    middle, L = np.empty((G, blocks.pull.shape[1])), np.empty((G, S, S))
    parts, space = np.empty((G, 3)), work_space(blocks)
    nothing = blocks.by_kind(np.zeros((blocks.meets.shape[1], 1))).shape[0]
    data = (np.zeros((1, nothing, LANES)), np.zeros((1, T, LANES)), np.zeros((1, LANES)))
    one = np.zeros(1, dtype=np.int64)
    for b, point in enumerate(lanes):  # points stand in the lanes of voxels without data
        out, some = np.empty((1, 1, 3, LANES)), slice(b * LANES, min((b + 1) * LANES, G))
        n = some.stop - some.start
        evaluate(blocks.design, *data, point[None, None], one, space, out, *NEITHER)
        middle[some] = space[4].T[:n, : middle.shape[1]]
        L[some] = np.moveaxis(space[5], 2, 0)[:n]
        parts[some] = out[0, 0].T[:n]
    L[:, range(S), range(S)] = 1.0 / L[:, range(S), range(S)]
    mix = np.broadcast_to(np.eye(S), L.shape).copy()
    for t in range(T):
        for o in np.flatnonzero(blocks.links[t] >= 0):
            mix[:, t, t + o] = theta[:, blocks.links[t, o]]
    half: Floats = np.asarray(np.linalg.solve(np.tril(L), mix), dtype=np.float64)
    dets = parts[:, 1] + reml * parts[:, 2]
    rows, columns = np.nonzero((half != 0).any(axis=0))
    last = np.append(rows[1:] != rows[:-1], True)
    entries = np.stack([rows, columns, last.astype(np.int64)])
    factor = np.exp((dets - dets.mean()) / N)
    found = Anchors(theta, middle, half, factor, entries, None)
    if blocks.compact or G * S * blocks.meets.shape[1] * 8 > MEMORY:
        return found
    return replace(found, whole=_whole(blocks, half, middle))


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


def lowest(
    blocks: RandomBlocks, known: Anchors, lanes: LaneSums, data: tuple[Floats, Floats, Floats]
) -> NDArray[np.int64]:
    """Return which point of the grid has the least deviance, shape ``(V,)``.

    Parameters
    ----------
    blocks : RandomBlocks
        Design-only products.
    known : Anchors
        The grid.
    lanes, data : LaneSums, and inner, outer and rss with voxels last
        The data, twice.
    """
    V = data[2].shape[1]
    if blocks.compact:
        where = np.zeros(lanes.rss.shape, dtype=np.int64)
        z = np.zeros((blocks.first.size + 3, LANES))
        weights = (known.middle, known.half, known.factor, known.entries)
        _scan(weights, lanes.inner, lanes.outer, lanes.rss, z, where)
        return where.ravel()[:V]
    inner, outer, rss = data
    G, S, T = len(known.factor), blocks.first.size, outer.shape[0]
    with np.errstate(invalid="ignore", over="ignore"):
        value = rss + known.middle @ _energies(blocks, inner)
        for at in range(0, G, TOGETHER):
            some = slice(at, min(at + TOGETHER, G))
            half = known.half[some]
            if known.whole is None:
                w = _whole(blocks, half, known.middle[some]) @ inner
            else:
                w = known.whole[some.start * S : some.stop * S] @ inner
            w += half.reshape(-1, S)[:, :T] @ outer
            w *= w
            value[some] -= w.reshape(-1, S, V).sum(axis=1)
        value *= known.factor[:, None]
    return np.argmin(np.where(np.isnan(value), np.inf, value), axis=0)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _scan(known, inner, outer, rss, z, where):  # type: ignore[no-untyped-def]
    """Write the lowest point of every lane, from what is added up by kinds of groups."""
    middle, half, factor, entries = known
    S, T = half.shape[1], outer.shape[1]
    value, total, best = z[S], z[S + 1], z[S + 2]
    for b in range(rss.shape[0]):
        for w in range(LANES):
            best[w] = np.inf
        for g in range(factor.size):
            for s in range(S):
                for w in range(LANES):
                    z[s, w] = outer[b, s, w] if s < T else 0.0
            for w in range(LANES):
                value[w] = rss[b, w]
                total[w] = 0.0
            for h in range(middle.shape[1]):
                c, some = middle[g, h], inner[b, h * (S + 1) : (h + 1) * (S + 1)]
                for w in range(LANES):
                    value[w] += c * some[0, w]
                for s in range(S):
                    for w in range(LANES):
                        z[s, w] += c * some[s + 1, w]
            for e in range(entries.shape[1]):
                i, j, last = entries[0, e], entries[1, e], entries[2, e]
                c = half[g, i, j]
                for w in range(LANES):
                    total[w] += c * z[j, w]
                if last:
                    for w in range(LANES):
                        value[w] -= total[w] * total[w]
                        total[w] = 0.0
            for w in range(LANES):
                least = value[w] * factor[g]
                if least < best[w]:
                    best[w] = least
                    where[b, w] = g


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


def _whole(blocks: RandomBlocks, half: Floats, middle: Floats) -> Floats:
    """Return ``half meets -M`` of some points, one under another."""
    return np.concatenate([h @ _weighed(blocks, m) for h, m in zip(half, middle, strict=True)])


def _weighed(blocks: RandomBlocks, middle: Floats) -> Floats:
    """Return ``W'Z_g M``, shape ``(S, m·q)``, M as its lower triangles."""
    S, q = blocks.first.size, blocks.places.shape[0]
    meets = blocks.meets.reshape(S, -1, q)
    lower = middle.reshape(blocks.members.size, -1)
    M = lower[
        :, [[max(a, b) * (max(a, b) + 1) // 2 + min(a, b) for b in range(q)] for a in range(q)]
    ]
    return np.einsum("smb,mba->sma", meets, M[blocks.kind_of]).reshape(S, -1)

r"""What the design alone says about several random terms, and what is kept of the data.

``Var(y) = σ² (I + Z_g D Z_g' + Σ_k λ_k² Z_k Z_k')``. One grouping factor, the one with most groups,
has q coefficients a group, ``D = Λ Λ'``: its part of the variance is block diagonal and is inverted
group by group, groups with the same ``Z_i'Z_i`` at once. The other terms have T coefficients in
all; they are carried as extra columns ``W = [Z_t, Q]``, so one Cholesky factor of size T + P ends
every evaluation. Where factors are nested most of it is zero, and only its envelope is worked on.

Axes: n rows, m groups, K kinds of groups, q coefficients, T coefficients of the other terms, P
columns, S = T + P, E entries of the factor, V voxels, D parameters θ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from voxlm.kernels.pieces import TALL, WIDE
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CACHE = 2_500_000
NARROWEST, WIDEST = 64, 1024
SAME = 13  # decimals to which two groups' products have to agree to be of one kind


@dataclass(frozen=True, slots=True, eq=False)
class RandomBlocks:
    """Design-only products of several random terms.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        The fixed effects' columns, of full rank.
    groups : ndarray of int, shape (n,)
        The group of each row in the factor with most groups, 0 … m - 1.
    Z : ndarray, shape (n, q)
        What the coefficients of that factor multiply, each of mean square 1.
    places : ndarray of int, shape (q, q)
        Entry (a, b), b <= a: which θ the entry of Λ is; -1 where it is 0.
    others : ndarray, shape (n, T)
        Columns of the other terms, level by level.
    links : ndarray of int, shape (T, 1 or more)
        Column t becomes the sum over o of θ[links[t, o]] times column t + o; -1 is nothing.
    n_theta : int
        D.
    Q, R, Rinv : ndarray, shapes (n, P), (P, P), (P, P)
        X = QR, and the inverse of R.
    kinds, kind_of, members : ndarray, shapes (K, q, q), (m,), (K,)
        The different ``Z_i'Z_i``, which each group has, and how many have each.
    meets : ndarray, shape (S, m·q)
        ``W'Z_g``.
    rows, columns : ndarray of int, shape (E,)
        The entries of ``W'W``'s lower triangle that any θ makes other than 0.
    base : ndarray, shape (E,)
        Those of ``W'W``.
    pull : ndarray, shape (E, K·q(q+1)/2)
        What each entry of the kinds' q × q matrices, lower triangle by rows, takes off them.
    first : ndarray of int, shape (S,)
        The first column of each row of the envelope.
    gaps : ndarray of int, shape (2, any)
        Rows and columns of the envelope's entries that are not among E.
    lone : int
        How many of the first columns meet none before them, and have a θ of their own.
    meets_filled, pull_filled : ndarray
        ``meets`` and ``pull`` with zeros up to the whole pieces that products are made in.
    constant : ndarray, shape (P,), or None
        Weights that make the constant of the columns; None where it is not in their span.
    """

    X: Floats
    groups: Ints
    Z: Floats
    places: Ints
    others: Floats
    links: Ints
    n_theta: int
    Q: Floats
    R: Floats
    Rinv: Floats
    kinds: Floats
    kind_of: Ints
    members: Floats
    meets: Floats
    rows: Ints
    columns: Ints
    base: Floats
    pull: Floats
    first: Ints
    gaps: Ints
    lone: int
    meets_filled: Floats
    pull_filled: Floats
    constant: Floats | None

    @property
    def diagonal(self) -> Ints:
        """The θ that are standard deviations rather than correlations: zero is their boundary."""
        return np.unique(np.concatenate([np.diag(self.places), self.links[:, 0]]))

    @property
    def sphere(self) -> Ints:
        """The θ of each row of Λ that has several: the diagonal one, then the others; -1 fills."""
        rows = {int(r[a]): r[:a] for a, r in enumerate(self.places)}
        for t, link in enumerate(self.links):
            for o in np.flatnonzero(link[1:] >= 0) + 1:
                row = rows.setdefault(int(self.links[t + o, 0]), np.empty(0, dtype=np.int64))
                if link[o] not in row:
                    rows[int(self.links[t + o, 0])] = np.append(row, link[o])
        found = [[k, *row[row >= 0]] for k, row in rows.items() if (row >= 0).any()]
        widest = max(map(len, found), default=1)
        filled = [row + [-1] * (widest - len(row)) for row in found]
        return np.array(filled, dtype=np.int64).reshape(len(found), widest)

    @property
    def compact(self) -> bool:
        """Whether groups are of so few kinds that their sums are added up by kind."""
        q = self.places.shape[0]
        return self.members.size * q * (q + 1) <= self.kind_of.size * q

    def by_kind(self, inner: Floats) -> Floats:
        """Return what evaluations read of ``Z_i'r``, shape ``(K·q(q+1)/2·(1 + S), V)``.

        For every entry of the kinds' M: what it takes off Q, and off ``W'r``.
        """
        if not self.compact:
            return inner
        q, m, S = self.places.shape[0], self.kind_of.size, self.first.size
        c, meets = inner.reshape(m, q, -1), self.meets.reshape(S, m, q)
        found = []
        for k in range(self.members.size):
            some = self.kind_of == k
            mine, met = c[some], meets[:, some]
            for a in range(q):
                for b in range(a + 1):
                    energy = np.einsum("mv,mv->v", mine[:, a], mine[:, b])
                    pulled = met[:, :, a] @ mine[:, b]
                    if a != b:
                        energy, pulled = 2.0 * energy, pulled + met[:, :, b] @ mine[:, a]
                    found += [energy[None], pulled]
        return np.concatenate(found)

    @property
    def design(self) -> tuple[Any, ...]:
        """What the compiled functions read."""
        return (
            self.kinds,
            self.kind_of[:0] if self.compact else self.kind_of,
            self.members,
            self.meets_filled,
            self.rows,
            self.columns,
            self.base,
            self.pull_filled,
            self.first,
            self.places,
            self.links,
            self.gaps,
            self.lone,
        )


@dataclass(frozen=True, slots=True, eq=False)
class BlockSums:
    """Statistics of the data, enough for any θ.

    Parameters
    ----------
    start : ndarray, shape (P, V)
        Least squares coefficients of the data less ``shift``.
    inner : ndarray, shape (m·q, V)
        ``Z_i'r``, r the least squares residuals.
    outer : ndarray, shape (T, V)
        ``Z_t'r``.
    rss, spread, shift : ndarray, shape (V,)
        As in :class:`~voxlm.kernels.groupsums.GroupSums`.
    """

    start: Floats
    inner: Floats
    outer: Floats
    rss: Floats
    spread: Floats
    shift: Floats

    def level(self, blocks: RandomBlocks) -> Floats:
        """Return the least squares coefficients of the data themselves, shape ``(P, V)``."""
        if blocks.constant is None:
            return self.start
        return self.start + np.outer(blocks.constant, self.shift)


def random_blocks(
    X: Floats, groups: Ints, Z: Floats, places: Ints, others: Floats, links: Ints
) -> RandomBlocks:
    """Compute the design-only products of several random terms.

    Parameters
    ----------
    X, groups, Z, places, others, links
        As in :class:`RandomBlocks`.

    Returns
    -------
    RandomBlocks

    Examples
    --------
    >>> codes = np.repeat(np.arange(3), 2)
    >>> none = np.empty((6, 0)), np.empty((0, 1), dtype=np.int64)
    >>> one = np.ones((6, 1))
    >>> blocks = random_blocks(one, codes, one, np.zeros((1, 1), dtype=np.int64), *none)
    >>> blocks.kinds.ravel(), blocks.members
    (array([2.]), array([3.]))
    """
    Q, R = qr(X, mode="economic")
    Rinv, W = solve_triangular(R, np.eye(X.shape[1])), np.hstack([others, Q])
    m, q = int(groups.max()) + 1, Z.shape[1]
    gram, meets = np.zeros((m, q, q)), np.zeros((m, q, W.shape[1]))
    np.add.at(gram, groups, Z[:, :, None] * Z[:, None, :])
    np.add.at(meets, groups, Z[:, :, None] * W[:, None, :])
    kinds, kind_of = _kinds(gram)
    whole, inside = W.T @ W, Q.sum(axis=0)
    pattern = _pattern(whole, meets, links)
    rows, columns = np.nonzero(np.tril(pattern))
    first = np.argmax(pattern, axis=1).astype(np.int64)
    flat = np.ascontiguousarray(meets.transpose(2, 0, 1).reshape(W.shape[1], m * q))
    pull = _pulls(meets, kind_of, len(kinds), rows, columns)
    return RandomBlocks(
        X=X,
        groups=np.ascontiguousarray(groups, dtype=np.int64),
        Z=np.ascontiguousarray(Z),
        places=np.ascontiguousarray(places, dtype=np.int64),
        others=np.ascontiguousarray(others),
        links=np.ascontiguousarray(links, dtype=np.int64),
        n_theta=int(max(places.max(), links.max(initial=-1))) + 1,
        Q=np.ascontiguousarray(Q),
        R=R,
        Rinv=Rinv,
        kinds=kinds,
        kind_of=kind_of,
        members=np.bincount(kind_of).astype(np.float64),
        meets=flat,
        rows=rows.astype(np.int64),
        columns=columns.astype(np.int64),
        base=np.ascontiguousarray(whole[rows, columns]),
        pull=pull,
        first=first,
        gaps=_gaps(first, pattern),
        lone=_lone(first, links),
        meets_filled=_fill(flat),
        pull_filled=_fill(pull),
        constant=Rinv @ inside if np.abs(1.0 - Q @ inside).max() < 1e-9 else None,
    )


def _fill(M: Floats) -> Floats:
    """Fill up with zeros to the pieces that products are made in."""
    return np.pad(M, ((0, -M.shape[0] % TALL), (0, -M.shape[1] % WIDE)))


def _gaps(first: Ints, pattern: NDArray[np.bool_]) -> Ints:
    """Return where the envelope goes beyond the pattern."""
    S = first.size
    envelope = np.tri(S, dtype=np.bool_) & (np.arange(S) >= first[:, None])
    return np.stack(np.nonzero(envelope & ~pattern)).astype(np.int64)


def _lone(first: Ints, links: Ints) -> int:
    """Return how many of the first columns meet none before them, and mix with none."""
    T, width = links.shape
    meeting = np.flatnonzero(first[:T] < np.arange(T))
    return int(meeting[0] if meeting.size else T) if width == 1 else 0


def _kinds(gram: Floats) -> tuple[Floats, Ints]:
    """Return the different matrices among ``Z_i'Z_i``, and which each group has."""
    m, q = gram.shape[:2]
    scale = np.abs(gram).max(initial=1.0)
    flat = np.round(gram.reshape(m, q * q) / scale, SAME)
    _, some, kind_of = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    return np.ascontiguousarray(gram[some]), kind_of.ravel().astype(np.int64)


def _pattern(whole: Floats, meets: Floats, links: Ints) -> NDArray[np.bool_]:
    """Tell which entries of the matrix of size S some θ makes other than 0."""
    met = np.any(meets != 0, axis=1).astype(np.float64)
    found = (met.T @ met + np.abs(whole)) > 0
    T, S = links.shape[0], whole.shape[0]
    found[T:] = found[:, T:] = True
    # Coefficients of one level mix: what one of them meets, all meet.
    head = np.arange(S)
    for t in range(T):
        for o in np.flatnonzero(links[t, 1:] >= 0) + 1:
            head[t + o] = min(head[t + o], head[t])
    together = np.equal.outer(head, np.unique(head)).astype(np.float64)
    return np.asarray(together @ (together.T @ found @ together) @ together.T > 0)


def _pulls(meets: Floats, kind_of: Ints, K: int, rows: Ints, columns: Ints) -> Floats:
    """Return what each entry of a kind's q × q matrix takes off each entry of ``W'W``."""
    q = meets.shape[1]
    half = q * (q + 1) // 2
    out = np.zeros((rows.size, K, half))
    for k in range(K):
        some = meets[kind_of == k]
        at = 0
        for a in range(q):
            for b in range(a + 1):
                both = some[:, a].T @ some[:, b]
                both = both if a == b else both + both.T
                out[:, k, at] = both[rows, columns]
                at += 1
    return out.reshape(rows.size, K * half)


def reduce_blocks(blocks: RandomBlocks, data: NDArray[Any]) -> BlockSums:
    """Reduce maps in memory.

    Parameters
    ----------
    blocks : RandomBlocks
        Design-only products.
    data : ndarray, shape (n, V)
        The maps, any real type.

    Returns
    -------
    BlockSums
    """
    n, V = data.shape
    q = blocks.Z.shape[1]
    m = blocks.kind_of.size
    out = BlockSums(
        np.empty((blocks.X.shape[1], V)),
        np.empty((m * q, V)),
        np.empty((blocks.others.shape[1], V)),
        np.empty(V),
        np.empty(V),
        np.zeros(V),
    )
    if blocks.constant is not None and V:
        out.shift[:] = data[0]
    design = np.zeros((m * q, n))
    for a in range(q):
        design[blocks.groups * q + a, np.arange(n)] = blocks.Z[:, a]
    width = int(np.clip(CACHE // (8 * n), NARROWEST, WIDEST))

    @np.errstate(invalid="ignore", over="ignore")
    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        rows = data[:, here] - out.shift[here]
        projection = blocks.Q.T @ rows
        out.spread[here] = ((rows - rows.mean(axis=0)) ** 2).sum(axis=0)
        rows = rows - blocks.Q @ projection
        out.start[:, here] = blocks.Rinv @ projection
        out.inner[:, here] = design @ rows
        out.outer[:, here] = blocks.others.T @ rows
        out.rss[here] = np.einsum("nv,nv->v", rows, rows)

    over_blocks(V, width, work)
    return out

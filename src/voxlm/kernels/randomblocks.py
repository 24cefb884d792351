r"""What the design alone says about several random terms, and what is kept of the data.

``Var(y) = σ² (I + Z_g D Z_g' + Σ_k λ_k² Z_k Z_k')``. One grouping factor, the one with most groups,
has q coefficients a group, ``D = Λ Λ'``: its part of the variance is block diagonal and is inverted
group by group. The other factors are intercepts of few levels, T in all; they are carried as extra
columns ``W = [Z_t, Q]``, so one Cholesky factor of size T + P ends every evaluation. Nested factors
are those whose columns meet few groups: only the columns that a group meets are worked on.

Axes: n rows, m groups, q coefficients, T levels of the other factors, P columns, V voxels, D
parameters θ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CACHE = 2_500_000
NARROWEST, WIDEST = 64, 1024


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
        Indicators of the levels of the other factors.
    other_theta : ndarray of int, shape (T,)
        Which θ belongs to each of them.
    n_theta : int
        D.
    Q, R, Rinv : ndarray, shapes (n, P), (P, P), (P, P)
        X = QR, and the inverse of R.
    gram : ndarray, shape (m, q, q)
        ``Z_i'Z_i``.
    meets : ndarray, shape (m, q, T + P)
        ``Z_i'W_i``.
    columns, n_columns : ndarray of int, shapes (m, T + P), (m,)
        The columns of W that each group meets, and how many.
    whole : ndarray, shape (T + P, T + P)
        ``W'W``.
    constant : ndarray, shape (P,), or None
        Weights that make the constant of the columns; None where it is not in their span.
    """

    X: Floats
    groups: Ints
    Z: Floats
    places: Ints
    others: Floats
    other_theta: Ints
    n_theta: int
    Q: Floats
    R: Floats
    Rinv: Floats
    gram: Floats
    meets: Floats
    columns: Ints
    n_columns: Ints
    whole: Floats
    constant: Floats | None

    @property
    def diagonal(self) -> Ints:
        """The θ that are standard deviations rather than correlations: zero is their boundary."""
        return np.unique(np.concatenate([np.diag(self.places), self.other_theta]))


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
    X: Floats, groups: Ints, Z: Floats, places: Ints, others: Floats, other_theta: Ints
) -> RandomBlocks:
    """Compute the design-only products of several random terms.

    Parameters
    ----------
    X, groups, Z, places, others, other_theta
        As in :class:`RandomBlocks`.

    Returns
    -------
    RandomBlocks

    Examples
    --------
    >>> codes = np.repeat(np.arange(3), 2)
    >>> none = np.empty((6, 0)), np.empty(0, dtype=np.int64)
    >>> one = np.ones((6, 1))
    >>> random_blocks(one, codes, one, np.zeros((1, 1), dtype=np.int64), *none).gram.ravel()
    array([2., 2., 2.])
    """
    Q, R = qr(X, mode="economic")
    Rinv = solve_triangular(R, np.eye(X.shape[1]))
    W = np.hstack([others, Q])
    m, q = int(groups.max()) + 1, Z.shape[1]
    gram, meets = np.zeros((m, q, q)), np.zeros((m, q, W.shape[1]))
    np.add.at(gram, groups, Z[:, :, None] * Z[:, None, :])
    np.add.at(meets, groups, Z[:, :, None] * W[:, None, :])
    met = np.any(meets != 0, axis=1)
    met[:, others.shape[1] :] = True
    n_columns = met.sum(axis=1)
    columns = np.argsort(~met, axis=1, kind="stable")
    inside = Q.sum(axis=0)
    spans = np.abs(1.0 - Q @ inside).max() < 1e-9
    return RandomBlocks(
        X=X,
        groups=np.ascontiguousarray(groups, dtype=np.int64),
        Z=np.ascontiguousarray(Z),
        places=np.asarray(places, dtype=np.int64),
        others=np.ascontiguousarray(others),
        other_theta=np.asarray(other_theta, dtype=np.int64),
        n_theta=int(max(places.max(), other_theta.max(initial=-1))) + 1,
        Q=np.ascontiguousarray(Q),
        R=R,
        Rinv=Rinv,
        gram=gram,
        meets=meets,
        columns=columns.astype(np.int64),
        n_columns=n_columns.astype(np.int64),
        whole=W.T @ W,
        constant=Rinv @ inside if spans else None,
    )


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
    m, q = blocks.gram.shape[:2]
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

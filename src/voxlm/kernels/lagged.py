r"""What the design alone says about AR(p) noise, computed once.

Let ``q_t`` be the rows of an orthonormal basis Q of the design (X = QR). Whitening takes
``w_t = Σ_j a_j x_{t-j}`` with ``a_0 = 1, a_j = -ρ_j`` and keeps the scans that have p predecessors.
Every product that generalised least squares needs is then a polynomial in ρ whose coefficients are
lagged cross-products: of Q with itself (here, once per design) and of Q with the data (once per
voxel, :mod:`voxlm.kernels.sums`). So any number of iterations, at any ρ, needs one pass over the
data, and ρ is never rounded to a bin.

Runs with removed scans are cut into segments; no lag product crosses a cut. For each segment the
sum over whitened scans is the sum over a zero-padded series, which depends on the lag alone, less
its first and last p rows: the *edges*. Keeping the first p scans of a segment, whitened by as many
predecessors as they have, is then only a matter of not counting their rows among the edges.

Axes: n retained scans, P columns, p order, E edge rows, U scans near an edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLOSED_FORM = 8  # edge rows up to which AR(1) in closed form beats factoring


@dataclass(frozen=True, slots=True, eq=False)
class LaggedBasis:
    """Design-only products for AR(p) least squares.

    Parameters
    ----------
    order : int
        p; 0 is ordinary least squares.
    Q, R, Rinv : ndarray, shapes (n, P), (P, P), (P, P)
        An orthonormal basis of the design, X = QR, and the inverse of R.
    segments : ndarray of int, shape (S, 2)
        Start and stop of each run of consecutive scans.
    reducer : ndarray, shape (n, P + p·P + 1 + p)
        The columns ``[Q, Z_1 … Z_p, 1, u_1 … u_p]`` whose products with the data are all that is
        kept of it; row s of ``Z_k`` is ``q_{s-k} + q_{s+k}``, and ``u_k`` counts the lag-k pairs
        that a scan is in.
    gram : ndarray, shape (p + 1, p + 1, P, P)
        Entry (i, j), i <= j: the coefficient of ``a_i a_j`` in the whitened X'X.
    lag_gram : ndarray, shape (p + 1, P, P)
        ``T_k = Z_k'Q``; ``T_0 = 2I``.
    ones : ndarray, shape (p + 1, P)
        ``1'Q`` and ``u_k'Q``.
    pairs : ndarray, shape (p + 1,)
        Number of scan pairs at each lag.
    edges : ndarray of int, shape (E, p + 1)
        Entry (e, j): index into ``near`` of scan t - j of edge row e, or -1.
    near : ndarray of int, shape (U,)
        The scans near an edge.
    first : ndarray, shape (P, U)
        Maps the residuals at ``near`` to the step from OLS to the fit at ρ = 0, which already
        leaves out each segment's first p scans.
    n_whitened : int
        Scans left after whitening.
    constant : bool
        Whether the constant lies in the span of the design.
    eigen : ndarray, shape (P,) or (0,)
        For AR(1) in closed form (:mod:`voxlm.kernels.arone`): the diagonal of ``T_1``, Q being
        turned so that it is diagonal (R is then not triangular). Empty where the general way is
        cheaper: other orders, many segments.
    """

    order: int
    Q: Floats
    R: Floats
    Rinv: Floats
    segments: Ints
    reducer: Floats
    gram: Floats
    lag_gram: Floats
    ones: Floats
    pairs: Floats
    edges: Ints
    near: Ints
    first: Floats
    n_whitened: int
    constant: bool
    eigen: Floats

    @property
    def n_columns(self) -> int:
        """Number of columns, P."""
        return self.Q.shape[1]


def lagged_basis(
    X: Floats, order: int, segments: Ints | None = None, *, keep_first: bool = False
) -> LaggedBasis:
    """Compute the design-only products of AR(p) least squares.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        The design at the retained scans; full column rank.
    order : int
        p, the order of the noise model; 0 for ordinary least squares.
    segments : ndarray of int, shape (S, 2), optional
        Start and stop of each run of consecutive scans; all of ``X`` when left out.
    keep_first : bool
        Whether the first p scans of a segment stay in the fit, whitened by the predecessors they
        have and not rescaled (as nilearn does); by default they are left out.

    Returns
    -------
    LaggedBasis

    Examples
    --------
    >>> basis = lagged_basis(np.c_[np.ones(6), np.arange(6.0)], order=1)
    >>> basis.n_whitened, basis.reducer.shape
    (5, (6, 6))
    """
    n, P = X.shape
    cuts = np.array([[0, n]]) if segments is None else np.asarray(segments, dtype=np.int64)
    Q, R = np.linalg.qr(X)
    Rinv = np.linalg.solve(R, np.eye(P))
    eigen = np.empty(0)
    if order == 1 and 2 * len(cuts) <= CLOSED_FORM:
        eigen, turn = np.linalg.eigh(_neighbours(Q, 1, cuts).T @ Q)
        Q, R, Rinv = Q @ turn, turn.T @ R, Rinv @ turn
    Q = np.ascontiguousarray(Q)
    shifted = [_neighbours(Q, k, cuts) for k in range(1, order + 1)]
    counts = [_neighbours(np.ones((n, 1)), k, cuts) for k in range(1, order + 1)]
    lag_gram = np.stack([2 * np.eye(P), *[Z.T @ Q for Z in shifted]])
    ones = np.hstack([np.ones((n, 1)), *counts])
    gram = _whitened_gram(Q, order, cuts, keep_first)
    edges, near = _edges(order, cuts, keep_first)
    left_out = 0 if keep_first else order
    reducer = np.ascontiguousarray(np.hstack([Q, *shifted, ones]))
    return LaggedBasis(
        order=order,
        Q=Q,
        R=R,
        Rinv=Rinv,
        segments=cuts,
        reducer=reducer,
        gram=gram,
        lag_gram=lag_gram,
        ones=np.ascontiguousarray(ones.T @ Q),
        pairs=_pairs(order, cuts),
        edges=edges,
        near=near,
        first=_first_step(gram[0, 0], Q, edges, near),
        n_whitened=int(np.maximum(cuts[:, 1] - cuts[:, 0] - left_out, 0).sum()),
        constant=_spans_constant(Q),
        eigen=eigen,
    )


def cut_segments(kept: NDArray[np.bool_]) -> Ints:
    """Return start and stop, among the retained scans, of each run of consecutive scans.

    Examples
    --------
    >>> cut_segments(np.array([True, True, False, True])).tolist()
    [[0, 2], [2, 3]]
    """
    scans = np.flatnonzero(kept)
    breaks = np.flatnonzero(np.diff(scans) > 1) + 1
    bounds = np.concatenate([[0], breaks, [scans.size]])
    return np.stack([bounds[:-1], bounds[1:]], axis=1).astype(np.int64)


def _neighbours(A: Floats, k: int, cuts: Ints) -> Floats:
    """Sum, for each row, the rows k before and k after it in the same segment."""
    total = np.zeros_like(A)
    for start, stop in cuts:
        if stop - start > k:
            total[start + k : stop] += A[start : stop - k]
            total[start : stop - k] += A[start + k : stop]
    return total


def _pairs(order: int, cuts: Ints) -> Floats:
    length = cuts[:, 1] - cuts[:, 0]
    return np.array([np.maximum(length - k, 0).sum() for k in range(order + 1)], dtype=np.float64)


def _whitened_gram(Q: Floats, order: int, cuts: Ints, keep_first: bool) -> Floats:
    """Return the coefficients of ``a_i a_j`` in the whitened cross-product, symmetrised."""
    P = Q.shape[1]
    gram = np.zeros((order + 1, order + 1, P, P))
    first = 0 if keep_first else order
    for start, stop in cuts:
        if stop - start <= first:
            continue
        padded = np.vstack([np.zeros((order, P)), Q[start:stop]])
        lagged = [padded[order + first - j : len(padded) - j] for j in range(order + 1)]
        for i in range(order + 1):
            for j in range(i, order + 1):
                product = lagged[i].T @ lagged[j]
                gram[i, j] += product if i == j else product + product.T
    return gram


def _edges(order: int, cuts: Ints, keep_first: bool) -> tuple[Ints, Ints]:
    """List the rows that zero padding adds to each segment, by the scans they combine."""
    rows = []
    for start, stop in cuts:
        length = stop - start
        head = 0 if keep_first else order
        for t in [*range(head), *range(max(head, length), length + order)]:
            inside = [start + t - j if 0 <= t - j < length else -1 for j in range(order + 1)]
            if max(inside) >= 0:
                rows.append(inside)
    table = np.array(rows, dtype=np.int64).reshape(-1, order + 1)
    near = np.unique(table[table >= 0])
    place = np.where(table >= 0, np.searchsorted(near, table), -1)
    return place.astype(np.int64), near.astype(np.int64)


def _first_step(gram: Floats, Q: Floats, edges: Ints, near: Ints) -> Floats:
    """Return the map from residuals near the edges to the fit that drops each first p scans."""
    step = np.zeros((Q.shape[1], near.size))
    heads = edges[edges[:, 0] >= 0, 0]  # at ρ = 0 an edge row is its own scan, or nothing
    if heads.size:
        L = np.linalg.cholesky(gram)
        step[:, heads] = -np.linalg.solve(L.T, np.linalg.solve(L, Q[near[heads]].T))
    return step


def _spans_constant(Q: Floats) -> bool:
    """Tell whether the constant is a combination of the columns, to rounding."""
    left = 1.0 - Q @ Q.sum(axis=0)
    return bool(np.abs(left).max() < 1e-9)

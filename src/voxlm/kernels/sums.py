"""What is kept of the data: lagged products with the design, once per voxel.

Two ways in. :func:`sums_of_array` takes an array in memory by blocks of voxels small enough for the
cache, projects the design out and takes products of *residuals*, so no digits are lost whatever the
baseline. :class:`Accumulator` takes scans as they arrive, a few at a time, less each voxel's first
value, and keeps ``reducer' Y``: memory does not grow with the number of scans. Both are matrix
products (BLAS) but for what subtracts and compares, on blocks that stay in the cache.

Axes: n scans, V voxels, P columns, p order, U scans near an edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]
Stretches = list[list[slice]]

BLOCK = 1024  # voxels: 300 scans of them (2.4 MB) stay in the last-level cache
TILE = 4096  # voxels: 16 scans of them (0.5 MB) stay in the second-level cache
CANCELLED = 1e-2  # left of a sum of squares, below which a difference has lost too many digits


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Statistics of the data, enough for AR(p) least squares at any ρ.

    All are of the data less ``shift``, which the solver never needs back.

    Parameters
    ----------
    projection : ndarray, shape (P, V)
        ``Q'y``.
    cross : ndarray, shape (p·P, V)
        ``Z_k'r`` for k = 1 … p, r the residuals of the projection.
    total : ndarray, shape (1 + p, V)
        ``1'r`` and ``u_k'r``.
    auto : ndarray, shape (p + 1, V)
        ``Σ r_t r_{t-k}``.
    near : ndarray, shape (U, V)
        The residuals near an edge.
    mean : ndarray, shape (V,)
        Mean of the data less ``shift``.
    shift : ndarray, shape (V,)
        What was subtracted from each voxel.
    varies : ndarray of bool, shape (V,)
        Whether any scan differs from the first.
    spread : ndarray, shape (V,)
        Sum of squares about the mean.
    """

    projection: Floats
    cross: Floats
    total: Floats
    auto: Floats
    near: Floats
    mean: Floats
    shift: Floats
    varies: NDArray[np.bool_]
    spread: Floats


def empty_sums(basis: LaggedBasis, n_voxels: int) -> Sums:
    """Allocate the statistics of ``n_voxels`` voxels."""
    p, P = basis.order, basis.n_columns
    return Sums(
        projection=np.zeros((P, n_voxels)),
        cross=np.zeros((p * P, n_voxels)),
        total=np.zeros((p + 1, n_voxels)),
        auto=np.zeros((p + 1, n_voxels)),
        near=np.zeros((basis.near.size, n_voxels)),
        mean=np.zeros(n_voxels),
        shift=np.zeros(n_voxels),
        varies=np.zeros(n_voxels, dtype=np.bool_),
        spread=np.zeros(n_voxels),
    )


def _subtract(
    data: NDArray[Any], shift: Floats, first: NDArray[Any], varies: NDArray[np.bool_], out: Floats
) -> None:
    """Write data - shift, marking voxels that ever differ from their first value."""
    varies |= (data != first).any(axis=0)
    np.subtract(data, shift, out=out)


def _stretches(since_cut: NDArray[np.int64], order: int, carried: int = 0) -> Stretches:
    """Return for each lag the stretches of rows that have a row of their segment so far before.

    ``carried`` rows stand before the first of ``since_cut``.

    Examples
    --------
    >>> _stretches(np.array([0, 1, 2, 0, 1]), 1)
    [[slice(0, 5, None)], [slice(1, 3, None), slice(4, 5, None)]]
    """
    found = []
    for k in range(order + 1):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], since_cut >= k, [0]])))
        found.append([slice(a, b) for a, b in (edges + carried).reshape(-1, 2).tolist()])
    return found


def _lag_products(rows: Floats, stretches: Stretches, auto: Floats) -> None:
    """Add ``Σ r_t r_{t-k}`` over the stretches of each lag k."""
    for k, parts in enumerate(stretches):
        for at in parts:
            auto[k] += np.einsum("tv,tv->v", rows[at], rows[at.start - k : at.stop - k])


def _since_cut(basis: LaggedBasis) -> NDArray[np.int64]:
    """Return how many scans of the same segment come before each scan."""
    return np.concatenate([np.arange(stop - start) for start, stop in basis.segments])


def sums_of_array(basis: LaggedBasis, data: NDArray[Any], shift: Floats | None = None) -> Sums:
    """Reduce an array in memory.

    Parameters
    ----------
    basis : LaggedBasis
        Design-only products.
    data : ndarray, shape (n, V)
        The retained scans, any real type.
    shift : ndarray, shape (V,), optional
        What to subtract; each voxel's first scan when left out.

    Returns
    -------
    Sums

    Examples
    --------
    >>> from voxlm.kernels.lagged import lagged_basis
    >>> basis = lagged_basis(np.ones((4, 1)), order=0)
    >>> sums_of_array(basis, np.array([[1.0], [2.0], [3.0], [6.0]])).auto
    array([[14.]])
    """
    n_voxels = data.shape[1]
    sums = empty_sums(basis, n_voxels)
    if n_voxels:
        sums.shift[:] = data[0] if shift is None else shift
    stretches = _stretches(_since_cut(basis), basis.order)

    @np.errstate(invalid="ignore", over="ignore")  # the caller looks for what is not finite
    def work(start: int, stop: int) -> None:
        _reduce_block(basis, sums, data[:, start:stop], slice(start, stop), stretches)

    over_blocks(n_voxels, BLOCK, work)
    return sums


def _reduce_block(
    basis: LaggedBasis,
    sums: Sums,
    data: NDArray[Any],
    at: slice,
    stretches: Stretches,
) -> None:
    """Take products of the data and project them; of the residuals where digits would cancel."""
    rows: Floats = np.empty(data.shape)
    _subtract(data, sums.shift[at], data[0], sums.varies[at], rows)
    _take_products(basis, sums, rows, at, stretches)
    whole = sums.auto[0, at].copy()
    _project_out(basis, sums, at)
    lost = np.flatnonzero(sums.auto[0, at] < CANCELLED * whole)
    if lost.size:
        _reduce_residuals(basis, sums, rows[:, lost], at.start + lost, stretches)


def _reduce_residuals(
    basis: LaggedBasis,
    sums: Sums,
    rows: Floats,
    at: NDArray[np.intp],
    stretches: Stretches,
) -> None:
    """Project rows of some voxels first, and take products of what is left."""
    projection = sums.projection[:, at]
    mean = _mean(basis, rows, projection)
    rows -= basis.Q @ projection
    _take_products(basis, sums, rows, at, stretches)
    sums.projection[:, at] = projection
    sums.mean[at] = mean
    sums.spread[at] = sums.auto[0, at] + _about_mean(basis, projection, mean)


def _take_products(
    basis: LaggedBasis,
    sums: Sums,
    rows: Floats,
    at: slice | NDArray[np.intp],
    stretches: Stretches,
) -> None:
    """Write the products of the design, and of themselves, with rows of some voxels."""
    P, p = basis.n_columns, basis.order
    products = basis.reducer.T @ rows
    sums.projection[:, at] = products[:P]
    sums.cross[:, at] = products[P : P + p * P]
    sums.total[:, at] = products[P + p * P :]
    sums.near[:, at] = rows[basis.near]
    auto = np.zeros((p + 1, rows.shape[1]))
    _lag_products(rows, stretches, auto)
    sums.auto[:, at] = auto


def _mean(basis: LaggedBasis, rows: Floats, projection: Floats) -> Floats:
    """Return the mean of each voxel; from the projection where the constant is in the span."""
    n = basis.Q.shape[0]
    return basis.ones[0] @ projection / n if basis.constant else rows.mean(axis=0)


def _about_mean(basis: LaggedBasis, projection: Floats, mean: Floats) -> Floats:
    """Return the explained sum of squares, about the mean where the design has a constant."""
    if basis.constant:
        projection = projection - np.outer(basis.ones[0], mean)
    return np.einsum("pv,pv->v", projection, projection)


class Accumulator:
    """Reduces scans as they arrive.

    Parameters
    ----------
    basis : LaggedBasis
        Design-only products.
    n_voxels : int
        V.
    shift : ndarray, shape (V,), optional
        What to subtract; each voxel's first scan when left out.

    Examples
    --------
    >>> from voxlm.kernels.lagged import lagged_basis
    >>> basis = lagged_basis(np.ones((4, 1)), order=0)
    >>> pool = Accumulator(basis, 1)
    >>> pool.add(np.array([[1.0], [2.0]]))
    >>> pool.add(np.array([[3.0], [6.0]]))
    >>> pool.sums().auto
    array([[14.]])
    """

    def __init__(self, basis: LaggedBasis, n_voxels: int, shift: Floats | None = None) -> None:
        self._basis = basis
        self._shift = shift
        self._since_cut = _since_cut(basis)
        self._products = np.zeros((basis.reducer.shape[1], n_voxels))
        self._auto = np.zeros((basis.order + 1, n_voxels))
        self._near = np.zeros((basis.near.size, n_voxels))
        self._varies = np.zeros(n_voxels, dtype=np.bool_)
        self._first: NDArray[Any] = np.zeros(n_voxels)
        self._carried = np.zeros((basis.order, n_voxels))  # the last scans, for lag products
        self._seen = 0

    def add(self, scans: NDArray[Any]) -> None:
        """Take the next retained scans, shape ``(t, V)``."""
        if scans.shape[0] == 0:
            return
        if self._seen == 0:
            self._first = scans[0].copy()
            if self._shift is None:
                self._shift = self._first.astype(np.float64)
        at = slice(self._seen, self._seen + scans.shape[0])
        near = np.flatnonzero((self._basis.near >= at.start) & (self._basis.near < at.stop))

        order = self._basis.order
        stretches = _stretches(self._since_cut[at], order, carried=order)

        @np.errstate(invalid="ignore", over="ignore")
        def work(start: int, stop: int) -> None:
            self._reduce(scans[:, start:stop], at, slice(start, stop), near, stretches)

        over_blocks(scans.shape[1], TILE, work)
        self._seen = at.stop

    def _reduce(
        self,
        scans: NDArray[Any],
        at: slice,
        here: slice,
        near: NDArray[np.intp],
        stretches: Stretches,
    ) -> None:
        """Add the products of some scans of one tile of voxels."""
        assert self._shift is not None
        order, n = self._basis.order, scans.shape[0]
        rows: Floats = np.empty((order + n, scans.shape[1]))
        rows[:order] = self._carried[:, here]
        new = rows[order:]
        _subtract(scans, self._shift[here], self._first[here], self._varies[here], new)
        _lag_products(rows, stretches, self._auto[:, here])
        self._products[:, here] += self._basis.reducer[at].T @ new
        self._near[near, here] = new[self._basis.near[near] - at.start]
        self._carried[:, here] = rows[n:]

    def sums(self) -> Sums:
        """Turn products of the data into products of its residuals, in place: this is the end."""
        p, P, V = self._basis.order, self._basis.n_columns, self._products.shape[1]
        sums = Sums(
            projection=self._products[:P],
            cross=self._products[P : P + p * P],
            total=self._products[P + p * P :],
            auto=self._auto,
            near=self._near,
            mean=np.empty(V),
            shift=np.zeros(V) if self._shift is None else self._shift,
            varies=self._varies,
            spread=np.empty(V),
        )
        del self._products, self._auto, self._near, self._varies

        @np.errstate(invalid="ignore", over="ignore")
        def work(start: int, stop: int) -> None:
            _project_out(self._basis, sums, slice(start, stop))

        over_blocks(V, TILE, work)
        return sums


def _project_out(basis: LaggedBasis, sums: Sums, at: slice) -> None:
    """Project the design out of the products of one tile of voxels."""
    P, n = basis.n_columns, basis.Q.shape[0]
    projection, auto, total = sums.projection[:, at], sums.auto[:, at], sums.total[:, at]
    sums.mean[at] = mean = total[0] / n
    sums.spread[at] = auto[0] - n * mean**2
    total -= basis.ones @ projection
    sums.near[:, at] -= basis.Q[basis.near] @ projection
    auto[0] -= np.einsum("pv,pv->v", projection, projection)
    for k in range(1, basis.order + 1):
        cross = sums.cross[(k - 1) * P : k * P, at]
        fitted = basis.lag_gram[k] @ projection
        auto[k] -= np.einsum("pv,pv->v", projection, cross - 0.5 * fitted)
        cross -= fitted

"""What is kept of the data: lagged products with the design, once per voxel.

Two ways in. :func:`sums_of_array` takes an array in memory by blocks of voxels small enough for the
cache, projects the design out and takes products of *residuals*, so no digits are lost whatever the
baseline. :class:`Accumulator` takes scans as they arrive, a few at a time, less each voxel's first
value, and keeps ``reducer' Y``: memory does not grow with the number of scans. Both are matrix
products (BLAS) but for one fused pass that subtracts, checks and converts.

Axes: n scans, V voxels, P columns, p order, U scans near an edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

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


@njit(cache=True, nogil=True)
def _subtract(data, shift, first, varies, out):  # type: ignore[no-untyped-def]
    """Write data - shift, marking voxels that ever differ from their first value."""
    for t in range(data.shape[0]):
        for v in range(data.shape[1]):
            varies[v] |= data[t, v] != first[v]
            out[t, v] = data[t, v] - shift[v]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _lag_products(rows, first_row, since_cut, auto):  # type: ignore[no-untyped-def]
    """Add ``Σ r_t r_{t-k}`` for the rows from ``first_row`` on, within segments."""
    for t in range(first_row, rows.shape[0]):
        for k in range(auto.shape[0]):
            if since_cut[t] >= k:
                for v in range(rows.shape[1]):
                    auto[k, v] += rows[t, v] * rows[t - k, v]


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
    since_cut = _since_cut(basis)

    @np.errstate(invalid="ignore", over="ignore")  # the caller looks for what is not finite
    def work(start: int, stop: int) -> None:
        _reduce_block(basis, sums, data[:, start:stop], slice(start, stop), since_cut)

    over_blocks(n_voxels, BLOCK, work)
    return sums


def _reduce_block(
    basis: LaggedBasis,
    sums: Sums,
    data: NDArray[Any],
    at: slice,
    since_cut: NDArray[np.int64],
) -> None:
    """Take products of the data and project them; of the residuals where digits would cancel."""
    rows: Floats = np.empty(data.shape)
    _subtract(data, sums.shift[at], data[0], sums.varies[at], rows)
    _take_products(basis, sums, rows, at, since_cut)
    whole = sums.auto[0, at].copy()
    _project_out(basis, sums, at)
    lost = np.flatnonzero(sums.auto[0, at] < CANCELLED * whole)
    if lost.size:
        _reduce_residuals(basis, sums, rows[:, lost], at.start + lost, since_cut)


def _reduce_residuals(
    basis: LaggedBasis,
    sums: Sums,
    rows: Floats,
    at: NDArray[np.intp],
    since_cut: NDArray[np.int64],
) -> None:
    """Project rows of some voxels first, and take products of what is left."""
    projection = sums.projection[:, at]
    mean = _mean(basis, rows, projection)
    rows -= basis.Q @ projection
    _take_products(basis, sums, rows, at, since_cut)
    sums.projection[:, at] = projection
    sums.mean[at] = mean
    sums.spread[at] = sums.auto[0, at] + _about_mean(basis, projection, mean)


def _take_products(
    basis: LaggedBasis,
    sums: Sums,
    rows: Floats,
    at: slice | NDArray[np.intp],
    since_cut: NDArray[np.int64],
) -> None:
    """Write the products of the design, and of themselves, with rows of some voxels."""
    P, p = basis.n_columns, basis.order
    products = basis.reducer.T @ rows
    sums.projection[:, at] = products[:P]
    sums.cross[:, at] = products[P : P + p * P]
    sums.total[:, at] = products[P + p * P :]
    sums.near[:, at] = rows[basis.near]
    auto = np.zeros((p + 1, rows.shape[1]))
    _lag_products(rows, 0, since_cut, auto)
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

        @np.errstate(invalid="ignore", over="ignore")
        def work(start: int, stop: int) -> None:
            self._reduce(scans[:, start:stop], at, slice(start, stop), near)

        over_blocks(scans.shape[1], TILE, work)
        self._seen = at.stop

    def _reduce(self, scans: NDArray[Any], at: slice, here: slice, near: NDArray[np.intp]) -> None:
        """Add the products of some scans of one tile of voxels."""
        assert self._shift is not None
        order, n = self._basis.order, scans.shape[0]
        rows: Floats = np.empty((order + n, scans.shape[1]))
        rows[:order] = self._carried[:, here]
        new = rows[order:]
        _subtract(scans, self._shift[here], self._first[here], self._varies[here], new)
        _lag_products(rows, order, self._lags(at), self._auto[:, here])
        self._products[:, here] += self._basis.reducer[at].T @ new
        self._near[near, here] = new[self._basis.near[near] - at.start]
        self._carried[:, here] = rows[n:]

    def _lags(self, at: slice) -> NDArray[np.int64]:
        """Return how many scans of the same segment come before each row, carried rows first."""
        carried = np.zeros(self._basis.order, dtype=np.int64)
        return np.concatenate([carried, self._since_cut[at]])

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

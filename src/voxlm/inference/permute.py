"""Least squares under permutation: what is done once, and the products that each one takes.

The data are reduced once to residuals of the nuisance, of length one at every voxel. A permutation
is then one row (or a few) of a matrix product with them (Freedman and Lane, 1983; Winkler et al.,
2014). Permutations are dealt to threads in batches of fixed size, each drawn from its number alone,
so the threads change nothing.

Axes: N maps, P columns, Q contrast rows, V voxels, K permutations, J thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from voxlm.inference.exchange import Arrangements
from voxlm.inference.maxima import MAP_BATCH, Maxima
from voxlm.inference.partition import Partition
from voxlm.kernels import permuted
from voxlm.kernels.threads import over_blocks

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

# Permutations a product: enough rows for the product to run at full speed. A fixed number, so that
# results do not depend on the machine.
BATCH = 64
# Numbers that a product writes for a batch, at most: they stay in a core's second-level cache.
HELD = 1 << 17
# Voxels of which residuals are taken at a time.
TILE = 2048
# A residual this small a part of the data's length is rounding: there is nothing to permute.
EMPTY = 1e-10
# What rounding does to a share of variance (0 to 1), by the precision of the products.
SHARE_SLACK = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-12}
# The same for heights, extents of clusters and enhancements, relative to their size.
RELATIVE_SLACK = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Data made ready to be permuted.

    Parameters
    ----------
    unit : ndarray, shape (N, v)
        Residuals of the nuisance, of length 1, at the voxels that can be tested.
    tested : ndarray of bool, shape (V,)
        Which these are: finite data that the whole design does not fit but for rounding.
    share : ndarray, shape (v,)
        Share of variance that the tested part explains, as observed, in double precision, with the
        sign of the effect for one row; with variance groups, v or G instead.
    part : Partition
        The design.
    groups : ndarray of int, shape (N,), or None
        Variance groups.
    """

    unit: Floats
    tested: NDArray[np.bool_]
    share: Array
    part: Partition
    groups: Ints | None

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Precision of permuted statistics."""
        return self.unit.dtype

    @property
    def slack(self) -> float:
        """What rounding does to a permuted statistic, relative to its size."""
        return RELATIVE_SLACK[self.unit.dtype]

    @property
    def statistic(self) -> Array:
        """The observed t or F (v or G with variance groups), shape ``(v,)``."""
        return statistic_of(self)

    def maps(self, arrangements: Arrangements, start: int, stop: int, largest: Array) -> Floats:
        """Return the statistic of some permutations at all voxels; write the largest shares."""
        rows = permuted_rows(self, arrangements, start, stop)
        maps = np.empty((stop - start, self.unit.shape[1]), self.unit.dtype)
        for here, products in tiles(self, rows):
            maps[:, here] = shares(self.unit[:, here], self.part, self.groups, rows, products)
        largest[:, 0], largest[:, 1] = maps.max(axis=1), -maps.min(axis=1)
        _finish(self, maps)
        return maps


def reduce_data(
    Y: NDArray[np.floating],
    part: Partition,
    dtype: type[np.floating] = np.float32,
    groups: Ints | None = None,
) -> Residuals:
    """Take the nuisance off the data and bring every voxel to length one.

    Parameters
    ----------
    Y : ndarray, shape (N, V)
        One map a row.
    part : Partition
        The design.
    dtype : float32 or float64
        Of the products to come; the residuals themselves are taken in double precision.
    groups : ndarray of int, shape (N,), optional
        Variance groups, numbered from 0.
    """
    N, V = Y.shape
    unit = np.empty((N, V), dtype=dtype)
    tested, share = np.zeros(V, dtype=np.bool_), np.zeros((1, V))
    identity = np.arange(N, dtype=np.int32)[None]
    rows = _design_rows(part, groups, np.float64, identity, None)

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        residual, tested[here] = _unit_residuals(Y[:, here], part)
        share[:, here] = shares(residual, part, groups, rows, None)
        unit[:, here] = residual

    over_blocks(V, TILE, work)
    if not tested.all():
        unit = np.ascontiguousarray(unit[:, tested])
    return Residuals(unit, tested, share[0, tested], part, groups)


def _unit_residuals(Y: NDArray[np.floating], part: Partition) -> tuple[Array, NDArray[np.bool_]]:
    """Return residuals of the nuisance of length one, and where the design leaves noise."""
    data = Y.astype(np.float64) - part.offset[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.sqrt(np.einsum("nv,nv->v", data, data))
        data -= part.nuisance @ (part.nuisance.T @ data)
        length = np.sqrt(np.einsum("nv,nv->v", data, data))
        noise = data - part.tested @ (part.tested.T @ data)
        tested = np.sqrt(np.einsum("nv,nv->v", noise, noise)) > EMPTY * whole
    tested &= np.isfinite(length)
    # Others are left out by the caller; ones keep them from raising alarms.
    data[:, ~tested] = 1.0
    return data / np.where(tested, length, 1.0), tested


def statistic_of(data: Residuals) -> Array:
    """Return t or F (v or G with variance groups) as observed, shape ``(v,)``."""
    statistic = data.share[None].copy()
    _finish(data, statistic)
    return statistic[0]


def permute_maxima(
    data: Residuals, arrangements: Arrangements, progress: Callable[[int], object] | None = None
) -> Maxima:
    """Take the largest statistic of every permutation; nothing else, and no map is kept.

    Parameters
    ----------
    data : Residuals
    arrangements : Arrangements
        The permutations.
    progress : callable, optional
        Called with the number of permutations just done.
    """
    share = np.empty((arrangements.n, 2))

    def work(start: int, stop: int) -> None:
        rows = permuted_rows(data, arrangements, start, stop)
        found = np.full((stop - start, 2), -np.inf)
        for here, products in tiles(data, rows):
            now = shares(data.unit[:, here], data.part, data.groups, rows, products)
            found[:, 0] = np.maximum(found[:, 0], now.max(axis=1))
            found[:, 1] = np.maximum(found[:, 1], -now.min(axis=1))
        share[start:stop] = found
        if progress is not None:
            progress(stop - start)

    over_blocks(arrangements.n, BATCH, work)
    return Maxima(share)


def permute_shares(
    data: Residuals, arrangements: Arrangements, take: Callable[[Floats], object]
) -> None:
    """Hand the shares of variance of every permutation, ``(k, v)`` at a time, to a function.

    Parameters
    ----------
    data : Residuals
    arrangements : Arrangements
    take : callable
        Called from several threads, in any order.
    """

    def work(start: int, stop: int) -> None:
        rows = permuted_rows(data, arrangements, start, stop)
        maps = np.empty((stop - start, data.unit.shape[1]), data.unit.dtype)
        for here, products in tiles(data, rows):
            maps[:, here] = shares(data.unit[:, here], data.part, data.groups, rows, products)
        take(maps)

    over_blocks(arrangements.n, MAP_BATCH, work)


def tiles(
    data: Residuals, rows: tuple[Floats, Floats | None]
) -> Iterator[tuple[slice, Floats | None]]:
    """Cut the voxels for products of fixed size, and give the space of one again and again."""
    v, lines = data.unit.shape[1], int(np.prod(rows[0].shape[:-1]))
    tile = max(HELD // lines, 64)
    room = np.empty((lines, tile), data.unit.dtype)
    for first in range(0, v, tile):
        here = slice(first, min(first + tile, v))
        yield here, room if here.stop - first == tile else None


def permuted_rows(
    data: Residuals, arrangements: Arrangements, start: int, stop: int
) -> tuple[Floats, Floats | None]:
    """Permute the design as some permutations do; see ``_design_rows`` for the shapes."""
    order, sign = arrangements.rows(start, stop)
    return _design_rows(data.part, data.groups, data.unit.dtype, order, sign)


def _design_rows(
    part: Partition,
    groups: Ints | None,
    dtype: DTypeLike,
    order: NDArray[np.int32] | None,
    sign: NDArray[np.int8] | None,
) -> tuple[Floats, Floats | None]:
    """Permute the design: rows ``(K, R, N)``, with groups ``(K, G, R, N)`` and ``(K, G, N)``."""
    basis = np.hstack([part.tested, part.nuisance])
    if order is None and sign is not None:
        order = np.broadcast_to(np.arange(len(basis), dtype=np.int32), sign.shape)
    rows = np.moveaxis(basis[order], 2, 1)
    if sign is not None:
        rows = rows * sign[:, None, :]
    if groups is None:
        return np.ascontiguousarray(rows, dtype=dtype), None
    inside = groups[order][:, None, :] == np.arange(groups.max() + 1)[:, None]
    apart = rows[:, None] * inside[:, :, None]
    return np.ascontiguousarray(apart, dtype=dtype), np.ascontiguousarray(inside, dtype=dtype)


def shares(
    unit: Floats,
    part: Partition,
    groups: Ints | None,
    rows: tuple[Floats, Floats | None],
    room: Floats | None,
) -> Floats:
    """Return the share of variance (with groups: v or G) of each permutation at some voxels."""
    Q, R = part.tested.shape[1], part.tested.shape[1] + part.nuisance.shape[1]
    lines, inside = rows
    K = len(lines)
    products = np.matmul(lines.reshape(-1, lines.shape[-1]), unit, out=room)
    out = np.empty((K, unit.shape[1]), unit.dtype)
    if inside is None or groups is None:
        permuted.shares(products.reshape(K, R, -1), Q, out)
        return out
    G = inside.shape[1]
    squares = (inside.reshape(K * G, -1) @ (unit * unit)).reshape(K, G, -1)
    basis = np.hstack([part.tested, part.nuisance])
    members = groups == np.arange(G)[:, None]
    gram = np.array([basis[m].T @ basis[m] for m in members])
    trace = members.sum(axis=1) - np.einsum("grr->g", gram)
    permuted.welch(products.reshape(K, G, R, -1), squares, gram, trace, Q, out)
    return out


def _finish(data: Residuals, share: Floats) -> None:
    """Turn shares into statistics in place; with groups they already are."""
    if data.groups is None:
        permuted.to_statistics(share, data.part.tested.shape[1], float(data.part.df))

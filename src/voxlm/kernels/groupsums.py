"""What is kept of the data of a random intercept: at most K(P + 1) + 1 + P numbers a voxel.

The columns are projected out before anything is summed over groups, on data less each voxel's
first value where the columns span the constant: no digits are lost to the baseline. Statistics of
disjoint sets of groups merge into what the stacked rows would have given.

Axes: n rows, m groups, V voxels, P columns, K distinct group sizes, J special directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.lanes import FAST
from voxlm.kernels.pooled import Share, pooled_coefficients, pooled_spread
from voxlm.kernels.randomintercept import InterceptBasis, intercept_basis
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CACHE = 2_500_000  # bytes of rows worked on at a time by one core
NARROWEST, WIDEST = 64, 1024


@dataclass(frozen=True, slots=True, eq=False)
class GroupSums:
    """Statistics of the data, enough for any λ.

    Parameters
    ----------
    start : ndarray, shape (P, V)
        Least squares coefficients of the data less ``shift``.
    special : ndarray, shape (J, V)
        Group sums of the residuals along the special directions.
    rest : ndarray, shape (K, V)
        Energy of the group sums outside them, for each group size.
    rss : ndarray, shape (V,)
        Residual sum of squares.
    spread : ndarray, shape (V,)
        Sum of squares of the data about their mean; 0 for a constant voxel.
    shift : ndarray, shape (V,)
        What was subtracted; zeros where the columns do not span the constant.
    """

    start: Floats
    special: Floats
    rest: Floats
    rss: Floats
    spread: Floats
    shift: Floats

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return int(self.rss.size)

    def level(self, basis: InterceptBasis) -> Floats:
        """Return the least squares coefficients of the data themselves, shape ``(P, V)``."""
        if basis.constant is None:
            return self.start
        return self.start + np.outer(basis.constant, self.shift)


def empty_group_sums(basis: InterceptBasis, n_voxels: int) -> GroupSums:
    """Allocate the statistics of ``n_voxels`` voxels."""
    return GroupSums(
        start=np.zeros((basis.n_columns, n_voxels)),
        special=np.zeros((basis.eigen.size, n_voxels)),
        rest=np.zeros((basis.sizes.size, n_voxels)),
        rss=np.zeros(n_voxels),
        spread=np.zeros(n_voxels),
        shift=np.zeros(n_voxels),
    )


def reduce_groups(basis: InterceptBasis, data: NDArray[Any]) -> GroupSums:
    """Reduce maps in memory.

    Parameters
    ----------
    basis : InterceptBasis
        Design-only products.
    data : ndarray, shape (n, V)
        The maps, any real type.

    Returns
    -------
    GroupSums
        What is not finite in the data is not finite here.

    Examples
    --------
    >>> basis = intercept_basis(np.ones((4, 1)), np.array([0, 0, 1, 1]))
    >>> sums = reduce_groups(basis, np.array([[1.0], [2.0], [5.0], [8.0]]))
    >>> sums.level(basis), sums.rss, sums.rest
    (array([[4.]]), array([30.]), array([[50.]]))
    """
    n_voxels = data.shape[1]
    out = empty_group_sums(basis, n_voxels)
    if basis.constant is not None and n_voxels:
        out.shift[:] = data[0]
    width = int(np.clip(CACHE // (8 * max(basis.n_rows, 1)), NARROWEST, WIDEST))
    place, classes = _by_class(basis)
    groups = place[basis.groups]

    @np.errstate(invalid="ignore", over="ignore")  # the caller looks for what is not finite
    def work(start: int, stop: int) -> None:
        _reduce_block(basis, groups, classes, data[:, start:stop], out, slice(start, stop))

    over_blocks(n_voxels, width, work)
    return out


def _by_class(basis: InterceptBasis) -> tuple[Ints, list[Floats]]:
    """Return the place of each group where those of one size are neighbours.

    Also each size's special directions over its own groups: elsewhere they are zero.
    """
    order = np.argsort(basis.class_of, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    classes = [
        np.ascontiguousarray(basis.special[basis.special_class == k][:, basis.class_of == k])
        for k in range(basis.sizes.size)
    ]
    return place, classes


def _reduce_block(
    basis: InterceptBasis,
    groups: Ints,
    classes: list[Floats],
    data: NDArray[Any],
    out: GroupSums,
    at: slice,
) -> None:
    rows: Floats = np.empty(data.shape)
    n, V = rows.shape
    total, squares = np.zeros(V), np.zeros(V)
    _take(data, out.shift[at], rows, total, squares)
    out.spread[at] = np.maximum(squares - total**2 / n, 0.0)
    projection = basis.Q.T @ rows
    s, rss = np.zeros((basis.n_groups, V)), np.zeros(V)
    _residual_sums(rows, basis.Q @ projection, groups, s, rss)
    out.start[:, at] = basis.Rinv @ projection
    out.rss[at] = rss
    first = row = 0
    for k, special in enumerate(classes):
        some = s[first : first + special.shape[1]]
        inside = special @ some
        energy = np.einsum("mv,mv->v", some, some) - np.einsum("jv,jv->v", inside, inside)
        out.special[row : row + special.shape[0], at] = inside
        # a NaN must survive the floor at zero
        out.rest[k, at] = np.where(energy < 0, 0.0, energy)
        first, row = first + special.shape[1], row + special.shape[0]


@njit(cache=True, nogil=True, fastmath=FAST)
def _take(data, shift, rows, total, squares):  # type: ignore[no-untyped-def]
    """Write data - shift, with its sum and sum of squares."""
    for t in range(data.shape[0]):
        for v in range(data.shape[1]):
            y = data[t, v] - shift[v]
            rows[t, v] = y
            total[v] += y
            squares[v] += y * y


@njit(cache=True, nogil=True, fastmath=FAST)
def _residual_sums(rows, fitted, groups, s, rss):  # type: ignore[no-untyped-def]
    """Sum the residuals by group, and their squares."""
    for t in range(rows.shape[0]):
        into = s[groups[t]]
        for v in range(rows.shape[1]):
            r = rows[t, v] - fitted[t, v]
            into[v] += r
            rss[v] += r * r


def merge_groups(
    parts: list[tuple[InterceptBasis, GroupSums]], turns: Sequence[Floats] | None = None
) -> tuple[InterceptBasis, GroupSums]:
    """Merge the statistics of disjoint sets of groups, rows stacked in the order given.

    Parameters
    ----------
    parts : list of (InterceptBasis, GroupSums)
        The same voxels in each; no group in two of them.
    turns : sequence of ndarray, shape (p, P), optional
        From the columns of each part to those of the whole; left out, they are the same columns.

    Returns
    -------
    InterceptBasis, GroupSums
        Those of the stacked rows, to rounding.

    Examples
    --------
    >>> one = intercept_basis(np.ones((4, 1)), np.array([0, 0, 1, 1]))
    >>> y = np.array([[1.0], [2.0], [5.0], [8.0]])
    >>> _, sums = merge_groups([(one, reduce_groups(one, y)), (one, reduce_groups(one, y + 1.0))])
    >>> sums.rss
    array([62.])
    """
    if turns is None:
        turns = [np.eye(basis.n_columns) for basis, _ in parts]
    first = np.cumsum([0, *[basis.n_groups for basis, _ in parts]]).tolist()
    X = np.concatenate([basis.X @ turn for (basis, _), turn in zip(parts, turns, strict=True)])
    groups = np.concatenate([b.groups + at for (b, _), at in zip(parts, first, strict=False)])
    whole = intercept_basis(X, groups)
    out = empty_group_sums(whole, parts[0][1].n_voxels)
    shares = [
        Share(basis.X, basis.R, sums.level(basis), sums.spread, turn)
        for (basis, sums), turn in zip(parts, turns, strict=True)
    ]
    out.start[:], left = pooled_coefficients(whole.Rinv, shares)
    for (basis, sums), away, at in zip(parts, left, first, strict=False):
        along = basis.R @ away
        out.rss[:] += sums.rss + np.einsum("pv,pv->v", along, along)
        inside = sums.special + basis.special @ (basis.sums @ along)
        _merge_part(basis, sums, whole, inside, int(at), out)
    for j, k in enumerate(whole.special_class):
        out.rest[k] -= out.special[j] ** 2
    np.maximum(out.rest, 0.0, out=out.rest)
    out.spread[:] = pooled_spread(shares)
    return whole, out


def _merge_part(
    basis: InterceptBasis,
    sums: GroupSums,
    whole: InterceptBasis,
    inside: Floats,
    at: int,
    out: GroupSums,
) -> None:
    """Add one part's special directions and rest to the whole's."""
    mine = whole.special[:, at : at + basis.n_groups]
    overlap = mine @ basis.special.T
    out.special[:] += overlap @ inside
    k_of = np.searchsorted(whole.sizes, basis.sizes)
    for k, size_class in enumerate(k_of):
        here = basis.special_class == k
        out.rest[size_class] += sums.rest[k] + np.einsum("jv,jv->v", inside[here], inside[here])

"""Statistics of a random intercept when groups change places, signs or the order of their rows.

A permutation that keeps groups whole changes neither the energy of the group sums, size by size,
nor the length of the data. What it does change are P + J numbers a voxel, the products of the data
with the permuted basis and its special directions: a few rows of a matrix product. So an exact
refit of a mixed model costs what its optimiser costs, not a pass over the rows.

Axes: n rows, m groups, P columns, K distinct group sizes, J special directions, V voxels,
k permutations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.groupsums import GroupSums
from voxlm.kernels.randomintercept import InterceptBasis, group_sums
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

TILE = 2048


@dataclass(frozen=True, slots=True, eq=False)
class MovableGroups:
    """Data to be permuted, with what no permutation changes.

    Parameters
    ----------
    basis : InterceptBasis
        Design-only products.
    rows : ndarray, shape (n, V)
        The data.
    lines : ndarray, shape (n, P + J)
        The basis of the columns, and the special directions spread over rows.
    energy : ndarray, shape (K, V)
        Squares of the group sums, by group size.
    total : ndarray, shape (V,)
        Sum of squares.
    """

    basis: InterceptBasis
    rows: Floats
    lines: Floats
    energy: Floats
    total: Floats


def movable_groups(basis: InterceptBasis, rows: Floats) -> MovableGroups:
    """Compute what every permutation shares.

    Parameters
    ----------
    basis : InterceptBasis
    rows : ndarray, shape (n, V)
        Data without a large level, such as residuals of the nuisance.
    """
    lines = np.hstack([basis.Q, basis.special.T[basis.groups]])
    energy, total = np.empty((basis.sizes.size, rows.shape[1])), np.empty(rows.shape[1])

    def work(start: int, stop: int) -> None:
        here = rows[:, start:stop]
        squares = group_sums(here, basis.groups, basis.n_groups) ** 2
        energy[:, start:stop] = group_sums(squares, basis.class_of, basis.sizes.size)
        total[start:stop] = np.einsum("nv,nv->v", here, here)

    over_blocks(rows.shape[1], TILE, work)
    return MovableGroups(basis, rows, np.ascontiguousarray(lines), energy, total)


def moved_sums(
    data: MovableGroups, order: NDArray[np.int32] | None, sign: NDArray[np.int8] | None
) -> Iterator[GroupSums]:
    """Yield the statistics of each permutation.

    Parameters
    ----------
    data : MovableGroups
    order : ndarray of int, shape (k, n), optional
        The row of the design that each observation takes.
    sign : ndarray of int, shape (k, n), optional
        The sign that it takes.

    Yields
    ------
    GroupSums
        As :func:`voxlm.kernels.groupsums.reduce_groups` would give them for the moved data.

    Examples
    --------
    >>> from voxlm.kernels.randomintercept import intercept_basis
    >>> basis = intercept_basis(np.ones((4, 1)), np.array([0, 0, 1, 1]))
    >>> data = movable_groups(basis, np.array([[1.0], [2.0], [5.0], [8.0]]))
    >>> flipped = next(moved_sums(data, None, np.array([[1, 1, -1, -1]], dtype=np.int8)))
    >>> flipped.start, flipped.rss
    (array([[-2.5]]), array([69.]))
    """
    lines = data.lines[None] if order is None else data.lines[order]
    if sign is not None:
        lines = lines * sign[:, :, None]
    k, n, R = lines.shape
    wide = np.ascontiguousarray(np.moveaxis(lines, 2, 1).reshape(k * R, n))
    products = np.empty((k * R, data.rows.shape[1]))

    def work(start: int, stop: int) -> None:
        products[:, start:stop] = wide @ data.rows[:, start:stop]

    over_blocks(data.rows.shape[1], TILE, work)
    for one in products.reshape(k, R, -1):
        yield _sums(data, one)


def _sums(data: MovableGroups, products: Floats) -> GroupSums:
    basis, P = data.basis, data.basis.n_columns
    along, groups = products[:P], products[P:]
    rest = data.energy.copy()
    for j, size_class in enumerate(basis.special_class):
        rest[size_class] -= groups[j] ** 2
    return GroupSums(
        start=basis.Rinv @ along,
        special=groups - basis.pull.T @ along,
        rest=np.maximum(rest, 0.0),
        rss=np.maximum(data.total - np.einsum("pv,pv->v", along, along), 0.0),
        spread=data.total,
        shift=np.zeros(data.total.size),
    )


def keeps_groups(
    groups: NDArray[np.int64], order: NDArray[np.int32] | None, sign: NDArray[np.int8] | None
) -> bool:
    """Tell whether permutations keep groups whole: each takes the place of one, with one sign.

    Examples
    --------
    >>> groups = np.array([0, 0, 1, 1])
    >>> keeps_groups(groups, np.array([[2, 3, 1, 0]], dtype=np.int32), None)
    True
    >>> keeps_groups(groups, None, np.array([[1, -1, 1, 1]], dtype=np.int8))
    False

    Two groups that move into one larger are no longer whole:

    >>> keeps_groups(np.array([0, 1, 2, 2]), np.array([[2, 3, 0, 1]], dtype=np.int32), None)
    False
    """
    _, head, number = np.unique(groups, return_index=True, return_inverse=True)
    first = head[number]
    if sign is not None and not np.array_equal(sign, sign[:, first]):
        return False
    if order is None:
        return True
    place = number[order]
    together = np.array_equal(place, place[:, first])
    return together and bool(np.all(np.sort(place[:, head], axis=1) == np.arange(head.size)))

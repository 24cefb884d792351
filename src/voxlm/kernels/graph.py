"""Who is next to whom: neighbour graphs of masked voxels, and connected components on any graph."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]

# Largest number of steps along the axes between neighbours, for each number of neighbours.
REACH = {6: 1, 18: 2, 26: 3}


def volume_graph(
    shape: tuple[int, int, int], mask_index: ArrayLike, connectivity: Literal[6, 18, 26] = 6
) -> scipy.sparse.csr_array:
    """Neighbour graph of the voxels of a mask.

    Parameters
    ----------
    shape : tuple of int
        The grid (i, j, k).
    mask_index : array_like of int, shape (V,)
        Flat C-order indices of the voxels, increasing, as ``np.flatnonzero(mask)`` gives them.
    connectivity : {6, 18, 26}
        Neighbours share a face; a face or an edge; a face, an edge or a corner.

    Returns
    -------
    csr_array of bool, shape (V, V)
        Symmetric, without a diagonal.

    Raises
    ------
    ValueError
        Another connectivity, or an index outside the grid.

    Examples
    --------
    >>> volume_graph((1, 2, 2), [0, 1, 3]).toarray().astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    if connectivity not in REACH:
        raise ValueError(f"connectivity is 6, 18 or 26, got {connectivity!r}")
    index = np.asarray(mask_index, dtype=np.int64)
    # A rim of one empty voxel keeps neighbours from wrapping round the edge of the grid.
    rim = tuple(n + 2 for n in shape)
    flat = np.ravel_multi_index(tuple(x + 1 for x in np.unravel_index(index, shape)), rim)
    number = np.full(int(np.prod(rim)), -1, dtype=np.int32)
    number[flat] = np.arange(len(index), dtype=np.int32)
    rows, columns = [], []
    for step in _half_steps(connectivity):
        other = number[flat + step[0] * rim[1] * rim[2] + step[1] * rim[2] + step[2]]
        here = np.flatnonzero(other >= 0).astype(np.int32)
        rows.append(here)
        columns.append(other[here])
    return _symmetric(np.concatenate(rows), np.concatenate(columns), len(index))


def components(
    graph: scipy.sparse.csr_array, inside: NDArray[np.bool_], key: ArrayLike = 0
) -> Ints:
    """Label the connected components of a subset of a graph.

    Parameters
    ----------
    graph : csr_array, shape (V, V)
        Symmetric neighbour graph.
    inside : ndarray of bool, shape (V,)
        The subset.
    key : array_like, shape (V,), optional
        Neighbours with different keys are not connected (a sign, a parcel).

    Returns
    -------
    ndarray of int, shape (V,)
        -1 outside, else 0, 1, … in the order in which components first appear.

    Examples
    --------
    >>> g = volume_graph((1, 1, 4), [0, 1, 2, 3])
    >>> components(g, np.array([True, True, False, True]))
    array([ 0,  0, -1,  1])
    """
    V = graph.shape[0]
    labels = np.full(V, -1, dtype=np.int64)
    kept = np.flatnonzero(inside)
    if kept.size == 0:
        return labels
    sub = graph[kept][:, kept].tocoo()
    keys = np.broadcast_to(np.asarray(key), (V,))[kept]
    same = keys[sub.coords[0]] == keys[sub.coords[1]]
    ones = np.ones(int(same.sum()), dtype=np.int8)
    edges = scipy.sparse.csr_array(
        (ones, (sub.coords[0][same], sub.coords[1][same])), shape=(kept.size, kept.size)
    )
    _, found = scipy.sparse.csgraph.connected_components(edges, directed=False)
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    labels[kept] = np.argsort(np.argsort(first))[inverse]
    return labels


def _half_steps(connectivity: int) -> list[tuple[int, ...]]:
    """Return one of each pair of opposite steps to a neighbour."""
    steps = product((-1, 0, 1), repeat=3)
    return [s for s in steps if 0 < sum(map(abs, s)) <= REACH[connectivity] and s > (0, 0, 0)]


def _symmetric(
    rows: NDArray[np.int32], columns: NDArray[np.int32], V: int
) -> scipy.sparse.csr_array:
    both = (np.concatenate([rows, columns]), np.concatenate([columns, rows]))
    graph = scipy.sparse.csr_array((np.ones(len(both[0]), dtype=np.bool_), both), shape=(V, V))
    graph.sort_indices()
    return graph

"""The max-tree of a map: every cluster at every threshold, from one sweep over sorted voxels.

Voxels enter from the most extreme value inwards; union-find keeps the clusters that they form.
Node r of the tree is the cluster as it stands when voxel r has entered: it holds for all thresholds
between that voxel's height and the next voxel to join, its parent. Extent, mass and threshold-free
enhancement are sums along this tree, so none of them needs a grid of thresholds or a relabelling.
Positive voxels come first, then negative ones; edges between signs are never followed, so both
tails take one sweep.

Axes: V voxels, n nodes (voxels above the floor), J thresholds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy
from numba import njit
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

DIGIT = 11  # bits sorted a pass; 2048 counters stay in the first-level cache
BINS = 1 << DIGIT
OUTSIDE = -1


class Tree(NamedTuple):
    """Nodes of a max-tree, parents after their children.

    Parameters
    ----------
    voxel : ndarray of int32, shape (n,)
        The voxel that each node adds: positive ones from the largest value down, then negative
        ones from the most negative up.
    parent : ndarray of int32, shape (n,)
        The node that next enlarges the cluster; -1 for the last of a connected part.
    height : ndarray, shape (n,)
        Absolute value at the voxel.
    size : ndarray, shape (n,)
        Extent of the cluster: voxels, or the sum of their weights.
    n_positive : int
        Nodes of positive voxels.
    """

    voxel: Ints
    parent: Ints
    height: Floats
    size: Floats
    n_positive: int


class Room(NamedTuple):
    """Space to grow one tree after another in; see :func:`make_room`."""

    keys: NDArray[np.unsignedinteger]
    spare_keys: NDArray[np.unsignedinteger]
    voxel: Ints
    spare_voxel: Ints
    bins: Ints
    rank: Ints
    parent: Ints
    link: Ints
    top: Ints
    members: Ints
    height: Floats
    size: Floats
    lift: Floats
    score: Floats


def make_room(n_voxels: int, dtype: type[np.floating]) -> Room:
    """Allocate the space that trees of maps of one length and type need.

    Parameters
    ----------
    n_voxels : int
        V.
    dtype : float32 or float64
        Of the maps.
    """
    word: Any = np.uint32 if np.dtype(dtype) == np.float32 else np.uint64
    keys, spare_keys = np.empty(n_voxels, word), np.empty(n_voxels, word)
    rank = np.full(n_voxels, OUTSIDE, np.int32)
    voxel, spare_voxel, parent, link, top, members = np.empty((6, n_voxels), np.int32)
    height, size, lift, score = np.empty((4, n_voxels))
    bins = np.empty(BINS, np.int32)
    return Room(
        keys, spare_keys, voxel, spare_voxel, bins,
        rank, parent, link, top, members, height, size, lift, score,
    )  # fmt: skip


def grow_tree(
    values: ArrayLike,
    graph: scipy.sparse.csr_array,
    *,
    weights: ArrayLike | None = None,
    floor: float = 0.0,
    two_sided: bool = True,
) -> Tree:
    """Grow the max-tree of a map.

    Parameters
    ----------
    values : array_like, shape (V,)
        A map; NaN voxels belong to no cluster.
    graph : csr_array, shape (V, V)
        Symmetric neighbour graph.
    weights : array_like, shape (V,), optional
        What a voxel adds to an extent (the area of a vertex); 1 by default.
    floor : float
        Voxels with ``|value| <= floor`` are left out; at least 0.
    two_sided : bool
        Whether negative voxels form clusters too.

    Returns
    -------
    Tree

    Examples
    --------
    >>> from voxlm.kernels.graph import volume_graph
    >>> tree = grow_tree([3.0, 1.0, 2.0, 0.0, -4.0], volume_graph((5, 1, 1), range(5)))
    >>> tree.voxel.tolist(), tree.parent.tolist(), tree.size.tolist()
    ([0, 2, 1, 4], [2, 2, -1, -1], [1.0, 1.0, 3.0, 1.0])
    """
    stat = as_map(values)
    room = make_room(len(stat), stat.dtype.type)
    n, n_positive = grow(
        stat, stat.view(room.keys.dtype), *links(graph), as_weights(weights), floor, two_sided, room
    )
    voxel, parent = room.voxel[:n].copy(), room.parent[:n].copy()
    return Tree(voxel, parent, room.height[:n].copy(), room.size[:n].copy(), n_positive)


def as_map(values: ArrayLike) -> NDArray[np.floating]:
    """Return a map as contiguous float32 or float64."""
    stat = np.ascontiguousarray(values)
    return stat if stat.dtype == np.float32 else stat.astype(np.float64, copy=False)


def as_weights(weights: ArrayLike | None) -> Floats:
    """Return weights of voxels for the kernels: empty where each voxel counts one."""
    return np.empty(0) if weights is None else np.ascontiguousarray(weights, dtype=np.float64)


def links(graph: scipy.sparse.csr_array) -> tuple[Ints, Ints]:
    """Return a graph's row pointers and columns as the kernels read them."""
    return graph.indptr.astype(np.int32, copy=False), graph.indices.astype(np.int32, copy=False)


@njit(cache=True, nogil=True)
def grow(stat, bits, starts, neighbours, weights, floor, two_sided, room):  # type: ignore[no-untyped-def]
    """Grow the tree of ``stat`` in ``room``; return the number of nodes and of positive ones."""
    n, n_positive = enter(stat, bits, floor, two_sided, room)
    for r in range(n):
        room.rank[room.voxel[r]] = r
        room.height[r] = abs(stat[room.voxel[r]])
    join(0, n_positive, starts, neighbours, room)
    join(n_positive, n, starts, neighbours, room)
    for r in range(n):
        room.rank[room.voxel[r]] = OUTSIDE
    if weights.size:
        for r in range(n):
            room.size[r] = weights[room.voxel[r]]
        gather(room.parent, room.size, n)
    return n, n_positive


@njit(cache=True, nogil=True)
def gather(parent, amounts, n):  # type: ignore[no-untyped-def]
    """Add each node's amount to those of all clusters that hold it, in place."""
    for r in range(n):
        if parent[r] >= 0:
            amounts[parent[r]] += amounts[r]


@njit(cache=True, nogil=True)
def enter(stat, bits, floor, two_sided, room):  # type: ignore[no-untyped-def]
    """Sort the voxels beyond the floor: positive ones downwards, then negative ones upwards.

    With all bits but the sign turned over, the pattern of a float orders as an unsigned integer
    just so. A NaN passes neither comparison.
    """
    sign = bits.dtype.type(1) << bits.dtype.type(bits.itemsize * 8 - 1)
    turn = sign - bits.dtype.type(1)
    n = n_positive = 0
    for v in range(stat.size):
        if stat[v] > floor:
            n_positive += 1
        elif not (two_sided and -stat[v] > floor):
            continue
        room.keys[n] = bits[v] ^ turn
        room.voxel[n] = v
        n += 1
    radix_sort(n, bits.itemsize * 8, room)
    return n, n_positive


@njit(cache=True, nogil=True)
def radix_sort(n, width, room):  # type: ignore[no-untyped-def]
    """Sort the first n keys and their voxels, least significant digit first; stable."""
    keys, other_keys = room.keys, room.spare_keys
    voxel, other_voxel = room.voxel, room.spare_voxel
    counts = room.bins
    moved = False
    for shift in range(0, width, DIGIT):
        down = keys.dtype.type(shift)
        mask = keys.dtype.type(BINS - 1)
        counts[:] = 0
        for i in range(n):
            counts[(keys[i] >> down) & mask] += 1
        if n and counts[(keys[0] >> down) & mask] == n:
            continue
        total = 0
        for b in range(BINS):
            here = counts[b]
            counts[b] = total
            total += here
        for i in range(n):
            digit = (keys[i] >> down) & mask
            at = counts[digit]
            counts[digit] = at + 1
            other_keys[at] = keys[i]
            other_voxel[at] = voxel[i]
        keys, other_keys = other_keys, keys
        voxel, other_voxel = other_voxel, voxel
        moved = not moved
    if moved:
        room.voxel[:n] = voxel[:n]


@njit(cache=True, nogil=True)
def join(first, stop, starts, neighbours, room):  # type: ignore[no-untyped-def]
    """Let the nodes of one sign enter in turn and unite the clusters that each one touches.

    The smaller cluster hangs on the larger (``link``), which keeps the paths short; ``top`` holds
    the node that a cluster's representative stands for.
    """
    voxel, rank, parent = room.voxel, room.rank, room.parent
    link, top, members, size = room.link, room.top, room.members, room.size
    earlier = room.spare_voxel
    for r in range(first, stop):
        link[r] = r
        members[r] = 1
        parent[r] = -1
        root = r
        v = voxel[r]
        # Gathered without branches, which would be mispredicted half of the time.
        n_earlier = 0
        for e in range(starts[v], starts[v + 1]):
            q = rank[neighbours[e]]
            earlier[n_earlier] = q
            n_earlier += (q >= first) & (q < r)
        for k in range(n_earlier):
            q = earlier[k]
            if link[q] == root:
                continue
            while link[q] != q:
                link[q] = link[link[q]]
                q = link[q]
            if q == root:
                continue
            parent[top[q]] = r
            together = members[q] + members[root]
            if members[q] > members[root]:
                link[root] = q
                root = q
            else:
                link[q] = root
            members[root] = together
        top[root] = r
        size[r] = members[root]

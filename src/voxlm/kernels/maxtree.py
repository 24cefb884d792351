"""The max-tree of a map: every cluster at every threshold, from one sweep over sorted voxels.

Voxels enter from the most extreme value inwards; union-find keeps the clusters that they form.
Node r of the tree is the cluster as it stands when voxel r has entered: it holds for all thresholds
between that voxel's height and the next voxel to join, its parent. Extent, mass and threshold-free
enhancement are sums along this tree, so none of them needs a grid of thresholds or a relabelling.
Positive voxels come first, then negative ones, and each sign is swept alone.

Why it is fast: a key and its voxel are sorted as one word; union-find lives in one integer a voxel
(not entered, link, or minus the members of the cluster that it represents), at the voxel's own
place, so that neighbours share cache lines; and the neighbours of the next voxels are fetched
together, since what slows a sweep in sorted order is waiting for scattered memory.

Axes: V voxels, n nodes (voxels above the floor), J thresholds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy
from numba import njit
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

DIGIT = 11  # bits sorted a pass; 2048 counters stay in the first-level cache
BINS = 1 << DIGIT
PASSES = 3  # of the 32 bits of half a word
HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)
SHORT = 32  # keys that start alike and are quicker inserted than counted
LINE = 8  # neighbours in half a cache line
AHEAD = 32  # voxels whose neighbours are fetched together
OUTSIDE = np.int32(2**31 - 1)  # has not entered


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

    words: NDArray[np.uint64]
    spare: NDArray[np.uint64]
    bins: Ints
    voxel: Ints
    parent: Ints
    link: Ints
    top: Ints
    near: Ints
    height: Floats
    size: Floats
    lift: Floats
    score: Floats


def make_room(n_voxels: int) -> Room:
    """Allocate the space that trees of maps of one length need.

    Parameters
    ----------
    n_voxels : int
        V.
    """
    words, spare = np.empty((2, n_voxels), np.uint64)
    bins = np.empty((PASSES, BINS), np.int32)
    link = np.full(n_voxels, OUTSIDE, np.int32)
    voxel, parent, top, near = np.empty((4, n_voxels), np.int32)
    height, size, lift, score = np.empty((4, n_voxels))
    return Room(words, spare, bins, voxel, parent, link, top, near, height, size, lift, score)


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
    room = make_room(len(stat))
    n, n_positive = grow(
        stat, as_bits(stat), *links(graph), as_weights(weights), floor, two_sided, room
    )
    voxel, parent = room.voxel[:n].copy(), room.parent[:n].copy()
    return Tree(voxel, parent, room.height[:n].copy(), room.size[:n].copy(), n_positive)


def as_map(values: ArrayLike) -> NDArray[np.floating]:
    """Return a map as contiguous float32 or float64."""
    stat = np.ascontiguousarray(values)
    return stat if stat.dtype == np.float32 else stat.astype(np.float64, copy=False)


def as_bits(maps: NDArray[np.floating]) -> NDArray[np.unsignedinteger]:
    """Return the patterns of floats as unsigned integers, without a copy."""
    return maps.view(np.uint32 if maps.dtype == np.float32 else np.uint64)


def as_weights(weights: ArrayLike | None) -> Floats:
    """Return weights of voxels for the kernels: empty where each voxel counts one."""
    return np.empty(0) if weights is None else np.ascontiguousarray(weights, dtype=np.float64)


def links(graph: scipy.sparse.csr_array) -> tuple[Ints, Ints]:
    """Return a graph's row pointers and columns as the kernels read them: each edge once."""
    if not graph.has_canonical_format:
        graph = graph.copy()
        graph.sum_duplicates()
    return graph.indptr.astype(np.int32, copy=False), graph.indices.astype(np.int32, copy=False)


@njit(cache=True, nogil=True)
def grow(stat, bits, starts, neighbours, weights, floor, two_sided, room):  # type: ignore[no-untyped-def]
    """Grow the tree of ``stat`` in ``room``; return the number of nodes and of positive ones."""
    n, n_positive = enter(stat, bits, floor, two_sided, room)
    for first, stop in ((0, n_positive), (n_positive, n)):
        join(first, stop, starts, neighbours, room)
        for r in range(first, stop):
            room.link[room.voxel[r]] = OUTSIDE
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
    just so. A NaN passes neither comparison. A word is the first half of that integer and the
    voxel; where a double's second half matters, words that start alike are sorted once more.
    """
    words = room.words
    width = bits.itemsize * 8
    turn = (bits.dtype.type(1) << bits.dtype.type(width - 1)) - bits.dtype.type(1)
    spilled = np.uint64(width - 32)
    n = n_positive = 0
    for v in range(stat.size):
        positive = stat[v] > floor
        # Written without a branch, which would be mispredicted half of the time.
        words[n] = (np.uint64(bits[v] ^ turn) >> spilled) << HALF | np.uint64(v)
        n += positive | (two_sided & (-stat[v] > floor))
        n_positive += positive
    radix_sort(0, n, words, room.spare, room.bins)
    for r in range(n):
        room.voxel[r] = np.int32(words[r] & LOW)
        room.height[r] = abs(stat[room.voxel[r]])
    if spilled:
        settle(n, stat, bits, room)
    return n, n_positive


@njit(cache=True, nogil=True)
def radix_sort(first, stop, words, spare, bins):  # type: ignore[no-untyped-def]
    """Sort words by their upper halves, least significant digit first; stable, in place."""
    bins[:] = 0
    for i in range(first, stop):
        for d in range(PASSES):
            bins[d, digit(words[i], d)] += 1
    for d in range(PASSES):
        total = first
        for b in range(BINS):
            here = bins[d, b]
            bins[d, b] = total
            total += here
        for i in range(first, stop):
            b = digit(words[i], d)
            spare[bins[d, b]] = words[i]
            bins[d, b] += 1
        words, spare = spare, words
    # An odd number of passes has left them in the other array.
    spare[first:stop] = words[first:stop]


@njit(cache=True, nogil=True, inline="always")
def digit(word, d):  # type: ignore[no-untyped-def]
    """Return the d-th digit of a word's upper half."""
    return (word >> (HALF + np.uint64(d * DIGIT))) & np.uint64(BINS - 1)


@njit(cache=True, nogil=True)
def settle(n, stat, bits, room):  # type: ignore[no-untyped-def]
    """Sort doubles whose first halves are alike by their second halves."""
    words, voxel, height = room.words, room.voxel, room.height
    first = 0
    while first < n:
        stop = first + 1
        while stop < n and words[stop] >> HALF == words[first] >> HALF:
            stop += 1
        if stop - first > SHORT:
            for r in range(first, stop):
                words[r] = (~bits[voxel[r]] & LOW) << HALF | np.uint64(voxel[r])
            radix_sort(first, stop, words, room.spare, room.bins)
            for r in range(first, stop):
                voxel[r] = np.int32(words[r] & LOW)
                height[r] = abs(stat[voxel[r]])
        else:
            insert(first, stop, voxel, height)
        first = stop


@njit(cache=True, nogil=True)
def insert(first, stop, voxel, height):  # type: ignore[no-untyped-def]
    """Sort a few voxels by height, the largest first; stable."""
    for r in range(first + 1, stop):
        here, high = voxel[r], height[r]
        at = r
        while at > first and height[at - 1] < high:
            voxel[at], height[at] = voxel[at - 1], height[at - 1]
            at -= 1
        voxel[at], height[at] = here, high


@njit(cache=True, nogil=True)
def join(first, stop, starts, neighbours, room):  # type: ignore[no-untyped-def]
    """Let the nodes of one sign enter in turn and unite the clusters that each one touches."""
    for begin in range(first, stop, AHEAD):
        end = min(begin + AHEAD, stop)
        # Kept where the sort counts, lest the compiler drop reads of no effect.
        room.bins[0, 0] = fetch(begin, end, starts, neighbours, room.voxel)
        for r in range(begin, end):
            unite(r, starts, neighbours, room)


@njit(cache=True, nogil=True)
def fetch(begin, end, starts, neighbours, voxel):  # type: ignore[no-untyped-def]
    """Read a little of the neighbours of each of the next nodes, which brings all to the cache.

    These reads do not wait for each other, as they would in the sweep.
    """
    seen = np.int32(0)
    for r in range(begin, end):
        v = np.uint32(voxel[r])
        for e in range(np.uint32(starts[v]), np.uint32(starts[v + np.uint32(1)]), LINE):
            seen ^= neighbours[e]
    return seen


@njit(cache=True, nogil=True, inline="always")
def unite(r, starts, neighbours, room):  # type: ignore[no-untyped-def]
    """Let node r enter: join its voxel to the clusters of the neighbours that have.

    The smaller cluster hangs on the larger, which keeps paths short; ``top`` holds the node that a
    representative stands for. Places are unsigned, so that none is checked for counting backwards.
    """
    link, top, parent, near = room.link, room.top, room.parent, room.near
    v = np.uint32(room.voxel[r])
    # Gathered without branches, which would be mispredicted half of the time.
    entered = 0
    for e in range(np.uint32(starts[v]), np.uint32(starts[v + np.uint32(1)])):
        u = np.uint32(neighbours[e])
        near[entered] = u
        entered += link[u] != OUTSIDE
    root, members = v, np.int32(1)
    parent[r] = -1
    link[root] = -1
    for k in range(entered):
        q = np.uint32(near[k])
        up = link[q]
        if up == np.int64(root):
            continue
        while up >= 0:
            above = link[np.uint32(up)]
            if above >= 0:
                link[q] = above
            q, up = np.uint32(up), above
        if q == root:
            continue
        parent[np.uint32(top[q])] = r
        if -up > members:
            link[root] = q
            root = q
        else:
            link[q] = root
        members -= up
    link[root] = -members
    top[root] = r
    room.size[r] = members

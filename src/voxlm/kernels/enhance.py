"""What a max-tree says of a map: threshold-free enhancement, extents and masses of clusters.

Threshold-free cluster enhancement (Smith and Nichols, 2009) at voxel v is the integral of
``e(h)**E * h**H`` over thresholds h from 0 to the voxel's height, e(h) being the extent of the
cluster that holds v. Between a node and its parent e does not change, so the integral is a sum
along the path to the root, exact, whatever E and H. A cluster at threshold h is the last node above
h on the way to the root; its extent is the node's, its mass the sum of ``|value| - h`` over it.

Axes: V voxels, n nodes, J thresholds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from voxlm.kernels.maxtree import Tree, as_bits, as_map, as_weights, gather, grow, links, make_room

if TYPE_CHECKING:
    from scipy import sparse

Floats = NDArray[np.float64]

STEPS = 100  # of the per-map scaling
SCALINGS = ("exact", "per-map")


def tfce(
    values: ArrayLike,
    graph: sparse.csr_array,
    *,
    E: float = 0.5,
    H: float = 2.0,
    weights: ArrayLike | None = None,
    two_sided: bool = True,
    scaling: Literal["exact", "per-map"] = "exact",
) -> Floats:
    """Enhance a map by its clusters at all thresholds.

    Parameters
    ----------
    values : array_like, shape (V,)
        A map of statistics.
    graph : csr_array, shape (V, V)
        Symmetric neighbour graph.
    E, H : float
        Exponents of extent and height; 0.5 and 2 for volumes, 1 and 2 for surfaces are usual.
    weights : array_like, shape (V,), optional
        Area of each vertex; 1 by default.
    two_sided : bool
        Whether negative voxels are enhanced too (by clusters of negative voxels).
    scaling : {"exact", "per-map"}
        ``exact`` is the integral. ``per-map`` is the sum over 100 thresholds from 1 % to 100 % of
        the map's largest value, not multiplied by their distance: the values of nilearn's
        ``calculate_tfce``. That divides each map by about a hundredth of its own maximum, which
        favours broad signal over focal signal when maps of permuted data are compared.

    Returns
    -------
    ndarray, shape (V,)
        Signed as ``values``; NaN where these are NaN, infinite where these are.

    Examples
    --------
    >>> from voxlm.kernels.graph import volume_graph
    >>> tfce([0.0, 1.0, 2.0, -1.0], volume_graph((4, 1, 1), range(4)), E=1, H=0)
    array([ 0.,  2.,  3., -1.])
    """
    stat = as_map(values)
    room = make_room(len(stat))
    n, n_positive = grow(
        stat, as_bits(stat), *links(graph), as_weights(weights), 0.0, two_sided, room
    )
    enhance(n, n_positive, E, H, STEPS if scaling == "per-map" else 0, room)
    return spread(stat, n, n_positive, room)


def clusters_above(tree: Tree, threshold: float, n_voxels: int) -> tuple[Floats, Floats]:
    """Return the extent and the mass of each voxel's cluster at a threshold.

    Parameters
    ----------
    tree : Tree
        Grown with a floor of at most the threshold.
    threshold : float
        Clusters are of voxels with ``|value| > threshold``.
    n_voxels : int
        V.

    Returns
    -------
    extent, mass : ndarray, shape (V,)
        0 outside all clusters. The mass is the (weighted) sum of ``|value| - threshold``.

    Examples
    --------
    >>> from voxlm.kernels.graph import volume_graph
    >>> from voxlm.kernels.maxtree import grow_tree
    >>> tree = grow_tree([3.0, 2.5, 1.0, 0.0, -4.0], volume_graph((5, 1, 1), range(5)))
    >>> extent, mass = clusters_above(tree, 2.0, 5)
    >>> extent, mass
    (array([2., 2., 0., 0., 1.]), array([1.5, 1.5, 0. , 0. , 2. ]))
    """
    extent, mass = np.zeros(n_voxels), np.zeros(n_voxels)
    moment = moments(tree.parent, tree.height, tree.size)
    holder = holders(tree.parent, tree.height, threshold)
    inside = holder >= 0
    voxel, holder = tree.voxel[inside], holder[inside]
    extent[voxel] = tree.size[holder]
    mass[voxel] = moment[holder] - threshold * tree.size[holder]
    return extent, mass


@njit(cache=True, nogil=True)
def enhance(n, n_positive, E, H, steps, room):  # type: ignore[no-untyped-def]
    """Write the enhancement of each node of the tree in ``room``; return the largest by sign."""
    height, lift, score = room.height, room.lift, room.score
    parent, size = room.parent, room.size
    if steps:
        lift_by_steps(n, n_positive, H, steps, room)
    elif H == 2.0:
        for r in range(n):
            lift[r] = height[r] * height[r] * height[r] / 3.0
    else:
        for r in range(n):
            lift[r] = height[r] ** (H + 1.0) / (H + 1.0)
    highest, lowest = 0.0, 0.0
    for r in range(n - 1, -1, -1):
        p = parent[r]
        below = lift[p] if p >= 0 else 0.0
        total = score[p] if p >= 0 else 0.0
        # Also keeps infinite heights from being subtracted.
        if lift[r] != below:
            extent = np.sqrt(size[r]) if E == 0.5 else size[r] ** E
            total += extent * (lift[r] - below)
        score[r] = total
        if r >= n_positive:
            lowest = max(lowest, total)
        else:
            highest = max(highest, total)
    return highest, lowest


@njit(cache=True, nogil=True)
def spread(stat, n, n_positive, room):  # type: ignore[no-untyped-def]
    """Return the enhancement at each voxel, signed; NaN where ``stat`` is."""
    enhanced = np.empty(stat.size)
    for v in range(stat.size):
        enhanced[v] = np.nan if np.isnan(stat[v]) else 0.0
    for r in range(n):
        enhanced[room.voxel[r]] = room.score[r] if r < n_positive else -room.score[r]
    return enhanced


@njit(cache=True, nogil=True)
def lift_by_steps(n, n_positive, H, steps, room):  # type: ignore[no-untyped-def]
    """Write the sum of ``h**H`` over the equal steps h up to each node's height."""
    # An infinite height has no hundredth: steps are those of the largest finite one.
    largest = 0.0
    for r in range(n):
        if largest < room.height[r] < np.inf:
            largest = room.height[r]
    at = np.linspace(0.0, largest, steps + 1)
    total = np.zeros(steps + 1)
    for k in range(1, steps + 1):
        total[k] = total[k - 1] + at[k] ** H
    for r in range(n):
        # Heights fall from step to step, so the place of the last one is a good start.
        if r == 0 or r == n_positive:
            k = steps
        while k > 0 and at[k] > room.height[r]:
            k -= 1
        room.lift[r] = total[k] if room.height[r] < np.inf else np.inf


@njit(cache=True, nogil=True)
def moments(parent, height, size):  # type: ignore[no-untyped-def]
    """Return the weighted sum of heights over each node's cluster, shape ``(n,)``."""
    moment = size.copy()
    n = parent.size
    for r in range(n):
        if parent[r] >= 0:
            moment[parent[r]] -= size[r]
    for r in range(n):
        moment[r] *= height[r]
    gather(parent, moment, n)
    return moment


@njit(cache=True, nogil=True)
def holders(parent, height, threshold):  # type: ignore[no-untyped-def]
    """Return the node that is each node's whole cluster at a threshold, -1 below it."""
    n = parent.size
    holder = np.full(n, -1, np.int32)
    for r in range(n - 1, -1, -1):
        if height[r] > threshold:
            p = parent[r]
            holder[r] = holder[p] if p >= 0 and holder[p] >= 0 else r
    return holder


@njit(cache=True, nogil=True)
def largest_clusters(n, n_positive, thresholds, out, room):  # type: ignore[no-untyped-def]
    """Write the largest extent and mass above each threshold, by sign.

    ``out`` is ``(J, 2, 2)``: threshold; extent, mass; positive, negative. A node is a cluster at
    every threshold from its parent's height up to, not including, its own.
    """
    moment = moments(room.parent[:n], room.height[:n], room.size[:n])
    out[:] = 0.0
    for r in range(n):
        side = 1 if r >= n_positive else 0
        p = room.parent[r]
        below = room.height[p] if p >= 0 else -1.0
        for j in range(thresholds.size):
            h = thresholds[j]
            if below <= h < room.height[r]:
                out[j, 0, side] = max(out[j, 0, side], room.size[r])
                out[j, 1, side] = max(out[j, 1, side], moment[r] - h * room.size[r])
